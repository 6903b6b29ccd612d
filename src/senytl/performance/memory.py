"""Memory of this process: one reading, a sampler in the background, and growth between readings.

Sizes are in MB of 2**20 bytes, as the tools beside psutil show them.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

__all__ = ["MemorySampler", "MemorySnapshot", "capture_memory_snapshot", "memory_growth"]

_MB = 2**20


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """Memory of this process at one moment.

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


def capture_memory_snapshot() -> MemorySnapshot:
    """Read the memory of this process, now; about 15 us."""
    memory = _process(os.getpid()).memory_info()
    return MemorySnapshot(
        rss_mb=memory.rss / _MB,
        vms_mb=memory.vms / _MB,
        percent=100 * memory.rss / _machine_bytes(),
        timestamp=time.time(),
    )


@cache
def _process(pid: int) -> psutil.Process:
    # Kept, since making the object costs more than reading from it; by pid, since a fork copies it.
    import psutil

    return psutil.Process(pid)


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
    """Reads the memory of this process at an even pace, in a daemon thread.

    It lives once: `start` takes the first sample and starts the thread; `stop` ends the thread
    and takes the last sample. However long that lasts, no more than `limit` samples are held:
    when there are as many, every other one is dropped and the pace is halved, so that the
    samples stay evenly spaced over the whole time.

    Args:
        interval: Seconds from one sample to the next, to begin with.
        limit: The largest number of samples held, at least 4.

    Raises:
        ValueError: If the interval is not above 0, or the limit is below 4.
    """

    def __init__(self, interval: float = 0.05, limit: int = 1000) -> None:
        if not 0 < interval < math.inf:
            raise ValueError(f"MemorySampler: interval={interval!r} must be above 0 seconds")
        if limit < 4:
            raise ValueError(f"MemorySampler: limit={limit!r} must be 4 samples or more")
        self._interval = interval
        self._limit = limit
        self._samples: list[tuple[float, MemorySnapshot]] = []  # with the monotonic clock
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def snapshots(self) -> list[MemorySnapshot]:
        """The samples so far, oldest first; a new list."""
        with self._lock:
            return [snapshot for _, snapshot in self._samples]

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
        """Take one more sample now; any thread may."""
        with self._lock:
            if len(self._samples) >= self._limit:
                self._thin()
            self._samples.append((time.monotonic(), capture_memory_snapshot()))

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

    def _thin(self) -> None:
        # Samples asked for by hand may stand closer than the interval: drop those first, and
        # slow down only where that is not enough. A tenth of tolerance for a thread that is late.
        while True:
            kept = self._samples[:1]
            for moment, snapshot in self._samples[1:]:
                if moment - kept[-1][0] >= 0.9 * self._interval:
                    kept.append((moment, snapshot))
            if len(kept) <= self._limit // 2 + 1:
                break
            self._interval *= 2
        self._samples = kept
