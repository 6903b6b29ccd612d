"""A load over time in reports: as columns of figures, and as sparklines for the text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from senytl.performance.report.figures import compact_count, compact_rate, compact_seconds
from senytl.performance.report.schema import TimelineDocument

if TYPE_CHECKING:
    from senytl.performance.timeline import Timeline

__all__ = ["FEWEST_INTERVALS", "describe_timeline", "over_time", "sparkline"]

FEWEST_INTERVALS = 8
"""With fewer intervals than that there is no course to see."""

_WIDTH = 40
_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "_.:-=+*#"

_Merge = Callable[[Sequence[float]], float]


def describe_timeline(timeline: Timeline) -> TimelineDocument | None:
    """A load over time as plain data; None where it has no interval."""
    rows = timeline.rows()
    if not rows:
        return None
    return {
        # Microseconds tell enough, and take a third of the characters.
        "start": [round(row.start, 6) for row in rows],
        "seconds": [round(row.seconds, 6) for row in rows],
        "requests": [row.requests for row in rows],
        "failed": [row.failed for row in rows],
        "timed_out": [row.timed_out for row in rows],
        "dropped": [row.dropped for row in rows],
        "users": [row.users for row in rows],
        "p50": [row.p50 for row in rows],
        "p95": [row.p95 for row in rows],
        "p99": [row.p99 for row in rows],
        "tokens": [row.tokens for row in rows],
        "cost": [row.dollars for row in rows],
        "memory_mb": [row.memory_mb for row in rows],
    }


def over_time(timeline: TimelineDocument, *, ascii: bool = False) -> Iterator[tuple[str, str]]:
    """The lines of a report about the course of a load; none where it is too short for one.

    Each has a label, and beside it the course with its smallest and its largest figure.

    Args:
        timeline: The load over time.
        ascii: Whether they must be ASCII.
    """
    if len(timeline["start"]) < FEWEST_INTERVALS:
        return
    rates = [
        requests / seconds if seconds else None
        for requests, seconds in zip(timeline["requests"], timeline["seconds"], strict=True)
    ]
    courses: tuple[tuple[str, Sequence[float | None], _Merge, Callable[[float], str]], ...] = (
        ("Req/s Over Time", rates, _mean, compact_rate),
        ("P95 Over Time", timeline["p95"], max, compact_seconds),
        ("Users Over Time", timeline["users"], max, compact_count),
    )
    for label, figures, merge, write in courses:
        known = [figure for figure in figures if figure is not None]
        if known:
            ends = f"{write(min(known))} to {write(max(known))}"
            ends = ends.replace("µ", "u") if ascii else ends
            yield label, f"{sparkline(figures, merge, ascii=ascii)} {ends}"


def sparkline(
    figures: Sequence[float | None],
    merge: _Merge = max,
    *,
    width: int = _WIDTH,
    ascii: bool = False,
) -> str:
    """Figures as bars from 0 to the largest of them, a space for None.

    Args:
        figures: Numbers of 0 or more.
        merge: Makes one figure of neighbours that share a character.
        width: How many characters there are at most.
        ascii: Whether they must be ASCII.
    """
    count = min(width, len(figures))
    columns: list[float | None] = []
    for column in range(count):
        # Bounds from the whole, so that every figure is in one column and none is left over.
        part = figures[column * len(figures) // count : (column + 1) * len(figures) // count]
        known = [figure for figure in part if figure is not None]
        columns.append(merge(known) if known else None)
    top = max((column for column in columns if column is not None), default=0.0)
    bars = _ASCII_BARS if ascii else _BARS
    return "".join(" " if column is None else _bar(column, top, bars) for column in columns)


def _bar(figure: float, top: float, bars: str) -> str:
    return bars[min(int(figure / top * len(bars)), len(bars) - 1)] if top else bars[0]


def _mean(figures: Sequence[float]) -> float:
    return sum(figures) / len(figures)
