"""A benchmark whose memory is checked: when it is read, and the bodies that prove a leak."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from senytl import performance
from senytl.models import MisuseError
from senytl.performance import SLAViolationError, benchmarking
from senytl.performance.leaks.check import LeakCheck

KEPT: list[object] = []


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    KEPT.clear()


@pytest.fixture
def read_at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How many requests had ended at each reading; memory is not read, and few are enough."""
    requests: list[float] = []

    def note(self: LeakCheck, ended: float, own: Iterable[object] = ()) -> None:
        requests.append(ended)

    monkeypatch.setattr(LeakCheck, "read", note)
    monkeypatch.setattr(benchmarking, "FEWEST_REQUESTS", 10)
    return requests


class Agent:
    """Leaks with each request, and does something else in those that come after a number."""

    def __init__(self, after: int, then: Callable[[], object] = bool) -> None:
        self.bodies = 0
        self._after = after
        self._then = then

    def work(self) -> None:
        """Answer a request."""
        self.bodies += 1
        KEPT.append(bytes(3_000))
        if self.bodies > self._after:
            self._then()


@pytest.mark.parametrize(
    ("iterations", "readings"),
    [
        (900, list(range(30, 901, 30))),
        (10, list(range(1, 11))),
        (100, list(range(4, 101, 4))),
        (31, list(range(2, 31, 2))),
    ],
)
def test_memory_is_read_after_each_thirtieth_of_the_iterations(
    read_at: list[float], iterations: int, readings: list[int]
) -> None:
    @performance.benchmark(iterations=iterations, warmup=7, leak_check=True)
    def work() -> None: ...

    work()
    assert read_at == readings


def test_of_too_few_iterations_it_is_read_at_the_end_alone(
    read_at: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmarking, "FEWEST_REQUESTS", 1_000)

    @performance.benchmark(iterations=999, leak_check=True)
    def work() -> None: ...

    work()
    assert read_at == [999]


def test_it_is_not_read_unless_that_is_asked_for(read_at: list[float]) -> None:
    @performance.benchmark(iterations=40)
    def work() -> None: ...

    work()
    assert read_at == []
    assert work._performance_metrics[0].leak_evidence is None  # type: ignore[attr-defined]


def test_a_limit_in_the_body_asks_for_it(read_at: list[float]) -> None:
    @performance.benchmark(iterations=60)
    def work() -> None:
        performance.assert_no_memory_leaks()

    work()
    assert read_at == list(range(2, 61, 2))


def test_no_leak_check_overrules_a_limit(read_at: list[float]) -> None:
    @performance.benchmark(iterations=60, leak_check=False)
    def work() -> None:
        performance.assert_no_memory_leaks()

    work()
    assert read_at == []
    [run] = work._performance_metrics  # type: ignore[attr-defined]
    assert "leak_check" in run.judgements[0].doubt


def test_further_bodies_are_in_no_figure() -> None:
    agent = Agent(1_200, lambda: performance.record_request(77.0))

    @performance.benchmark(iterations=1_200, leak_check=True)
    def work() -> None:
        agent.work()

    work()
    [run] = work._performance_metrics  # type: ignore[attr-defined]
    assert agent.bodies >= 2_400
    assert run.total_requests == 1_200
    assert run.max_latency < 77.0
    assert run.iterations == 1_200
    assert run.leak_evidence.finding.outcome == "leak"
    assert run.leak_evidence.further[-1].requests == 1_200
    assert run.leak_evidence.traced_requests > 0


def test_a_run_of_few_iterations_is_followed_by_none() -> None:
    agent = Agent(999)

    @performance.benchmark(iterations=999, leak_check=True)
    def work() -> None:
        agent.work()

    work()
    assert agent.bodies == 999


def test_failures_of_further_bodies_are_forgiven() -> None:
    def fail() -> None:
        if agent.bodies % 3 == 0:
            raise ValueError("no answer")

    agent = Agent(1_200, fail)

    @performance.benchmark(iterations=1_200)
    def work() -> None:
        performance.assert_no_memory_leaks()
        agent.work()

    with pytest.raises(SLAViolationError, match="memory_growth"):
        work()
    [run] = work._performance_metrics  # type: ignore[attr-defined]
    assert agent.bodies >= 2_400
    assert (run.total_requests, run.failed_requests) == (1_200, 0)
    assert run.failure is None
    assert run.ended_in_iteration is None


def test_further_bodies_that_fail_prove_nothing() -> None:
    def fail() -> None:
        raise ValueError("no answer")

    agent = Agent(1_200, fail)

    @performance.benchmark(iterations=1_200)
    def work() -> None:
        performance.assert_no_memory_leaks()
        agent.work()

    work()
    [run] = work._performance_metrics  # type: ignore[attr-defined]
    assert run.verdict == "inconclusive"
    assert "1,200 of 1,200 further requests, which were to prove a leak, failed" in (
        run.judgements[0].doubt
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), MisuseError("stop")])
def test_what_is_no_failure_of_the_agent_ends_further_bodies(error: BaseException) -> None:
    def stop() -> None:
        if agent.bodies == 1_300:
            raise error

    agent = Agent(1_200, stop)

    @performance.benchmark(iterations=1_200, leak_check=True)
    def work() -> None:
        agent.work()

    with pytest.raises(type(error)):
        work()
    assert agent.bodies == 1_300
    [run] = work._performance_metrics  # type: ignore[attr-defined]
    assert run.total_requests == 1_200


def test_what_is_ready_runs_before_memory_is_read(
    monkeypatch: pytest.MonkeyPatch, read_at: list[float]
) -> None:
    waiting = 0
    at_readings: list[int] = []

    def note(self: LeakCheck, ended: float, own: Iterable[object] = ()) -> None:
        at_readings.append(waiting)

    def done() -> None:
        nonlocal waiting
        waiting -= 1

    @performance.benchmark(iterations=60, leak_check=True)
    async def work() -> None:
        nonlocal waiting
        waiting += 1
        asyncio.get_running_loop().call_soon(done)

    monkeypatch.setattr(LeakCheck, "read", note)
    main: Any = work()
    asyncio.run(main)
    assert at_readings == [0] * 30


def test_further_bodies_of_an_async_function_prove_a_leak_as_well() -> None:
    agent = Agent(1_200)

    @performance.benchmark(iterations=1_200, leak_check=True)
    async def work() -> None:
        agent.work()

    main: Any = work()
    asyncio.run(main)
    [run] = work._performance_metrics  # type: ignore[attr-defined]
    assert agent.bodies >= 2_400
    assert run.total_requests == 1_200
    assert run.leak_evidence.finding.outcome == "leak"
    assert run.leak_evidence.sites[0].location.file == __file__
