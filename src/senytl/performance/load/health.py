"""How well a load generator kept time: how late it was, and what kept it busy."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from senytl.performance.distribution import Distribution
from senytl.performance.metric.units import write_figure
from senytl.performance.recording import clock
from senytl.performance.series import mean, percentiles

__all__ = ["GeneratorHealth", "HealthProbe", "note_on"]

_TICK = 0.01
"""Seconds between two looks at how late the generator is."""

_JOIN_WAIT = 1.0
"""Seconds to wait for the thread at the end; where bodies keep the interpreter, it goes without."""

_MOST_MISSED = 10_000
"""How many missed ticks one wake-up stands for at most: 100 seconds, in which a machine slept."""

_BUSY = 0.8
"""The share of a core from which on a load's process has nothing to spare.

Measured with bodies of 1 ms of computing in 21 ms: at 75 % of a core the lags are those of an
idle process, at 85 % (on a machine that others used too) to 105 % they are tens of milliseconds.
"""

_LATE = 0.003
"""Seconds of median lag from which on a busy process holds its load up.

Measured: at most 1.2 ms where the users' own times were right, at least 5 ms, which is how long
CPython lets a thread compute while others wait, where they were not. The median, since a single
pause moves the mean.
"""

_VERY_LATE = 0.02
"""Seconds of median lag from which on it does, busy or not: more than the grain of any timer.

Measured on a machine that others kept busy: a process that got 34 % of a core was late by 22 ms
at the median, and its users by 40 ms.
"""

_IDLE = 0.5
"""The share of a core below which a late generator was kept waiting, not busy."""

_WORTH_A_NOTE = 0.01, 0.02
"""A lag that readers are told of: seconds, and its share of the requests' own latency."""


@dataclass(frozen=True, slots=True)
class GeneratorHealth:
    """How well the process that made a load kept time, while it was measured.

    Args:
        lags: Seconds by which something that was due was late, every 10 ms: a timer of the
            event loop, or a thread that slept.
        cpu_share: CPU seconds of this process by the seconds on the clock; 1.0 is one core.
        gc_pauses: How often the garbage collector ran.
        gc_seconds: How long it ran in all.
        longest_gc: How long it ran at a time, at the most.
        kind: What was late: timers of a ``"loop"``, or ``"threads"``.
    """

    lags: Sequence[float] = ()
    cpu_share: float = 0.0
    gc_pauses: int = 0
    gc_seconds: float = 0.0
    longest_gc: float = 0.0
    kind: Literal["loop", "threads"] = "threads"

    def lag_at(self, quantile: float | None) -> float:
        """A percentile of the lags in seconds, 1.0 for the largest; 0.0 where there are none.

        Args:
            quantile: From 0 to 1; None for the mean.
        """
        if not len(self.lags):
            return 0.0
        return mean(self.lags) if quantile is None else percentiles(self.lags, quantile)[0]

    @property
    def saturated(self) -> bool:
        """Whether the generator, not what it loads, decides how many requests there are.

        Either its process uses about as much of a core as Python code can get, 80 % or more, and
        what is due waits, by a median lag of at least 3 ms. Or it waits by 20 ms, whatever for:
        for other processes, or for a loop that is blocked most of the time.
        """
        lag = self.lag_at(0.5)
        return lag >= _VERY_LATE or (lag >= _LATE and self.cpu_share >= _BUSY)

    def describe(self, quantile: float | None) -> str:
        """``the load generator was late by 41.2 ms at p95 (its process used 98 % of a core)``.

        Args:
            quantile: As for `lag_at`.
        """
        lag = self.lag_at(quantile)
        if quantile is None:
            where = "on average"
        else:
            where = "at the most" if quantile == 1 else f"at p{quantile * 100:g}"
        why = [f"its process used {self.cpu_share * 100:.0f} % of a core"]
        if lag and self.longest_gc >= lag / 2:
            why.append(f"garbage collection paused it for up to {_milliseconds(self.longest_gc)}")
        elif lag >= _LATE and self.cpu_share < _IDLE:
            held = "a call that blocks its loop" if self.kind == "loop" else "code that never waits"
            why.append(f"{held}, or other processes on this machine, held it up")
        return f"the load generator was late by {_milliseconds(lag)} {where} ({'; '.join(why)})"


def note_on(health: GeneratorHealth, p95_latency: float) -> str | None:
    """What readers of a load's figures must know of its generator; None where it kept time.

    Args:
        health: How well it kept time.
        p95_latency: The load's own, in seconds; NaN where no request succeeded.
    """
    least, share = _WORTH_A_NOTE
    lag = health.lag_at(0.95)
    if lag <= least or (lag <= share * p95_latency and not health.saturated):
        return None
    if health.saturated:
        means = "it was the bottleneck: requests took longer, and were fewer, than without that"
    else:
        means = "latencies hold some of that"
    return f"{health.describe(0.95)}; {means}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else write_figure(seconds, "s")


class HealthProbe:
    """Looks at how late a load generator is, from `start` to `stop`; never raises into the load.

    A thread sleeps for 10 ms at a time and notes how much later it wakes: so long does a user's
    thread wait for the interpreter, each time that it comes back to it. (Measured with users that
    sleep beside others that compute: their p95 and the lag's are within a third of each other.)
    For users that are tasks, `watch_loop` does the same on their loop, instead of the thread.

    What comes late on a loop says more than that one thing was late. Whoever was due meanwhile
    waited too: a loop that is blocked for 1 s makes late all users who were due in that second, by
    1 s at its beginning and by nothing at its end. So a late wake-up of a loop counts as all the
    ticks that would have come meanwhile, one every 10 ms: 1 s late, 0.99 s late, and so on. Else
    that second would be one late wake-up among hundreds, and no percentile would show it. A
    thread that waits long says less: others may have had the interpreter before it.

    Args:
        users: How many users the load has at the most. A single one waits for nobody but itself,
            so that no lags are taken of a load with one.
    """

    def __init__(self, users: int | None = None) -> None:
        self._alone = users == 1
        self._lags = Distribution()
        self._kind: Literal["loop", "threads"] = "threads"
        self._loop_due: float | None = None
        self._began = self._cpu_began = 0.0
        self._gc_started: float | None = None
        self._gc_pauses = 0
        self._gc_seconds = self._longest_gc = 0.0
        self._stopped = False
        self._excused = 0.0
        self._excusing = False
        self._thread: threading.Thread | None = None
        self._health: GeneratorHealth | None = None

    def start(self) -> None:
        """Begin to look; until `begin` says otherwise, the measured part begins here.

        Raises:
            RuntimeError: If it was started before.
        """
        if self._thread is not None:
            raise RuntimeError("this HealthProbe was started before; make a new one")
        self.begin()
        thread = threading.Thread(target=self._watch, name="senytl-health", daemon=True)
        thread.start()
        self._thread = thread
        gc.callbacks.append(self._on_gc)

    def begin(self) -> None:
        """Forget what was so far: the measured part begins."""
        self._lags = Distribution()
        self._gc_pauses = 0
        self._gc_seconds = self._longest_gc = 0.0
        self._cpu_began = time.process_time()
        self._began = clock()

    @contextmanager
    def excused(self) -> Iterator[None]:
        """Leave out what happens inside: no request is in flight, and nothing is due."""
        self._excusing = True
        try:
            yield
        finally:
            self._excused = clock()
            self._excusing = False

    async def watch_loop(
        self, sleep: Callable[[float], Awaitable[Any]], clock: Callable[[], float] = clock
    ) -> None:
        """Look at how late timers of the running loop are, until this is cancelled.

        Args:
            sleep: ``asyncio.sleep``, ``trio.sleep``, or the like.
            clock: What `begin` and `stop` measure by.
        """
        self._kind = "loop"
        self._lags = Distribution()  # what the thread noted before
        try:
            while self._health is None:
                self._loop_due = clock() + _TICK
                await sleep(_TICK)
                self._note_loop(clock())
        finally:
            self._note_loop(clock())

    def stop(self) -> GeneratorHealth:
        """Look no more, and tell how it was; again, just tell it.

        What was due and has not come by now counts with its lateness so far, as of a loop that
        was blocked to the end.

        Raises:
            RuntimeError: If it was never started.
        """
        if self._thread is None:
            raise RuntimeError("this HealthProbe was never started")
        if self._health is None:
            now, cpu = clock(), time.process_time()
            self._note_loop(now)
            self._stopped = True
            self._thread.join(timeout=_JOIN_WAIT)  # what came late up to now counts
            if self._on_gc in gc.callbacks:
                gc.callbacks.remove(self._on_gc)
            elapsed = now - self._began
            lags, self._lags = self._lags, Distribution()  # a thread that is stuck changes no more
            self._health = GeneratorHealth(
                lags=lags,
                cpu_share=(cpu - self._cpu_began) / elapsed if elapsed > 0 else 0.0,
                gc_pauses=self._gc_pauses,
                gc_seconds=self._gc_seconds,
                longest_gc=self._longest_gc,
                kind=self._kind,
            )
        return self._health

    def _watch(self) -> None:
        while not self._stopped:
            due = clock() + _TICK
            time.sleep(_TICK)  # what users wait by, and the most exact wait on every system
            now = clock()
            if self._kind == "threads":
                self._note([max(0.0, now - max(due, self._began, self._excused))])

    def _note_loop(self, now: float) -> None:
        due, self._loop_due = self._loop_due, None
        due = None if due is None else max(due, self._began, self._excused)
        if due is not None and due <= now:
            self._note(_missed_ticks(due, now))

    def _note(self, lags: list[float]) -> None:
        if not self._alone and not self._excusing:
            self._lags.extend(lags)

    def _on_gc(self, phase: str, info: dict[str, int]) -> None:
        # By the thread's own clock: between these two calls others may get the interpreter.
        if self._excusing:
            return
        now = time.thread_time()
        if phase == "start":
            self._gc_started = now
        elif self._gc_started is not None:
            pause = now - self._gc_started
            self._gc_started = None
            self._gc_pauses += 1
            self._gc_seconds += pause
            self._longest_gc = max(self._longest_gc, pause)


def _missed_ticks(due: float, now: float) -> list[float]:
    """How late by now the ticks are that were due since, the earliest first."""
    late = now - due
    missed = min(int(late / _TICK), _MOST_MISSED)
    step = max(_TICK, late / _MOST_MISSED)
    return [late - step * tick for tick in range(missed + 1)]
