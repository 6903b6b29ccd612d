"""Marks: which tests they measure, how, and which of several applies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

Run = Callable[..., Any]


def limits(test: dict[str, Any]) -> dict[str, float]:
    return {sla["metric"]: sla["limit"] for sla in test["slas"]}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_benchmark_mark_measures_iterations_and_leaves_out_the_warmup(
    run: Run, workers: int
) -> None:
    session = run(
        """
        import time, pytest

        bodies = []

        @pytest.mark.benchmark(iterations=3, warmup=2)
        def test_it():
            time.sleep(0.2 if len(bodies) < 2 else 0.001)
            bodies.append(1)
            if len(bodies) == 5:
                print("five bodies ran")

        @pytest.mark.benchmark
        def test_once():
            pass

        def test_unmarked():
            pass
        """,
        "-rP",
        workers=workers,
    )
    assert session.exit_code == 0
    session.result.assert_outcomes(passed=3)
    session.result.stdout.fnmatch_lines(["five bodies ran"])
    assert list(session.tests) == ["test_it", "test_once"]
    measured = session.tests["test_it"]
    assert measured["kind"] == "benchmark"
    assert measured["verdict"] == "passed"
    assert measured["requests"]["total"] == 3
    assert measured["latencies"]["max"] < 0.2
    assert session.tests["test_once"]["requests"]["total"] == 1


def test_a_load_test_mark_runs_users_at_once(run: Run) -> None:
    session = run(
        """
        import threading, pytest

        all_users_are_here = threading.Barrier(4)

        @pytest.mark.load_test(concurrent_users=4, iterations=2)
        def test_it(tmp_path):
            all_users_are_here.wait(timeout=10)
        """
    )
    session.result.assert_outcomes(passed=1)
    measured = session.tests["test_it"]
    assert measured["kind"] == "load_test"
    assert measured["requests"] == {**measured["requests"], "total": 8, "failed": 0}


def test_a_load_test_with_failed_requests_fails_unless_an_sla_allows_them(run: Run) -> None:
    session = run(
        """
        import itertools, pytest

        requests = itertools.count()

        @pytest.mark.load_test(concurrent_users=1, iterations=4)
        def test_strict():
            assert next(requests) % 4, "every fourth"

        @pytest.mark.load_test(concurrent_users=1, iterations=4)
        @pytest.mark.sla(success_rate=0.75)
        def test_lenient():
            assert next(requests) % 4, "every fourth"

        @pytest.mark.load_test(concurrent_users=1, iterations=4)
        @pytest.mark.sla(success_rate=0.76)
        def test_almost():
            assert next(requests) % 4, "every fourth"
        """
    )
    session.result.assert_outcomes(passed=1, failed=2)
    assert session.exit_code == 1
    assert {name: test["verdict"] for name, test in session.tests.items()} == {
        "test_strict": "failed",
        "test_lenient": "passed",
        "test_almost": "failed",
    }
    for test in session.tests.values():
        assert test["requests"]["failed"] == 1
        [error] = test["errors"]
        assert (error["type"], error["count"]) == ("AssertionError", 1)
        assert error["message"].startswith("every fourth")
    session.result.stdout.fnmatch_lines(["*success_rate >= 100 %: 75 %*1 of 4 requests failed*"])


def test_an_sla_mark_alone_measures_one_body_and_its_violation_fails_the_test(run: Run) -> None:
    session = run(
        """
        import time, pytest

        @pytest.mark.sla(max_latency=0.02, failed_requests=0)
        def test_slow():
            time.sleep(0.05)

        @pytest.mark.sla(max_latency=30)
        def test_fast():
            pass
        """
    )
    session.result.assert_outcomes(passed=1, failed=1)
    assert session.exit_code == 1
    slow = session.tests["test_slow"]
    assert slow["verdict"] == "failed"
    assert slow["requests"]["total"] == 1
    judged = {sla["metric"]: sla for sla in slow["slas"]}
    assert judged["max_latency"]["held"] is False
    assert judged["max_latency"]["limit"] == 0.02
    assert judged["max_latency"]["actual"] >= 0.05
    assert judged["failed_requests"]["held"] is True
    session.result.stdout.fnmatch_lines(
        [
            "*SLAViolationError: *max_latency <= 0.020 s: 0.* s*",
            "*1 SLA violated",
        ]
    )


def test_the_closest_sla_wins_for_each_metric(run: Run) -> None:
    session = run(
        """
        import pytest

        pytestmark = pytest.mark.sla(p95_latency=20, p99_latency=20, max_latency=20)

        @pytest.mark.sla(p99_latency=30, max_latency=30)
        class TestClass:
            @pytest.mark.sla(max_latency=40)
            @pytest.mark.parametrize(
                "it", [1, pytest.param(2, marks=pytest.mark.sla(max_latency=50))]
            )
            def test_method(self, it):
                pass

        def test_function():
            pass
        """,
        ini="senytl_sla = max_latency=10\n avg_latency = 10",
    )
    session.result.assert_outcomes(passed=3)
    of_class = {"avg_latency": 10, "p95_latency": 20, "p99_latency": 30}
    assert {name: limits(test) for name, test in session.tests.items()} == {
        "TestClass::test_method[1]": {**of_class, "max_latency": 40},
        "TestClass::test_method[2]": {**of_class, "max_latency": 50},
        "test_function": {
            "avg_latency": 10,
            "p95_latency": 20,
            "p99_latency": 20,
            "max_latency": 20,
        },
    }


def test_the_closest_benchmark_or_load_test_mark_wins(run: Run) -> None:
    session = run(
        """
        import pytest

        pytestmark = pytest.mark.benchmark(iterations=2)

        def test_module():
            pass

        @pytest.mark.load_test(concurrent_users=3)
        def test_load():
            pass

        @pytest.mark.benchmark(iterations=4)
        class TestClass:
            def test_class(self):
                pass

            @pytest.mark.benchmark(iterations=5)
            @pytest.mark.parametrize(
                "it", [1, pytest.param(2, marks=pytest.mark.benchmark(iterations=6))]
            )
            def test_method(self, it):
                assert isinstance(self, TestClass)
        """
    )
    session.result.assert_outcomes(passed=5)
    found = {name: (t["kind"], t["requests"]["total"]) for name, t in session.tests.items()}
    assert found == {
        "test_module": ("benchmark", 2),
        "test_load": ("load_test", 3),
        "TestClass::test_class": ("benchmark", 4),
        "TestClass::test_method[1]": ("benchmark", 5),
        "TestClass::test_method[2]": ("benchmark", 6),
    }


def test_methods_of_unittest_cases_are_measured_without_their_set_up(run: Run) -> None:
    session = run(
        """
        import asyncio, time, unittest, pytest

        class TestSync(unittest.TestCase):
            def setUp(self):
                self.ready = True
                time.sleep(0.1)

            @pytest.mark.benchmark(iterations=3)
            def test_it(self):
                self.assertTrue(self.ready)

            @pytest.mark.sla(max_latency=0)
            def test_violation(self):
                pass

        class TestAsync(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self):
                self.loop = asyncio.get_running_loop()

            @pytest.mark.load_test(concurrent_users=3)
            async def test_it(self):
                self.assertIs(self.loop, asyncio.get_running_loop())

            async def test_unmarked(self):
                pass
        """
    )
    session.result.assert_outcomes(passed=3, failed=1)
    assert {name: t["requests"]["total"] for name, t in session.tests.items()} == {
        "TestSync::test_it": 3,
        "TestSync::test_violation": 1,
        "TestAsync::test_it": 3,
    }
    assert session.tests["TestSync::test_it"]["latencies"]["max"] < 0.1
    assert session.tests["TestSync::test_violation"]["verdict"] == "failed"


def test_a_violation_is_like_any_failure_to_pytest(run: Run, pytester: pytest.Pytester) -> None:
    source = """
        import time, pytest
        from senytl import performance

        @pytest.mark.sla(max_latency=1)
        def test_held():
            pass

        @pytest.mark.xfail(raises=performance.SLAViolationError, strict=True)
        @pytest.mark.sla(max_latency=0)
        def test_expected():
            pass

        @pytest.mark.sla(max_latency=0)
        def test_violation():
            time.sleep(0.001)

        def test_after_it():
            pass
    """
    session = run(source, "-x", "--junitxml=junit.xml")
    session.result.assert_outcomes(passed=1, xfailed=1, failed=1)
    assert session.exit_code == 1

    cases = {
        case.get("name"): case
        for case in ElementTree.parse(pytester.path / "junit.xml").iter("testcase")
    }
    failure = cases["test_violation"].find("failure")
    assert failure is not None
    assert "max_latency <= 0.000 s" in failure.get("message", "")
    properties = {
        entry.get("name"): float(entry.get("value", ""))
        for entry in cases["test_violation"].iter("property")
    }
    figures = session.tests["test_violation"]
    assert properties["senytl_p95_latency"] == pytest.approx(figures["latencies"]["p95"])
    assert properties["senytl_total_requests"] == 1
    assert properties["senytl_max_memory_mb"] > 1
    assert "senytl_total_cost" not in properties, "no LLM call was made, so there is no cost"

    session = run("", "--lf")
    session.result.assert_outcomes(failed=1)


def test_a_skipped_test_has_no_figures(run: Run) -> None:
    session = run(
        """
        import unittest, pytest

        @pytest.mark.benchmark
        def test_skip():
            pytest.skip("not today")

        @pytest.mark.benchmark
        @pytest.mark.skip
        def test_marked_skip():
            pass

        @pytest.mark.sla(success_rate=1)
        class TestCase(unittest.TestCase):
            def test_skip(self):
                self.skipTest("not today")
        """
    )
    session.result.assert_outcomes(skipped=3)
    assert session.report["tests"] == []


def test_an_error_in_the_body_fails_the_test_and_its_figures_stay(run: Run) -> None:
    session = run(
        """
        import pytest

        @pytest.mark.benchmark(iterations=3)
        def test_it():
            raise ValueError("the agent broke")
        """
    )
    session.result.assert_outcomes(failed=1)
    session.result.stdout.fnmatch_lines(["E *ValueError: the agent broke"])
    measured = session.tests["test_it"]
    assert measured["verdict"] == "failed"
    assert (measured["requests"]["total"], measured["requests"]["failed"]) == (1, 1)


def test_the_function_is_itself_again_when_fixtures_end(run: Run) -> None:
    session = run(
        """
        import pytest

        @pytest.fixture
        def watched(request):
            function = request.node.obj
            yield
            assert request.node.obj == function
            assert request.function.__code__.co_name == "test_it"

        class TestClass:
            @pytest.mark.benchmark
            def test_it(self, watched):
                pass
        """
    )
    session.result.assert_outcomes(passed=1)


def test_the_marks_are_described(run: Run) -> None:
    session = run("", "--markers")
    session.result.stdout.fnmatch_lines(
        ["@pytest.mark.benchmark(*", "@pytest.mark.load_test(*", "@pytest.mark.sla(*"]
    )
