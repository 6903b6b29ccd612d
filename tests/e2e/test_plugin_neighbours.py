"""Other plugins in the same session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

Run = Callable[..., Any]

BENCHMARKS = """
    import time, pytest
    from senytl import performance

    def test_their_fixture(benchmark):
        benchmark(time.sleep, 0)

    @pytest.mark.benchmark(group="theirs", warmup=False)
    def test_their_mark(benchmark):
        benchmark(time.sleep, 0)

    @pytest.mark.benchmark(group="both", iterations=2, warmup=1)
    def test_our_mark():
        pass

    @pytest.mark.benchmark(iterations=3)
    class TestClass:
        @pytest.mark.parametrize("it", [1])
        def test_our_class(self, it):
            pass

    @pytest.mark.sla(success_rate=1)
    @pytest.mark.benchmark(group="theirs")
    def test_ours_and_theirs(benchmark):
        benchmark(time.sleep, 0)

    @performance.benchmark(iterations=4)
    def test_decorated():
        pass
"""


@pytest.mark.parametrize("codspeed", ["with codspeed", "without codspeed"])
def test_the_benchmark_mark_is_shared(run: Run, codspeed: str) -> None:
    without = ["-p", "no:codspeed"] if codspeed == "without codspeed" else []
    session = run(BENCHMARKS, *without, neighbours=True)
    assert session.exit_code == 0
    session.result.assert_outcomes(passed=6)
    assert {name: t["requests"]["total"] for name, t in session.tests.items()} == {
        "test_our_mark": 2,
        "TestClass::test_our_class[1]": 3,
        "test_ours_and_theirs": 1,
        "test_decorated": 4,
    }
    session.result.stdout.fnmatch_lines(["*benchmark 'theirs': 2 tests*"])


def test_without_those_plugins_their_keywords_are_let_be(run: Run) -> None:
    session = run(BENCHMARKS, "-k", "our_mark or our_class")
    session.result.assert_outcomes(passed=2, deselected=4)
    assert session.tests["test_our_mark"]["requests"]["total"] == 2


@pytest.mark.parametrize("how", ["option", "environment"])
def test_codspeed_is_refused_for_measured_tests(
    run: Run, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    pytest.importorskip("pytest_codspeed")
    arguments = ["--codspeed"] if how == "option" else []
    if how == "environment":
        monkeypatch.setenv("CODSPEED_ENV", "1")
    session = run(BENCHMARKS, *arguments, neighbours=True)
    assert session.exit_code == pytest.ExitCode.USAGE_ERROR
    for name in ("test_our_mark", "TestClass::test_our_class[[]1]", "test_ours_and_theirs"):
        session.result.stderr.fnmatch_lines([f"*test_it.py::{name}: pytest-codspeed is on*"])
    assert "test_their_fixture: pytest-codspeed" not in session.output

    if how == "option":
        session = run("", *arguments, "-k", "their_fixture", neighbours=True, apart=True)
        assert session.exit_code == 0
    if how == "environment":
        session = run("", "-k", "our_mark")
        assert session.exit_code == 0, "nothing reads it where the plugin is not there"


def test_reruns_are_attempts_of_which_the_last_is_reported(
    run: Run, pytester: pytest.Pytester
) -> None:
    session = run(
        """
        import itertools, pytest

        attempts = itertools.count(1)

        @pytest.fixture
        def limited(perf):
            perf.sla(max_latency=3.5)
            return perf

        def test_it(limited):
            attempt = next(attempts)
            for _ in range(attempt):
                limited.record_request(5 - attempt)
            assert limited.metrics.total_requests == attempt
        """,
        "--reruns=3",
        "--junitxml=junit.xml",
        neighbours=True,
    )
    assert session.exit_code == 0
    session.result.assert_outcomes(passed=1)
    assert session.result.parseoutcomes()["rerun"] == 1
    measured = session.tests["test_it"]
    assert measured["requests"]["total"] == 2
    assert measured["latencies"]["avg"] == 3
    assert measured["slas"][0]["actual"] == 3
    properties = [
        entry.get("value")
        for entry in ElementTree.parse(pytester.path / "junit.xml").iter("property")
        if entry.get("name") == "senytl_total_requests"
    ]
    assert properties == ["1", "2"], "one for each attempt, as JUnit's reporter keeps both"


def test_hypothesis_is_refused(run: Run) -> None:
    session = run(
        """
        import pytest
        from hypothesis import given, settings, strategies, HealthCheck
        from senytl import performance

        @pytest.mark.benchmark
        @given(strategies.integers())
        def test_marked(number):
            pass

        @given(strategies.integers())
        @performance.benchmark
        def test_inside(number):
            pass

        @performance.benchmark
        @given(strategies.integers())
        def test_outside(number):
            pass
        """
    )
    assert session.exit_code == pytest.ExitCode.USAGE_ERROR
    for name in ("test_marked", "test_inside", "test_outside"):
        session.result.stderr.fnmatch_lines([f"*test_it.py::{name}: Hypothesis would run it once*"])

    session = run(
        """
        from hypothesis import given, settings, strategies, HealthCheck

        @settings(suppress_health_check=list(HealthCheck))
        @given(number=strategies.integers())
        def test_fixture(perf, number):
            pass
        """
    )
    session.result.assert_outcomes(errors=1)
    session.result.stdout.fnmatch_lines(
        ["*UsageError: senytl cannot measure *::test_fixture: Hypothesis would run it once*"]
    )


@pytest.mark.parametrize("mode", ["importlib", "prepend", "append"])
def test_any_way_of_importing_tests(run: Run, mode: str) -> None:
    session = run(
        "def test_it(perf): pass", f"--import-mode={mode}", "-p", "no:cacheprovider", apart=True
    )
    session.result.assert_outcomes(passed=1)


def test_without_the_plugin_decorated_tests_still_run(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        from senytl import performance

        @performance.benchmark
        def test_it():
            performance.assert_latency_under(1)

        @performance.benchmark
        def test_violation():
            performance.assert_latency_under(0)
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:senytl", "--strict-markers")
    result.assert_outcomes(passed=1, failed=1)
