"""Readings of memory between rounds of work, and what reads them.

A reading holds what each source knows of one settled moment. `heap` is exact, and knows what
malloc has handed out; `blocks` counts the objects up to 512 bytes, which CPython puts into arenas
of its own, past malloc; the system's figures, `rss` and `uss`, are in pages, and rise with
fragmentation too. Sizes are bytes.
"""

from __future__ import annotations

import gc
import math
import os
import sys
import time
from array import array
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from senytl.performance.process_memory import ProcessMemory

if TYPE_CHECKING:
    from collections.abc import Callable

    import psutil

__all__ = ["MemoryReader", "Reading", "Readings", "heap_in_use"]

_FEWEST = 4
_USS_SHARE = 0.01
"""The share of the time that reading USS may take in this process, whose heap tells more."""

_COLLECTIONS = 3
"""How often garbage is collected at the most: finalizers may leave garbage of their own."""


class Reading(NamedTuple):
    """Memory at one moment in which no request was in flight; NaN stands for what is not known.

    Args:
        requests: How many requests had ended in the run by then.
        heap: Bytes that malloc has handed out, less what senytl's own records take.
        blocks: How many objects CPython has allocated by itself; unknown for another process.
        rss: Resident memory, in bytes.
        uss: Resident memory that nobody shares, in bytes; not read each time.
    """

    requests: float
    heap: float
    blocks: float
    rss: float
    uss: float


class Readings(Sequence[Reading]):
    """Readings in the order in which they were taken.

    Adding one allocates nothing that lasts, since memory is being judged meanwhile: they are
    columns of numbers that are there from the start. When these are full, every other reading is
    dropped, and only every other one is kept from then on; the newest is there in any case.

    Args:
        capacity: How many it holds at the most, at least 4.

    Raises:
        ValueError: If that is less.
    """

    __slots__ = ("_capacity", "_columns", "_count", "_every", "_is_extra", "_seen")

    def __init__(self, capacity: int = 256) -> None:
        if capacity < _FEWEST:
            raise ValueError(f"Readings: capacity={capacity!r} must be {_FEWEST} or more")
        self._capacity = capacity
        self._count = self._seen = 0
        self._every = 1
        self._is_extra = False  # the last one is there only since it is the newest
        self._columns = tuple(array("d", bytes(8 * capacity)) for _ in Reading._fields)

    def add(self, reading: Reading) -> None:
        """Add one that was taken after all others."""
        if self._is_extra:
            self._count -= 1
        elif self._count >= self._capacity:
            self._thin()
        for column, value in zip(self._columns, reading, strict=True):
            column[self._count] = value
        self._count += 1
        self._is_extra = self._seen % self._every > 0
        self._seen += 1

    def columns(self) -> dict[str, list[float | None]]:
        """The readings as plain data for JSON: a list for each field, None for what is unknown."""
        return {
            name: [None if math.isnan(value) else value for value in column[: self._count]]
            for name, column in zip(Reading._fields, self._columns, strict=True)
        }

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Reading: ...
    @overload
    def __getitem__(self, place: slice) -> list[Reading]: ...
    def __getitem__(self, place: int | slice) -> Reading | list[Reading]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(self._count))]
        at = place + self._count if place < 0 else place
        if not 0 <= at < self._count:
            raise IndexError(f"there is no reading {place}: there are {self._count}")
        return Reading(*(column[at] for column in self._columns))

    def __repr__(self) -> str:
        return f"Readings({list(self)})"

    def _thin(self) -> None:
        kept = 0
        for place in range(0, self._count, 2):
            for column in self._columns:
                column[kept] = column[place]
            kept += 1
        self._count = kept
        self._every *= 2


class MemoryReader:
    """Reads the memory of a process in settled moments.

    Args:
        pid: The process; None for this one.
        children: Whether resident memory and USS of its descendants are added.

    Raises:
        MisuseError: If there is no such process, or its memory may not be read.
    """

    def __init__(self, pid: int | None = None, children: bool = False) -> None:
        self._memory = ProcessMemory(pid, children)
        self._pid = os.getpid() if pid is None else pid
        self._children = children
        self._is_own = self._pid == os.getpid()
        self._process: psutil.Process | None = None
        self._since = math.nan
        self._spent = 0.0

    def settle(self) -> None:
        """Collect garbage, as often as some is found, at most three times.

        That of another process is left to itself.
        """
        if not self._is_own:
            return
        for _ in range(_COLLECTIONS):
            if not gc.collect():
                break

    def read(self, requests: float, own_bytes: float = 0.0, uss: bool | None = None) -> Reading:
        """Read memory now.

        Reading USS takes a millisecond or more. Left to itself that is done each time for another
        process, where nothing else tells as much; and for this one while it takes no more than a
        hundredth of the time since the first reading.

        Args:
            requests: How many requests have ended by now.
            own_bytes: How many of the bytes of the heap are senytl's own.
            uss: Whether USS is read; None to leave it to itself.

        Returns:
            The reading; all but `requests` unknown once the process has ended.
        """
        now = time.monotonic()
        if math.isnan(self._since):
            self._since = now
        # What is most precise comes first: the figures below allocate a little.
        heap = blocks = math.nan
        if self._is_own:
            blocks = float(sys.getallocatedblocks())
            heap = heap_in_use() - own_bytes
        memory = self._memory.read()
        rss = math.nan if memory is None else float(memory.rss)
        if uss is None:
            uss = not self._is_own or self._spent <= _USS_SHARE * (now - self._since)
        unique = self._read_uss() if uss and memory is not None else math.nan
        return Reading(requests, heap, blocks, rss, unique)

    def _read_uss(self) -> float:
        import psutil

        began = time.monotonic()
        try:
            if self._process is None:
                self._process = psutil.Process(self._pid)
            total = _uss_of(self._process)
            if self._children:
                for descendant in self._process.children(recursive=True):
                    try:
                        total += _uss_of(descendant)
                    except psutil.Error:  # it has ended meanwhile, or may not be read
                        continue
        except psutil.Error:
            return math.nan
        finally:
            self._spent += time.monotonic() - began
        return total


def _uss_of(process: psutil.Process) -> float:
    return float(getattr(process.memory_full_info(), "uss", math.nan))


def heap_in_use() -> float:
    """What malloc has handed out, in bytes; NaN where nobody tells (musl, psutil before 7.2)."""
    read = _heap_info()
    if read is None:
        return math.nan
    try:
        heap = read()
    except (OSError, RuntimeError):
        return math.nan
    return float(heap.heap_used + heap.mmap_used)


@cache
def _heap_info() -> Callable[[], Any] | None:
    import psutil

    read: Callable[[], Any] | None = getattr(psutil, "heap_info", None)
    return read
