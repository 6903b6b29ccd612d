"""Where memory leaks: the lines whose allocations are still there, and more of them each time.

An allocation that stays is no leak yet: modules are imported, caches fill, tables double. So what
every line holds is noted in several settled moments, and lines are ranked by what they gain in
the leanest stretch between them. A cache that fills gains ever less, and chance does not gain
in each stretch.
"""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, NamedTuple, Protocol, TypeVar

from senytl.performance.leaks.frames import Frame, frame_at, innermost_own, seen_by_user

__all__ = [
    "Frame",
    "Held",
    "LeakSite",
    "Mark",
    "SiteFinder",
    "TracemallocSites",
    "explained",
    "rank_sites",
]

TOP = 3
"""How many sites are worth showing."""

_DEPTH = 25
"""How many calls are kept of the way to an allocation: an SDK has some twenty above the socket."""

_STRETCHES = 3
"""Into how many stretches the marks are put together."""

_WARM_UP = 0.25
"""Which share of the requests comes before the first mark that counts."""

_LEAST_BYTES = 8.0
"""Bytes a request below which steady growth may be chance: as much as one more entry of a list."""

_LEAST_AT_ONCE = 64.0
"""The same for growth that came in steps: a buffer that doubles, but also much that is no leak."""

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class LeakSite:
    """A line of code of which allocations stay.

    Args:
        bytes_per_request: What each request leaves behind.
        blocks_per_request: In how many allocations.
        frames: How the line was come to, the outermost call first; that of most bytes where there
            are several ways. At least one.
    """

    bytes_per_request: float
    blocks_per_request: float
    frames: tuple[Frame, ...]

    @property
    def location(self) -> Frame:
        """The innermost line of the user's own code; where there is none, the innermost one."""
        return self.frames[innermost_own([frame.file for frame in self.frames])]


class SiteFinder(Protocol):
    """Finds the lines that leak, while rounds of work are run.

    Its life: `start`, then `mark` in settled moments, at least three of them, and `stop`.

    Attributes:
        name: What it is called in reports.
    """

    name: str

    def start(self) -> None:
        """Begin to see allocations."""

    def mark(self, requests: float) -> None:
        """Note what is allocated, in a moment in which no request is in flight.

        Args:
            requests: How many requests have ended by now. The first quarter of all of them is
                warm-up, where enough marks are left without it.
        """

    def stop(self) -> list[LeakSite]:
        """End it, and leave the process as it was; gives the sites found, the worst first.

        Raises nothing, also after an error and when it was not started.
        """


class Held(NamedTuple):
    """What the allocations of one traceback hold.

    Args:
        bytes: How much.
        blocks: In how many allocations.
    """

    bytes: int
    blocks: int


class Mark(NamedTuple, Generic[K]):
    """What was allocated in one settled moment.

    Args:
        requests: How many requests had ended.
        held: By traceback, whatever stands for one.
    """

    requests: float
    held: Mapping[K, Held]


class TracemallocSites:
    """Finds the lines that leak by Python's own tracing, which sees all that Python allocates.

    Code that waits for nothing gets some forty times slower, since the way to each allocation is
    noted (measured: an SDK's call of a mocked model took 88 ms instead of 2). A program that
    traces already goes on tracing afterwards, as deeply as it does.

    Args:
        top: How many sites to give at the most.
    """

    name = "tracemalloc"

    def __init__(self, top: int = TOP) -> None:
        self._top = top
        self._marks: list[Mark[tracemalloc.Traceback]] = []
        self._is_ours = False

    def start(self) -> None:
        """Begin to trace, unless the program does already."""
        if not tracemalloc.is_tracing():
            tracemalloc.start(_DEPTH)
            self._is_ours = True

    def mark(self, requests: float) -> None:
        """Note what is allocated; nothing if the program has ended the tracing."""
        if not tracemalloc.is_tracing():
            return
        statistics = tracemalloc.take_snapshot().statistics("traceback")
        held = {one.traceback: Held(one.size, one.count) for one in statistics}
        self._marks.append(Mark(requests, held))

    def stop(self) -> list[LeakSite]:
        """End the tracing if it was begun here; gives the sites found, the worst first."""
        if self._is_ours:
            self._is_ours = False
            tracemalloc.stop()
        marks, self._marks = self._marks, []
        with suppress(Exception):  # what was found about a leak is worth more than where it is
            return rank_sites(marks, _calls_of, self._top)
        return []


def explained(sites: Sequence[LeakSite], finding_bytes_per_request: float) -> float:
    """Which share of a growth of memory the sites account for.

    Args:
        sites: The sites that were found.
        finding_bytes_per_request: By how many bytes a request memory grew.

    Returns:
        The share, which may be above 1, for what is allocated often fits into memory that was
        there; NaN where it is not known how much memory grew.
    """
    if not finding_bytes_per_request > 0:
        return math.nan
    return sum(site.bytes_per_request for site in sites) / finding_bytes_per_request


def rank_sites(
    marks: Sequence[Mark[K]],
    calls_of: Callable[[K], Sequence[tuple[str, int, str]]],
    top: int = TOP,
) -> list[LeakSite]:
    """The lines that gained the most between marks, the worst first.

    Tracebacks count together whose innermost line of the user's own code is the same. Lines that
    gained in each stretch come first, by what they gained in the leanest; then those that gained
    much at once.

    Args:
        marks: What was held, in the order of time.
        calls_of: The file, line and function of each call of a traceback, the outermost first;
            nothing for one that is to be left out.
        top: How many sites to give at the most.
    """
    marks = _settled(marks)
    if len(marks) < 2:
        return []
    spans = [after.requests - before.requests for before, after in pairwise(marks)]
    lines: dict[tuple[str, int], _Line[K]] = {}
    for key in {key: None for mark in marks for key in mark.held}:
        held = [mark.held.get(key, _NOTHING) for mark in marks]
        if held.count(held[0]) == len(held):
            continue
        calls = calls_of(key)
        files = [file for file, _, _ in calls]
        first = seen_by_user(files)
        if first is None:
            continue
        # Counted from the end where there is none of the user's below senytl's.
        file, line, _ = calls[first:][innermost_own(files[first:])]
        lines.setdefault((file, line), _Line(len(spans))).add(key, first, held)
    ranked = sorted(lines.values(), key=lambda line: line.rank(spans), reverse=True)
    worst = [line for line in ranked if line.is_worth_showing(spans)][:top]
    return [line.site(sum(spans), calls_of) for line in worst]


class _Line(Generic[K]):
    """A line while its allocations are added up."""

    __slots__ = ("_blocks", "_bytes", "_most", "_shown")

    def __init__(self, stretches: int) -> None:
        self._bytes = [0] * stretches
        self._blocks = 0
        self._most = (-1, -1)
        self._shown: tuple[K, int] | None = None

    def add(self, key: K, first: int, held: Sequence[Held]) -> None:
        """Add what was held by one traceback at each mark, and from which call on to show it."""
        gains = [after.bytes - before.bytes for before, after in pairwise(held)]
        self._bytes = [sum(pair) for pair in zip(self._bytes, gains, strict=True)]
        blocks = held[-1].blocks - held[0].blocks
        self._blocks += blocks
        if self._shown is None or (sum(gains), blocks) > self._most:
            self._most, self._shown = (sum(gains), blocks), (key, first)

    def leanest(self, spans: Sequence[float]) -> float:
        """Bytes a request that were gained in the leanest stretch."""
        return min(gain / span for gain, span in zip(self._bytes, spans, strict=True))

    def rank(self, spans: Sequence[float]) -> tuple[float, float]:
        """By what lines are ordered: the worst has the greatest."""
        return max(0.0, self.leanest(spans)), sum(self._bytes)

    def is_worth_showing(self, spans: Sequence[float]) -> bool:
        """Whether it gained enough to be told from chance."""
        least = _LEAST_BYTES if self.leanest(spans) > 0 else _LEAST_AT_ONCE
        return sum(self._bytes) >= least * sum(spans)

    def site(
        self, requests: float, calls_of: Callable[[K], Sequence[tuple[str, int, str]]]
    ) -> LeakSite:
        """The line, as one that leaks."""
        assert self._shown is not None  # it has been added to
        key, first = self._shown
        frames = tuple(frame_at(*call) for call in calls_of(key)[first:])
        return LeakSite(sum(self._bytes) / requests, self._blocks / requests, frames)


_NOTHING = Held(0, 0)


def _settled(marks: Sequence[Mark[K]]) -> list[Mark[K]]:
    """The marks to go by: without the warm-up, and only as many as there are stretches."""
    chosen: list[Mark[K]] = []
    for mark in marks:
        if chosen and mark.requests <= chosen[-1].requests:
            chosen.pop()  # nothing was run in between: the later one is the more settled
        chosen.append(mark)
    if len(chosen) > 3:
        warm = [mark for mark in chosen if mark.requests >= _WARM_UP * chosen[-1].requests]
        chosen = warm if len(warm) >= 3 else chosen[1:]
    stretches = min(_STRETCHES, len(chosen) - 1)
    if stretches < 1:
        return []
    return [chosen[number * (len(chosen) - 1) // stretches] for number in range(stretches + 1)]


def _calls_of(traceback: tracemalloc.Traceback) -> list[tuple[str, int, str]]:
    """The calls of a traceback; none where tracing itself has allocated, to tell what it saw."""
    if traceback[-1].filename == tracemalloc.__file__:
        return []
    return [(frame.filename, frame.lineno, "") for frame in traceback]
