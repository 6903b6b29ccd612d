"""What a load test adds to the figures of its run."""

from __future__ import annotations

import math
import time
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from senytl.performance.call_columns import TOKEN_COLUMNS
from senytl.performance.recording import clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from senytl.performance.call_columns import CallColumns
    from senytl.performance.distribution import Distribution
    from senytl.performance.load.health import GeneratorHealth
    from senytl.performance.metrics import PerformanceMetrics
    from senytl.performance.timeline import Timeline

__all__ = ["LoadFigures"]

TOTAL_TOKENS = TOKEN_COLUMNS.index("total_tokens")


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """What only a load test has.

    Args:
        timeline: The load over time.
        forgotten: The distributions of what is not known of single requests, by the name of the
            list of figures.
        counts_from: When requests began to count, by `clock`; NaN where none did.
        plan: What it was to do, in a line.
        users: How many users there were.
        dropped_starts: Starts that were due, and that nobody was free to make.
        abandoned: Users that hung when it was over, and where.
        generator: How well it kept time.
        ended_early: Why it ended before its time, where a limit or a budget ended it.
        allow_inconclusive: Whether a doubtful verdict is no failure.
    """

    timeline: Timeline
    forgotten: Mapping[str, Distribution]
    counts_from: float
    plan: str
    users: int
    dropped_starts: int
    abandoned: Sequence[str]
    generator: GeneratorHealth
    ended_early: str | None
    allow_inconclusive: bool

    def add_to(
        self, metrics: PerformanceMetrics, calls: CallColumns, call_costs: Sequence[float]
    ) -> None:
        """Put them on the figures of the run.

        Args:
            metrics: The figures; they hold the samples of memory already.
            calls: All LLM calls.
            call_costs: Dollars of each; NaN where its model has no price.
        """
        for name, distribution in self.forgotten.items():
            if len(distribution):
                distribution.extend(array("d", getattr(metrics, name)))
                setattr(metrics, name, distribution)
        metrics.concurrent_users = self.users
        metrics.dropped_starts = self.dropped_starts
        metrics.abandoned_users = list(self.abandoned)
        metrics.generator = self.generator
        metrics.timeline = self.timeline
        metrics.plan = self.plan
        metrics.ended_early = self.ended_early
        metrics.allow_inconclusive = self.allow_inconclusive
        if math.isnan(self.counts_from):
            return
        ends = (
            start + duration - self.counts_from
            for start, duration in zip(calls.start, calls.duration, strict=True)
        )
        if len(calls):
            self.timeline.add_calls(ends, calls.tokens[TOTAL_TOKENS], call_costs)
        # Memory is noted by the time of day, which runs on like the clock of the load.
        midnight = time.time() - clock() + self.counts_from
        self.timeline.add_memory(
            (snapshot.timestamp - midnight for snapshot in metrics.memory_snapshots),
            (snapshot.rss_mb for snapshot in metrics.memory_snapshots),
        )
