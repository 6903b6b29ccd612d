"""Reports: one document of plain data per test and per session, and the formats that show it.

To add a format: a module with the four names of `ReportFormat`, and its place in the registry
below.
"""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import TYPE_CHECKING, Protocol

from senytl.performance.report import json, markdown, text
from senytl.performance.report.document import describe_run
from senytl.performance.report.schema import RunDocument, SessionDocument
from senytl.performance.report.writing import write_whole

if TYPE_CHECKING:
    from senytl.performance.metrics import PerformanceMetrics

__all__ = ["ReportFormat", "find_format", "format_for", "generate_report"]


class ReportFormat(Protocol):
    """What a module that renders documents has; the texts that it gives end in a newline."""

    @property
    def name(self) -> str:
        """What the user calls it."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The suffixes of files in this format, in lower case, the usual one first."""

    def render_run(self, run: RunDocument, /) -> str:
        """The report of one test."""

    def render_session(self, session: SessionDocument, /) -> str:
        """The report of a session."""


_FORMATS: tuple[ReportFormat, ...] = (text, json, markdown)


def find_format(name: str) -> ReportFormat:
    """The format of this name, or of this suffix without its dot (``"md"``, ``"txt"``).

    Raises:
        ValueError: If there is none; the message lists all.
    """
    for one in _FORMATS:
        if name == one.name or f".{name}" in one.suffixes:
            return one
    names = ", ".join(repr(one.name) for one in _FORMATS)
    raise ValueError(f"there is no report format {name!r}; the formats are {names}")


def format_for(path: str | os.PathLike[str]) -> ReportFormat:
    """The format of a file, which is known by its suffix.

    Raises:
        ValueError: If the suffix is none of a format's; the message lists all.
    """
    suffix = PurePath(path).suffix
    for one in _FORMATS:
        if suffix.lower() in one.suffixes:
            return one
    suffixes = ", ".join(known for one in _FORMATS for known in one.suffixes)
    problem = f"the suffix {suffix!r} is of no report format" if suffix else "it has no suffix"
    raise ValueError(f"{problem}; the suffixes are {suffixes}")


def generate_report(
    metrics: PerformanceMetrics,
    output_path: str | os.PathLike[str] | None = None,
    format: str = "text",
) -> str:
    """The report of one run, and a file of it.

    Args:
        metrics: The run's figures, as from ``fn._performance_metrics[-1]``.
        output_path: Where to write the report too: whole or not at all, folders made as needed.
        format: ``"text"``, ``"json"`` or ``"markdown"``; ``"txt"`` and ``"md"`` name them too.

    Returns:
        The report; the file holds the same text, in UTF-8.

    Raises:
        TypeError: If `metrics` is no `PerformanceMetrics`.
        ValueError: If there is no such format.
        OSError: If the file cannot be written.
    """
    from senytl.performance.metrics import PerformanceMetrics

    if not isinstance(metrics, PerformanceMetrics):
        raise TypeError(
            f"generate_report takes the PerformanceMetrics of a run, not {type(metrics).__name__}; "
            "those of a decorated function are fn._performance_metrics[-1]"
        )
    report = find_format(format).render_run(describe_run(metrics))
    if output_path is not None:
        write_whole(output_path, report)
    return report
