"""The memory of a process by its pid, or of a process and all that it started.

Figures are bytes. psutil is imported when a process is first read.
"""

from __future__ import annotations

import math
import os
import time
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from senytl.models import MisuseError

if TYPE_CHECKING:
    import psutil

__all__ = ["ProcessBytes", "ProcessMemory"]

_SEARCH_SHARE = 0.02
"""The share of the time that looking for descendants may take: all processes of the machine are
looked at for it, which takes milliseconds where there are hundreds."""


class ProcessBytes(NamedTuple):
    """Memory at one moment.

    Args:
        rss: Resident memory.
        vms: Virtual memory.
    """

    rss: int
    vms: int


class ProcessMemory:
    """Reads the memory of one process, with or without its descendants.

    Args:
        pid: The process; None for the one that reads, which after a fork is the new one.
        children: Whether its children, their children and so on are added. Memory that
            processes share counts in each of them.

    Raises:
        MisuseError: If there is no such process, or its memory may not be read.
    """

    def __init__(self, pid: int | None = None, children: bool = False) -> None:
        self._other = None if pid is None or pid == os.getpid() else _open(pid)
        self._children = children
        self._descendants: list[psutil.Process] = []
        self._search_due = -math.inf

    def read(self) -> ProcessBytes | None:
        """Read it now; about 15 us for this process, 0.1 ms for another one.

        Descendants that end meanwhile, or that may not be read, are left out. New ones are looked
        for as often as a fiftieth of the time allows.

        Returns:
            None if the process has ended, or may no longer be read.
        """
        import psutil

        process = _own(os.getpid()) if self._other is None else self._other
        try:
            # Another process may have got the pid of one that ended.
            if self._other is not None and not process.is_running():
                return None
            rss, vms = process.memory_info()[:2]
            if not rss:  # it has ended, and whoever started it has not asked how
                return None
            if self._children:
                self._look_for_descendants(process)
        except psutil.Error:
            return None
        for descendant in self._descendants:
            try:
                memory = descendant.memory_info()
            except psutil.Error:
                continue
            rss += memory.rss
            vms += memory.vms
        return ProcessBytes(rss, vms)

    def _look_for_descendants(self, process: psutil.Process) -> None:
        began = time.monotonic()
        if began < self._search_due:
            return
        self._descendants = process.children(recursive=True)
        self._search_due = began + (time.monotonic() - began) / _SEARCH_SHARE


def _open(pid: int) -> psutil.Process:
    import psutil

    if isinstance(pid, bool) or not isinstance(pid, int) or pid < 1:
        raise MisuseError(
            f"pid is {pid!r}; it must be the number of a process, such as the pid of a "
            "subprocess.Popen, or None for this one"
        )
    try:
        process = psutil.Process(pid)
        rss = process.memory_info().rss
    except psutil.AccessDenied:
        raise MisuseError(
            f"the memory of process {pid} may not be read by this user: run the tests as the "
            "user whose process it is"
        ) from None
    except psutil.NoSuchProcess:
        raise MisuseError(f"there is no process {pid}, or it has ended") from None
    if not rss:
        raise MisuseError(f"process {pid} has ended, or has no memory of its own")
    return process


@cache
def _own(pid: int) -> psutil.Process:
    # Kept, since making the object costs more than reading from it; by pid, since a fork copies it.
    import psutil

    return psutil.Process(pid)
