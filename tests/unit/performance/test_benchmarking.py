from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from senytl import Senytl, performance
from senytl.performance import PerformanceError, PerformanceMetrics, SLAViolationError
from senytl.performance.memory import MemorySampler
from senytl.performance.run import RunSettings, current_settings
from senytl.performance.sla import SLA


def figures(function: Any) -> list[PerformanceMetrics]:
    return function._performance_metrics  # type: ignore[no-any-return]


def test_a_call_is_measured_and_returns_what_the_body_returns() -> None:
    @performance.benchmark
    def work(seconds: float, *, answer: str = "done") -> str:
        time.sleep(seconds)
        return answer

    assert work(0.02, answer="ok") == "ok"
    (run,) = figures(work)
    assert run.total_requests == 1
    assert run.avg_latency >= 0.02
    assert run.kind == "benchmark"
    assert run.name.endswith("work")
    assert run.throughput_rps == pytest.approx(1 / run.avg_latency)
    assert run.max_memory_mb > 1


def test_each_call_has_figures_of_its_own() -> None:
    @performance.benchmark()
    def work() -> None: ...

    work()
    work()
    assert [run.total_requests for run in figures(work)] == [1, 1]


def test_iterations_are_measured_and_warmup_is_not() -> None:
    bodies: list[int] = []

    @performance.benchmark(iterations=5, warmup=2)
    def work() -> int:
        performance.record_request(len(bodies))
        bodies.append(1)
        performance.assert_latency_under(seconds=0.5, percentile="min") if not bodies[2:] else None
        return len(bodies)

    assert work() == 7
    (run,) = figures(work)
    assert run.latencies == [2.0, 3.0, 4.0, 5.0, 6.0]


def test_async_functions_run_on_the_callers_loop() -> None:
    loops = []

    @performance.benchmark(iterations=3)
    async def work() -> str:
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0.005)
        return "done"

    async def main() -> tuple[str, bool]:
        answer = await work()
        return answer, all(loop is asyncio.get_running_loop() for loop in loops)

    assert asyncio.run(main()) == ("done", True)
    assert figures(work)[0].total_requests == 3
    assert figures(work)[0].min_latency >= 0.004


def test_methods_get_their_instance() -> None:
    class Suite:
        def __init__(self) -> None:
            self.ran = 0

        @performance.benchmark(iterations=2)
        def work(self) -> None:
            self.ran += 1

    suite = Suite()
    suite.work()
    assert suite.ran == 2
    assert figures(Suite.work)[0].total_requests == 2


def test_an_assertion_checks_at_once() -> None:
    reached = []

    @performance.benchmark
    def work() -> None:
        performance.record_request(0.2)
        performance.assert_latency_under(seconds=0.3)
        reached.append("held")
        performance.assert_latency_under(seconds=0.1)
        reached.append("broken")

    with pytest.raises(SLAViolationError, match=r"avg_latency <= 0\.100 s: 0\.200 s"):
        work()
    assert reached == ["held"]
    (run,) = figures(work)
    assert [(one.sla.limit, one.held) for one in run.judgements] == [(0.3, True), (0.1, False)]
    assert run.verdict == "failed"
    assert run.failed_requests == 0


def test_judging_takes_no_time_of_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    class SlowSampler(MemorySampler):
        def sample(self) -> None:
            time.sleep(0.2)
            super().sample()

    monkeypatch.setattr("senytl.performance.memory.MemorySampler", SlowSampler)

    @performance.benchmark
    def work() -> None:
        time.sleep(0.01)
        performance.assert_latency_under(seconds=0.19)
        performance.assert_latency_under(seconds=0.19)
        assert performance.get_current_metrics() is not None

    work()
    (run,) = figures(work)
    assert 0.01 <= run.avg_latency < 0.19
    assert run.throughput_rps == pytest.approx(1 / run.avg_latency)


def test_an_exception_is_recorded_and_leaves_the_call() -> None:
    @performance.benchmark(iterations=3)
    def work() -> None:
        raise ValueError("no answer")

    with pytest.raises(ValueError, match="no answer"):
        work()
    (run,) = figures(work)
    assert (run.total_requests, run.failed_requests) == (1, 1)
    assert run.failure == "ValueError: no answer"
    assert run.verdict == "failed"


def test_a_benchmark_that_an_error_ends_says_where_and_blames_no_limit_for_it() -> None:
    bodies: list[int] = []

    @performance.benchmark(iterations=5, warmup=1)
    def work() -> None:
        bodies.append(1)
        if len(bodies) in (1, 5):
            raise ValueError("no answer")

    slas = [SLA("total_cost", 1.0), SLA("success_rate", 0.9), SLA("avg_latency", 60.0)]
    token = current_settings.set(RunSettings(slas=slas))
    try:
        with pytest.raises(ValueError, match="no answer"):
            work()
        bodies.append(1)
        with pytest.raises(ValueError, match="no answer"):
            work()
    finally:
        current_settings.reset(token)
    warmup, run = figures(work)
    assert (warmup.iterations, warmup.ended_in_iteration) == (5, 0)
    assert (run.iterations, run.ended_in_iteration) == (5, 2)
    assert [(one.sla.metric, one.held) for one in run.judgements] == [
        ("success_rate", False),
        ("avg_latency", True),
    ]


@pytest.mark.parametrize("measure", ["benchmark", "load test"])
def test_a_run_of_an_async_agent_that_nobody_awaits_is_said(measure: str) -> None:
    coroutines: list[Any] = []

    async def answer(question: str) -> str:
        return question

    def ask(question: str) -> Any:
        coroutines.append(answer(question))
        return coroutines[-1]

    agent = Senytl().wrap(ask)

    def work() -> None:
        coroutines.append(agent.run("Hi"))

    measured: Any
    if measure == "benchmark":
        measured = performance.benchmark(iterations=3)(work)
    else:
        measured = performance.load_test(concurrent_users=3)(work)
    measured()
    for coroutine in coroutines:
        coroutine.close()
    [note] = figures(measured)[-1].warnings
    assert note.startswith("3 runs of a wrapped agent had not ended when the body was over, ")
    assert note.endswith("await an async agent's run, in an async test")


def test_awaited_runs_and_those_that_fail_are_not_called_unended() -> None:
    async def answer(question: str) -> str:
        if question == "fail":
            raise ValueError("no answer")
        return question

    agent = Senytl().wrap(answer)

    @performance.load_test(concurrent_users=1, iterations=2)
    async def work() -> None:
        await agent.run("Hi")
        await agent.run("fail")

    asyncio.run(work())
    assert figures(work)[-1].failed_requests == 2
    assert figures(work)[-1].unended_runs == 0


def test_an_interrupted_call_still_has_figures() -> None:
    bodies = []

    @performance.benchmark(iterations=5)
    def work() -> None:
        bodies.append(1)
        if len(bodies) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    (run,) = figures(work)
    assert (run.total_requests, run.interrupted_requests) == (2, 1)


def test_settings_around_a_call_give_its_name_and_limits() -> None:
    seen: list[PerformanceMetrics] = []

    @performance.benchmark
    def work() -> None:
        performance.record_request(0.2)

    settings = RunSettings("test_x.py::test_work", [SLA("p95_latency", 0.1)], on_finish=seen.append)
    token = current_settings.set(settings)
    try:
        with pytest.raises(SLAViolationError, match="p95_latency") as caught:
            work()
    finally:
        current_settings.reset(token)
    assert caught.value.name == "test_x.py::test_work"
    assert seen == figures(work)
    assert seen[0].name == "test_x.py::test_work"


def test_a_benchmark_inside_a_benchmark_is_a_run_of_its_own() -> None:
    seen: list[PerformanceMetrics] = []

    @performance.benchmark
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
    assert figures(inner)[0].latencies == [0.5]
    assert figures(outer)[0].latencies == [0.25]
    assert [run.name for run in seen] == ["outer"]


def test_figures_asked_for_before_the_first_call_run_it_once() -> None:
    ran = []

    @performance.benchmark
    def work() -> None:
        ran.append(1)

    assert figures(work)[-1].total_requests == 1
    assert figures(work)[-1].total_requests == 1
    assert ran == [1]


def test_figures_asked_for_before_the_first_call_of_an_async_function() -> None:
    @performance.benchmark
    async def work() -> None: ...

    async def ask() -> None:
        figures(work)[-1]

    with pytest.raises(PerformanceError, match="await it"):
        asyncio.run(ask())
    assert figures(work)[-1].total_requests == 1


def test_figures_of_a_function_that_takes_arguments_need_a_call() -> None:
    @performance.benchmark
    def work(agent: object) -> None: ...

    with pytest.raises(PerformanceError, match=r"takes arguments \(agent\)"):
        figures(work)[-1]


@pytest.mark.parametrize("keywords", [{"iterations": 0}, {"iterations": 1.5}, {"warmup": -1},
                                      {"iterations": True}])  # fmt: skip
def test_settings_that_make_no_sense_are_refused_when_decorating(keywords: Any) -> None:
    with pytest.raises(ValueError, match="must be an integer of at least"):
        performance.benchmark(**keywords)


def test_only_functions_are_benchmarked() -> None:
    with pytest.raises(TypeError, match="given by name"):
        performance.benchmark(5)  # type: ignore[call-overload]

    def generate() -> Any:
        yield 1

    with pytest.raises(TypeError, match="generator"):
        performance.benchmark(generate)


def test_a_function_whose_coroutine_nothing_awaits_is_refused() -> None:
    async def answer() -> None: ...

    @performance.benchmark
    def work() -> object:
        return answer()

    with pytest.raises(performance.PerformanceError, match="declare it with async def"):
        work()


def test_the_decorated_function_looks_like_the_original() -> None:
    @performance.benchmark
    def work(a: int) -> None:
        """Do it."""

    assert work.__name__ == "work"
    assert work.__doc__ == "Do it."
