"""Sequences over columns of numbers: a million requests in a few megabytes."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

__all__ = [
    "Column",
    "Rows",
    "Series",
    "in_order",
    "largest",
    "mean",
    "percentile",
    "percentiles",
    "smallest",
    "values",
]

T = TypeVar("T")


class Column(Sequence[T]):
    """What the kinds of sequence here share: equality with any sequence, and a short repr."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Sequence) and not isinstance(other, str | bytes):
            return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # equal to lists, which have no hash

    def __repr__(self) -> str:
        shown = ", ".join(repr(item) for item, _ in zip(self, range(3), strict=False))
        more = f", ... ({len(self)} in all)" if len(self) > 3 else ""
        return f"{type(self).__name__}([{shown}{more}])"


class Series(Column[float]):
    """Read-only floats at 8 bytes each, and 8 more once a percentile was asked for.

    Args:
        values: The numbers, in the order in which they were measured.
    """

    __slots__ = ("_ordered", "_values")

    def __init__(self, values: array[float] | Sequence[float] = ()) -> None:
        self._values = array("d", values)
        self._ordered: array[float] | None = None

    @classmethod
    def join(cls, columns: Sequence[array[float]]) -> Series:
        """One series of several columns of doubles, without a copy in between."""
        whole = array("d", [0.0]) * sum(len(column) for column in columns)
        with memoryview(whole) as view:
            start = 0
            for column in columns:
                view[start : start + len(column)] = column
                start += len(column)
        series = cls()
        series._values = whole
        return series

    @property
    def ordered(self) -> array[float]:
        """The same numbers in ascending order, sorted once."""
        if self._ordered is None:
            self._ordered = array("d", sorted(self._values))
        return self._ordered

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[float]:
        return iter(self._values)

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> Series: ...
    def __getitem__(self, index: int | slice) -> float | Series:
        if isinstance(index, slice):
            return Series(self._values[index])
        return self._values[index]


class Rows(Column[T], Generic[T]):
    """Read-only objects that are made from columns when they are asked for.

    Args:
        make: Makes a row from one value of each column, in the order of the columns.
        columns: The columns by the name of the row's attribute that they hold, all of one
            length.
    """

    __slots__ = ("_make", "columns")

    def __init__(self, make: Callable[..., T], columns: Mapping[str, Sequence[Any]]) -> None:
        self._make = make
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __iter__(self) -> Iterator[T]:
        return map(self._make, *self.columns.values())

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Rows[T]: ...
    def __getitem__(self, index: int | slice) -> T | Rows[T]:
        columns = self.columns
        if isinstance(index, slice):
            return Rows(self._make, {name: column[index] for name, column in columns.items()})
        return self._make(*(column[index] for column in columns.values()))


def values(rows: Sequence[Any], attribute: str) -> Iterable[Any]:
    """One attribute of each row, without making the rows where they stand in columns."""
    if isinstance(rows, Rows) and attribute in rows.columns:
        return rows.columns[attribute]
    return (getattr(row, attribute) for row in rows)


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean of at least one number; what knows its `total` is not added up again."""
    total: float | None = getattr(values, "total", None)
    return (math.fsum(values) if total is None else total) / len(values)


def smallest(values: Sequence[float]) -> float:
    """The smallest of at least one number; what knows its own is not searched."""
    known: float | None = getattr(values, "smallest", None)
    return min(values) if known is None else known


def largest(values: Sequence[float]) -> float:
    """The largest of at least one number; what knows its own is not searched."""
    known: float | None = getattr(values, "largest", None)
    return max(values) if known is None else known


def percentile(ordered: Sequence[float], quantile: float) -> float:
    """The percentile of numbers in ascending order, interpolated between the closest ranks.

    The definition of NumPy's default (``method="linear"``) and of k6: the value at the rank
    ``quantile * (n - 1)``, counted from 0.

    Args:
        ordered: At least one number, in ascending order.
        quantile: From 0 to 1; 0.95 for the 95th percentile.
    """
    rank = quantile * (len(ordered) - 1)
    below = int(rank)
    if below + 1 >= len(ordered):
        return ordered[-1]
    low, high = ordered[below], ordered[below + 1]
    return low + (high - low) * (rank - below)


def percentiles(values: Sequence[float], *quantiles: float) -> list[float]:
    """Percentiles of numbers in any order."""
    ordered = in_order(values)
    return [percentile(ordered, quantile) for quantile in quantiles]


def in_order(values: Sequence[float]) -> Sequence[float]:
    """Numbers in ascending order; what has an `ordered` form is sorted only once."""
    ordered: Sequence[float] | None = getattr(values, "ordered", None)
    return sorted(values) if ordered is None else ordered
