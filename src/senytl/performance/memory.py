"""Memory of a process: one reading, a sampler in the background, and growth between readings.

Sizes are in MB of 2**20 bytes, as the tools beside psutil show them.
"""

from __future__ import annotations

import math
import threading
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from senytl.models import MisuseError
from senytl.performance.process_memory import ProcessMemory

__all__ = ["MemorySampler", "MemorySnapshot", "capture_memory_snapshot", "memory_growth"]

_MB = 2**20


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """Memory of a process at one moment, or of a process and all that it started together.

    Args:
        rss_mb: Resident memory: what is in physical memory, in MB of 2**20 bytes.
        vms_mb: Virtual memory, in MB of 2**20 bytes.
        percent: Resident memory as a share of the machine's memory, from 0 to 100.
        timestamp: When it was read, in Unix time.
    """

    rss_mb: float
    vms_mb: float
    percent: float
    timestamp: float


def capture_memory_snapshot(pid: int | None = None, *, children: bool = False) -> MemorySnapshot:
    """Read memory now: about 15 us for this process, some milliseconds with its children.

    Args:
        pid: The process to read; None for this one.
        children: Whether its children, their children and so on are added. Those that end
            meanwhile are left out; memory that processes share counts in each of them.

    Raises:
        MisuseError: If there is no such process, or its memory may not be read.
    """
    memory = ProcessMemory(pid, children).read()
    if memory is None:
        raise MisuseError(f"process {pid} ended while its memory was read")
    return _snapshot(memory.rss, memory.vms, time.time())


def _snapshot(rss: float, vms: float, timestamp: float) -> MemorySnapshot:
    return MemorySnapshot(
        rss_mb=rss / _MB,
        vms_mb=vms / _MB,
        percent=100 * rss / _machine_bytes(),
        timestamp=timestamp,
    )


@cache
def _machine_bytes() -> int:
    import psutil

    return psutil.virtual_memory().total


def memory_growth(snapshots: Sequence[MemorySnapshot]) -> float | None:
    """By how much resident memory grew: the last tenth of the snapshots against the first.

    The mean of each tenth (of at least one snapshot) is taken; 0.2 stands for 20 %, negative
    values for memory that shrank.

    Returns:
        The growth, or None for fewer than two snapshots.
    """
    if len(snapshots) < 2:
        return None
    tenth = max(1, len(snapshots) // 10)
    first = math.fsum(snapshot.rss_mb for snapshot in snapshots[:tenth])
    last = math.fsum(snapshot.rss_mb for snapshot in snapshots[-tenth:])
    if not first:  # only in snapshots made by hand
        return math.inf if last else 0.0
    return last / first - 1


class MemorySampler:
    """Reads the memory of a process at an even pace, in a daemon thread.

    It lives once: `start` takes the first sample and starts the thread; `stop` ends the thread
    and takes the last sample. However long that lasts, no more than `limit` samples are held:
    when there are as many, every other one is dropped and the pace is halved, so that the
    samples stay evenly spaced over the whole time. When the process ends, no more samples come.

    Sampling allocates nothing that lasts, since a leak check may read the heap meanwhile: the
    samples are columns of numbers that are there from the start.

    Args:
        interval: Seconds from one sample to the next, to begin with.
        limit: The largest number of samples held, at least 4.
        pid: The process; None for this one.
        children: Whether its descendants are added.

    Raises:
        ValueError: If the interval is not above 0, or the limit is below 4.
        MisuseError: If there is no such process, or its memory may not be read.
    """

    def __init__(
        self,
        interval: float = 0.05,
        limit: int = 1000,
        pid: int | None = None,
        children: bool = False,
    ) -> None:
        if not 0 < interval < math.inf:
            raise ValueError(f"MemorySampler: interval={interval!r} must be above 0 seconds")
        if limit < 4:
            raise ValueError(f"MemorySampler: limit={limit!r} must be 4 samples or more")
        self._first_interval = self._interval = interval
        self._limit = limit
        self._watched = (pid, children)
        self._memory: ProcessMemory | None = ProcessMemory(pid, children)  # None once it ended
        self._count = 0
        self._moments = array("d", bytes(8 * limit))  # by the monotonic clock
        self._timestamps = array("d", self._moments)
        self._rss = array("d", self._moments)
        self._vms = array("d", self._moments)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def snapshots(self) -> list[MemorySnapshot]:
        """The samples so far, oldest first; a new list."""
        with self._lock:
            return [
                _snapshot(self._rss[place], self._vms[place], self._timestamps[place])
                for place in range(self._count)
            ]

    def start(self) -> None:
        """Take the first sample, and go on in the background.

        Raises:
            RuntimeError: If it was started before.
        """
        if self._thread is not None:
            raise RuntimeError("this MemorySampler was started before; make a new one")
        self.sample()
        self._thread = threading.Thread(target=self._run, name="senytl-memory", daemon=True)
        self._thread.start()

    def sample(self) -> None:
        """Take one more sample now, unless the process has ended; any thread may."""
        with self._lock:
            self._sample()

    def watch(self, pid: int | None, children: bool) -> bool:
        """Sample another process from now on; the samples so far were of another and are dropped.

        Once it was stopped, the samples stay what they are.

        Args:
            pid: The process; None for this one.
            children: Whether its descendants are added.

        Returns:
            Whether that is another one than before.

        Raises:
            MisuseError: If there is no such process, or its memory may not be read.
        """
        with self._lock:
            if (pid, children) == self._watched or self._stopped.is_set():
                return False
            self._memory = ProcessMemory(pid, children)
            self._watched = (pid, children)
            self._count = 0
            self._interval = self._first_interval
            if self._thread is not None:
                self._sample()
            return True

    def stop(self) -> list[MemorySnapshot]:
        """End the thread, take the last sample, and return all; again, just return them.

        Raises:
            RuntimeError: If it was never started.
        """
        if self._thread is None:
            raise RuntimeError("this MemorySampler was never started")
        if not self._stopped.is_set():
            self._stopped.set()
            self._thread.join()
            self.sample()
        return self.snapshots

    def _run(self) -> None:
        due = time.monotonic() + self._interval
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            self.sample()
            # Counted from the last due time, so that the pace does not drift with each sample's
            # cost; a machine that slept starts anew instead of catching up.
            due = max(due + self._interval, time.monotonic())

    def _sample(self) -> None:
        memory = None if self._memory is None else self._memory.read()
        if memory is None:
            self._memory = None
            return
        if self._count >= self._limit:
            self._thin()
        place = self._count
        self._moments[place] = time.monotonic()
        self._timestamps[place] = time.time()
        self._rss[place], self._vms[place] = memory
        self._count = place + 1

    def _thin(self) -> None:
        # Samples asked for by hand may stand closer than the interval: drop those first, and
        # slow down only where that is not enough. A tenth of tolerance for a thread that is late.
        while True:
            kept = 1
            for place in range(1, self._count):
                if self._moments[place] - self._moments[kept - 1] >= 0.9 * self._interval:
                    for column in (self._moments, self._timestamps, self._rss, self._vms):
                        column[kept] = column[place]
                    kept += 1
            self._count = kept
            if kept <= self._limit // 2 + 1:
                break
            self._interval *= 2
