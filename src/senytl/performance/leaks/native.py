"""Where memory leaks that Python has not allocated: by memray, which sees malloc and mmap.

memray comes with senytl's extra ``memray`` and loads when it is needed. It writes each allocation
to a file; the file also holds a clock, by which allocations are told apart that came before and
after a settled moment.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from senytl.models import SenytlError
from senytl.performance.leaks.sites import TOP, Held, LeakSite, Mark, rank_sites

if TYPE_CHECKING:
    from memray import Tracker
    from memray._memray import TemporalAllocationRecord

__all__ = ["MemraySites", "why_not_memray"]

_TICK = 0.010
"""Seconds between two entries of the clock in memray's file."""

_QUIET = 0.030
"""How long a settled moment lasts, so that an entry falls into it."""

_SLACK = 0.002
"""Seconds between the time that an entry tells and its place in the file."""

_ALL_TICKS = 10**9
"""More entries than a file can have: memray thins them above some number."""

_INTERPRETER = ("_Py", "Py", "cfunction_", "method_vectorcall", "object_vacall", "slot_", "type_")
"""How functions of the interpreter begin that lead from a line of Python to native code."""

_ARENAS = ("_PyObject_Arena", "_PyMem_Arena", "new_arena", "allocate_from_new_pool", "_mi_")
"""Functions by which Python takes memory for many small objects: what they take is no leak."""

Call = tuple[str, int, str]


def why_not_memray() -> str | None:
    """Why native allocations cannot be seen, and what to do; None where they can."""
    if sys.platform == "win32":
        return "memray, which would find it, does not run on Windows"
    try:
        import memray
    except ImportError as error:
        if getattr(error, "name", None) == "memray":
            return "pip install 'senytl[memray]' finds the line"
        return f"memray, which would find it, cannot be imported: {error}"
    try:
        # Nothing else tells whether there is a tracker; this one writes nowhere.
        with memray.Tracker("/dev/null"):
            pass
    except Exception as error:
        return _why_not(error)
    return None


class MemraySites:
    """Finds the lines that leak by memray, native calls below them included.

    Every allocation is written to a temporary file, which is removed. Small objects of Python,
    which it keeps in memory of its own, are not seen.

    Args:
        top: How many sites to give at the most.
    """

    name = "memray"

    def __init__(self, top: int = TOP) -> None:
        self._top = top
        self._folder = ""
        self._tracker: Tracker | None = None
        self._moments: list[tuple[float, float]] = []

    def start(self) -> None:
        """Begin to see allocations.

        Raises:
            SenytlError: If memray is not installed, or somebody else uses it in this process.
        """
        try:
            import memray
        except ImportError as error:
            raise SenytlError(
                "native allocations need memray, which is not installed: pip install "
                "'senytl[memray]'"
            ) from error
        self._folder = tempfile.mkdtemp(prefix="senytl-memray-")
        try:
            tracker = memray.Tracker(
                self._file,
                native_traces=True,
                follow_fork=False,
                memory_interval_ms=round(_TICK * 1000),
            )
            tracker.__enter__()
        except Exception as error:
            self._remove()
            raise SenytlError(_why_not(error)) from error
        self._tracker = tracker

    def mark(self, requests: float) -> None:
        """Note that this moment is a settled one; lasts until the clock has made an entry."""
        if self._tracker is not None:
            time.sleep(_QUIET)
            self._moments.append((requests, time.time() - _SLACK))

    def stop(self) -> list[LeakSite]:
        """End it and remove the file; gives the sites found, the worst first."""
        tracker, self._tracker = self._tracker, None
        moments, self._moments = self._moments, []
        if tracker is None:
            return []
        try:
            tracker.__exit__(None, None, None)
            return self._find(moments)
        except Exception:  # what was found about a leak is worth more than where it is
            return []
        finally:
            self._remove()

    @property
    def _file(self) -> str:
        return os.path.join(self._folder, "allocations.bin")

    def _find(self, moments: Sequence[tuple[float, float]]) -> list[LeakSite]:
        from memray import FileReader

        with closing(FileReader(self._file, max_memory_records=_ALL_TICKS)) as reader:
            records = list(reader.get_temporal_allocation_records(merge_threads=True))
            ticks = [tick.time / 1000 for tick in reader.get_memory_snapshots()]
            marks = list(_marks(records, ticks, moments))
            return rank_sites(marks, lambda place: _calls_of(records[place]), self._top)

    def _remove(self) -> None:
        folder, self._folder = self._folder, ""
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _marks(
    records: Sequence[TemporalAllocationRecord],
    ticks: Sequence[float],
    moments: Sequence[tuple[float, float]],
) -> Iterator[Mark[int]]:
    """What was allocated since the start and held in each of the moments, by record's place."""
    for requests, moment in moments:
        tick = bisect_right(ticks, moment) - 1  # the last one before work goes on
        held = {}
        for place, record in enumerate(records):
            size = blocks = 0
            for interval in record.intervals:
                end = interval.deallocated_before_snapshot
                if interval.allocated_before_snapshot <= tick and (end is None or end > tick):
                    size += interval.n_bytes
                    blocks += interval.n_allocations
            if size:
                held[place] = Held(size, blocks)
        yield Mark(requests, held)


def _calls_of(record: TemporalAllocationRecord) -> list[Call]:
    """The lines of Python that led to an allocation, and the native calls below the last one.

    None where Python took the memory to keep objects in.
    """
    lines = [(file, line, name) for name, file, line in record.stack_trace()]
    native: list[Call] = []
    for name, file, line in record.hybrid_stack_trace():
        if name.startswith(_ARENAS):
            return []
        if lines and (file, line, name) == lines[0]:
            break
        native.append((file, line, name))
    while native and native[-1][2].startswith(_INTERPRETER):
        native.pop()
    return lines[::-1] + native[::-1]


def _why_not(error: Exception) -> str:
    if "one Tracker" in str(error):
        return (
            "memray, which would find it, runs in this process already, and can do so once at a "
            "time: run the test without it, as with pytest -p no:memray"
        )
    return f"memray, which would find it, does not run here: {error}"
