"""A load over time as lines between points: numbers of users, or of starts a second."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

__all__ = ["Profile"]


class Profile:
    """A number that changes evenly from stage to stage; pure arithmetic.

    It begins at 0, and a stage of 0 seconds is a jump: ``[(0, 50), (60, 50)]`` is 50 for a minute.

    Args:
        stages: Seconds that each stage lasts, and the number at its end.
    """

    __slots__ = ("_stages", "seconds")

    def __init__(self, stages: Sequence[tuple[float, float]]) -> None:
        self._stages = tuple(stages)
        self.seconds = math.fsum(seconds for seconds, _ in stages)

    def _lines(self) -> Iterator[tuple[float, float, float, float]]:
        """The start, the seconds, and the numbers at both ends of each stage."""
        start = level = 0.0
        for seconds, target in self._stages:
            yield start, seconds, level, target
            start, level = start + seconds, target

    @property
    def largest(self) -> float:
        """The largest number."""
        return max(target for _, target in self._stages)

    @property
    def area(self) -> float:
        """The number times the seconds, added up: the starts that a rate makes."""
        return math.fsum(seconds * (low + high) / 2 for _, seconds, low, high in self._lines())

    def area_until(self, moment: float) -> float:
        """The same up to a moment."""
        parts = []
        for start, seconds, low, high in self._lines():
            part = min(seconds, max(0.0, moment - start))
            if part:
                at_end = low + (high - low) * part / seconds
                parts.append(part * (low + at_end) / 2)
        return math.fsum(parts)

    def at(self, moment: float) -> float:
        """The number at a moment, in seconds from the start; 0 after the end."""
        for start, seconds, low, high in self._lines():
            if seconds and moment < start + seconds:
                return low + (high - low) * (moment - start) / seconds
        return 0.0

    def spans_of(self, unit: int) -> list[tuple[float, float]]:
        """When a unit is there: from where the number rises above it to where it falls to it.

        Args:
            unit: Counted from 0; unit 3 is there while the number is above 3. A ramp up from 0 to
                ``n`` brings unit ``i`` at the share ``i / n`` of it, a ramp down takes the last one
                first.
        """
        spans: list[tuple[float, float]] = []
        since: float | None = None
        for start, seconds, low, high in self._lines():
            if since is None and high > unit >= low:
                since = start + seconds * (unit - low) / (high - low)
            elif since is not None and low > unit >= high:
                spans.append((since, start + seconds * (low - unit) / (low - high)))
                since = None
        if since is not None:
            spans.append((since, self.seconds))
        return [(since, until) for since, until in spans if until > since]

    def moments_of_area(self, amounts: Iterator[float]) -> Iterator[float]:
        """When the area so far reaches each of some ascending amounts; ends with the profile.

        Within a stage that starts at the rate ``a`` and changes by ``s`` a second, the area
        ``a t + s t^2 / 2`` reaches ``n`` at ``t = 2n / (a + sqrt(a^2 + 2 s n))``.
        """
        before = 0.0
        amount = next(amounts)
        for start, seconds, low, high in self._lines():
            area = seconds * (low + high) / 2
            slope = (high - low) / seconds if seconds else 0.0
            # Sums of fractions miss the whole numbers that they are by their last bits.
            while amount < before + area - 1e-9 * (1 + before + area):
                rest = max(0.0, amount - before)
                root = math.sqrt(max(0.0, low * low + 2 * slope * rest))
                yield start + (2 * rest / (low + root) if rest else 0.0)
                amount = next(amounts)
            before += area
