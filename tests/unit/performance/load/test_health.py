"""How late a load generator is: of real threads and loops that are idle, busy or blocked."""

from __future__ import annotations

import asyncio
import gc
import math
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any

import pytest
import trio

from senytl.performance.load.health import GeneratorHealth, HealthProbe, note_on


def compute(seconds: float) -> None:
    """Keep the interpreter for so much of this thread's own CPU time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(200))


def beside_threads(count: int, body: Callable[[], object], seconds: float) -> GeneratorHealth:
    """How a generator was whose threads repeated a body."""
    over = threading.Event()

    def live() -> None:
        while not over.is_set():
            body()

    probe = HealthProbe()
    threads = [threading.Thread(target=live) for _ in range(count)]
    for thread in threads:
        thread.start()
    probe.start()
    time.sleep(seconds)
    health = probe.stop()
    over.set()
    for thread in threads:
        thread.join()
    return health


async def beside_loop(
    body: Callable[[Callable[[float], Awaitable[Any]]], Awaitable[object]],
) -> GeneratorHealth:
    """How a generator was whose loop ran a body, once."""
    probe = HealthProbe()
    probe.start()
    watching = asyncio.create_task(probe.watch_loop(asyncio.sleep))
    await asyncio.sleep(0.05)
    probe.begin()
    await body(asyncio.sleep)
    health = probe.stop()
    watching.cancel()
    await asyncio.wait([watching])
    return health


def test_idle_threads_are_hardly_late() -> None:
    health = beside_threads(5, lambda: time.sleep(0.01), 0.5)
    assert health.kind == "threads"
    assert len(health.lags) > 10
    assert health.lag_at(0.5) < 0.005
    assert health.cpu_share < 0.8
    assert not health.saturated


def test_threads_that_compute_make_others_late() -> None:
    idle = beside_threads(4, lambda: time.sleep(0.01), 0.5)
    busy = beside_threads(4, lambda: compute(0.002), 1.0)
    assert busy.lag_at(0.5) > 3 * idle.lag_at(0.5)
    assert busy.lag_at(None) > 0.003
    assert busy.cpu_share > 2 * idle.cpu_share
    assert busy.lag_at(0.5) <= busy.lag_at(0.95) <= busy.lag_at(1.0)


def test_a_single_user_waits_for_nobody() -> None:
    probe = HealthProbe(users=1)
    probe.start()
    compute(0.2)
    health = probe.stop()
    assert len(health.lags) == 0
    assert health.lag_at(0.95) == health.lag_at(None) == 0.0
    assert health.cpu_share > 0.1
    assert not health.saturated


def test_an_idle_loop_is_hardly_late() -> None:
    health = asyncio.run(beside_loop(lambda sleep: sleep(0.5)))
    assert health.kind == "loop"
    assert 10 < len(health.lags) <= 55
    assert health.lag_at(0.5) < 0.01


def test_a_blocked_loop_is_late_for_as_long_as_it_was_blocked() -> None:
    async def body(sleep: Callable[[float], Awaitable[Any]]) -> None:
        await sleep(0.3)
        time.sleep(0.4)
        await sleep(0.1)

    health = asyncio.run(beside_loop(body))
    # Half of the time it was blocked, by 0.4 s at the beginning, and by 0.2 s on average.
    late = [lag for lag in health.lags if lag > 0.011]
    assert 0.35 < health.lag_at(1.0) < 0.8
    assert 36 <= len(late) <= 80
    assert sum(late) / len(late) == pytest.approx(health.lag_at(1.0) / 2, rel=0.15)
    assert health.lag_at(0.95) > 0.25
    assert health.cpu_share < 0.8
    assert not health.saturated


def test_a_loop_that_is_blocked_to_the_end_counts_with_its_lateness_so_far() -> None:
    async def body(sleep: Callable[[float], Awaitable[Any]]) -> None:
        await sleep(0.05)
        time.sleep(0.3)

    health = asyncio.run(beside_loop(body))
    assert health.lag_at(1.0) > 0.25
    assert sum(lag > 0.05 for lag in health.lags) >= 20


def test_a_cancelled_watch_counts_what_was_late_as_well() -> None:
    async def main() -> GeneratorHealth:
        probe = HealthProbe()
        probe.start()
        watching = asyncio.create_task(probe.watch_loop(asyncio.sleep))
        await asyncio.sleep(0.05)
        time.sleep(0.2)
        watching.cancel()
        await asyncio.wait([watching])
        assert watching.cancelled()
        await asyncio.sleep(0.1)
        return probe.stop()

    health = asyncio.run(main())
    assert 0.15 < health.lag_at(1.0) < 0.5
    # Nobody looked after that.
    assert len(health.lags) < 60


def test_a_loop_of_trio_is_watched_too() -> None:
    async def main() -> GeneratorHealth:
        probe = HealthProbe()
        probe.start()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(probe.watch_loop, trio.sleep)
            await trio.sleep(0.05)
            time.sleep(0.2)
            await trio.sleep(0.05)
            nursery.cancel_scope.cancel()
        return probe.stop()

    health = trio.run(main)
    assert health.kind == "loop"
    assert health.lag_at(1.0) > 0.15
    assert sum(lag > 0.05 for lag in health.lags) >= 10


def test_what_was_before_the_measured_part_is_forgotten() -> None:
    async def main() -> GeneratorHealth:
        probe = HealthProbe()
        probe.start()
        watching = asyncio.create_task(probe.watch_loop(asyncio.sleep))
        await asyncio.sleep(0.02)
        time.sleep(0.5)
        gc.collect()
        # The watch's timer was due long ago, and its task has not run yet.
        probe.begin()
        await asyncio.sleep(0.1)
        watching.cancel()
        await asyncio.wait([watching])
        return probe.stop()

    health = asyncio.run(main())
    assert len(health.lags) > 0
    assert health.lag_at(1.0) < 0.2


def test_what_is_excused_makes_no_loop_late() -> None:
    async def busy(sleep: Callable[[float], Awaitable[Any]], *, excuse: bool) -> GeneratorHealth:
        probe = HealthProbe()
        probe.start()
        watching = asyncio.create_task(probe.watch_loop(asyncio.sleep))
        await sleep(0.05)
        probe.begin()
        with probe.excused() if excuse else nullcontext():
            time.sleep(0.5)
        await sleep(0.1)
        health = probe.stop()
        watching.cancel()
        await asyncio.wait([watching])
        return health

    assert asyncio.run(busy(asyncio.sleep, excuse=False)).lag_at(1.0) > 0.4
    excused = asyncio.run(busy(asyncio.sleep, excuse=True))
    assert excused.lag_at(1.0) < 0.3
    assert len(excused.lags) > 0


def test_what_is_excused_makes_no_thread_late() -> None:
    def held(*, excuse: bool) -> GeneratorHealth:
        probe = HealthProbe()
        probe.start()
        time.sleep(0.1)
        before = sys.getswitchinterval()
        with probe.excused() if excuse else nullcontext():
            sys.setswitchinterval(1.0)  # others get the interpreter when this has done
            try:
                compute(0.5)
            finally:
                sys.setswitchinterval(before)
        time.sleep(0.1)
        return probe.stop()

    assert held(excuse=False).lag_at(1.0) > 0.4
    assert held(excuse=True).lag_at(1.0) < 0.3


def test_what_happens_after_an_excuse_counts_again() -> None:
    async def main() -> GeneratorHealth:
        probe = HealthProbe()
        probe.start()
        watching = asyncio.create_task(probe.watch_loop(asyncio.sleep))
        await asyncio.sleep(0.05)
        with pytest.raises(ValueError, match="an error inside"), probe.excused():
            raise ValueError("an error inside")
        await asyncio.sleep(0.05)
        time.sleep(0.3)
        await asyncio.sleep(0.05)
        health = probe.stop()
        watching.cancel()
        await asyncio.wait([watching])
        return health

    assert asyncio.run(main()).lag_at(1.0) > 0.2


def test_garbage_collections_that_are_excused_are_not_counted() -> None:
    probe = HealthProbe()
    gc.disable()
    try:
        probe.start()
        with probe.excused():
            gc.collect()
        gc.collect()
        health = probe.stop()
    finally:
        gc.enable()
    assert health.gc_pauses == 1


def test_a_machine_that_slept_for_a_day_takes_no_more_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    day = 24 * 3600
    now = [100.0]

    async def sleep(seconds: float) -> None:
        now[0] += day
        raise RuntimeError("enough")

    monkeypatch.setattr("senytl.performance.load.health.clock", lambda: now[0])
    probe = HealthProbe()
    probe.start()
    with pytest.raises(RuntimeError, match="enough"):
        asyncio.run(probe.watch_loop(sleep, lambda: now[0]))
    lags = probe.stop().lags
    assert len(lags) == 10_001
    assert min(lags) == pytest.approx(0, abs=0.01)
    assert max(lags) == pytest.approx(day, rel=0.001)


def test_garbage_collections_are_counted_and_timed() -> None:
    others: list[str] = []

    def other(phase: str, info: dict[str, int]) -> None:
        others.append(phase)

    gc.callbacks.append(other)
    before = list(gc.callbacks)
    gc.disable()
    try:
        rings: list[list[object]] = [[] for _ in range(100_000)]
        for ring in rings:
            ring.append(ring)
        probe = HealthProbe()
        probe.start()
        gc.collect()
        gc.collect()
        health = probe.stop()
        assert gc.callbacks == before
        gc.collect()
    finally:
        gc.enable()
        gc.callbacks.remove(other)
    assert health.gc_pauses == 2
    assert 0 < health.longest_gc <= health.gc_seconds < 30
    assert others == ["start", "stop"] * 3


def test_a_probe_that_was_stopped_leaves_nothing_and_says_the_same_again() -> None:
    callbacks = list(gc.callbacks)
    probe = HealthProbe()
    probe.start()
    assert "senytl-health" in {thread.name for thread in threading.enumerate()}
    health = probe.stop()
    assert "senytl-health" not in {thread.name for thread in threading.enumerate()}
    assert gc.callbacks == callbacks
    assert probe.stop() is health
    with pytest.raises(RuntimeError, match="started before"):
        probe.start()


def test_a_probe_that_was_never_started_cannot_be_stopped() -> None:
    with pytest.raises(RuntimeError, match="never started"):
        HealthProbe().stop()


def test_health_without_a_lag_reads_zero() -> None:
    assert GeneratorHealth().lag_at(0.99) == 0.0
    assert GeneratorHealth().lag_at(None) == 0.0
    assert note_on(GeneratorHealth(), 1.0) is None


def test_lags_are_read_as_percentiles_and_as_a_mean() -> None:
    health = GeneratorHealth(lags=[0.004, 0.001, 0.003, 0.002, 0.010])
    assert health.lag_at(0.5) == 0.003
    assert health.lag_at(1.0) == 0.010
    assert health.lag_at(None) == pytest.approx(0.004)


@pytest.mark.parametrize(
    ("lag", "cpu", "saturated"),
    [
        (0.005, 1.0, True),
        (0.016, 0.85, True),  # other processes take their part of a core
        (0.012, 1.6, True),
        (0.001, 1.0, False),  # busy, and in time
        (0.012, 0.3, False),  # late, by what a timer may have for a grain
        (0.022, 0.3, True),  # held up by others
    ],
)
def test_a_generator_is_saturated_where_it_is_busy_and_late_or_very_late(
    lag: float, cpu: float, saturated: bool
) -> None:
    assert GeneratorHealth(lags=[lag] * 99 + [1.0], cpu_share=cpu).saturated is saturated


def test_one_long_pause_does_not_make_a_busy_generator_saturated() -> None:
    assert not GeneratorHealth(lags=[0.001] * 90 + [0.5] * 10, cpu_share=1.0).saturated


def test_lateness_is_described_with_what_kept_it_busy() -> None:
    busy = GeneratorHealth(lags=[0.0412] * 3, cpu_share=0.98)
    assert busy.describe(0.95) == (
        "the load generator was late by 41.2 ms at p95 (its process used 98 % of a core)"
    )
    assert "late by 41.2 ms on average (" in busy.describe(None)
    assert "late by 41.2 ms at the most (" in busy.describe(1.0)
    paused = GeneratorHealth(lags=[0.2], cpu_share=0.9, longest_gc=0.15)
    assert "garbage collection paused it for up to 150.0 ms" in paused.describe(0.5)
    blocked = GeneratorHealth(lags=[1.5], cpu_share=0.1, kind="loop")
    assert "late by 1.500 s at p50" in blocked.describe(0.5)
    assert "a call that blocks its loop" in blocked.describe(0.5)


@pytest.mark.parametrize(
    ("lag", "latency", "noted"),
    [
        (0.009, 0.01, False),  # too little to matter
        (0.015, 1.0, False),  # a small part of what requests take
        (0.015, 0.5, True),
        (0.015, math.nan, True),  # no request succeeded
    ],
)
def test_readers_are_told_of_a_lag_that_figures_show(
    lag: float, latency: float, noted: bool
) -> None:
    note = note_on(GeneratorHealth(lags=[lag] * 10, cpu_share=0.6), latency)
    assert (note is not None) is noted
    if note is not None:
        assert "late by 15.0 ms at p95" in note


def test_readers_are_told_that_a_saturated_generator_was_the_bottleneck() -> None:
    # However long requests take: a request waits for the interpreter many times.
    note = note_on(GeneratorHealth(lags=[0.05] * 10, cpu_share=1.0), 10.0)
    assert note is not None
    assert "it was the bottleneck" in note
