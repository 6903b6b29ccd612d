from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
import trio

from senytl import performance
from senytl.performance import PerformanceMetrics, SLAViolationError

Start = Callable[[Callable[[], Awaitable[Any]]], Any]


def on_asyncio(function: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        return await function()

    return asyncio.run(main())


def on_trio(function: Callable[[], Awaitable[Any]]) -> Any:
    return trio.run(function)


@pytest.fixture(params=[on_asyncio, on_trio])
def start(request: pytest.FixtureRequest) -> Start:
    """Runs an async function on one of the two libraries."""
    return request.param  # type: ignore[no-any-return]


def figures(function: Any) -> list[PerformanceMetrics]:
    return function._performance_metrics  # type: ignore[no-any-return]


def test_every_user_runs_its_iterations(start: Start) -> None:
    @performance.load_test(concurrent_users=7, iterations=3)
    async def work() -> None:
        await anyio.sleep(0.01)

    run = start(work)
    assert figures(work) == [run]
    assert (run.total_requests, run.failed_requests, run.interrupted_requests) == (21, 0, 0)
    assert run.min_latency >= 0.009
    assert run.concurrent_users == 7
    assert run.throughput_rps == pytest.approx(21 / run.duration_seconds)


def test_all_users_are_in_their_bodies_at_the_same_time(start: Start) -> None:
    inside = most = 0

    @performance.load_test(concurrent_users=1_000, iterations=2)
    async def work() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        while most < 1_000:
            await anyio.sleep(0.001)
        inside -= 1

    assert start(work).total_requests == 2_000
    assert most == 1_000


def test_users_run_on_the_loop_of_the_caller() -> None:
    loops: set[Any] = set()

    @performance.load_test(concurrent_users=3)
    async def work() -> None:
        loops.add(asyncio.get_running_loop())

    async def main() -> None:
        await work()
        assert loops == {asyncio.get_running_loop()}
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_users_see_the_context_of_the_caller_and_not_that_of_each_other(start: Start) -> None:
    name: ContextVar[str] = ContextVar("name", default="nobody")
    seen: list[str] = []

    @performance.load_test(concurrent_users=5)
    async def work() -> None:
        seen.append(name.get())
        name.set("a user")

    async def main() -> str:
        name.set("the caller")
        await work()
        return name.get()

    assert start(main) == "the caller"
    assert seen == ["the caller"] * 5


def test_users_start_over_the_ramp_up(start: Start) -> None:
    starts: list[float] = []

    @performance.load_test(concurrent_users=5, ramp_up=0.5)
    async def work() -> None:
        starts.append(time.perf_counter())

    run = start(work)
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert len(gaps) == 4
    assert min(gaps) > 0.02  # planned: 0.1
    assert run.duration_seconds >= 0.4


def test_users_stop_at_the_end_of_the_duration(start: Start) -> None:
    @performance.load_test(concurrent_users=5, duration=0.3)
    async def work() -> None:
        await anyio.sleep(0.01)

    run = start(work)
    assert run.duration_seconds >= 0.3
    assert 5 <= run.total_requests <= 5 * 31
    assert run.interrupted_requests == 0


def test_bodies_that_never_wait_let_all_users_run_until_the_deadline(start: Start) -> None:
    ran: dict[Any, int] = {}

    @performance.load_test(concurrent_users=10, duration=0.3)
    async def work() -> None:
        key = anyio.get_current_task().id
        ran[key] = ran.get(key, 0) + 1

    run = start(work)
    assert len(ran) == 10
    assert min(ran.values()) > max(ran.values()) / 10
    assert run.total_requests == sum(ran.values())
    assert run.interrupted_requests == 0


def test_requests_that_outlive_the_grace_period_are_cancelled(start: Start) -> None:
    turns = iter(range(100))
    cancelled: list[int] = []

    @performance.load_test(concurrent_users=4, duration=0.1, grace=0.2)
    async def work() -> None:
        turn = next(turns)
        if turn == 2:
            try:
                await anyio.sleep(60)
            finally:
                cancelled.append(turn)
        await anyio.sleep(0.05)

    async def main() -> tuple[PerformanceMetrics, list[int]]:
        return await work(), list(cancelled)

    started = time.perf_counter()
    run, cancelled_by_the_load = start(main)
    assert 0.3 <= time.perf_counter() - started < 10
    assert cancelled_by_the_load == [2]
    assert (run.interrupted_requests, run.failed_requests) == (1, 0)
    assert 3 <= run.total_requests <= 9
    assert 0.1 <= run.duration_seconds < 0.3  # the time waited in vain is no time of requests


def test_a_body_that_hides_its_cancellation_is_interrupted_all_the_same(start: Start) -> None:
    @performance.load_test(concurrent_users=2, duration=0.05, grace=0)
    async def work() -> None:
        try:
            await anyio.sleep(60)
        except BaseException as error:
            raise ValueError("not cancelled, failed") from error

    run = start(work)
    assert (run.total_requests, run.interrupted_requests) == (0, 2)


def test_a_body_that_refuses_to_be_cancelled_is_left_to_its_loop() -> None:
    release = asyncio.Event()

    @performance.load_test(concurrent_users=1, duration=0.05, grace=0)
    async def work() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async def main() -> tuple[PerformanceMetrics, int]:
        run = await work()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        release.set()
        await asyncio.wait(left)
        return run, len(left)

    run, left = asyncio.run(main())
    assert (run.total_requests, run.interrupted_requests, left) == (0, 1, 1)


def test_an_exception_is_a_failed_request_and_disturbs_nobody(start: Start) -> None:
    turns = iter(range(100))

    @performance.load_test(concurrent_users=4, iterations=5)
    async def work() -> None:
        turn = next(turns)
        await anyio.sleep(0.001)
        if turn % 4 == 0:
            raise ValueError("no answer")
        with anyio.fail_after(0.001 if turn % 10 == 1 else 60):
            await anyio.sleep(0.02)

    run = start(work)
    assert (run.total_requests, run.failed_requests) == (20, 7)
    assert [(e.type, e.message, e.count) for e in run.errors] == [
        ("ValueError", "no answer", 5),
        ("TimeoutError", "", 2),
    ]
    assert run.failure is None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), pytest.skip.Exception("no")])
def test_what_is_no_failure_stops_all_users_and_is_raised(
    start: Start, error: BaseException
) -> None:
    turns = iter(range(1_000_000))

    @performance.load_test(concurrent_users=4, duration=60)
    async def work() -> None:
        turn = next(turns)
        await anyio.sleep(0.01 if turn else 60)
        if turn == 10:
            raise error

    started = time.perf_counter()
    with pytest.raises(type(error)):
        start(work)
    assert time.perf_counter() - started < 10
    (run,) = figures(work)
    assert 1 <= run.total_requests <= 12
    assert 2 <= run.interrupted_requests <= 4  # turns 0 and 10, and who else was in flight
    assert run.failed_requests == 0
    assert run.duration_seconds < 10


def test_a_cancellation_inside_the_agent_is_a_failed_request() -> None:
    turns = iter(range(100))

    @performance.load_test(concurrent_users=2, iterations=3)
    async def work() -> None:
        task = asyncio.create_task(asyncio.sleep(0.01))
        if next(turns) == 1:
            task.cancel()
        await task

    run = on_asyncio(work)
    assert (run.total_requests, run.failed_requests, run.interrupted_requests) == (6, 1, 0)
    assert [error.type for error in run.errors] == ["CancelledError"]


def test_a_cancellation_of_the_test_ends_the_load(start: Start) -> None:
    ended: list[int] = []

    @performance.load_test(concurrent_users=3, duration=60)
    async def work() -> None:
        try:
            await anyio.sleep(0.02 if not ended else 60)
        finally:
            ended.append(1)

    async def main() -> bool:
        with anyio.move_on_after(0.3) as scope:
            await work()
        return scope.cancelled_caught

    started = time.perf_counter()
    assert start(main)
    assert time.perf_counter() - started < 10
    (run,) = figures(work)
    assert (run.total_requests, run.interrupted_requests) == (3, 3)
    assert len(ended) == 6


def test_the_ctrl_c_of_asyncio_ends_the_load() -> None:
    turns = iter(range(1_000_000))

    @performance.load_test(concurrent_users=3, duration=60)
    async def work() -> None:
        if next(turns) == 10:
            signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0.01)

    with pytest.raises(KeyboardInterrupt):
        on_asyncio(work)
    (run,) = figures(work)
    assert run.total_requests >= 8
    assert run.failed_requests == 0


def test_assertions_in_the_body_are_checked_on_the_whole_load(start: Start) -> None:
    @performance.load_test(concurrent_users=3, iterations=2)
    async def work() -> None:
        performance.record_request(0.2)
        performance.assert_p95_latency_under(seconds=0.1)
        performance.assert_p99_latency_under(seconds=0.1)

    with pytest.raises(SLAViolationError) as caught:
        start(work)
    assert [one.sla.metric for one in caught.value.violations] == ["p95_latency", "p99_latency"]
    assert figures(work)[0].total_requests == 6


def test_a_load_inside_a_body_is_a_run_of_its_own(start: Start) -> None:
    @performance.load_test(concurrent_users=2)
    async def inner() -> None:
        performance.record_request(0.5)

    @performance.benchmark
    async def outer() -> None:
        await inner()
        performance.record_request(0.25)

    start(outer)
    assert figures(inner)[0].latencies == [0.5, 0.5]
    assert figures(outer)[0].latencies == [0.25]


def test_the_engine_needs_no_trio() -> None:
    code = (
        "import sys, asyncio\n"
        "sys.modules['trio'] = None\n"
        "from senytl import performance\n"
        "@performance.load_test(concurrent_users=2)\n"
        "async def work(): await asyncio.sleep(0)\n"
        "print(asyncio.run(work()).total_requests)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "2"
