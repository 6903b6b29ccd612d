"""SLAs on the figures of LLM calls, with a mocked model behind the real SDK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

AGENT = """
    import time
    from functools import partial

    import pytest
    from openai import OpenAI
    from senytl import Senytl, performance
    from senytl.models import MockResponse, TokenUsage, ToolCall

    MODEL = "gpt-4o-mini"

    @pytest.fixture(scope="module")
    def ask():
        with Senytl(fallback="error") as models:
            models.install()
            models.mock(MODEL).respond(
                MockResponse("It is in transit and arrives on Friday.", usage=TokenUsage(60, 8)),
                ttft=0.1,
            )
            with OpenAI(api_key="not used") as client:
                create = partial(
                    client.chat.completions.create,
                    model=MODEL,
                    messages=[{"role": "user", "content": "Where is my order?"}],
                )

                def ask(*, stream=True, work=0.0):
                    time.sleep(work)
                    if not stream:
                        return create().choices[0].message.content
                    with create(stream=True, stream_options={"include_usage": True}) as chunks:
                        deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
                    return "".join(delta.content or "" for delta in deltas)

                yield ask
"""

TESTS = (
    AGENT
    + """
    @pytest.mark.benchmark(iterations=4)
    @pytest.mark.sla(
        p95_ttft=5.0, avg_tpot=1.0, max_llm_calls_per_request=2, avg_agent_overhead=5.0,
        llm_errors=0, llm_retries=0, output_tokens_per_second=0.1, goodput=1.0,
    )
    @pytest.mark.goodput(latency=10, ttft=5.0, tpot=1.0, tokens=200, cost=0.01, llm_calls=2)
    def test_keeps(ask):
        assert ask() == "It is in transit and arrives on Friday."
        ask(stream=False)

    @pytest.mark.load_test(concurrent_users=2, iterations=3)
    @pytest.mark.sla(p95_ttft=0.000001, avg_agent_overhead=0.05, goodput=0.5)
    @pytest.mark.goodput(latency=0.05)
    def test_breaks(ask):
        ask(work=0.1)

    @pytest.mark.sla(p95_ttft=1.0)
    def test_streams_nothing(ask):
        ask(stream=False)

    def test_undetermined(ask, perf):
        perf.goodput(ttft=1.0)
        with perf.measure():
            ask()
        with perf.measure():
            ask(stream=False)
        metrics = perf.metrics
        assert (metrics.goodput, metrics.request_verdicts.undetermined) == (1.0, 1)
        assert metrics.p50_ttft > 0
"""
)

INI = "senytl_goodput =\n  latency = 60\n"


def exact_figures(session: Any) -> list[dict[str, Any]]:
    """What does not depend on the clock."""
    return [
        {
            "nodeid": test["nodeid"],
            "verdict": test["verdict"],
            "streams": (test["streaming"]["streams"], test["streaming"]["timed"]),
            "llm_calls": test["llm_calls"],
            "goodput": {name: test["goodput"][name] for name in ("good", "bad", "undetermined")},
            "limits": test["goodput"]["limits"],
        }
        for test in session.report["tests"]
    ]


@pytest.fixture(params=[0, 2], ids=["alone", "two-workers"])
def session(request: pytest.FixtureRequest, run: Run) -> Any:
    return run(TESTS, ini=INI, workers=request.param)


def test_the_figures_of_llm_calls_are_limits_and_parts_of_the_report(session: Any) -> None:
    session.result.assert_outcomes(passed=2, failed=2)
    keeps, breaks, _, undetermined = exact_figures(session)
    assert keeps["verdict"] == "passed"
    assert keeps["streams"] == (4, 4)
    assert keeps["llm_calls"]["total"] == 8
    assert keeps["llm_calls"]["avg_per_request"] == 2.0
    assert keeps["llm_calls"]["max_per_request"] == 2
    assert keeps["goodput"] == {"good": 4, "bad": 0, "undetermined": 0}
    assert {one["limits"]: one["limit"] for one in keeps["limits"]} == {
        "latency": 10.0, "ttft": 5.0, "tpot": 1.0, "tokens": 200.0, "cost": 0.01, "llm_calls": 2.0,
    }  # fmt: skip
    assert breaks["goodput"] == {"good": 0, "bad": 6, "undetermined": 0}
    assert breaks["limits"] == [
        {"limits": "latency", "limit": 0.05, "unit": "s", "broken": 6, "not_measured": 0}
    ]
    assert undetermined["goodput"] == {"good": 1, "bad": 0, "undetermined": 1}
    assert {one["limits"] for one in undetermined["limits"]} == {"latency", "ttft"}
    overhead = session.tests["test_breaks"]["overhead"]
    assert 0.09 < overhead["avg"] <= session.tests["test_breaks"]["latencies"]["avg"]


def test_a_limit_that_does_not_hold_is_explained(session: Any) -> None:
    session.result.stdout.fnmatch_lines_random(
        [
            "E*3 SLAs violated: p95_ttft, avg_agent_overhead, goodput",
            "E*p95_ttft <= 1.0 µs: * over 6 streams",
            "E*avg_agent_overhead <= 0.050 s: * on average without an LLM call in flight, over 6 "
            "successful requests",
            "E*goodput >= 50 %: 0 % (50 percentage points short; 95 % confidence: 0 to 39 %); 0 of "
            "6 requests kept all limits: 6 over latency 0.050 s",
            "E*p95_ttft <= 1.000 s: not measured; none of 1 LLM call was streamed; a reply that "
            "comes whole has no first token",
            "    ttft p95 * overhead p95 * goodput 0.0%",
        ]
    )
    warnings = session.tests["test_undetermined"]["warnings"]
    assert "1 of 2 requests is not part of goodput: ttft not measured" in warnings


def test_a_stream_that_is_dropped_late_counts_to_the_request_in_which_it_began(run: Run) -> None:
    session = run(
        AGENT
        + """
    import threading

    @pytest.mark.load_test(concurrent_users=3, iterations=5)
    @pytest.mark.goodput(llm_calls=1)
    @pytest.mark.sla(goodput=1.0)
    def test_drops(begin, kept=threading.local()):
        stream = begin()
        next(stream)
        kept.streams = [*getattr(kept, "streams", ()), stream]
        if len(kept.streams) == 5:
            kept.streams.clear()  # else they are dropped when the load is over

    @pytest.fixture
    def begin(ask):
        with OpenAI(api_key="not used") as client:
            yield lambda: client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "Where?"}], stream=True
            )
    """
    )
    session.result.assert_outcomes(passed=1)
    [test] = session.report["tests"]
    calls = test["llm_calls"]
    assert (calls["total"], calls["unattributed"]) == (15, 0)
    assert (calls["avg_per_request"], calls["max_per_request"]) == (1.0, 1)
    assert test["tokens"]["max_per_request"] < 2 * test["tokens"]["avg_per_request"]
    assert (test["goodput"]["good"], test["goodput"]["bad"]) == (15, 0)
    assert test["overhead"]["avg"] is not None


def test_stating_limits_alone_measures_a_test(run: Run) -> None:
    session = run("""
        import pytest

        @pytest.mark.goodput(latency=10)
        class TestAll:
            @pytest.mark.goodput(latency=20)
            def test_closest(self):
                pass

            def test_class(self):
                pass
        """)
    session.result.assert_outcomes(passed=2)
    limits = [test["goodput"]["limits"][0]["limit"] for test in session.report["tests"]]
    assert limits == [20.0, 10.0]
    assert [test["goodput"]["share"] for test in session.report["tests"]] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("mark", "ini", "message"),
    [
        ("goodput(p95=1)", "", "*no limit named 'p95'; its limits are: latency, ttft, tpot*"),
        ("goodput()", "", "*@pytest.mark.goodput takes limits by name, and has none; for example*"),
        ("goodput(2.0)", "", "*@pytest.mark.goodput takes limits by name, not 2.0*"),
        ("goodput(latency=-1)", "", "*the limit of latency is -1; it must be finite*"),
        (
            "benchmark",
            "senytl_goodput = p95=1",
            "*ini option senytl_goodput: cannot use 'p95=1': a request has no limit named 'p95'*",
        ),
        ("benchmark", "senytl_goodput = latency", "*it is not of the form 'name=limit'*"),
    ],
)
def test_limits_that_make_no_sense_end_the_session(
    run: Run, mark: str, ini: str, message: str
) -> None:
    session = run(f"import pytest\n@pytest.mark.{mark}\ndef test_it(): pass", ini=f"{ini}\n")
    assert session.exit_code == pytest.ExitCode.USAGE_ERROR
    session.result.stderr.fnmatch_lines([message])


def test_limits_cannot_be_stated_when_the_body_has_ended(run: Run) -> None:
    session = run("""
        import pytest

        @pytest.fixture
        def early(perf):
            perf.goodput(latency=30)
            yield
            with pytest.raises(Exception, match="the body of this test has ended"):
                perf.goodput(latency=1)

        def test_it(early):
            pass
        """)
    session.result.assert_outcomes(passed=1)
    [test] = session.report["tests"]
    assert (test["goodput"]["good"], test["goodput"]["limits"][0]["limit"]) == (1, 30.0)


@pytest.mark.parametrize("workers", [0, 2])
def test_calls_that_cannot_be_seen_are_named_where_tokens_are_missing(
    run: Any, workers: int
) -> None:
    session = run(
        """
        import subprocess
        import sys
        import pytest

        @pytest.mark.sla(total_tokens=100)
        @pytest.mark.filterwarnings("ignore:senytl cannot see all LLM calls")
        def test_elsewhere(perf):
            subprocess.run([sys.executable, "-c", "import sys; sys.exit(0)\\nimport openai"])
        """,
        workers=workers,
    )
    [test] = session.tests.values()
    assert session.exit_code == 1
    assert "1 process that runs openai went unseen" in test["slas"][0]["why"]
    assert any("1 process that runs openai" in note for note in test["warnings"])


def test_calls_that_nothing_answers_are_told_of_though_the_agent_catches_the_error(
    run: Any,
) -> None:
    session = run(
        """
        import httpx2
        from senytl import Senytl

        CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}

        def test_swallows(perf):
            with Senytl(fallback="error"), httpx2.Client() as client:
                try:
                    client.post("https://api.openai.com/v1/chat/completions", json=CHAT)
                except Exception:
                    pass
        """
    )
    [test] = session.tests.values()
    assert test["llm_calls"]["errors"] == [{"kind": "unanswered", "count": 1}]
    assert any("no mock or recording answered 1 LLM call" in note for note in test["warnings"])
