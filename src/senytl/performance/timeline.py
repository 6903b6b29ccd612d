"""A load over time, in a bounded number of intervals however long it takes."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from senytl.performance.distribution import Distribution, Steps, middles_of
from senytl.performance.series import percentiles

__all__ = ["INTERVAL", "MOST_INTERVALS", "Interval", "Timeline"]

INTERVAL = 0.25
"""Seconds of an interval, at first."""

MOST_INTERVALS = 240
"""How many intervals there are before neighbours are merged."""

_COARSER = 3
"""Bits by which an interval's buckets are coarser than a distribution's: within 0.8 %."""

_SHIFT = 11 + _COARSER

_SAMPLE = 500
"""How many latencies are counted at a time; of more, every second one or fewer.

Counting takes a microsecond each, in which no user runs: of ten thousand requests a second each
look would make some late by three milliseconds.
"""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Interval:
    """What happened in one part of a load.

    Args:
        start: Seconds from the beginning of the measured part.
        seconds: How long it is.
        requests: How many requests ended in it, failed ones included.
        failed: How many of those failed, timed-out ones included.
        timed_out: How many of those took longer than the load's timeout.
        dropped: How many starts were not made, because no user was free.
        users: The most users that were at work in it.
        p50: Seconds of the successful requests that ended in it, within 1 %; None without one.
        p95: Likewise.
        p99: Likewise.
        tokens: Tokens of the LLM calls that ended in it; None where they are not known.
        dollars: What these calls cost; None where that of one of them is not known.
        memory_mb: The most memory that was seen in it, in MB of 2**20 bytes; None without a
            sample.
    """

    start: float
    seconds: float
    requests: int
    failed: int
    timed_out: int
    dropped: int
    users: int
    p50: float | None
    p95: float | None
    p99: float | None
    tokens: int | None
    dollars: float | None
    memory_mb: float | None


class Timeline:
    """A load over time, of bounded size.

    Its life: while the load runs one thread calls `add`, about once in a quarter of a second;
    each call ends an interval, or adds to one that is not long enough yet. Before there would be
    more than `limit`, neighbours are merged in pairs, and intervals last twice as long from then
    on. After the run `add_calls` and `add_memory` tell what was seen besides, and `rows` gives
    the whole.

    An interval begins and ends at a call of `add`, not at a round figure, so that its requests
    by its seconds is the true rate even where a call came late.

    Args:
        interval: Seconds of an interval, at first.
        limit: How many there are at most.

    Attributes:
        live: Seconds of the successful requests so far, in buckets. Its percentiles cost next
            to nothing while the load runs, where sorting would hold up the users. Where very many
            came at a time, a part of them stands for all.
    """

    __slots__ = ("_end", "_interval", "_knows_calls", "_limit", "_open", "_spans", "live")

    def __init__(
        self,
        interval: float = INTERVAL,
        limit: int = MOST_INTERVALS,
    ) -> None:
        self.live = Distribution(most_exact=0)
        self._interval = interval
        self._limit = limit
        self._spans: list[_Span] = []
        self._open: _Span | None = None
        self._end = 0.0
        self._knows_calls = False

    def add(
        self,
        elapsed: float,
        columns: Sequence[array[float]],
        *,
        failed: int,
        timed_out: int,
        users: int,
        dropped: int = 0,
    ) -> None:
        """Tell what happened since the last call.

        Args:
            elapsed: Seconds since the measured part of the load began.
            columns: Seconds of the requests that succeeded, in any number of columns.
            failed: How many failed, timed-out ones included.
            timed_out: How many of those took longer than the load's timeout.
            users: How many users are at work now.
            dropped: How many starts were not made.
        """
        elapsed = max(elapsed, self._end)
        since, self._end = elapsed - self._end, elapsed
        span = self._open or self._begin(elapsed - since)
        span.end = elapsed
        span.failed += failed
        span.timed_out += timed_out
        span.dropped += dropped
        span.users = max(span.users, users)
        self._take(columns, span)
        # At the call that is nearest to the interval's end, lest each lasts a call too long.
        if span.seconds >= self._interval - since / 2:
            self._spans.append(span.packed())
            self._open = None

    def add_calls(
        self, ends: Iterable[float], tokens: Iterable[int], dollars: Iterable[float]
    ) -> None:
        """Tell of the run's LLM calls, after it.

        Calls from before the beginning, and those of which it is not known when they ended, are
        in no interval; those that ended after the last one count to it.

        Args:
            ends: When each ended, in seconds since the measured part of the load began; NaN
                where that is not known.
            tokens: The tokens of each.
            dollars: What each cost; NaN where that is not known.
        """
        self._knows_calls = True
        for span, (used, cost) in self._placed(ends, zip(tokens, dollars, strict=True)):
            span.tokens += used
            span.dollars += cost

    def add_memory(self, moments: Iterable[float], megabytes: Iterable[float]) -> None:
        """Tell of the memory samples, after the run.

        Args:
            moments: When each was taken, in seconds since the measured part of the load began;
                those from before are in no interval.
            megabytes: What each found.
        """
        for span, found in self._placed(moments, megabytes):
            span.memory_mb = max(span.memory_mb, found)

    def rows(self) -> list[Interval]:
        """The intervals in order; none where nothing was added."""
        spans = self._all()
        if len(spans) > 1 and spans[-1].seconds < self._interval / 2:
            # What is left at the end may be too short to have a rate of its own.
            spans[-2:] = [spans[-2].merged(spans[-1])]
        return [self._row(span) for span in spans]

    def _begin(self, start: float) -> _Span:
        if len(self._spans) >= self._limit:
            self._merge_neighbours()
        if self._open is None:
            self._open = _Span(start)
        return self._open

    def _take(self, columns: Sequence[array[float]], span: _Span) -> None:
        count = sum(map(len, columns))
        if not count:
            return
        # Counting all of a million a second would take a fifth of the time that makes them.
        step = 1 + count // _SAMPLE
        sample = array("d")
        skipped = 0  # so that every one has the same chance, in whatever column it is
        for column in columns:
            sample += column[skipped::step]
            skipped = (skipped - len(column)) % step
        new = Distribution(sample, most_exact=0)
        span.take(new, count, times=step)
        self.live.extend(new, times=step)

    def _row(self, span: _Span) -> Interval:
        p50, p95, p99 = span.quantiles(0.50, 0.95, 0.99)
        return Interval(
            start=span.start,
            seconds=span.seconds,
            requests=span.succeeded + span.failed,
            failed=span.failed,
            timed_out=span.timed_out,
            dropped=span.dropped,
            users=span.users,
            p50=p50,
            p95=p95,
            p99=p99,
            tokens=span.tokens if self._knows_calls else None,
            dollars=None if not self._knows_calls or math.isnan(span.dollars) else span.dollars,
            memory_mb=None if math.isinf(span.memory_mb) else span.memory_mb,
        )

    def _all(self) -> list[_Span]:
        return self._spans if self._open is None else [*self._spans, self._open]

    def _placed(self, moments: Iterable[float], figures: Iterable[T]) -> Iterator[tuple[_Span, T]]:
        spans = self._all()
        starts = [span.start for span in spans]
        for moment, figure in zip(moments, figures, strict=True):
            if spans and moment >= 0:
                yield spans[bisect_right(starts, moment) - 1], figure

    def _merge_neighbours(self) -> None:
        """Half as many intervals, each twice as long; an odd one out is open again."""
        spans = self._spans
        if len(spans) % 2:
            self._open = spans.pop()
        self._spans = [
            earlier.merged(later) for earlier, later in zip(spans[::2], spans[1::2], strict=True)
        ]
        self._interval *= 2


class _Span:
    """An interval while it is counted.

    Its latencies are in buckets: in a counter while it grows, in two columns when it is done,
    which take a tenth of the memory.
    """

    __slots__ = ("_counter", "_packed", "dollars", "dropped", "end", "failed", "largest",
                 "memory_mb", "smallest", "start", "succeeded", "timed_out", "tokens",
                 "users")  # fmt: skip

    def __init__(self, start: float) -> None:
        self.start = self.end = start
        self.succeeded = self.failed = self.timed_out = self.dropped = self.users = 0
        self.tokens, self.dollars = 0, 0.0
        self.memory_mb = -math.inf
        self.smallest, self.largest = math.inf, -math.inf
        self._counter: Counter[int] = Counter()
        self._packed = array("q"), array("q")

    @property
    def seconds(self) -> float:
        return self.end - self.start

    def take(self, latencies: Distribution, succeeded: int, *, times: int = 1) -> None:
        """Count latencies that are in buckets, each of which stands for so many."""
        counter = self._counter
        for bucket, count in latencies.buckets.items():
            counter[bucket >> _SHIFT] += count * times
        self.succeeded += succeeded
        self.smallest = min(self.smallest, latencies.smallest)
        self.largest = max(self.largest, latencies.largest)

    def packed(self) -> _Span:
        """This span, small; it may still grow."""
        self._packed = self._columns()
        self._counter = Counter()
        return self

    def merged(self, later: _Span) -> _Span:
        """This span and the one after it as one."""
        both = _Span(self.start)
        both.end = later.end
        for name in ("succeeded", "failed", "timed_out", "dropped", "tokens", "dollars"):
            setattr(both, name, getattr(self, name) + getattr(later, name))
        both.users = max(self.users, later.users)
        both.memory_mb = max(self.memory_mb, later.memory_mb)
        both.smallest = min(self.smallest, later.smallest)
        both.largest = max(self.largest, later.largest)
        both._counter = self._counts() + later._counts()
        return both.packed()

    def quantiles(self, *quantiles: float) -> list[float] | list[None]:
        """Seconds of the latencies; None for each where there are none."""
        if not self.succeeded:
            return [None for _ in quantiles]
        buckets, times = self._columns()
        steps = Steps(
            middles_of([bucket << _SHIFT for bucket in buckets], 1 << _SHIFT),
            times,
            smallest=self.smallest,
            largest=self.largest,
        )
        return percentiles(steps, *quantiles)

    def _columns(self) -> tuple[array[int], array[int]]:
        """The buckets in order, and how many latencies are in each."""
        if not self._counter:
            return self._packed
        counts = self._counts()
        buckets = array("q", sorted(counts))
        return buckets, array("q", map(counts.__getitem__, buckets))

    def _counts(self) -> Counter[int]:
        counts = Counter(dict(zip(*self._packed, strict=True)))
        counts.update(self._counter)
        return counts
