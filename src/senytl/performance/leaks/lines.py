"""Where memory leaks that neither Python nor memray sees: by the heap before and after each line.

What a library takes from malloc by itself, as through ctypes, leaves no trace but a heap that has
grown. So the user's own lines are run one by one, and what the heap grew by while a line ran is
its doing. That holds while nobody else works: a single user runs, and garbage is collected between
requests alone.
"""

from __future__ import annotations

import gc
import inspect
import math
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dis import opmap
from time import perf_counter
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, TypeAlias

from senytl.performance.leaks.frames import Owner, owner_of
from senytl.performance.leaks.held import HeldBySize
from senytl.performance.leaks.quiet import fill_thread_cache
from senytl.performance.leaks.readings import heap_in_use
from senytl.performance.leaks.sites import TOP, LeakSite, Mark, rank_sites

if TYPE_CHECKING:
    from _typeshed import TraceFunction

__all__ = ["HeapLines"]

_DEPTH = 25
"""How many calls are kept of the way to a line."""

_FILLING = 0.1
_FILLS = 3
"""Seconds that filling malloc's cache may take in each request, and how often it is done for each
line of it: what a loop takes after that shows when the cache is empty, or when it has ended."""

_COLLECTING = 0.2
"""Which share of the time collecting garbage between requests may take."""

_CHANCE = 0.3
"""A line that holds less than this share of what the worst one does may do so by chance: what is
given back is only told by its size."""

_SUSPENDS = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_YIELD = opmap["YIELD_VALUE"]

_CACHED = [size for size in range(24, 1033, 16) for _ in range(10)]
"""What malloc keeps for each thread of what it has freed: seven chunks of each size up to 1,032
bytes, and some more of each, for a chunk may turn out larger than it was asked for."""

Path: TypeAlias = tuple[tuple[str, int, str], ...]


class HeapLines:
    """Finds the lines that leak by the size of the heap before and after each of them.

    Work is to be run by one user alone. What a line takes and another gives back is no leak; see
    `HeldBySize` for how that is told. A line that calls another of the user's functions is not
    charged for what is taken there. What threads take that ran before is charged to the line that
    waits meanwhile. Where nobody tells the size of the heap, nothing is found.

    The calling thread and those that are started later are traced; whoever traced them before, as
    a debugger or coverage may, sees nothing of these rounds and goes on after them.

    Args:
        top: How many sites to give at the most.
    """

    name = "heap readings"

    def __init__(self, top: int = TOP) -> None:
        self._top = top
        self._marks: list[Mark[Path]] = []
        self._held: HeldBySize[Path] = HeldBySize(())
        self._lock = threading.RLock()  # finalizers may run, and be traced, while it is held
        self._is_on = False
        self._heap = math.nan
        self._stacks: dict[int, list[_Call]] = {}
        self._running: list[_Call] = []
        self._waiting: Path = ()
        self._visits: dict[tuple[CodeType, int], tuple[int, int]] = {}
        self._request = 0
        self._thread = 0
        self._take, self._free = _malloc_and_free()
        self._yields: dict[CodeType, bytes] = {}
        self._collects = False
        self._began = self._collecting = self._filling = 0.0
        self._previous: TraceFunction | None = None
        self._previous_of_threads: TraceFunction | None = None

    @staticmethod
    def works_here() -> bool:
        """Whether the size of the heap can be told here."""
        return not math.isnan(heap_in_use())

    def start(self) -> None:
        """Begin to trace lines."""
        if self._is_on or not self.works_here():
            return
        self._is_on = True
        self._began = perf_counter()
        self._previous, self._previous_of_threads = sys.gettrace(), threading.gettrace()
        self._collects = gc.isenabled()
        gc.disable()
        self._heap = heap_in_use()
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def mark(self, requests: float) -> None:
        """Note what the lines hold."""
        if self._is_on:
            with self._lock:
                self._account()
                self._marks.append(Mark(requests, self._held.held()))
                self._heap = heap_in_use()

    def stop(self) -> list[LeakSite]:
        """End it, and let those trace who did before; gives the sites found, the worst first."""
        if not self._is_on:
            return []
        self._is_on = False
        sys.settrace(self._previous)
        threading.settrace(self._previous_of_threads)
        if self._collects:
            gc.enable()
        marks, self._marks = self._marks, []
        self._stacks.clear()
        self._yields.clear()
        self._visits.clear()
        with suppress(Exception):  # what was found about a leak is worth more than where it is
            sites = rank_sites(marks, lambda path: path, self._top)
            worst = max((site.bytes_per_request for site in sites), default=0.0)
            return [site for site in sites if site.bytes_per_request >= _CHANCE * worst]
        return []

    def _enter(self, frame: FrameType, event: Any, arg: object) -> Any:
        """Trace a call, or one that goes on, if it is of the user's code."""
        if not self._is_on:  # a thread that has outlived this
            sys.settrace(self._previous_of_threads)
            previous: Any = self._previous_of_threads
            return None if previous is None else previous(frame, event, arg)
        code = frame.f_code
        if owner_of(code.co_filename) is not Owner.USER:
            return None
        stack = self._stacks.setdefault(threading.get_ident(), [])
        call = frame.f_trace
        if not (isinstance(call, _Call) and call.lines is self):
            call = _Call(self, code)
            if not any(self._stacks.values()):
                self._begin()
        with self._lock:
            self._account()
            stack.append(call)
            call.line = frame.f_lineno
            self._running, self._waiting = stack, ()
            if len(stack) == 1:
                self._fill()  # a thread begins with none
            self._heap = heap_in_use()
        return call

    def go_on(self, call: _Call, frame: FrameType, event: str) -> Any:
        """Take note that a traced call comes to another line, or leaves."""
        if not self._is_on:
            return None
        if event not in ("line", "return"):
            return call
        stack = self._stacks.get(threading.get_ident(), [])
        with self._lock:
            self._account()
            if event == "line":
                call.line = frame.f_lineno
                self._running, self._waiting = stack, ()
            elif call in stack:
                if not self._waiting and self._suspends(frame):
                    self._waiting = _path_of(stack)
                while stack.pop() is not call:
                    pass
                others = list(self._stacks.values())
                self._running = stack or max(others, key=len, default=[])
            self._heap = heap_in_use()
        return call

    def _begin(self) -> None:
        """Let go of the garbage of earlier requests, before another one begins."""
        with self._lock:
            self._account()
            self._heap = heap_in_use()
        self._filling = 0.0
        self._request += 1
        self._thread = threading.get_ident()
        now = perf_counter()
        if self._collects and self._collecting <= _COLLECTING * (now - self._began):
            gc.collect()  # may run finalizers, which may wait for other threads: so without lock
            self._collecting += perf_counter() - now

    def _account(self) -> None:
        """Charge what the heap has changed by since it was read last."""
        fills = self._is_to_fill()
        if fills:
            self._fill()
        change = heap_in_use() - self._heap
        if change and not fills:
            self._fill()
            change = heap_in_use() - self._heap
        if not change:
            return
        if change > 0:
            # The thread that has come to another line has done it, rather than one that waits.
            stack = self._stacks.get(threading.get_ident()) or self._running
            self._held.take(_path_of(stack) if stack else self._waiting, int(change))
        else:
            self._held.give_back(int(-change))
        self._fill()  # the records have used it too

    def _is_to_fill(self) -> bool:
        """Whether malloc's cache is to be filled after the line that has just run."""
        stack = self._stacks.get(threading.get_ident())
        if not stack:
            return True
        line = stack[-1].code, stack[-1].line
        request, visits = self._visits.get(line, (0, 0))
        visits = visits + 1 if request == self._request else 1
        self._visits[line] = self._request, visits  # never cleared: it must not grow each time
        return visits <= _FILLS

    def _fill(self) -> None:
        """Fill malloc's cache: what is taken out of it, or given back into it, shows only so.

        Only that of the user's thread: those of others go with their threads, which would look
        as if much was given back.
        """
        if threading.get_ident() == self._thread and self._filling < _FILLING:
            began = perf_counter()
            if self._take is not None and self._free is not None:
                for _ in map(self._free, list(map(self._take, _CACHED))):
                    pass
            else:
                fill_thread_cache()
            self._filling += perf_counter() - began

    def _suspends(self, frame: FrameType) -> bool:
        """Whether a frame that leaves is to go on later."""
        code = frame.f_code
        if not code.co_flags & _SUSPENDS:
            return False
        operations = self._yields.get(code)
        if operations is None:
            operations = self._yields[code] = code.co_code
        return operations[frame.f_lasti] == _YIELD


class _Call:
    """A call of the user's code, from its beginning to its end, and the line that it is at.

    Args:
        lines: What traces it.
        code: The code that runs.
    """

    __slots__ = ("code", "line", "lines")

    def __init__(self, lines: HeapLines, code: CodeType) -> None:
        self.lines = lines
        self.code = code
        self.line = 0

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        return self.lines.go_on(self, frame, event)


def _malloc_and_free() -> tuple[Callable[[int], int] | None, Callable[[int], object] | None]:
    """The C library's, as Python calls them; None where Python cannot call what it is made of."""
    try:
        import ctypes

        take = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_size_t)
        free = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
        api = ctypes.pythonapi
        return take(("PyMem_RawMalloc", api)), free(("PyMem_RawFree", api))
    except (ImportError, AttributeError):
        return None, None


def _path_of(stack: list[_Call]) -> Path:
    """The lines that calls are at, the outermost first."""
    return tuple((call.code.co_filename, call.line, call.code.co_name) for call in stack[-_DEPTH:])
