"""Leak checks under pytest: what a user types, and what the session says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

AGENT = """
    import pytest

    from senytl import performance

    class Agent:
        def __init__(self):
            self.history = []
            self.cache = {}

        def run(self, text):
            self.cache[text] = text.upper()
            return self.cache[text]

    class Forgetful(Agent):
        def run(self, text):
            self.history.append(text * 50)  # the leak
            return super().run(text)

    agent, forgetful = Agent(), Forgetful()
"""

SITE = "self.history.append(text * 50)  # the leak"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_leak_fails_the_test_and_its_line_is_named(
    run: Run, pytester: pytest.Pytester, workers: int
) -> None:
    session = run(
        AGENT
        + """
    @performance.load_test(concurrent_users=4, iterations=300)
    def test_leak():
        forgetful.run("question")
        performance.assert_no_memory_leaks()

    @performance.load_test(concurrent_users=4, iterations=300)
    def test_none():
        agent.run("question")
        performance.assert_no_memory_leaks()
    """,
        "--senytl-perf-report=report.md",
        workers=workers,
    )
    assert session.exit_code == pytest.ExitCode.TESTS_FAILED
    session.result.assert_outcomes(passed=1, failed=1)
    leaking = session.tests["test_leak"]
    [sla] = leaking["slas"]
    assert (sla["metric"], sla["limit"], sla["held"]) == ("memory_growth", 0.2, False)
    leak = leaking["memory"]["leak"]
    assert leak["outcome"] == "leak"
    assert leaking["memory"]["leak_detected"] is True
    assert leak["blocks_per_request"] == pytest.approx(1.0, abs=0.3)
    site = leak["sites"][0]
    assert site["source"] == SITE
    assert site["bytes_per_request"] == pytest.approx(450, rel=0.25)  # 400 letters and a header
    assert len(leak["sites"]) <= 3
    assert leak["sites_by"] == "tracemalloc"
    assert leaking["requests"]["total"] == 1_200  # what was run to prove it is in no figure
    assert leak["pauses"] >= 8
    assert session.tests["test_none"]["memory"]["leak"]["outcome"] == "stable"
    assert "leaks 4" in session.output
    assert SITE.partition("(")[0] in session.output
    markdown = (pytester.path / "report.md").read_text(encoding="utf-8")
    assert "Memory leak" in markdown
    assert "self.history.append(text * 50)" in markdown


def test_a_mark_asks_for_it_in_an_async_test(run: Run) -> None:
    session = run(
        AGENT
        + """
    import asyncio

    @pytest.mark.load_test(concurrent_users=4, iterations=300)
    @pytest.mark.sla(memory_growth=0.2)
    async def test_leak():
        await asyncio.sleep(0.0005)
        forgetful.run("question")
    """
    )
    session.result.assert_outcomes(failed=1)
    assert session.tests["test_leak"]["memory"]["leak"]["sites"][0]["source"] == SITE


def test_a_benchmark_of_enough_iterations_is_checked(run: Run) -> None:
    session = run(
        AGENT
        + """
    @pytest.mark.benchmark(iterations=1200)
    def test_leak(perf):
        forgetful.run("question")
        perf.assert_no_memory_leaks()

    @pytest.mark.benchmark(iterations=1200)
    def test_allowed(perf):
        forgetful.run("question")
        perf.assert_no_memory_leaks(min_leak=4_000)
    """
    )
    session.result.assert_outcomes(passed=1, failed=1)
    leaking = session.tests["test_leak"]
    assert leaking["memory"]["leak"]["sites"][0]["source"] == SITE
    assert leaking["requests"]["total"] == 1_200
    assert leaking["memory"]["leak"]["further"] is not None
    assert session.tests["test_allowed"]["verdict"] == "passed"


def test_too_few_requests_are_inconclusive_and_no_failure(run: Run) -> None:
    session = run(
        AGENT
        + """
    @pytest.mark.load_test(concurrent_users=4, iterations=10)
    def test_few(perf):
        forgetful.run("question")
        perf.assert_no_memory_leaks()
    """
    )
    assert session.exit_code == 0
    few = session.tests["test_few"]
    assert few["verdict"] == "inconclusive"
    assert "40 requests" in few["slas"][0]["doubt"]
    assert few["memory"]["leak_detected"] is None
    assert "1 inconclusive" in session.output


def test_a_leak_check_without_a_limit_fails_nothing_and_is_reported(run: Run) -> None:
    session = run(
        AGENT
        + """
    @pytest.mark.load_test(concurrent_users=4, iterations=300, leak_check=True)
    def test_leak():
        forgetful.run("question")
    """
    )
    assert session.exit_code == 0
    leak = session.tests["test_leak"]["memory"]["leak"]
    assert leak["outcome"] == "leak"
    assert leak["sites"][0]["source"] == SITE
    assert "leaks 4" in session.output


def test_a_project_may_ask_for_it_for_every_test(run: Run) -> None:
    session = run(
        AGENT
        + """
    @pytest.mark.load_test(concurrent_users=4, iterations=300)
    def test_leak():
        forgetful.run("question")
    """,
        ini="senytl_sla = memory_growth=0.2",
    )
    session.result.assert_outcomes(failed=1)
    assert session.tests["test_leak"]["memory"]["leak"]["outcome"] == "leak"


@pytest.mark.parametrize("mark", ["load_test(concurrent_users=2, ", "benchmark("])
def test_a_leak_check_that_makes_no_sense_is_refused_before_anything_runs(
    run: Run, mark: str
) -> None:
    session = run(
        f"""
    import pytest

    @pytest.mark.{mark}leak_check="often")
    def test_it():
        print("it ran")
    """
    )
    assert session.exit_code == pytest.ExitCode.USAGE_ERROR
    assert "leak_check is 'often'" in session.output
    assert "it ran" not in session.output


def test_tracemalloc_is_left_as_it_was(run: Run) -> None:
    session = run(
        AGENT
        + """
    import tracemalloc

    @pytest.mark.load_test(concurrent_users=4, iterations=300, leak_check=True)
    def test_leak():
        forgetful.run("question")

    def test_after():
        assert not tracemalloc.is_tracing()
    """
    )
    session.result.assert_outcomes(passed=2)
