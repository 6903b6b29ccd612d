"""Tests decorated by their author, as the specification writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.mark.parametrize("workers", [0, 2])
def test_decorated_tests_are_measured_as_they_are(run: Run, workers: int) -> None:
    session = run(
        """
        import pytest
        from senytl import performance

        @performance.benchmark
        def test_benchmark():
            performance.record_request(0.5)
            performance.record_request(1.5)
            performance.assert_latency_under(seconds=1.0)

        @performance.load_test(concurrent_users=3, iterations=2)
        def test_load():
            performance.record_request(0.25)
            performance.assert_p95_latency_under(seconds=0.25)

        class TestClass:
            @performance.benchmark(iterations=2)
            @pytest.mark.parametrize("it", [1, 2])
            def test_method(self, it, tmp_path):
                assert isinstance(self, TestClass)
                assert tmp_path.exists()
        """,
        workers=workers,
    )
    assert session.exit_code == 0
    session.result.assert_outcomes(passed=4)
    assert list(session.tests) == [
        "test_benchmark",
        "test_load",
        "TestClass::test_method[1]",
        "TestClass::test_method[2]",
    ]
    benchmark, load = session.tests["test_benchmark"], session.tests["test_load"]
    assert benchmark["kind"] == "benchmark"
    assert benchmark["latencies"]["avg"] == pytest.approx(1.0)
    assert benchmark["latencies"]["p95"] == pytest.approx(1.45)
    assert [(s["metric"], s["limit"], s["held"]) for s in benchmark["slas"]] == [
        ("avg_latency", 1.0, True)
    ]
    assert load["kind"] == "load_test"
    assert load["requests"]["total"] == 6
    assert ("p95_latency", 0.25, True) in [
        (s["metric"], s["limit"], s["held"]) for s in load["slas"]
    ]
    assert session.tests["TestClass::test_method[2]"]["requests"]["total"] == 2


def test_violations_in_the_body_fail_the_test(run: Run) -> None:
    session = run(
        """
        from senytl import performance

        @performance.benchmark
        def test_at_once():
            performance.record_request(3.0)
            performance.assert_latency_under(seconds=2.0)
            print("not reached")

        @performance.load_test(concurrent_users=2)
        def test_at_the_end():
            performance.record_request(3.0)
            performance.assert_latency_under(seconds=2.0)
            performance.assert_p99_latency_under(seconds=2.5)
            print("reached")
        """
    )
    assert session.exit_code == 1
    session.result.assert_outcomes(failed=2)
    session.result.stdout.fnmatch_lines(
        [
            ">       performance.assert_latency_under(seconds=2.0)",
            "E *SLAViolationError: avg_latency <= 2.000 s: 3.000 s (1.000 s over, 50.0 %)*",
            "E *SLAViolationError: 2 SLAs violated*",
            "*avg_latency <= 2.000 s: 3.000 s*",
            "*p99_latency <= 2.500 s: 3.000 s*",
        ]
    )
    assert "not reached" not in session.output.replace('print("not reached")', "")
    [at_once] = session.tests["test_at_once"]["slas"]
    assert (at_once["actual"], at_once["held"]) == (3.0, False)
    assert [sla["held"] for sla in session.tests["test_at_the_end"]["slas"]] == [False, False]


def test_marks_and_options_add_to_a_decorator(run: Run) -> None:
    session = run(
        """
        import pytest
        from senytl import performance

        pytestmark = pytest.mark.benchmark(iterations=9)

        @pytest.mark.sla(p95_latency=1.0)
        @performance.benchmark(iterations=2)
        def test_it():
            performance.record_request(2.0)

        @pytest.mark.benchmark(iterations=3, group="theirs")
        @performance.benchmark(iterations=3)
        def test_same():
            pass
        """,
        ini="senytl_sla = max_latency=3",
    )
    session.result.assert_outcomes(failed=1, passed=1)
    measured = session.tests["test_it"]
    assert measured["requests"]["total"] == 2, "the decorator is closer than the module's mark"
    assert {s["metric"]: s["held"] for s in measured["slas"]} == {
        "p95_latency": False,
        "max_latency": True,
    }
    assert session.tests["test_same"]["requests"]["total"] == 3


def test_the_figures_are_in_the_function_s_own_list_too(run: Run) -> None:
    session = run(
        """
        from senytl import performance

        @performance.benchmark
        def test_first():
            performance.record_request(0.5)

        def test_second():
            [metrics] = list(test_first._performance_metrics)
            assert metrics.name == "test_it.py::test_first"
            assert metrics.avg_latency == 0.5
        """
    )
    session.result.assert_outcomes(passed=2)


def test_what_a_body_measures_apart_is_not_the_test_s(run: Run) -> None:
    session = run(
        """
        from senytl import performance

        @performance.load_test(concurrent_users=2, iterations=3)
        def load():
            raise ValueError

        def test_unmeasured():
            assert load().failed_requests == 6

        @performance.benchmark
        def test_measured():
            assert load().failed_requests == 6
            performance.record_request(0.5)
        """,
        ini="senytl_sla = success_rate=1",
    )
    session.result.assert_outcomes(passed=2)
    assert list(session.tests) == ["test_measured"]
    assert session.tests["test_measured"]["requests"]["total"] == 1
    assert session.tests["test_measured"]["latencies"]["avg"] == 0.5


def test_other_decorators_around_it_do_not_hide_it(run: Run) -> None:
    session = run(
        """
        import functools
        from unittest import mock
        from senytl import performance

        def own(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return function(*args, **kwargs)
            return wrapper

        @own
        @mock.patch("os.getcwd", return_value="here")
        @performance.benchmark(iterations=2)
        def test_it(getcwd, tmp_path):
            import os
            assert os.getcwd() == "here"
        """
    )
    session.result.assert_outcomes(passed=1)
    assert session.tests["test_it"]["requests"]["total"] == 2


def test_figures_set_in_a_test_end_with_it(run: Run) -> None:
    session = run(
        """
        import pytest
        from senytl import performance

        @pytest.fixture(scope="module")
        def finished():
            metrics = performance.PerformanceMetrics()
            metrics.latencies = [0.5]
            return metrics

        def test_sets_and_forgets(finished):
            performance.set_current_metrics(finished)
            performance.assert_latency_under(seconds=1)

        def test_has_nothing_to_judge():
            with pytest.raises(performance.PerformanceError, match="nothing to hold"):
                performance.assert_latency_under(seconds=1)

        @pytest.fixture
        def current(finished):
            performance.set_current_metrics(finished)
            yield
            performance.set_current_metrics(None)

        @pytest.mark.parametrize("seconds", [1, 2])
        def test_a_fixture_may_set_them(current, seconds):
            performance.assert_latency_under(seconds=seconds)
        """
    )
    session.result.assert_outcomes(passed=4)
