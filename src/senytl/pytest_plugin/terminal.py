"""The session's figures in the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from senytl.performance.report.schema import SessionDocument

__all__ = ["can_write", "write_table"]


def write_table(reporter: pytest.TerminalReporter, document: SessionDocument) -> None:
    """Write the SLA report below the tests' own results, as wide as the terminal is."""
    from senytl.performance.report.table import session_table

    writer = reporter.config.get_terminal_writer()
    table = session_table(
        document,
        width=writer.fullwidth,
        colour=writer.hasmarkup,
        ascii=not can_write(writer, "─✓µ"),
    )
    reporter.section("senytl", sep="=")
    for line in table.rstrip("\n").splitlines():
        reporter.write_line(line)


def can_write(writer: object, text: str) -> bool:
    """Whether the terminal has these characters; pytest would escape the whole line otherwise."""
    stream = getattr(writer, "_file", sys.stdout)
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
