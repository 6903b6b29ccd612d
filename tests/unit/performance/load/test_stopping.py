"""How a load ends before its time, and how it ends in spite of bodies that hang."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from senytl import performance
from senytl.performance import SLAViolationError


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What threads hang on, until the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_the_duration_is_kept_though_some_of_many_users_hang(
    every_way: Any, release: threading.Event
) -> None:
    async def body(sleep: Any) -> None:
        if performance.current_user().number % 10 == 0:
            if every_way.is_threaded:
                release.wait(30)
            else:
                await sleep(30)
        await sleep(0.05)

    began = time.perf_counter()
    run = every_way.load(body, concurrent_users=50, duration=0.4, grace=0.2)
    took = time.perf_counter() - began
    assert 0.6 <= took < 2
    assert run.interrupted_requests == 5
    assert run.failed_requests == 0
    assert run.total_requests >= 45 * 3
    assert run.duration_seconds == pytest.approx(0.4, abs=0.15)
    assert len(run.abandoned_users) == (5 if every_way.is_threaded else 0)


def test_a_task_that_refuses_its_cancellation_is_named_with_its_line() -> None:
    @performance.load_test(concurrent_users=3, duration=0.1, grace=0.1)
    async def work() -> None:
        while performance.current_user().number == 1 and not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                continue
        await asyncio.sleep(0.01)

    async def main() -> performance.PerformanceMetrics:
        run = await work()
        over.set()
        await asyncio.sleep(0.05)
        return run

    over = asyncio.Event()
    run = asyncio.run(main())
    (abandoned,) = run.abandoned_users
    assert abandoned.startswith("user 1 at ")
    assert abandoned.endswith(" in work")
    assert run.interrupted_requests == 1


def test_who_hangs_is_named_with_its_line(release: threading.Event) -> None:
    @performance.load_test(concurrent_users=3, duration=0.1, grace=0.1)
    def work() -> None:
        if performance.current_user().number == 1:
            release.wait(30)  # it hangs here
        time.sleep(0.01)

    run = work()
    (abandoned,) = run.abandoned_users
    where, _, function = abandoned.rpartition(" in ")
    assert where.startswith("user 1 at ")
    assert function == "work"
    file, line = where.removeprefix("user 1 at ").rsplit(":", 1)
    with open(file, encoding="utf-8") as source:
        assert "it hangs here" in source.read().splitlines()[int(line) - 1]


def test_who_hangs_on_a_loop_of_its_own_is_named_with_its_line() -> None:

    @performance.load_test(concurrent_users=2, duration=0.1, grace=0.1, engine="threads")
    async def work() -> None:
        if performance.current_user().number == 1:
            await asyncio.sleep(3)  # it hangs there
        await asyncio.sleep(0.01)

    run = asyncio.run(work())
    (abandoned,) = run.abandoned_users
    where, _, function = abandoned.rpartition(" in ")
    assert function == "work"
    file, line = where.removeprefix("user 1 at ").rsplit(":", 1)
    with open(file, encoding="utf-8") as source:
        assert "it hangs there" in source.read().splitlines()[int(line) - 1]


@pytest.mark.parametrize(
    "shape", [{"concurrent_users": 8, "duration": 60}, {"rate": 50, "duration": 60}]
)
def test_a_load_ends_once_a_limit_is_broken_beyond_repair(every_way: Any, shape: Any) -> None:
    async def body(sleep: Any) -> None:
        await sleep(0.01)
        raise ValueError("always")

    began = time.perf_counter()
    with pytest.raises(SLAViolationError, match="failed_requests"):
        every_way.load(body, **shape, abort_on={"failed_requests": 3})
    assert time.perf_counter() - began < 10
    (run,) = every_way.figures
    assert run.duration_seconds < 10
    assert run.failed_requests > 3
    assert "failed_requests" in (run.ended_early or "")
    assert "broken beyond repair" in (run.ended_early or "")


def test_a_load_is_not_ended_before_its_delay(main_way: Any) -> None:
    async def body(sleep: Any) -> None:
        await sleep(0.01)
        raise ValueError("always")

    with pytest.raises(SLAViolationError):
        main_way.load(
            body, concurrent_users=2, duration=60, abort_on={"failed_requests": 0}, abort_after=0.6
        )
    (run,) = main_way.figures
    assert 0.6 <= run.duration_seconds < 10


def test_limits_that_end_a_load_are_judged_at_its_end_too(main_way: Any) -> None:
    async def body(sleep: Any) -> None:
        await sleep(0.001)

    run = main_way.load(
        body, concurrent_users=2, iterations=3, abort_on={"error_rate": 0.5, "p95_latency": 5}
    )
    assert run.ended_early is None
    assert {one.sla.metric: one.held for one in run.judgements} == {
        "error_rate": True,
        "p95_latency": True,
    }


def test_failures_of_the_warm_up_end_no_load(main_way: Any) -> None:
    began: list[float] = []

    async def body(sleep: Any) -> None:
        began.append(time.perf_counter())
        await sleep(0.005)
        if began[-1] - began[0] < 0.3:
            raise ValueError("cold")

    run = main_way.load(
        body, concurrent_users=2, duration=0.3, warmup=0.4, abort_on={"failed_requests": 0}
    )
    assert run.failed_requests == 0
    assert run.ended_early is None


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        pytest.exit.Exception("enough"),
        performance.PerformanceError("the test's own mistake"),
    ],
)
@pytest.mark.parametrize("pace", [{}, {"pacing": 0.01}, {"think_time": 0.01}])
def test_what_says_nothing_of_the_agent_stops_a_load_of_any_pace(
    main_way: Any, error: BaseException, pace: Any
) -> None:
    turns = iter(range(10_000))

    async def body(sleep: Any) -> None:
        if next(turns) == 10:
            raise error
        await sleep(0.005)

    began = time.perf_counter()
    with pytest.raises(type(error)) as caught:
        main_way.load(body, concurrent_users=3, duration=60, **pace)
    assert caught.value is error
    assert time.perf_counter() - began < 5
    (run,) = main_way.figures
    assert run.failed_requests == 0
    assert 8 <= run.total_requests <= 20
    assert run.failure


def test_users_that_think_for_long_do_not_delay_a_stop(way: Any) -> None:
    async def body(sleep: Any) -> None:
        if performance.current_user().number == 1:
            await sleep(0.05)
            raise performance.PerformanceError("stop")

    began = time.perf_counter()
    with pytest.raises(performance.PerformanceError, match="stop"):
        way.load(body, concurrent_users=5, iterations=2, think_time=60)
    assert time.perf_counter() - began < 5


def test_an_error_while_a_user_leaves_does_not_keep_the_load_from_ending() -> None:
    left: list[asyncio.Task[None]] = []

    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise SystemExit(3)  # in place of its cancellation, when its loop is closed

    @performance.load_test(concurrent_users=2, iterations=1, engine="threads")
    async def work() -> None:
        left.append(asyncio.create_task(stubborn()))
        await asyncio.sleep(0)

    began = time.perf_counter()
    with pytest.raises(SystemExit):
        asyncio.run(work())
    assert time.perf_counter() - began < 5
    assert all(isinstance(task.exception(), SystemExit) for task in left)  # so asyncio is content
