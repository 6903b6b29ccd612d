"""Tells a leak from warm-up: growth that goes on with the requests. Pure arithmetic.

What grows while an agent warms up (caches, pools, imports) slows down; what leaks does not. So the
first half of a run is left out, and the rest must climb steadily, by more than a request may leave
behind. A cache that has not filled by then climbs as well: whether it goes on is told by
as many requests again (`confirm`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from senytl.performance.leaks.limits import DEFAULT_MIN_LEAK, FEWEST_REQUESTS, LEAK_THRESHOLD
from senytl.performance.leaks.trend import STRETCHES, Trend, trend_of
from senytl.performance.metric.units import write_bytes

if TYPE_CHECKING:
    from senytl.performance.leaks.readings import Reading

__all__ = ["Finding", "LeakLimits", "Outcome", "confirm", "examine"]

Outcome = Literal["stable", "leak", "unclear"]

_FEWEST_READINGS = 10
_FEWEST_TO_CLEAR = FEWEST_REQUESTS / 4
_FEWEST_TO_PROVE = FEWEST_REQUESTS / 2
"""Requests that further rounds need to show that memory is stable, or that it leaks."""

_BLOCKS = 0.3 / DEFAULT_MIN_LEAK
"""Objects for each byte of `min_leak`: 0.3 a request by default."""

_LEAST_OF_PAGES = 512.0
_LEAST_PAGES = 2**20
"""What pages must show: bytes a request, and bytes in all; they grow with fragmentation too."""

_SURE = 3.0
"""Standard errors above none from which a climb is not taken for chance."""

_DOUBTFUL = 1.5
"""Below so many, what rises and falls is at rest."""

_SLOWER = 2.3
_SLOWER_THAN_BEFORE = 2.0
"""Standard errors by which the late rate is below the early one, or below the one of the run
before, where it slows for sure."""

_HARDLY_SLOWER = 0.9
"""The share of it from which that is none the less too little to mean anything."""

_KEPT = 0.5
_KEPT_FURTHER = 0.6
"""The share of its early rate, and of its rate in the run before, that a leak keeps in any case."""

_FELL = 0.75
"""Below this share of the rate before, something else has filled since."""

_GROWING_STRETCHES = 3
_GROWING_SHARE = 0.1
"""Growth by a jump or two is a burst: so many stretches have so much of it."""


@dataclass(frozen=True, slots=True)
class LeakLimits:
    """What growth is a leak.

    Args:
        threshold: The share by which settled memory may grow after the warm-up.
        min_leak: Bytes that each request may leave behind; 0.3 objects stand for 64 bytes.
    """

    threshold: float = LEAK_THRESHOLD
    min_leak: float = DEFAULT_MIN_LEAK


@dataclass(frozen=True, slots=True)
class Finding:
    """What readings of memory say.

    Args:
        outcome: ``"stable"``, ``"leak"``, or ``"unclear"`` where they do not tell.
        signal: What tells: ``"heap"``, ``"blocks"``, ``"uss"``, or ``"growth"`` where memory grew
            past the threshold without a steady rate; empty where nothing did.
        growth: The growth of settled memory after the warm-up, as a share (of USS, else RSS); NaN
            where it is not known.
        bytes_per_request: What each request left behind, by the heap, or by USS where the heap
            says nothing; NaN where it is not known.
        blocks_per_request: The same in objects of up to 512 bytes.
        requests: How many requests the judged part had.
        why: What was seen, as a clause.
        requests_to_threshold: How many requests more until memory has grown by the threshold, at
            this rate; NaN where none is known, infinite where it does not grow.
        heap_rate: Growth of the heap with each request, whatever the signal; NaN if unknown.
        pages_rate: The same of USS, or of RSS where that is not known.
    """

    outcome: Outcome
    signal: str = ""
    growth: float = math.nan
    bytes_per_request: float = math.nan
    blocks_per_request: float = math.nan
    requests: float = 0.0
    why: str = ""
    requests_to_threshold: float = math.nan
    heap_rate: float = math.nan
    pages_rate: float = math.nan


def examine(readings: Sequence[Reading], limits: LeakLimits) -> Finding:
    """Judge the readings of a run by its second half.

    Args:
        readings: In the order in which they were taken, evenly over the run.
        limits: What is a leak.

    Returns:
        The finding; unclear for fewer than 1,000 requests or 10 readings.
    """
    missing = _what_is_missing(readings, FEWEST_REQUESTS)
    if missing:
        return Finding("unclear", why=missing)
    half = (readings[0].requests + readings[-1].requests) / 2
    return _Judge([one for one in readings if one.requests >= half], limits).finding()


def confirm(first: Finding, further: Sequence[Reading], limits: LeakLimits) -> Finding:
    """Judge anew by further rounds, which were run since the first readings left doubt.

    Args:
        first: What the run's own readings said.
        further: Readings of the further rounds, with the requests counted from their beginning.
        limits: What is a leak.

    Returns:
        What both say. A rate that is well below that of the run is no proof of a leak.
    """
    missing = _what_is_missing(further, _FEWEST_TO_CLEAR)
    if missing and first.outcome == "stable":
        return first
    if not missing:
        second = _Judge(further, limits, first).finding()
        if second.outcome != "leak":
            return second
        if first.outcome == "stable":
            return _unclear(second, f"memory was stable in the run, but afterwards {second.why}")
        missing = _what_is_missing(further, _FEWEST_TO_PROVE)
        if not missing:
            return second
    return _unclear(first, f"{first.why}; in the rounds run to make sure, {missing}")


def _what_is_missing(readings: Sequence[Reading], fewest: float) -> str:
    if not readings:
        return "memory was not read"
    requests = readings[-1].requests
    if requests < fewest:
        return f"only {requests:,.0f} requests ended; {fewest:,.0f} are needed to tell a leak"
    if len(readings) < _FEWEST_READINGS:
        return (
            f"memory was read only {len(readings)} times; {_FEWEST_READINGS} are needed to tell "
            "a leak"
        )
    return ""


def _unclear(finding: Finding, why: str) -> Finding:
    return replace(finding, outcome="unclear", why=why)


class _Judge:
    """Judges the readings of settled rounds.

    Args:
        readings: What is judged.
        limits: What is a leak.
        first: What was said before, if these are of further rounds.
    """

    def __init__(
        self, readings: Sequence[Reading], limits: LeakLimits, first: Finding | None = None
    ) -> None:
        self._all = readings
        # What further rounds start (threads, mostly) is there after the first one of them.
        self._settled = readings if first is None else readings[1:]
        self._limits = limits
        self._first = first
        self._requests = self._settled[-1].requests - self._settled[0].requests
        self._heap = trend_of(self._points(lambda one: one.heap))
        self._blocks = trend_of(self._points(lambda one: one.blocks))
        uss = trend_of(self._points(lambda one: one.uss))
        spans_all = uss is not None and uss.requests >= 0.8 * self._requests
        # USS is not read each time where that takes too long, or may not be read at all.
        self._pages = uss if spans_all else trend_of(self._points(lambda one: one.rss))
        self._pages_field = "uss" if spans_all else "rss"

    def finding(self) -> Finding:
        """What they say."""
        if self._pages is None and self._heap is None and self._blocks is None:
            return Finding("unclear", why="memory could not be read often enough")
        exact = [
            self._judge_rate("heap", self._heap, self._limits.min_leak),
            self._judge_rate("blocks", self._blocks, self._limits.min_leak * _BLOCKS),
        ]
        pages = self._judge_pages()
        if any(verdict.outcome == "unclear" for verdict in exact):
            pages = _Verdict("stable", "uss")  # they grow by what is in doubt already
        verdicts = [*exact, pages, self._judge_growth()]
        for outcome in ("leak", "unclear"):
            for verdict in verdicts:
                if verdict.outcome == outcome:
                    return self._found(verdict)
        return self._found(_Verdict("stable", "", self._describe_rest()))

    def _points(self, figure: Callable[[Reading], float]) -> list[tuple[float, float]]:
        return [(one.requests, figure(one)) for one in self._settled]

    def _judge_rate(self, signal: str, trend: Trend | None, limit: float) -> _Verdict:
        """Judge a figure that is exact, but for what the interpreter keeps in stock."""
        if trend is None:
            return _Verdict("stable", signal)
        if self._first is None:
            return self._judge_first(signal, trend, limit)
        return self._judge_further(signal, trend, limit)

    def _judge_first(self, signal: str, trend: Trend, limit: float) -> _Verdict:
        low = min(trend.peaks, trend.troughs)
        levelled_off = trend.slowing > 2 * _SLOWER and trend.late <= limit / 4
        if (
            low <= 0
            or trend.rate + trend.error <= limit
            or (_is_a_jump(trend) and trend.sureness < _DOUBTFUL)
            or levelled_off
        ):
            return _Verdict("stable", signal)
        if (
            trend.rate > limit
            and trend.sureness >= _SURE
            and trend.late >= max(limit / 2, _KEPT * trend.early)
        ):
            return _Verdict("leak", signal, _steadily(signal, trend))
        return _Verdict("unclear", signal, _unsteadily(signal, trend))

    def _judge_further(self, signal: str, trend: Trend, limit: float) -> _Verdict:
        half = limit / 2
        low = min(trend.peaks, trend.troughs)
        if (
            trend.rate <= limit
            or low <= half
            or trend.late <= half
            or trend.sureness < (_SURE if _is_a_jump(trend) else _DOUBTFUL)
        ):
            return _Verdict("stable", signal)
        if trend.sureness < _SURE or not self._goes_on(signal, trend):
            return _Verdict("unclear", signal, _unsteadily(signal, trend))
        return _Verdict("leak", signal, _steadily(signal, trend))

    def _goes_on(self, signal: str, trend: Trend) -> bool:
        """Whether memory climbs no more slowly than before, and never fell back."""
        assert self._first is not None
        field, before = {
            "heap": ("heap", self._first.heap_rate),
            "blocks": ("blocks", self._first.blocks_per_request),
            "uss": (self._pages_field, self._first.pages_rate),
        }[signal]
        climb = trend.rate * trend.requests
        if trend.end - getattr(self._all[0], field) < _KEPT * climb:
            return False  # it fell back in the first round of them
        if trend.late < _KEPT * trend.early:
            return False
        share_of_early = trend.late / trend.early if trend.early > 0 else 1.0
        if share_of_early < _HARDLY_SLOWER and trend.slowing > _SLOWER:
            return False
        if not before > 0:  # or not known
            return True
        if trend.late - 2 * trend.late_error >= _HARDLY_SLOWER * trend.early:
            return True  # it goes on so evenly that whatever else grew before does not matter
        if trend.early < _FELL * before:
            return share_of_early >= _HARDLY_SLOWER
        if trend.late < _KEPT_FURTHER * before:
            return False
        slower = trend.slower_than(before) > _SLOWER_THAN_BEFORE
        return not (slower and trend.late < _HARDLY_SLOWER * before)

    def _judge_pages(self) -> _Verdict:
        trend = self._pages
        if trend is None:
            return _Verdict("stable", "uss")
        limit = max(self._limits.min_leak, _LEAST_OF_PAGES)
        if trend.total < _LEAST_PAGES or min(trend.stretches) <= 0:
            return _Verdict("stable", "uss")
        return self._judge_rate("uss", trend, limit)

    def _judge_growth(self) -> _Verdict:
        trend = self._pages
        if trend is None or not trend.start > 0:
            return _Verdict("stable", "growth")
        growth = trend.total / trend.start
        if growth <= self._limits.threshold or _is_a_jump(trend) or trend.late < trend.early / 4:
            return _Verdict("stable", "growth")
        return _Verdict(
            "leak",
            "growth",
            f"memory grew by {growth:.0%} in the last {trend.requests:,.0f} requests, "
            f"in at least {_GROWING_STRETCHES} of {STRETCHES} stretches",
        )

    def _found(self, verdict: _Verdict) -> Finding:
        pages = self._pages
        growth = pages.total / pages.start if pages and pages.start > 0 else math.nan
        size = self._bytes_per_request(verdict.signal)
        left = math.nan
        if pages and pages.start > 0 and not math.isnan(size):
            room = (self._limits.threshold - growth) * pages.start
            left = max(0.0, room) / size if size > 0 else math.inf
        return Finding(
            verdict.outcome,
            verdict.signal,
            growth=growth,
            bytes_per_request=size,
            blocks_per_request=self._blocks.rate if self._blocks else math.nan,
            requests=self._requests,
            why=verdict.why,
            requests_to_threshold=left,
            heap_rate=self._heap.rate if self._heap else math.nan,
            pages_rate=pages.rate if pages else math.nan,
        )

    def _bytes_per_request(self, signal: str) -> float:
        pages = self._pages.rate if self._pages else math.nan
        if signal in ("uss", "growth") or self._heap is None:
            return pages
        if signal == "blocks" and self._heap.rate < self._limits.min_leak / 2:
            # Small objects only, of whose size malloc knows nothing; pages tell if they are many.
            return pages if self._pages and self._pages.sureness >= _SURE else math.nan
        return self._heap.rate

    def _describe_rest(self) -> str:
        for name, trend in (("the heap", self._heap), ("memory", self._pages)):
            if trend is not None:
                return (
                    f"{name} was steady: it grew by {write_bytes(trend.late)} a request in the "
                    f"last {2 * trend.stretch:,.0f} requests"
                )
        return "the number of objects was steady"


@dataclass(frozen=True, slots=True)
class _Verdict:
    outcome: Outcome
    signal: str
    why: str = ""


def _is_a_jump(trend: Trend) -> bool:
    """Whether memory grew in one stretch or two only, if at all."""
    enough = _GROWING_SHARE * trend.total
    return sum(part > 0 and part >= enough for part in trend.stretches) < _GROWING_STRETCHES


_NAMES = {"heap": "the heap", "blocks": "the number of objects", "uss": "memory"}


def _write(signal: str, amount: float) -> str:
    return f"{amount:,.1f} objects" if signal == "blocks" else write_bytes(amount)


def _steadily(signal: str, trend: Trend) -> str:
    return (
        f"{_NAMES[signal]} grew by {_write(signal, trend.rate)} a request, steadily "
        f"over {STRETCHES * trend.stretch:,.0f} requests"
    )


def _unsteadily(signal: str, trend: Trend) -> str:
    return (
        f"{_NAMES[signal]} grew by {_write(signal, trend.rate)} a request, but not steadily: "
        f"by {_write(signal, trend.early)} at first, {_write(signal, trend.late)} at last"
    )
