"""The option --senytl-perf-budget: dollars that all LLM calls of a session may cost."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

# A call of gpt-4 with these tokens costs $0.09: 1,000 at $30 and 1,000 at $60 per million.
AGENT = """
    import asyncio, time
    import pytest
    from openai import AsyncOpenAI, OpenAI
    from senytl import Senytl
    from senytl.models import MockResponse, TokenUsage
    from senytl.performance.spending import BudgetSpentError, current_budget

    QUESTION = dict(model="gpt-4", messages=[{"role": "user", "content": "hello"}])
    client = OpenAI(api_key="none")

    @pytest.fixture(scope="module", autouse=True)
    def mocked():
        with Senytl(fallback="error") as senytl:
            senytl.mock("gpt-4").respond(MockResponse("Hello!", usage=TokenUsage(1_000, 1_000)))
            senytl.mock("in-house").respond(MockResponse("Hello!", usage=TokenUsage(1_000, 0)))
            yield

    def ask(**changes):
        return client.chat.completions.create(**{**QUESTION, **changes})

    def settled():
        current_budget().meter.settle()
"""


def line_of(session: Any, start: str) -> str:
    """The line of the output that begins so."""
    lines = [line for line in session.result.outlines if line.startswith(start)]
    assert len(lines) == 1, session.output
    return str(lines[0])


def test_a_session_within_its_budget_says_what_was_spent(run: Run) -> None:
    session = run(
        AGENT
        + """
    def test_it():
        ask()
        ask()
    """,
        "--senytl-perf-budget=0.20",
    )
    session.result.assert_outcomes(passed=1)
    assert session.exit_code == 0
    assert line_of(session, "senytl: 2") == (
        "senytl: 2 LLM calls cost $0.1800 of the session's budget of $0.20"
    )


def test_calls_are_refused_once_it_is_spent_and_the_session_fails(run: Run) -> None:
    session = run(
        AGENT
        + """
    def test_refused():
        ask()
        ask()
        settled()
        with pytest.raises(BudgetSpentError) as caught:
            ask()
        assert str(caught.value) == (
            "the session's budget of $0.15 is spent: 2 LLM calls cost $0.1800. "
            "This call of 'gpt-4' was not sent"
        )

    def test_others_run_on():
        pass
    """,
        "--senytl-perf-budget=0.15",
    )
    session.result.assert_outcomes(passed=2)
    assert session.exit_code == 1
    assert line_of(session, "senytl: the") == (
        "senytl: the session's budget of $0.15 is spent: 2 LLM calls cost $0.1800; 1 more call "
        "was refused"
    )


def test_an_overdrawn_budget_fails_the_session_where_no_call_was_refused(run: Run) -> None:
    session = run(AGENT + "\n    def test_it():\n        ask()\n", "--senytl-perf-budget=0.08")
    session.result.assert_outcomes(passed=1)
    assert session.exit_code == 1
    assert line_of(session, "senytl: the").endswith("is spent: 1 LLM call cost $0.0900")


def test_measured_tests_whose_turn_comes_later_fail_unmeasured(run: Run) -> None:
    session = run(
        AGENT
        + """
    def test_spends():
        ask()
        settled()

    @pytest.mark.benchmark(iterations=1_000_000)
    def test_measured():
        time.sleep(0.1)

    async def test_measured_async(perf):
        raise AssertionError("it ran")

    @pytest.mark.load_test(concurrent_users=2, duration=1_000)
    def test_load():
        time.sleep(0.1)
    """,
        "--senytl-perf-budget=0.09",
    )
    session.result.assert_outcomes(passed=1, failed=3)
    failed = "not measured: the session's budget of $0.09 is spent: 1 LLM call cost $0.0900"
    assert session.result.outlines.count(failed) == 3
    assert f"senytl: {failed.partition(': ')[2]}" in session.result.outlines
    assert session.tests == {}


def test_a_benchmark_ends_with_the_refusal_and_counts_no_failed_request(run: Run) -> None:
    session = run(
        AGENT
        + """
    @pytest.mark.benchmark(iterations=100)
    def test_it():
        ask()
        settled()
    """,
        "--senytl-perf-budget=0.27",
    )
    session.result.assert_outcomes(failed=1)
    requests = session.tests["test_it"]["requests"]
    assert (requests["total"], requests["failed"], requests["interrupted"]) == (3, 0, 1)
    assert "BudgetSpentError: the session's budget of $0.27 is spent" in session.output


@pytest.mark.parametrize("word", ["def", "async def"])
def test_a_load_stops_when_a_refusal_leaves_its_body(run: Run, word: str) -> None:
    asks = "ask()" if word == "def" else "await async_client.chat.completions.create(**QUESTION)"
    sleeps = "time.sleep(0.01)" if word == "def" else "await asyncio.sleep(0.01)"
    session = run(
        AGENT
        + f"""
    async_client = AsyncOpenAI(api_key="none")

    @pytest.mark.load_test(concurrent_users=3, duration=50)
    {word} test_it():
        {asks}
        {sleeps}
    """,
        "--senytl-perf-budget=2.7",
    )
    session.result.assert_outcomes(failed=1)
    assert "Error: the session's budget of $2.70 is spent" in session.output
    requests = session.tests["test_it"]["requests"]
    assert 27 <= requests["total"] < 100
    assert requests["failed"] == 0
    assert session.tests["test_it"]["duration_seconds"] < 25


def test_a_load_stops_where_the_agent_swallows_the_refusal(run: Run) -> None:
    session = run(
        AGENT
        + """
    @pytest.mark.load_test(concurrent_users=3, duration=50)
    def test_it():
        try:
            ask()
        except Exception:
            pass
        time.sleep(0.01)
    """,
        "--senytl-perf-budget=0.9",
    )
    session.result.assert_outcomes(failed=1)
    assert "the session's budget of $0.90 is spent" in session.output
    assert session.tests["test_it"]["duration_seconds"] < 25


@pytest.mark.parametrize("stream", [False, True])
def test_async_calls_and_streams_count(run: Run, stream: bool) -> None:
    session = run(
        AGENT
        + f"""
    def test_it():
        async def ask():
            async with AsyncOpenAI(api_key="none") as client:
                reply = await client.chat.completions.create(
                    **QUESTION, stream={stream},
                    **({{"stream_options": {{"include_usage": True}}}} if {stream} else {{}}),
                )
                if {stream}:
                    return [chunk async for chunk in reply]

        asyncio.run(ask())
        settled()
        with pytest.raises(BudgetSpentError):
            asyncio.run(ask())
    """,
        "--senytl-perf-budget=0.09",
    )
    session.result.assert_outcomes(passed=1)
    assert line_of(session, "senytl: the").endswith(
        "1 LLM call cost $0.0900; 1 more call was refused"
    )


def test_workers_share_the_budget(run: Run) -> None:
    session = run(
        AGENT
        + """
    from pathlib import Path

    @pytest.mark.parametrize("number", range(2))
    def test_it(number):
        Path(f"started-{number}").touch()
        while not Path(f"started-{1 - number}").exists():
            time.sleep(0.01)
        spent = 0
        with pytest.raises(BudgetSpentError):
            for _ in range(100):
                ask()
                spent += 1
                time.sleep(0.2)
        assert 3 <= spent <= 8  # of 10

    def test_measured(perf):
        pass
    """,
        "--senytl-perf-budget=0.90",
        workers=2,
    )
    session.result.assert_outcomes(passed=2, failed=1)
    assert session.exit_code == 1
    assert "not measured: the session's budget of $0.90 is spent" in session.output
    said = re.search(
        r"budget of \$0\.90 is spent: (\d+) LLM calls cost \$([\d.]+); 2 more calls were refused",
        session.output,
    )
    assert said, session.output
    calls, dollars = int(said[1]), float(said[2])
    assert 10 <= calls <= 12
    assert dollars == pytest.approx(calls * 0.09)


def test_what_a_worker_spent_before_it_crashed_counts(run: Run) -> None:
    session = run(
        AGENT
        + """
    import os

    def test_it():
        ask()
        settled()
        os._exit(3)
    """,
        "--senytl-perf-budget=0.05",
        "--max-worker-restart=0",
        workers=1,
    )
    assert session.exit_code == 1
    assert "budget of $0.05 is spent: 1 LLM call cost $0.0900" in session.output


def test_a_model_without_a_price_breaks_the_budget(run: Run) -> None:
    session = run(
        AGENT
        + """
    from senytl.performance.spending import UnpricedCallError

    def test_it():
        ask(model="in-house")
        settled()
        with pytest.raises(UnpricedCallError, match="no price for 'in-house'"):
            ask(model="in-house")
        ask()
    """,
        "--senytl-perf-budget=5",
    )
    session.result.assert_outcomes(passed=1)
    assert session.exit_code == 1
    assert line_of(session, "senytl: the") == (
        "senytl: the session's budget of $5.00 cannot be held: there is no price for in-house, and "
        "1 call was refused for it. Add one to the ini option senytl_pricing, in dollars per "
        "million tokens, such as 'in-house: prompt=5.0 completion=10.0'; a model that costs "
        "nothing has 0 for both"
    )


def test_the_project_s_prices_count(run: Run) -> None:
    session = run(
        AGENT + '\n    def test_it():\n        ask(model="in-house")\n',
        "--senytl-perf-budget=5",
        ini="senytl_pricing =\n  in-house: prompt=7.0 completion=0",
    )
    assert session.exit_code == 0
    assert "senytl: 1 LLM call cost $0.0070 of the session's budget of $5.00" in session.output


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "much", "$5", ""])
def test_what_is_no_amount_is_refused(run: Run, value: str) -> None:
    session = run("def test_it(): pass", f"--senytl-perf-budget={value}")
    assert session.exit_code == pytest.ExitCode.USAGE_ERROR
    assert f"--senytl-perf-budget={value}: " in session.output
    assert "it is a number of dollars, such as 5 or 0.50" in session.output


@pytest.mark.parametrize("option", ["--collect-only", "-qq"])
def test_nothing_is_said_where_nothing_was_spent_or_shall_be_said(run: Run, option: str) -> None:
    session = run(AGENT + "\n    def test_it():\n        ask()\n", "--senytl-perf-budget=5", option)
    assert session.exit_code == 0
    assert "budget" not in session.output


def test_no_budget_outlives_its_session(run: Run) -> None:
    from senytl.performance.spending import current_budget

    run(AGENT + "\n    def test_it():\n        ask()\n", "--senytl-perf-budget=0.01")
    assert current_budget() is None
