"""The open model, the same on every engine."""

from __future__ import annotations

import threading
import time
from typing import Any

import anyio
import pytest
import trio

from senytl import performance


def test_every_start_of_the_rate_is_made_at_its_time(every_way: Any) -> None:
    starts: list[float] = []

    async def body(sleep: Any) -> None:
        starts.append(time.perf_counter())
        await sleep(0.01)

    run = every_way.load(body, rate=50, duration=0.6)
    assert (run.total_requests, run.failed_requests, run.dropped_starts) == (30, 0, 0)
    since = [moment - starts[0] for moment in starts]
    # A start may be late, but never makes the later ones late.
    on_time = sum(abs(at - number / 50) < 0.02 for number, at in enumerate(since))
    assert on_time >= 24
    assert run.duration_seconds == pytest.approx(0.6, abs=0.1)
    assert len(run.service_times) == len(run.start_lags) == 30
    assert run.min_latency >= 0.008  # the timers of uvloop are of whole milliseconds


def test_no_more_users_are_made_than_are_busy_at_once(main_way: Any) -> None:
    numbers: set[int] = set()

    async def body(sleep: Any) -> None:
        numbers.add(performance.current_user().number)
        await sleep(0.05)

    run = main_way.load(body, rate=40, duration=0.5)
    assert run.total_requests == 20
    assert 2 <= len(numbers) <= 6
    assert run.concurrent_users == len(numbers)


def test_rates_in_stages_rise_and_fall(main_way: Any) -> None:
    starts: list[float] = []

    async def body(sleep: Any) -> None:
        starts.append(time.perf_counter())

    began = time.perf_counter()
    run = main_way.load(body, rate=[(0.5, 100), (0.5, 0)])
    assert run.total_requests == 50
    thirds = [sum(a <= at - began < b for at in starts) for a, b in ((0, 0.3), (0.3, 0.7))]
    assert thirds[1] > 2 * thirds[0]


def test_a_serial_server_that_hangs_once_is_seen_by_those_who_wait_for_it(main_way: Any) -> None:
    serving = threading.Lock()
    turns = iter(range(1_000))

    async def body(sleep: Any) -> None:
        with serving:  # a coroutine that holds the loop is a serial server by itself
            time.sleep(0.5 if next(turns) == 20 else 0.002)

    run = main_way.load(body, rate=100, duration=1, concurrent_users=100)
    assert (run.total_requests, run.dropped_starts) == (100, 0)
    # Those who came while it hung waited for it: every second of them more than a quarter of a
    # second. A closed model would have seen one slow request.
    waited = sum(latency > 0.1 for latency in run.latencies)
    assert 30 <= waited <= 60
    assert run.p90_latency > 0.3
    assert run.max_latency >= 0.5
    if not main_way.is_threaded:
        # Requests that start late, since the loop is not free, are late starts.
        assert sum(service > 0.1 for service in run.service_times) == 1
        assert max(run.start_lags) > 0.3
    sums = [lag + service for lag, service in zip(run.start_lags, run.service_times, strict=True)]
    assert sums == pytest.approx(list(run.latencies))


def test_starts_that_find_nobody_free_are_dropped_and_counted(way: Any) -> None:
    inside = most = 0
    lock = threading.Lock()

    async def body(sleep: Any) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        await sleep(0.2)
        with lock:
            inside -= 1

    run = way.load(body, rate=50, duration=0.5, concurrent_users=3)
    assert most == 3
    assert run.total_requests + run.dropped_starts == 25
    assert run.total_requests in range(6, 10)
    assert run.max_latency < 0.4  # who is not served is no long request
    assert sum(row.dropped for row in run.timeline.rows()) == run.dropped_starts


def test_starts_of_the_warm_up_are_not_counted_neither_made_nor_dropped(main_way: Any) -> None:
    started: list[float] = []

    async def body(sleep: Any) -> None:
        started.append(time.perf_counter())
        await sleep(0.15 if len(started) == 1 else 0.001)

    run = main_way.load(body, rate=40, duration=0.5, warmup=0.3, concurrent_users=1)
    assert (run.total_requests, run.dropped_starts) == (20, 0)
    assert 20 < len(started) <= 29
    assert run.duration_seconds == pytest.approx(0.5, abs=0.1)


def test_poisson_starts_repeat_by_their_seed(main_way: Any) -> None:
    def starts(seed: int) -> list[float]:
        moments: list[float] = []

        async def body(sleep: Any) -> None:
            moments.append(time.perf_counter())

        main_way.load(body, rate=80, duration=0.3, arrivals="poisson", seed=seed)
        return [moment - moments[0] for moment in moments]

    first, again, other = starts(1), starts(1), starts(2)
    assert len(first) == len(again)
    # Each to within a delay of the machine, but for one or two of them.
    apart = sorted(abs(one - same) for one, same in zip(first, again, strict=True))
    assert apart[-3] < 0.02
    assert (
        len(first) != len(other)
        or max(abs(one - same) for one, same in zip(first, other, strict=True)) > 0.02
    )


def test_open_requests_fail_and_time_out_as_closed_ones(way: Any) -> None:
    turns = iter(range(100))

    async def body(sleep: Any) -> None:
        turn = next(turns)
        if turn == 3:
            raise ValueError("no")
        await sleep(0.3 if turn == 5 else 0.001)

    run = way.load(body, rate=40, duration=0.3, timeout=0.1)
    assert (run.total_requests, run.failed_requests, run.timed_out_requests) == (12, 2, 1)
    assert len(run.start_lags) == 12
    assert len(run.service_times) == 10


def test_open_requests_in_flight_at_the_end_are_waited_for(way: Any) -> None:
    async def body(sleep: Any) -> None:
        await sleep(0.3)

    run = way.load(body, rate=20, duration=0.2, grace=20)
    assert (run.total_requests, run.interrupted_requests) == (4, 0)
    assert run.duration_seconds >= 0.4


def test_open_requests_that_outlive_the_grace_are_interrupted(every_way: Any) -> None:
    release = threading.Event()

    async def body(sleep: Any) -> None:
        if performance.current_user().number == 2:
            if every_way.name == "threads":
                release.wait(20)
            else:
                await sleep(1.5)
        await sleep(0.1)

    began = time.perf_counter()
    try:
        run = every_way.load(body, rate=20, duration=0.4, grace=0.2)
        took = time.perf_counter() - began
    finally:
        release.set()
    assert 0.55 <= took < 3
    assert (run.interrupted_requests, run.failed_requests) == (1, 0)
    assert run.total_requests == 7
    assert run.duration_seconds < 0.7
    assert len(run.abandoned_users) == every_way.is_threaded


def test_a_body_that_hides_its_cancellation_does_not_run_again(task_way: Any) -> None:
    ran: list[int] = []

    async def body(sleep: Any) -> None:
        ran.append(1)
        try:
            await sleep(20)
        except BaseException as error:
            raise ValueError("hidden") from error

    began = time.perf_counter()
    run = task_way.load(body, rate=10, duration=0.3, grace=0)
    assert time.perf_counter() - began < 5
    assert len(ran) == 3
    assert (run.total_requests, run.interrupted_requests) == (0, 3)


@pytest.mark.parametrize("rate", [100, [(0, 0.05), (60, 0.05)]])
def test_an_error_that_is_no_failure_stops_an_open_load_at_once(every_way: Any, rate: Any) -> None:
    async def body(sleep: Any) -> None:
        raise performance.PerformanceError("the test is at fault")

    settings = {"duration": 60} if rate == 100 else {}
    began = time.perf_counter()
    with pytest.raises(performance.PerformanceError, match="the test is at fault"):
        every_way.load(body, rate=rate, **settings)
    assert time.perf_counter() - began < 5
    (run,) = every_way.figures
    assert 1 <= run.total_requests <= 50
    assert run.failed_requests == 0
    assert run.duration_seconds < 5


def test_no_thread_of_an_open_load_is_left(every_way: Any) -> None:
    async def body(sleep: Any) -> None:
        await sleep(0.01)

    before = set(threading.enumerate())
    every_way.load(body, rate=50, duration=0.2)
    end = time.perf_counter() + 5
    while time.perf_counter() < end and set(threading.enumerate()) > before:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= before


def test_thousands_of_starts_make_a_bounded_number_of_tasks() -> None:
    @performance.load_test(rate=5_000, duration=0.6, concurrent_users=200)
    async def work() -> None:
        await anyio.sleep(0)

    run = trio.run(work)
    assert run.total_requests + run.dropped_starts == 3_000
    assert run.concurrent_users <= 200
