"""How a figure goes with the requests: how fast it grows, how surely, and whether it goes on.

Pure arithmetic on points of requests and a figure. Single readings that stand out do not count:
the figure is smoothed by a running median, which leaves a steady climb as it is, and rates are
medians of the slopes between all pairs of points (Theil and Sen).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import median, stdev

__all__ = ["FEWEST_POINTS", "STRETCHES", "Point", "Trend", "trend_of"]

Point = tuple[float, float]
"""Requests so far, and the figure."""

STRETCHES = 5
FEWEST_POINTS = 6
"""Below this many there is nothing to tell a climb from noise by."""


_WIDTH = 2
"""How many points on each side a median takes in."""

_ROUNDING = 1e-9
_STANDS_OUT = 7.0
"""Standard deviations of the other steps from which one step is not of their kind."""


@dataclass(frozen=True, slots=True)
class Trend:
    """How a figure went over some requests.

    Args:
        requests: How many requests.
        points: How many points there are.
        rate: By how much it grew with each request.
        error: The standard error of `rate`.
        peaks: The same by the highest figures of the first and the last third.
        troughs: The same by the lowest ones.
        early: The rate in the first two of five stretches.
        late: The rate in the last two.
        early_error: The standard error of `early`.
        late_error: That of `late`.
        stretches: By how much it grew in each of the five stretches of about equal requests.
        start: The figure at the beginning.
        end: The figure at the end.
    """

    requests: float
    points: int
    rate: float
    error: float
    peaks: float
    troughs: float
    early: float
    late: float
    early_error: float
    late_error: float
    stretches: tuple[float, ...]
    start: float
    end: float

    @property
    def total(self) -> float:
        """By how much it grew in all."""
        return self.end - self.start

    @property
    def sureness(self) -> float:
        """How many standard errors the rate is above none; infinite where there is no noise."""
        return _in_errors(self.rate, self.error)

    @property
    def slowing(self) -> float:
        """How many standard errors the late rate is below the early one."""
        return _in_errors(self.early - self.late, math.hypot(self.early_error, self.late_error))

    def slower_than(self, rate: float) -> float:
        """How many standard errors the late rate is below a rate that is as well known."""
        return _in_errors(rate - self.late, math.sqrt(2) * self.late_error)

    @property
    def stretch(self) -> float:
        """How many requests a stretch has."""
        return self.requests / len(self.stretches)


def trend_of(points: Sequence[Point]) -> Trend | None:
    """The trend of some points in the order of their requests.

    Returns:
        None where there are fewer than six of them, or no requests between them.
    """
    points = [point for point in points if not math.isnan(point[1])]
    if len(points) < FEWEST_POINTS or points[-1][0] <= points[0][0]:
        return None
    at = [point[0] for point in points]
    figures = _smooth(at, [point[1] for point in points])
    level = _without_jump(at, figures)
    requests = at[-1] - at[0]
    bounds = [_nearest(at, at[0] + requests * part / STRETCHES) for part in range(STRETCHES + 1)]
    excess = _excess(at, level)
    stretches = tuple(figures[b] - figures[a] for a, b in pairwise(bounds))
    rates = [
        part / (at[b] - at[a])
        for part, (a, b) in zip(stretches, pairwise(bounds), strict=True)
        if at[b] > at[a]
    ]
    scatter = stdev(rates) / math.sqrt(len(rates)) if len(rates) > 1 else math.inf
    early, late = slice(0, bounds[2] + 1), slice(bounds[-3], None)
    early_rate, late_rate = slope(at[early], level[early]), slope(at[late], level[late])
    peaks, troughs = _envelope(at, figures)
    return Trend(
        requests=requests,
        points=len(points),
        rate=slope(at, level),
        error=max(_error(excess, at), scatter),
        peaks=peaks,
        troughs=troughs,
        early=early_rate,
        late=late_rate,
        early_error=_error(excess, at[early]),
        late_error=_error(excess, at[late]),
        stretches=stretches,
        start=figures[0],
        end=figures[-1],
    )


def slope(at: Sequence[float], level: Sequence[float]) -> float:
    """The median of the slopes between all pairs of points that are apart; 0 where none are."""
    slopes = [
        (level[b] - level[a]) / (at[b] - at[a])
        for a, b in combinations(range(len(at)), 2)
        if at[b] > at[a]
    ]
    return median(slopes) if slopes else 0.0


def _in_errors(amount: float, error: float) -> float:
    if error:
        return amount / error
    return math.copysign(math.inf, amount) if amount else 0.0


def _smooth(at: Sequence[float], values: Sequence[float]) -> list[float]:
    """A running median of five, of three beside the ends.

    At the ends what a straight line from inside suggests counts as well.
    """
    inside = [
        median(values[place - around : place + around + 1])
        for place in range(1, len(values) - 1)
        for around in (_around(place, values),)
    ]
    first = _end(at[:3], values[0], inside[0], inside[1])
    last = _end(at[:-4:-1], values[-1], inside[-1], inside[-2])
    return [first, *inside, last]


def _end(at: Sequence[float], value: float, beside: float, further: float) -> float:
    gap = at[1] - at[2]
    suggested = beside + (beside - further) * (at[0] - at[1]) / gap if gap else beside
    return median((value, beside, suggested))


def _around(place: int, values: Sequence[float]) -> int:
    return min(_WIDTH, place, len(values) - 1 - place)


def _nearest(at: Sequence[float], requests: float) -> int:
    return min(range(len(at)), key=lambda place: abs(at[place] - requests))


def _error(excess: Sequence[float], at: Sequence[float]) -> float:
    """The standard error of a rate over `at`, by how unequal the steps between readings are.

    Steps count as independent, as where some rounds leak more than others. Noise of the readings,
    which later steps make up for, hardly gets through the running median.
    """
    count = len(at) - 1
    if count < 1 or len(excess) < 3:
        return math.inf
    return stdev(excess) * math.sqrt(count) / (at[-1] - at[0])


def _without_jump(at: Sequence[float], level: Sequence[float]) -> list[float]:
    """The figures as they were without the one step up that stands out, if one does.

    A table that doubles is such a step, and so is a buffer that is made once.
    """
    excess = _excess(at, level)
    *usual, largest = sorted(excess, key=abs)
    least = _ROUNDING * (max(level) - min(level))
    if largest <= max(least, _STANDS_OUT * stdev(usual)):
        return list(level)
    jumped = excess.index(largest)
    return [value - largest * (place > jumped) for place, value in enumerate(level)]


def _excess(at: Sequence[float], level: Sequence[float]) -> list[float]:
    """By how much each step between readings is more than usual for so many requests."""
    gaps = [b - a for a, b in pairwise(at)]
    steps = [b - a for a, b in pairwise(level)]
    usual = median(step / gap for step, gap in zip(steps, gaps, strict=True) if gap > 0)
    return [step - usual * gap for step, gap in zip(steps, gaps, strict=True)]


def _envelope(at: Sequence[float], level: Sequence[float]) -> tuple[float, float]:
    requests = at[-1] - at[0]
    third = at[0] + requests / 3
    last = at[-1] - requests / 3
    before = [value for place, value in zip(at, level, strict=True) if place <= third]
    after = [value for place, value in zip(at, level, strict=True) if place >= last]
    apart = requests * 2 / 3
    return (max(after) - max(before)) / apart, (min(after) - min(before)) / apart
