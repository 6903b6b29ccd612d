"""The watch of a load: a thread that looks at it some times a second, while its users work.

It takes the latencies that have come, so that the load is known over time and in bounded memory;
says how it goes; and ends it where a limit is broken beyond repair, or the money is spent. The
users know nothing of it: taking slices of their columns costs them no more than the interpreter.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from senytl.models import PerformanceError
from senytl.performance.leaks.quiet import fill_thread_cache
from senytl.performance.load.abort import AbortRule, LoadState
from senytl.performance.load.health import HealthProbe
from senytl.performance.load.progress import LoadProgress, Phase
from senytl.performance.recording import clock
from senytl.performance.series import percentiles
from senytl.performance.spending import LiveCost, current_budget
from senytl.performance.timeline import Timeline

if TYPE_CHECKING:
    from senytl.performance.load.health import GeneratorHealth
    from senytl.performance.load.running import Load

__all__ = ["Watch"]

_LOOK = 0.25
"""Seconds between two looks."""

_SLOW_LOOK = 1.0
_MANY_USERS = 1_000
"""From so many users on it looks more seldom, since a look takes some microseconds of each."""

_RECENT = 5.0
"""Seconds over which the rate of requests is counted for those who look on."""


class Watch:
    """Looks at a load from `start` to `stop`, and for the last time in `conclude`.

    Args:
        load: The load.

    Attributes:
        probe: How well the load generator keeps time.
        ended_early: Why it ended the load, if it did.
        timeline: The load over time.
    """

    def __init__(self, load: Load) -> None:
        self.probe = HealthProbe(load.plan.users)
        self.ended_early: str | None = None
        self._load = load
        self._rule = AbortRule(dict(load.plan.abort_on), load.plan.abort_after)
        self._planned = load.plan.planned_requests
        self._cost = None if load.run.settings.on_progress is None else LiveCost()
        self.timeline = Timeline()
        self._succeeded = self._failed = self._timed_out = self._dropped = 0
        self._counting = False
        self._recent: deque[tuple[float, int]] = deque()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="senytl-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self.probe.start()
        try:
            if self._cost is not None:
                self._cost.start()
            self._thread.start()
        except BaseException:  # the machine may give no more threads
            if self._cost is not None:
                self._cost.stop()
            self.probe.stop()
            raise

    def begin_to_count(self) -> None:
        """Leave out what came before; called when the first request that counts may start."""
        if self._counting:
            return
        self._counting = True
        self.probe.begin()
        if self._cost is not None and self._load.plan.warmup:
            self._cost.begin()

    def own_records(self) -> Iterator[object]:
        """What is kept of the load by now."""
        yield self.timeline
        yield self.probe
        yield self._recent
        yield from self._load.forgotten.columns.values()

    def stop(self) -> GeneratorHealth:
        """Look no more; gives how well the load generator kept time."""
        self._stopped.set()
        self._thread.join()
        if self._cost is not None:
            self._cost.stop()
        settings = self._load.run.settings
        if settings.on_progress_end is not None:
            settings.on_progress_end()
        return self.probe.stop()

    def conclude(self) -> None:
        """Take what came last, once every user is closed."""
        self._take(clock())

    def _run(self) -> None:
        fill_thread_cache()
        while not self._stopped.wait(_SLOW_LOOK if len(self._load.users) > _MANY_USERS else _LOOK):
            try:
                self._look(clock())
            except BaseException as error:  # a mistake of ours must end the load, not go unseen
                self._load.stop(error)
                return

    def _look(self, now: float) -> None:
        load = self._load
        if math.isnan(load.started):
            return
        if now >= load.counts_from:  # NaN while nothing counts
            self.begin_to_count()
            self._take(now)
            self._end_if_broken(now)
        self._tell(now)

    @property
    def _requests(self) -> int:
        return self._succeeded + self._failed

    def _take(self, now: float) -> None:
        load = self._load
        new = load.forgotten.fresh()
        timed_out = 0
        for user in load.users:
            recorder = user.measured
            timed_out += recorder.timed_out
            if recorder.has_news:
                new.append(recorder.take())
        latencies = [columns.latencies for columns in new]
        failed = sum(len(columns.failed_latencies) for columns in new)
        dropped = load.dropped
        self._succeeded += sum(map(len, latencies))
        self._failed += failed
        self.timeline.add(
            max(0.0, now - load.counts_from),
            latencies,
            failed=failed,
            timed_out=timed_out - self._timed_out,
            users=sum(user.active for user in load.users),
            dropped=dropped - self._dropped,
        )
        self._timed_out, self._dropped = timed_out, dropped

    def _end_if_broken(self, now: float) -> None:
        budget = current_budget()
        spent = None if budget is None else budget.spent_reason()
        if spent is not None:
            self.ended_early = spent
            self._load.stop(PerformanceError(spent))
            return
        elapsed = now - self._load.counts_from
        state = LoadState(
            elapsed=elapsed,
            latencies=self.timeline.live,
            succeeded=self._succeeded,
            failed=self._failed,
            remaining=self._expected(elapsed),
        )
        reason = self._rule.broken_beyond_repair(state)
        if reason is not None and not self._load.stopped:
            self.ended_early = reason
            self._load.stop()

    def _expected(self, elapsed: float) -> float:
        """How many more requests there will be: those that are planned, or at the rate so far."""
        if self._planned is not None:
            return max(0, self._planned - self._requests)
        plan = self._load.plan
        left = max(0.0, plan.deadline - plan.warmup_seconds - elapsed)
        return self._requests / elapsed * left if elapsed else math.inf

    def _tell(self, now: float) -> None:
        load = self._load
        on_progress = load.run.settings.on_progress
        if on_progress is None:
            return
        requests = self._requests
        latencies = self.timeline.live
        phase, elapsed, remaining = self._phase(now)
        on_progress(
            LoadProgress(
                name=load.run.name,
                phase=phase,
                elapsed=elapsed,
                remaining=remaining if math.isfinite(remaining) else None,
                users=sum(user.active for user in load.users),
                requests=requests,
                failed=self._failed,
                rps=self._recent_rate(now, requests),
                p95=percentiles(latencies, 0.95)[0] if len(latencies) else None,
                dollars=None if self._cost is None else self._cost.dollars,
                planned_requests=self._planned,
            )
        )

    def _recent_rate(self, now: float, requests: int) -> float:
        if not self._counting:
            return 0.0
        if not self._recent:
            self._recent.append((self._load.counts_from, 0))
        self._recent.append((now, requests))
        while now - self._recent[0][0] > _RECENT:
            self._recent.popleft()
        since, before = self._recent[0]
        return (requests - before) / (now - since) if now > since else 0.0

    def _phase(self, now: float) -> tuple[Phase, float, float]:
        """What the load does, for how long it has done so, and how long it still may."""
        load = self._load
        if not now >= load.counts_from:
            return "warm-up", now - load.started, load.counts_from - now
        end = load.started + load.plan.deadline
        if now >= end:
            return "ending", now - end, max(0.0, load.cut_off - now)
        return "load", now - load.counts_from, end - now
