"""The figures of one user's requests as columns: the user appends, the watch looks at them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from threading import Lock
from typing import NamedTuple

__all__ = ["COLUMNS", "Columns", "RequestColumns"]


class Columns(NamedTuple):
    """What is kept of each request, or a part of it: numbers of seconds."""

    latencies: array[float]
    failed_latencies: array[float]
    service_times: array[float]
    start_lags: array[float]


COLUMNS = Columns._fields


class RequestColumns:
    """A user's requests that have ended, in the order in which they did.

    Only the user appends, and takes no lock for that; another thread, the watch of its load, may
    `take` slices meanwhile. Where there are too many, the user empties them by `hand_over`; the
    numbers of requests go on.

    Attributes:
        latencies: Of the successful ones.
        failed_latencies: Of the failed ones.
        service_times: The latency without the lag of each successful request that had an intended
            start.
        start_lags: The lag of each body that had one.
        taken: How many of the values of each column the watch has taken.
        forgotten: How many requests are known only as part of a distribution, which the load keeps.
    """

    __slots__ = (*COLUMNS, "_lock", "forgotten", "taken")

    def __init__(self) -> None:
        self.latencies = array("d")
        self.failed_latencies = array("d")
        self.service_times = array("d")
        self.start_lags = array("d")
        self.taken = [0] * len(COLUMNS)
        self.forgotten = 0
        self._lock = Lock()

    @property
    def ended(self) -> int:
        """How many requests have ended, in bodies that have ended."""
        return self.forgotten + len(self.latencies) + len(self.failed_latencies)

    @property
    def has_news(self) -> bool:
        """Whether requests have ended of which `take` has not told yet."""
        taken = self.taken
        return len(self.latencies) > taken[0] or len(self.failed_latencies) > taken[1]

    def take(self) -> Columns:
        """What came into the columns since the last time; for the load's watch, on its thread."""
        with self._lock:
            parts = [column[begin:] for column, begin in self._from_taken()]
            self.taken = [begin + len(part) for begin, part in zip(self.taken, parts, strict=True)]
            return Columns(*parts)

    def hand_over(self) -> tuple[Columns, Columns]:
        """Empty the columns; for the user itself, between two bodies.

        Returns:
            What `take` has told of before, and what not.
        """
        with self._lock:
            seen = Columns(*(column[:begin] for column, begin in self._from_taken()))
            unseen = Columns(*(column[begin:] for column, begin in self._from_taken()))
            self.forgotten = self.ended
            for name in COLUMNS:
                del getattr(self, name)[:]
            self.taken = [0] * len(COLUMNS)
        return seen, unseen

    def copy_columns_to(self, other: RequestColumns) -> None:
        """Give another one the same requests."""
        for name in COLUMNS:
            setattr(other, name, getattr(self, name)[:])
        other.forgotten = self.forgotten

    def _from_taken(self) -> Iterator[tuple[array[float], int]]:
        return zip((getattr(self, name) for name in COLUMNS), self.taken, strict=True)
