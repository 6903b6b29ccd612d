"""The gaps between a run's chunks: exact while they are few, by their distribution when many."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import overload

__all__ = ["MOST_EXACT", "RELATIVE_ERROR", "Gaps"]

MOST_EXACT = 200_000
"""How many gaps are kept as they are."""

RELATIVE_ERROR = 0.005
"""By how much of its own size a gap may be off, once there were more."""

_GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA = math.log(_GAMMA)
_MIDDLE = 2 / (1 + _GAMMA)
_SMALLEST = 1e-9
"""Gaps below a nanosecond are none: no clock tells them apart."""


class Gaps(Sequence[float]):
    """Seconds between chunks; a sequence in no particular order, in bounded memory.

    Up to `MOST_EXACT` gaps are kept at 8 bytes each. Where there are more, they are counted in
    buckets whose bounds grow by a constant factor (as DDSketch has it), and each reads as the
    middle of its bucket, which is within `RELATIVE_ERROR` of what it was.

    Args:
        values: The first of them.
    """

    __slots__ = ("_bounds", "_buckets", "_count", "_exact", "_sorted")

    def __init__(self, values: Iterable[float] = ()) -> None:
        self._exact = array("d")
        self._buckets: Counter[int | None] = Counter()
        self._count = 0
        self._sorted: array[float] | None = None
        self._bounds: tuple[list[float], list[int]] | None = None
        self.extend(values)

    def extend(self, values: Iterable[float]) -> None:
        """Take more gaps; those of another `Gaps` as they are kept there."""
        self._sorted = self._bounds = None
        if type(values) is Gaps:  # as an abstract class's, isinstance would take a microsecond
            self._exact.extend(values._exact)
            self._buckets.update(values._buckets)
            self._count += values._count
        else:
            before = len(self._exact)
            self._exact.extend(values)
            self._count += len(self._exact) - before
        if self._count > MOST_EXACT:
            self._buckets.update(map(_bucket_of, self._exact))
            self._exact = array("d")

    @property
    def exact(self) -> bool:
        """Whether each gap is kept as it was."""
        return not self._buckets

    @property
    def ordered(self) -> Sequence[float]:
        """The same gaps in ascending order."""
        if not self.exact:
            return self  # buckets stand in order
        if self._sorted is None:
            self._sorted = array("d", sorted(self._exact))
        return self._sorted

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> list[float]: ...
    def __getitem__(self, index: int | slice) -> float | list[float]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(self._count))]
        place = index + self._count if index < 0 else index
        if not 0 <= place < self._count:
            raise IndexError(f"there is no gap {index}, of {self._count}")
        if self.exact:
            return self._exact[place]
        if self._bounds is None:
            buckets = sorted(self._buckets, key=lambda one: -math.inf if one is None else one)
            counts = accumulate(self._buckets[bucket] for bucket in buckets)
            self._bounds = [_middle_of(bucket) for bucket in buckets], list(counts)
        middles, ends = self._bounds
        return middles[bisect_right(ends, place)]

    def __repr__(self) -> str:
        return f"Gaps({self._count:,} gaps)"


def _bucket_of(gap: float) -> int | None:
    return math.ceil(math.log(gap) / _LOG_GAMMA) if gap >= _SMALLEST else None


def _middle_of(bucket: int | None) -> float:
    return 0.0 if bucket is None else _GAMMA**bucket * _MIDDLE
