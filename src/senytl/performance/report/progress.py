"""A load test while it runs, in one line."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

from senytl.performance.report.figures import (
    compact_count,
    compact_dollars,
    compact_rate,
    compact_seconds,
)

if TYPE_CHECKING:
    from senytl.performance.load.progress import LoadProgress

__all__ = ["write_progress"]

_LEAST_NAME = 12  # columns of it that are shown, if it has so many


def write_progress(progress: LoadProgress, *, width: int | None = None, ascii: bool = False) -> str:
    """``test_it: 0:12, 0:48 left · 50 users · 812 req/s · p95 1.23s · 9,744 requests``.

    Args:
        progress: What to write.
        width: Columns that there are; the name is cut first, then the last figures go. Without
            it the line is as long as it needs to be.
        ascii: Whether it must be ASCII.
    """
    separator = " | " if ascii else " · "
    name, figures = _printable(progress.name, ascii), list(_figures(progress))
    if ascii:
        figures = [figure.replace("µ", "u") for figure in figures]
    if width is None:
        return f"{name}: {separator.join(figures)}"
    least = min(_LEAST_NAME, _columns(name.rpartition("::")[2]))
    while len(figures) > 1 and width < least + 2 + len(separator.join(figures)):
        figures.pop()
    text = separator.join(figures)
    name = _shorten(name, width - 2 - len(text), "~" if ascii else "…")
    return f"{name}: {text}" if name else text[: max(0, width)]


def _figures(progress: LoadProgress) -> Iterable[str]:
    """The figures of a line, the most important ones first."""
    yield _time(progress)
    yield _counted(progress.users, "user")
    if progress.phase != "warm-up":
        yield f"{compact_rate(progress.rps)} req/s"
        if progress.p95 is not None:
            yield f"p95 {compact_seconds(progress.p95)}"
        if progress.failed:
            yield f"{compact_count(progress.failed)} failed"
        if progress.dollars is not None:
            yield compact_dollars(progress.dollars)
        if progress.planned_requests is None:
            yield _counted(progress.requests, "request")
        else:
            planned = _counted(progress.planned_requests, "request")
            yield f"{compact_count(progress.requests)} of {planned}"


def _time(progress: LoadProgress) -> str:
    text = _clock(progress.elapsed)
    if progress.remaining is not None:
        text += f", {_clock(progress.remaining)} left"
    return text if progress.phase == "load" else f"{progress.phase} {text}"


def _clock(seconds: float) -> str:
    """``0:12``, ``61:01``, ``2:00:00``."""
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _counted(number: int, noun: str) -> str:
    return f"{compact_count(number)} {noun}{'' if number == 1 else 's'}"


def _printable(text: str, ascii: bool) -> str:
    """The text on one line, with nothing in it that a terminal would obey."""
    return "".join(
        letter if letter.isprintable() and (letter.isascii() or not ascii) else "?"
        for letter in text
    )


def _shorten(name: str, room: int, mark: str) -> str:
    """As much of a node id as there is room for: its end, which tells tests apart."""
    if _columns(name) <= room:
        return name
    name = name.rpartition("::")[2]
    if _columns(name) <= room:
        return name
    while name and _columns(name) + 1 > room:
        name = name[:-1]
    return f"{name}{mark}" if name else ""


def _columns(text: str) -> int:
    """How wide a terminal shows it."""
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )
