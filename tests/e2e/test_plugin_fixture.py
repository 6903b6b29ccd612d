"""The `perf` fixture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]


def test_a_test_that_uses_it_is_measured(run: Run) -> None:
    session = run(
        """
        import time

        def test_it(perf):
            perf.record_request(0.5)
            perf.record_request(1.5, error="timeout")
            perf.assert_latency_under(0.5)
            assert perf.get_current_metrics().total_requests == 2

        def test_plain(perf):
            time.sleep(0.01)

        def test_not_measured():
            pass
        """
    )
    session.result.assert_outcomes(passed=3)
    assert list(session.tests) == ["test_it", "test_plain"]
    measured = session.tests["test_it"]
    assert measured["kind"] == "benchmark"
    assert (measured["requests"]["total"], measured["requests"]["failed"]) == (2, 1)
    assert measured["slas"] == [{**measured["slas"][0], "metric": "avg_latency", "held": True}]
    assert session.tests["test_plain"]["latencies"]["avg"] >= 0.01


def test_measure_makes_a_block_a_request(run: Run) -> None:
    session = run(
        """
        import time, pytest

        def test_it(perf):
            time.sleep(0.2)
            for _ in range(2):
                with perf.measure():
                    time.sleep(0.01)
            with pytest.raises(ValueError), perf.measure():
                raise ValueError("the agent broke")
            with perf.measure():
                perf.record_request(0.125)

        async def test_at_once(perf):
            import asyncio

            async def request(number):
                with perf.measure():
                    await asyncio.sleep(number / 100)
                    if number == 2:
                        raise ValueError
                    if number == 3:
                        perf.record_request(0.5)

            await asyncio.gather(*map(request, range(1, 6)), return_exceptions=True)

        @pytest.mark.load_test(concurrent_users=2, iterations=3)
        def test_load(perf):
            for _ in range(2):
                with perf.measure():
                    pass
        """
    )
    session.result.assert_outcomes(passed=3)
    measured = session.tests["test_it"]
    assert (measured["requests"]["total"], measured["requests"]["failed"]) == (4, 1)
    assert measured["latencies"]["min"] >= 0.01
    assert measured["latencies"]["max"] == 0.125
    assert [error["type"] for error in measured["errors"]] == ["ValueError"]
    at_once = session.tests["test_at_once"]
    assert (at_once["requests"]["total"], at_once["requests"]["failed"]) == (5, 1)
    assert at_once["latencies"]["max"] == 0.5
    assert at_once["latencies"]["min"] < 0.05 <= at_once["latencies"]["p75"]
    assert session.tests["test_load"]["requests"]["total"] == 12


def test_sla_states_limits_for_the_end_of_the_run(run: Run) -> None:
    session = run(
        """
        import pytest

        @pytest.fixture
        def limited(perf):
            perf.sla(max_latency=10)
            yield perf
            with pytest.raises(Exception, match="the body of this test has ended"):
                perf.sla(max_latency=20)

        def test_it(limited):
            limited.sla(avg_latency=1, success_rate=0.5)
            limited.record_request(0.5)
            limited.record_request(3.5)
            limited.record_request(9, error="timeout")

        @pytest.mark.load_test(concurrent_users=2)
        def test_load(perf):
            perf.sla(total_requests=3)

        def test_mistakes(perf):
            with pytest.raises(ValueError, match="no metric named 'p95'.*p95_latency"):
                perf.sla(p95=1)
            with pytest.raises(ValueError, match="success_rate is 98"):
                perf.sla(success_rate=98)
            with pytest.raises(ValueError, match="states no limit"):
                perf.sla()
        """
    )
    session.result.assert_outcomes(passed=1, failed=2)
    judged = {
        name: {s["metric"]: s["held"] for s in t["slas"]} for name, t in session.tests.items()
    }
    assert judged["test_it"] == {"max_latency": True, "avg_latency": False, "success_rate": True}
    assert judged["test_load"] == {"total_requests": False}
    session.result.stdout.fnmatch_lines(["*avg_latency <= 1.000 s: 2.000 s*"])


def test_metrics_are_those_so_far_and_afterwards_those_of_the_run(run: Run) -> None:
    session = run(
        """
        import pytest
        from senytl import performance

        @pytest.fixture
        def around(perf):
            with pytest.raises(performance.PerformanceError, match="has not begun"):
                perf.metrics
            yield
            assert perf.metrics.total_requests == 4
            assert perf.metrics.name == "test_it.py::test_it"
            perf.set_current_metrics(perf.metrics)
            perf.assert_latency_under(0.5)
            with pytest.raises(performance.SLAViolationError):
                perf.assert_latency_under(0.4)
            perf.set_current_metrics(None)
            with pytest.raises(performance.PerformanceError, match="has ended"):
                perf.assert_latency_under(0.5)
            with pytest.raises(performance.PerformanceError, match="has ended"):
                perf.record_request(0.5)

        @pytest.mark.benchmark(iterations=2)
        def test_it(perf, around):
            before = perf.metrics.total_requests
            perf.record_request(0.5)
            perf.record_request(0.5)
            assert perf.metrics.total_requests - before in (1, 2)
        """
    )
    session.result.assert_outcomes(passed=1)
    assert session.tests["test_it"]["requests"]["total"] == 4


def test_it_reaches_the_run_from_threads_without_its_context(run: Run) -> None:
    session = run(
        """
        import contextvars, threading, time
        from concurrent.futures import ThreadPoolExecutor
        import pytest
        from senytl import performance

        pool = ThreadPoolExecutor(2)
        pool.submit(print).result()
        empty = contextvars.Context()

        def request(perf):
            assert performance.get_current_metrics() is None
            with perf.measure():
                time.sleep(0.01)
            perf.record_request(0.5)
            perf.assert_latency_under(1)
            return perf.metrics.total_requests

        def test_benchmark(perf):
            assert pool.submit(empty.run, request, perf).result() == 2

        @pytest.mark.load_test(concurrent_users=1)
        def test_one_user(perf):
            assert pool.submit(empty.run, request, perf).result() == 2

        both = threading.Barrier(2)

        @pytest.mark.load_test(concurrent_users=2)
        def test_two_users(perf):
            both.wait(10)
            with pytest.raises(performance.PerformanceError, match="which of 2 users"):
                pool.submit(contextvars.Context().run, request, perf).result()
            both.wait(10)
        """
    )
    session.result.assert_outcomes(passed=3)
    assert {name: t["requests"]["total"] for name, t in session.tests.items()} == {
        "test_benchmark": 2,
        "test_one_user": 2,
        "test_two_users": 2,
    }


def test_asked_for_in_the_body_it_says_how_to_ask(run: Run) -> None:
    session = run(
        """
        import pytest
        from senytl.performance import PerformanceError

        def test_late(request):
            with pytest.raises(PerformanceError, match="as an argument"):
                request.getfixturevalue("perf").record_request(1)

        @pytest.fixture
        def chosen(request):
            return request.getfixturevalue("perf")

        def test_in_time(chosen):
            chosen.record_request(1)
        """
    )
    session.result.assert_outcomes(passed=2)
    assert list(session.tests) == ["test_in_time"]


def test_a_fixture_of_the_same_name_is_the_project_s_own(run: Run) -> None:
    session = run(
        """
        import pytest

        @pytest.fixture
        def perf():
            return "mine"

        def test_it(perf):
            assert perf == "mine"
        """
    )
    session.result.assert_outcomes(passed=1)
    assert session.report["tests"] == []
