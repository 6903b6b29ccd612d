"""The SLA report of a session in the terminal.

A row for each measured test, then what was violated and why, what to mind, and the sums. Its
size is bounded, however many tests there are; the reports in files hold everything.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from senytl.performance.metric.units import write_count
from senytl.performance.report.figures import (
    dollars,
    is_violated,
    write_actual,
    write_limit,
)
from senytl.performance.report.rows import table_rows
from senytl.performance.report.schema import (
    RunDocument,
    SessionDocument,
    SLADocument,
    TotalsDocument,
)
from senytl.performance.report.sheet import Sheet

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

__all__ = ["session_table"]

_MOST_SLAS = 50
_MOST_WARNINGS = 5
_LONGEST_NAME = 300
_LONGEST_WHY = 400
_TRAILING = re.compile(r" *((?:\x1b\[0m)?) *$", re.MULTILINE)
"""The spaces with which rich fills a block up, and those at which it wrapped a line."""


def session_table(
    document: SessionDocument, *, width: int, colour: bool, ascii: bool = False
) -> str:
    """The report as text for a terminal; empty where no test was measured.

    Args:
        document: What `describe_session` gave.
        width: Cells of a line. From 64 on, no figure is cut or wrapped.
        colour: Whether to colour it by ANSI escapes.
        ascii: Whether the terminal can show ASCII only.
    """
    from rich.console import Console

    if not document["tests"]:
        return ""
    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        height=100,  # without it rich takes 80 columns for a dumb terminal, whatever the width
        force_terminal=colour,
        color_system="standard" if colour else None,
        no_color=not colour,
        force_jupyter=False,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
    )
    for part in _parts(document, Sheet(width, ascii)):
        console.print(part, overflow="fold", crop=False)
    return _TRAILING.sub(r"\1", file.getvalue())


def _parts(document: SessionDocument, sheet: Sheet) -> Iterator[RenderableType]:
    tests = document["tests"]
    yield from table_rows(tests, sheet)
    yield from _slas(tests, sheet, "violated", "red", is_violated)
    yield from _slas(tests, sheet, "inconclusive", "yellow", lambda sla: sla["doubt"] is not None)
    yield from _warnings(tests, sheet)
    yield ""
    yield from _totals(document["totals"], sheet)


def _slas(
    tests: Sequence[RunDocument],
    sheet: Sheet,
    outcome: str,
    colour: str,
    chosen: Callable[[SLADocument], bool],
) -> Iterator[RenderableType]:
    """The SLAs of one outcome, test by test, and why it is theirs."""
    found = [(test, sla) for test in tests for sla in test["slas"] if chosen(sla)]
    if not found:
        return
    yield ""
    yield _text((f"{write_count(len(found), 'SLA')} {outcome}", f"bold {colour}"))
    named: RunDocument | None = None
    for test, sla in found[:_MOST_SLAS]:
        if test is not named:
            named = test
            name = sheet.keep_end(sheet.plain(test["nodeid"]), _LONGEST_NAME)
            yield _indent(_text((name, "")), 2)
        yield from _sla(sla, sheet, colour)
    if len(found) > _MOST_SLAS:
        more = write_count(len(found) - _MOST_SLAS, "more SLA")
        yield _indent(_text((f"and {more} {outcome}", "dim")), 2)


def _sla(sla: SLADocument, sheet: Sheet, colour: str) -> Iterator[RenderableType]:
    mark = sheet.marks.broken if sla["doubt"] is None else sheet.marks.doubtful
    yield _indent(
        _text(
            (f"{mark} ", colour),
            (f"{sheet.plain(write_limit(sla))}: ", ""),
            (sheet.plain(write_actual(sla)), f"bold {colour}"),
        ),
        4,
    )
    why = sheet.keep_start(sheet.plain(sla["doubt"] or sla["why"]), _LONGEST_WHY)
    yield _indent(_text((why, "dim")), 6)


def _warnings(tests: Sequence[RunDocument], sheet: Sheet) -> Iterator[RenderableType]:
    concerned: dict[str, list[str]] = {}
    for test in tests:
        for note in test["warnings"]:
            concerned.setdefault(note, []).append(test["nodeid"])
    if not concerned:
        return
    yield ""
    yield _text((write_count(len(concerned), "warning"), "yellow"))
    for note, names in list(concerned.items())[:_MOST_WARNINGS]:
        where = sheet.plain(names[0]) if len(names) == 1 else f"{len(names):,} tests"
        where = sheet.keep_end(where, sheet.width - 4)
        yield _indent(_text((sheet.plain(note), "")), 2)
        yield _indent(_text((where, "dim")), 4)
    if len(concerned) > _MOST_WARNINGS:
        more = write_count(len(concerned) - _MOST_WARNINGS, "more warning")
        yield _indent(_text((f"and {more}", "dim")), 2)


def _totals(totals: TotalsDocument, sheet: Sheet) -> Iterator[Text]:
    """The sums, on one line if there is room, else broken between two of them."""
    parts = [_text((write_count(totals["tests"], "test"), "bold"))]
    if totals["passed"]:
        parts.append(_text((f"{totals['passed']:,} passed", "bold green")))
    if totals["failed"]:
        parts.append(_text((f"{totals['failed']:,} failed", "bold red")))
    if totals["inconclusive"]:
        parts.append(_text((f"{totals['inconclusive']:,} inconclusive", "bold yellow")))
    parts += [_text((figure, "")) for figure in _sums(totals, sheet)]
    separator = _text((sheet.marks.separator, "dim"))
    line = parts[0]
    for part in parts[1:]:
        if line.cell_len + separator.cell_len + part.cell_len > sheet.width:
            yield line
            line = part
        else:
            line = line + separator + part
    yield line


def _sums(totals: TotalsDocument, sheet: Sheet) -> Iterator[str]:
    failed = totals["failed_requests"]
    yield write_count(totals["requests"], "request") + (f" ({failed:,} failed)" if failed else "")
    if totals["tokens"] is not None:
        yield write_count(totals["tokens"], "token")
    if totals["cost"] is not None:
        yield dollars(totals["cost"])
    elif totals["unpriced_models"]:
        models = ", ".join(sheet.plain(model) for model in totals["unpriced_models"])
        yield f"cost not known (no price for {models})"
    yield f"{totals['duration_seconds']:,.1f} s"


def _text(*parts: tuple[str, str]) -> Text:
    from rich.text import Text

    return Text.assemble(*parts)


def _indent(text: Text, by: int) -> RenderableType:
    from rich.padding import Padding

    return Padding(text, (0, 0, 0, by), expand=False)
