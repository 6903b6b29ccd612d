"""Proving a leak: further rounds where the run leaves doubt, and rounds that find the line.

What looks like a leak may be a cache that has not filled yet, which only more requests tell. And
what tells where memory was allocated makes an agent several times slower, so that it runs only
when there is something to find. None of these requests is in any figure of the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from senytl.performance.leaks.limits import FEWEST_READINGS, FEWEST_REQUESTS, ROUNDS

if TYPE_CHECKING:
    from senytl.performance.leaks.check import LeakCheck
    from senytl.performance.leaks.detector import Finding
    from senytl.performance.leaks.sites import SiteFinder

__all__ = ["FurtherRounds", "prove"]

_LEAST_SECONDS = 2.0
"""How long further rounds may take in any case."""

_SLACK = 1.5
"""How many times longer than the run they may take: memory is read, and it began at full speed."""

_SLOWER = 5.0
"""How many times slower an agent may be while it is traced."""

_ENOUGH = 0.5
"""Which share of the growth lines must explain; below it they are looked for in other ways too."""

_TRACED_ROUNDS = 10
_MOST_TRACED = 600
_LEAST_TRACED = 120
"""Requests that are run to find the line: enough for a leak at every fiftieth to stand out. Where
an agent is slow, the rounds that there is time for must do."""

_MOST_BY_LINE = 200
_LEAST_BY_LINE = 150
"""The same where a single user runs them, line by line."""

_TRACED_SECONDS = 20.0
"""How long they may take at the most, but for the time that the run itself took."""


@dataclass(frozen=True, slots=True)
class FurtherRounds:
    """A wish for more rounds of a run's work.

    Args:
        requests: How many requests in all.
        rounds: In how many rounds.
        seconds: How long they may take at the most.
        between: Called with the requests so far before the first round and after each, while no
            request is in flight; it gives whether to go on.
        traces: Whether they are to find the line of a leak that is proven; requests that fail
            since they are so much slower say nothing of it.
        alone: Whether one user is to run them all, while the others rest.
    """

    requests: int
    rounds: int
    seconds: float
    between: Callable[[int], bool]
    traces: bool = False
    alone: bool = False


def prove(
    check: LeakCheck, requests: int, seconds: float, least: int = 1
) -> Generator[FurtherRounds, None, None]:
    """Ask for further rounds as long as there is something to prove or to find.

    Args:
        check: What was read in the run; it takes what is found.
        requests: How many requests the run had.
        seconds: How long they took.
        least: How many make a round: one for each user.

    Yields:
        The rounds to run next.
    """
    if check.evidence.note or requests < FEWEST_REQUESTS:
        return
    if all(finding.outcome == "stable" for finding in _judge(check)):
        return
    limit = max(_LEAST_SECONDS, _SLACK * seconds)

    def read(so_far: int) -> bool:
        check.read_further(so_far)
        return True

    more = FurtherRounds(_whole(requests, ROUNDS, least), ROUNDS, limit, read)
    if len(check.evidence.readings) < FEWEST_READINGS:
        # The run itself had too few rounds, so these stand for it.
        yield more
        check.replace_by_further()
        if check.evidence.note:  # nearly all of them failed
            return
        if all(finding.outcome == "stable" for finding in _judge(check)):
            return
    yield more
    leaks = [finding for finding in _judge(check) if finding.outcome == "leak"]
    if not leaks:
        return
    traced = max(_LEAST_TRACED, min(requests, _MOST_TRACED))
    time = max(seconds, min(limit * _SLOWER, _TRACED_SECONDS))
    wish = (_whole(traced, _TRACED_ROUNDS, least), _TRACED_ROUNDS, time)
    yield from _locate(check, leaks[0], *wish)


def _locate(
    check: LeakCheck, leak: Finding, requests: int, rounds: int, seconds: float
) -> Generator[FurtherRounds, None, None]:
    """Find the lines that leak, by tracemalloc, and natively where that explains too little."""
    from senytl.performance.leaks.lines import HeapLines
    from senytl.performance.leaks.native import MemraySites, why_not_memray
    from senytl.performance.leaks.sites import TracemallocSites

    evidence = check.evidence
    if check.is_of_another_process:
        evidence.sites_note = "another process leaks: its lines cannot be seen from here"
        return
    rounds_for_all = FurtherRounds(requests, rounds, seconds, bool, traces=True)
    yield from _trace(check, TracemallocSites(), rounds_for_all)
    best = python = _share(check, leak)
    if leak.signal == "blocks" or not python < _ENOUGH:
        return
    reason = why_not_memray()
    if reason is None:
        best = yield from _trace_better(check, leak, best, MemraySites(), rounds_for_all)
    by_line = HeapLines.works_here() and best < _ENOUGH
    if by_line:
        few = _whole(min(max(requests // 2, _LEAST_BY_LINE), _MOST_BY_LINE), rounds, 1)
        alone = FurtherRounds(few, rounds, seconds, bool, traces=True, alone=True)
        best = yield from _trace_better(check, leak, best, HeapLines(), alone)
    if best < _ENOUGH:
        evidence.sites_note = _why_no_line(python, best, by_line, reason)


def _trace_better(
    check: LeakCheck, leak: Finding, best: float, finder: SiteFinder, rounds: FurtherRounds
) -> Generator[FurtherRounds, None, float]:
    """Find lines in another way, and keep whichever explain more; gives how much they do."""
    evidence = check.evidence
    before = evidence.sites, evidence.sites_by, evidence.traced_requests
    yield from _trace(check, finder, rounds)
    share = _share(check, leak)
    if share > best:
        return share
    evidence.sites, evidence.sites_by, evidence.traced_requests = before
    return best


def _share(check: LeakCheck, leak: Finding) -> float:
    """Which share of the leak the sites explain, at the most all of it; NaN if not known."""
    from senytl.performance.leaks.sites import explained

    share = explained(check.evidence.sites, leak.bytes_per_request)
    return share if math.isnan(share) else min(max(share, 0.0), 1.0)


def _why_no_line(python: float, best: float, by_line: bool, reason: str | None) -> str:
    """What was tried where no lines were found that explain the growth."""
    note = (
        f"Python's own allocations explain {python:.0%} of the growth, so native code may hold the "
        "rest"
    )
    if by_line:
        note += "; the heap was read before and after each of your lines as well, and "
        note += f"the lines shown explain {best:.0%}" if best > python else "no line stood out"
        note += ": other threads, memory mapped past malloc or lines that are no Python remain"
    return note if reason is None else f"{note}: {reason}"


def _trace(
    check: LeakCheck, finder: SiteFinder, rounds: FurtherRounds
) -> Generator[FurtherRounds, None, None]:
    """Find lines in one way, in such rounds."""
    evidence = check.evidence

    def mark(so_far: int) -> bool:
        check.settle()
        finder.mark(so_far)
        evidence.traced_requests = so_far
        return True

    finder.start()
    try:
        yield replace(rounds, between=mark)
    finally:
        evidence.sites = finder.stop()
        evidence.sites_by = finder.name


def _judge(check: LeakCheck) -> list[Finding]:
    return [check.evidence.judge(limits) for limits in check.limits]


def _whole(requests: int, rounds: int, least: int) -> int:
    """So many requests that each round has as many, and enough for every user."""
    return max(least, math.ceil(requests / rounds)) * rounds
