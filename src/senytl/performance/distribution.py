"""Many figures in bounded memory: exact while they are few, counted in buckets when many.

The buckets are those of an HDR histogram: every power of two is cut into 512 of equal width. A
bucket's number is the upper half of a double's own bits, with what distinguishes the values
inside the bucket cleared, so that a million values are sorted into buckets without a loop in
Python. For numbers of 0 or more, the order of these bits is the order of the numbers.
"""

from __future__ import annotations

import math
import sys
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, pairwise, repeat
from typing import overload

from senytl.performance.series import Column, Series

__all__ = ["MOST_EXACT", "RELATIVE_ERROR", "Distribution", "Steps", "middles_of"]

MOST_EXACT = 500_000
"""How many values are kept as they are, unless told otherwise."""

RELATIVE_ERROR = 0.001
"""By how much of its own size a value may be off, once there were more: half a bucket's width."""

_STEP = 1 << 11
"""From one bucket's number to the next: of 20 bits of mantissa, 9 are kept."""

_KEPT_BITS = bytes(byte & 0xF8 for byte in range(256))
_LITTLE = sys.byteorder == "little"
_CLEARED_BYTE, _CUT_BYTE, _UPPER_HALF = (4, 5, 1) if _LITTLE else (3, 2, 0)
_SIGN = 1 << 31
_CHUNK = 1 << 16
"""Values that are sorted into buckets at a time: the copy of their bits takes half a megabyte."""


class Distribution(Column[float]):
    """Numbers in bounded memory: a sequence that knows its sum, its ends and its order.

    Up to `most_exact` numbers are kept at 8 bytes each, in the order in which they came, and 8
    more once they were asked for in order. Where there are more, all are counted in buckets, and
    the sequence is in ascending order: each number reads as the middle of its bucket, which is
    within `RELATIVE_ERROR` of what it was. The smallest, the largest, the mean and the sum stay
    what they were. In buckets, negative numbers count as 0.

    A bucket takes about 100 bytes, and there are 512 to a factor of two: times from a
    microsecond to a minute take at most 2 MB.

    Args:
        values: The first of them.
        most_exact: How many are kept as they are; 0 for buckets from the first one on.

    Raises:
        ValueError: If one of the values is not finite.
    """

    __slots__ = ("_buckets", "_carry", "_count", "_ends", "_exact", "_largest", "_most_exact",
                 "_smallest", "_sorted", "_steps", "_sum")  # fmt: skip

    def __init__(self, values: Iterable[float] = (), *, most_exact: int = MOST_EXACT) -> None:
        self._most_exact = most_exact
        self._exact = array("d")
        self._sorted: array[float] | None = None
        # All below is of the values in buckets.
        self._buckets: Counter[int] = Counter()
        self._steps: Steps | None = None
        self._count = 0
        self._sum = self._carry = 0.0
        self._smallest, self._largest = math.inf, -math.inf
        self._ends = (_SIGN, -1)  # the buckets of the smallest and of the largest
        self.extend(values)

    def extend(self, values: Iterable[float], *, times: int = 1) -> None:
        """Take more numbers; those of another distribution as they are kept there.

        Args:
            values: The numbers.
            times: How many each of another distribution's stands for, if that is in buckets.

        Raises:
            ValueError: If one of them is not finite; none is taken then.
        """
        # Not isinstance: for a class of the abstract kind it would take a microsecond.
        if type(values) is Distribution:
            self._take_buckets(values, times)
            column = values._exact
        elif type(values) is array and values.typecode == "d":
            column = values
        else:
            column = array("d", values)
        if not column:
            return
        total = sum(column)  # within some bits of math.fsum, in a third of its time
        if not math.isfinite(total):
            raise ValueError("a distribution takes finite numbers alone, not NaN or infinity")
        self._sorted = self._steps = None
        if self.exact and len(self._exact) + len(column) <= self._most_exact:
            self._exact.extend(column)
        else:
            self._fold()
            self._count_in_buckets(column, total)

    @property
    def exact(self) -> bool:
        """Whether each number is kept as it was."""
        return not self._count

    @property
    def buckets(self) -> Mapping[int, int]:
        """How many numbers each bucket holds; empty where they are exact. See `middles_of`."""
        return self._buckets

    @property
    def ordered(self) -> Sequence[float]:
        """The same numbers in ascending order."""
        if not self.exact:
            return self._in_steps()
        if self._sorted is None:
            self._sorted = array("d", sorted(self._exact))
        return self._sorted

    @property
    def total(self) -> float:
        """The sum of what came, not of what the buckets read as."""
        return math.fsum(self._exact) if self.exact else self._sum + self._carry

    @property
    def mean(self) -> float:
        """The arithmetic mean of at least one number, likewise."""
        return self.total / len(self)

    @property
    def smallest(self) -> float:
        """The smallest of at least one number, as it came."""
        return min(self._exact) if self.exact else self._smallest

    @property
    def largest(self) -> float:
        """The largest of at least one number, as it came."""
        return max(self._exact) if self.exact else self._largest

    def copy(self) -> Distribution:
        """The same numbers, as they are kept here; what is added to one is not in the other."""
        twin = Distribution(most_exact=self._most_exact)
        twin.extend(self)
        return twin

    def __len__(self) -> int:
        return self._count or len(self._exact)

    def __iter__(self) -> Iterator[float]:
        return iter(self._exact if self.exact else self._in_steps())

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> Series: ...
    def __getitem__(self, index: int | slice) -> float | Series:
        if not self.exact:
            return self._in_steps()[index]
        return Series(self._exact[index]) if isinstance(index, slice) else self._exact[index]

    def _in_steps(self) -> Steps:
        if self._steps is None:
            buckets = sorted(self._buckets)
            self._steps = Steps(
                middles_of(buckets),
                map(self._buckets.__getitem__, buckets),
                smallest=self._smallest,
                largest=self._largest,
            )
        return self._steps

    def _fold(self) -> None:
        """Put what was kept as it is into buckets."""
        column, self._exact = self._exact, array("d")
        self._count_in_buckets(column, math.fsum(column))

    def _count_in_buckets(self, column: array[float], total: float) -> None:
        with memoryview(column) as view:
            for start in range(0, len(view), _CHUNK):
                with view[start : start + _CHUNK] as chunk:
                    found = _buckets_of(chunk)
                    low, high = min(found), max(found)
                    # Finding the ends takes as long as all the rest, and most chunks hold neither.
                    smallest = min(chunk) if low <= self._ends[0] else self._smallest
                    largest = max(chunk) if high >= self._ends[1] else self._largest
                    self._note(low, high, smallest, largest)
                self._buckets.update(found)
            self._add_to_sum(total)
            self._count += len(view)

    def _take_buckets(self, other: Distribution, times: int) -> None:
        if other.exact:
            return
        self._sorted = self._steps = None
        self._fold()
        self._note(*other._ends, other._smallest, other._largest)
        self._add_to_sum(other._sum * times)
        self._add_to_sum(other._carry * times)
        self._count += other._count * times
        if times == 1:
            self._buckets.update(other._buckets)
            return
        for bucket, count in other._buckets.items():
            self._buckets[bucket] += count * times

    def _note(self, low: int, high: int, smallest: float, largest: float) -> None:
        self._ends = min(low, self._ends[0]), max(high, self._ends[1])
        self._smallest = min(smallest, self._smallest)
        self._largest = max(largest, self._largest)

    def _add_to_sum(self, more: float) -> None:
        """Add, and keep in `_carry` what rounding takes away (Neumaier's summation)."""
        before, self._sum = self._sum, self._sum + more
        large, small = (before, more) if abs(before) >= abs(more) else (more, before)
        self._carry += (large - self._sum) + small


class Steps(Column[float]):
    """Numbers in ascending order, most of which repeat; their count costs no memory.

    Args:
        values: Each number, in ascending order.
        times: How often each stands here.
        smallest: What the first one reads as; no other reads as less.
        largest: What the last one reads as; no other reads as more.
    """

    __slots__ = ("_ends", "_values")

    def __init__(
        self,
        values: Iterable[float],
        times: Iterable[int],
        *,
        smallest: float,
        largest: float,
    ) -> None:
        values, times = array("d", values), array("q", times)
        if values:
            # The first and the last number stand apart from the rest of their buckets.
            values[0] = min(max(values[0], smallest), largest)
            values[-1] = max(min(values[-1], largest), smallest)
            times[0] -= 1
            values.insert(0, smallest)
            times.insert(0, 1)
        if len(values) > 1 and sum(times) > 1:
            times[-1] -= 1
            values.append(largest)
            times.append(1)
        self._values = values
        self._ends = array("q", accumulate(times))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[float]:
        times = (end - start for start, end in pairwise(chain((0,), self._ends)))
        return chain.from_iterable(map(repeat, self._values, times))

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> Series: ...
    def __getitem__(self, index: int | slice) -> float | Series:
        if isinstance(index, slice):
            places = range(*index.indices(len(self)))
            return Series(array("d", (self[place] for place in places)))
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"there is no number {index}, of {len(self):,}")
        return self._values[bisect_right(self._ends, place)]


def middles_of(buckets: Collection[int], step: int = _STEP) -> list[float]:
    """The middles of buckets.

    Args:
        buckets: Their numbers.
        step: From one bucket's number to the next one's; a greater power of two for buckets that
            were put together.
    """
    lower = _numbers_from(bucket << 32 for bucket in buckets)
    upper = _numbers_from(bucket + step << 32 for bucket in buckets)
    return [
        (low + high) / 2 if low else 0.0  # the lowest bucket is that of 0
        for low, high in zip(lower, upper, strict=True)
    ]


def _numbers_from(bits: Iterable[int]) -> array[float]:
    numbers = array("d")
    numbers.frombytes(array("Q", bits).tobytes())
    return numbers


def _buckets_of(values: memoryview) -> Counter[int]:
    """How many of at least one double fall into each bucket."""
    bits = bytearray(values.cast("B"))
    bits[_CLEARED_BYTE::8] = bytes(len(values))
    bits[_CUT_BYTE::8] = bits[_CUT_BYTE::8].translate(_KEPT_BITS)
    counts = Counter(memoryview(bits).cast("I")[_UPPER_HALF::2].tolist())
    if max(counts) >= _SIGN:  # negative numbers
        for bucket in [bucket for bucket in counts if bucket >= _SIGN]:
            counts[0] += counts.pop(bucket)
    return counts
