from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from senytl import performance
from senytl.performance import PerformanceError, PerformanceMetrics, SLAViolationError
from senytl.performance.load import LoadPlan
from senytl.performance.run import RunSettings, current_settings
from senytl.performance.sla import SLA


def figures(function: Any) -> list[PerformanceMetrics]:
    return function._performance_metrics  # type: ignore[no-any-return]


def test_a_call_runs_the_load_and_returns_its_figures() -> None:
    @performance.load_test(concurrent_users=3, iterations=2)
    def work() -> None:
        time.sleep(0.01)

    run = work()
    assert figures(work) == [run]
    assert (run.total_requests, run.failed_requests, run.interrupted_requests) == (6, 0, 0)
    assert (run.kind, run.concurrent_users) == ("load_test", 3)
    assert run.name.endswith("work")
    assert run.min_latency >= 0.009
    assert run.throughput_rps == pytest.approx(6 / run.duration_seconds)
    assert run.max_memory_mb > 1
    assert run.verdict == "passed"


def test_each_call_has_figures_of_its_own() -> None:
    @performance.load_test(concurrent_users=2)
    def work() -> None: ...

    assert [work(), work()] == figures(work)
    assert [run.total_requests for run in figures(work)] == [2, 2]


def test_all_users_get_the_arguments_of_the_call() -> None:
    seen: list[tuple[Any, ...]] = []

    @performance.load_test(concurrent_users=3)
    def work(agent: str, *, query: str = "none") -> None:
        seen.append((agent, query))

    work("agent", query="hello")
    assert seen == [("agent", "hello")] * 3


def test_methods_get_their_instance() -> None:
    class Suite:
        def __init__(self) -> None:
            self.ran: list[int] = []

        @performance.load_test(concurrent_users=2, iterations=3)
        def work(self) -> None:
            self.ran.append(1)

        @performance.load_test(concurrent_users=2, iterations=3)
        async def work_async(self) -> None:
            self.ran.append(2)

    suite = Suite()
    assert suite.work().total_requests == 6
    assert asyncio.run(suite.work_async()).total_requests == 6
    assert sorted(suite.ran) == [1] * 6 + [2] * 6


def test_the_plan_is_there_for_whoever_runs_the_function() -> None:
    @performance.load_test(concurrent_users=5, duration=60, ramp_up=2, grace=1)
    def work() -> None: ...

    plan = LoadPlan(concurrent_users=5, duration=60, ramp_up=2, grace=1)
    assert work._senytl_plan == plan  # type: ignore[attr-defined]


def test_the_decorated_function_looks_like_the_original() -> None:
    @performance.load_test(concurrent_users=1)
    def work(a: int) -> None:
        """Do it."""

    assert work.__name__ == "work"
    assert work.__doc__ == "Do it."


def test_figures_asked_for_before_the_first_call_run_it_once() -> None:
    @performance.load_test(concurrent_users=2)
    def work() -> None: ...

    assert figures(work)[-1].total_requests == 2
    assert len(figures(work)) == 1


def test_the_number_of_users_must_be_given_by_name() -> None:
    with pytest.raises(TypeError, match=r"@performance\.load_test\(concurrent_users=10"):

        @performance.load_test
        def work() -> None: ...

    with pytest.raises(TypeError, match="takes its settings by name"):
        performance.load_test(100, duration=60)
    with pytest.raises(TypeError, match="needs the number of users"):
        performance.load_test(duration=60)


def test_a_plan_that_makes_no_sense_is_refused_before_anything_is_decorated() -> None:
    with pytest.raises(ValueError, match="give only one"):
        performance.load_test(concurrent_users=1, duration=1, iterations=1)


def test_only_functions_are_load_tested() -> None:
    decorate: Any = performance.load_test(concurrent_users=1)
    with pytest.raises(TypeError, match="@load_test measures a function"):
        decorate(int)

    def generate() -> Any:
        yield 1

    with pytest.raises(TypeError, match="generator"):
        decorate(generate)


def test_a_function_whose_coroutine_nothing_awaits_is_refused() -> None:
    async def answer() -> None: ...

    @performance.load_test(concurrent_users=2, iterations=5)
    def work() -> object:
        return answer()

    with pytest.raises(PerformanceError, match="declare it with async def"):
        work()


def test_assertions_in_the_body_are_checked_on_the_whole_load_and_raised_together() -> None:
    @performance.load_test(concurrent_users=5, iterations=4)
    def work() -> None:
        performance.record_request(0.2)
        performance.assert_p95_latency_under(seconds=0.1)
        performance.assert_latency_under(seconds=0.3)
        performance.assert_throughput_above(requests_per_second=1e9)

    with pytest.raises(SLAViolationError) as caught:
        work()
    assert [one.sla.metric for one in caught.value.violations] == ["p95_latency", "throughput_rps"]
    (run,) = figures(work)
    assert run.total_requests == 20
    assert [one.held for one in run.judgements] == [False, True, False]
    assert run.verdict == "failed"


def test_settings_around_a_call_give_its_name_and_limits() -> None:
    seen: list[PerformanceMetrics] = []

    @performance.load_test(concurrent_users=2)
    def work() -> None:
        raise ValueError("no answer")

    settings = RunSettings("test_x.py::test", requires_success=True, on_finish=seen.append)
    token = current_settings.set(settings)
    try:
        with pytest.raises(SLAViolationError, match=r"success_rate .*no answer \(2x\)"):
            work()
    finally:
        current_settings.reset(token)
    assert seen == figures(work)
    assert seen[0].name == "test_x.py::test"
    assert seen[0].judgements[0].sla == SLA("success_rate", 1.0, implied=True)


def test_a_load_inside_a_benchmark_is_a_run_of_its_own() -> None:
    seen: list[PerformanceMetrics] = []

    @performance.load_test(concurrent_users=2)
    def inner() -> None:
        performance.record_request(0.5)

    @performance.benchmark
    def outer() -> None:
        inner()
        performance.record_request(0.25)

    token = current_settings.set(RunSettings("outer", on_finish=seen.append))
    try:
        outer()
    finally:
        current_settings.reset(token)
    assert figures(inner)[0].latencies == [0.5, 0.5]
    assert figures(outer)[0].latencies == [0.25]
    assert [run.name for run in seen] == ["outer"]
    assert performance.get_current_metrics() is None


def test_a_body_may_ask_for_the_figures_of_its_user_so_far() -> None:
    seen: list[PerformanceMetrics] = []

    @performance.load_test(concurrent_users=1, iterations=3)
    def work() -> None:
        time.sleep(0.02)
        run = performance.get_current_metrics()
        assert run is not None
        seen.append(run)

    work()
    assert [run.total_requests for run in seen] == [1, 2, 3]
    assert all(10 < run.throughput_rps <= 50 for run in seen)
