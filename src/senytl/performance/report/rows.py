"""The table of measured tests in the terminal: a row each, of figures that are never cut.

Where the names have too little room beside the figures, each test takes two lines: its name,
and below it the figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from senytl.performance.metric.units import write_count
from senytl.performance.report.columns import COLUMNS
from senytl.performance.report.figures import (
    compact_seconds,
    is_violated,
    percent,
    seconds,
    where_ended,
    write_error,
)
from senytl.performance.report.leaks import LeakLine, leak_headline, leak_sites
from senytl.performance.report.schema import RunDocument
from senytl.performance.report.sheet import Sheet

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["table_rows"]

_MOST_TESTS = 50
_MOST_ERRORS = 3
_VERDICT_WIDTH = 8
_LONG_VERDICT_WIDTH = 14
"""Cells of a verdict where one of them is inconclusive, if there is room for that."""
_INDENT = 4
_ENOUGH_NAME = 40
"""Cells of a name, if it needs as many, below which the figures get a line of their own."""


def table_rows(tests: Sequence[RunDocument], sheet: Sheet) -> Iterator[Text]:
    """The lines of the table; of more than 50 tests, the failed ones first of all."""
    shown = _choose(tests)
    layout = _Layout(shown, sheet)
    yield from layout.heading()
    for test in shown:
        yield from layout.row(test)
        yield from _remarks(test, sheet)
        yield from _leak(test, sheet)
        yield from _calls(test, sheet)
    if len(shown) < len(tests):
        hidden = Counter(test["verdict"] for test in tests)
        hidden.subtract(test["verdict"] for test in shown)
        others = [
            f"{hidden[verdict]:,} of them {verdict}"
            for verdict in ("failed", "inconclusive")
            if hidden[verdict]
        ]
        state = ", ".join(others) or "all passed"
        more = f"and {write_count(len(tests) - len(shown), 'more test')}, {state}"
        yield _line(f"{sheet.marks.ellipsis} {more}", "dim")


def _choose(tests: Sequence[RunDocument]) -> list[RunDocument]:
    """As many as fit, in their order; passed ones give way to failed ones."""
    places = sorted(range(len(tests)), key=lambda place: tests[place]["verdict"] == "passed")
    return [tests[place] for place in sorted(places[:_MOST_TESTS])]


class _Layout:
    """Where the name, the figures and the verdict stand, for some tests on some sheet."""

    def __init__(self, tests: Sequence[RunDocument], sheet: Sheet) -> None:
        from rich.cells import cell_len

        unclear = any(test["verdict"] == "inconclusive" for test in tests)
        narrow = sheet.width < sum(column.width + 1 for column in COLUMNS) + 1 + _LONG_VERDICT_WIDTH
        self._verdict_width = _LONG_VERDICT_WIDTH if unclear and not narrow else _VERDICT_WIDTH
        figures = sum(column.width + 2 for column in COLUMNS) + 2 + self._verdict_width
        room = sheet.width - figures
        longest = max(cell_len(sheet.plain(test["nodeid"])) for test in tests)
        self._sheet = sheet
        self._stacked = room < min(longest, _ENOUGH_NAME)
        self._name_width = 0 if self._stacked else max(min(room, longest), len("test"))
        self._gap = " " if sheet.width < figures else "  "

    def heading(self) -> Iterator[Text]:
        """Two lines of headings, and a rule."""
        top, bottom = (
            "".join(self._gap + column.heading[line].rjust(column.width) for column in COLUMNS)
            for line in (0, 1)
        )
        bottom += f"{self._gap}{'verdict':<{self._verdict_width}}"
        if self._stacked:
            top = "test" + top[len("test") :]
        else:
            top = " " * self._name_width + top
            bottom = "test".ljust(self._name_width) + bottom
        yield _line(top, "dim")
        yield _line(bottom.rstrip(), "dim")
        yield _line(self._sheet.marks.rule * len(bottom), "dim")

    def row(self, test: RunDocument) -> Iterator[Text]:
        """One test, on one line or on two."""
        from rich.cells import cell_len

        name = self._sheet.plain(test["nodeid"])
        if self._stacked:
            yield _line(self._sheet.keep_end(name, self._sheet.width), "bold")
            line = _line("")
        else:
            name = self._sheet.keep_end(name, self._name_width)
            line = _line(name + " " * (self._name_width - cell_len(name)))
        marks = self._sheet.marks
        violated = {sla["metric"] for sla in test["slas"] if is_violated(sla)}
        doubtful = {sla["metric"] for sla in test["slas"] if sla["doubt"] is not None}
        for column in COLUMNS:
            cell = column.cell(test)
            figure = marks.unknown if cell is None else self._sheet.plain(cell)
            style = "dim" if cell is None else "yellow" if column.metric in doubtful else ""
            style = "bold red" if column.metric in violated else style
            line.append(self._gap).append(figure.rjust(column.width), style)
        mark, style = {
            "passed": (marks.held, "green"),
            "failed": (marks.broken, "bold red"),
            "inconclusive": (marks.doubtful, "bold yellow"),
        }[test["verdict"]]
        verdict = self._sheet.keep_start(f"{mark} {test['verdict']}", self._verdict_width)
        yield line.append(self._gap).append(verdict, style)


def _remarks(test: RunDocument, sheet: Sheet) -> Iterator[Text]:
    """What the figures do not show: what ended the test, and which requests failed."""
    requests, latencies = test["requests"], test["failed_latencies"]
    # What ended the test is most often why its last request failed: once is enough.
    errors = [
        error
        for error in test["errors"]
        if error["count"] > 1 or f"{error['type']}: {error['message']}" != test["failure"]
    ]
    alarm = "red" if test["verdict"] == "failed" else "yellow"
    remarks = []
    if test["failure"] is not None:
        where = f" {ended}" if (ended := where_ended(test)) else ""
        remarks.append((f"ended{where} by {test['failure']}", alarm))
    if requests["failed"]:
        of = write_count(requests["total"] or 0, "request")
        times = _failed_times(requests["failed"], latencies["avg"], latencies["max"])
        remarks.append((f"{requests['failed']:,} of {of} failed{times}", alarm))
    remarks += [(write_error(error), "dim") for error in errors[:_MOST_ERRORS]]
    if len(errors) > _MOST_ERRORS:
        kinds = write_count(len(errors) - _MOST_ERRORS, "more kind")
        remarks.append((f"and {kinds} of error", "dim"))
    if requests["timed_out"]:
        late = write_count(requests["timed_out"], "request")
        remarks.append((f"{late} timed out", alarm))
    if test["starts"]["dropped"]:
        dropped = write_count(test["starts"]["dropped"], "start")
        remarks.append((f"{dropped} dropped, since no user was free", "yellow"))
    if test["ended_early"] is not None:
        remarks.append((f"ended before its time: {test['ended_early']}", alarm))
    for user in test["abandoned_users"][:_MOST_ERRORS]:
        remarks.append((f"left behind: {user}", "yellow"))
    if requests["interrupted"]:
        remarks.append((f"{write_count(requests['interrupted'], 'request')} interrupted", "yellow"))
    for remark, style in remarks:
        line = sheet.keep_start(sheet.plain(remark), sheet.width - _INDENT)
        yield _line(" " * _INDENT).append(line, style)


def _leak(test: RunDocument, sheet: Sheet) -> Iterator[Text]:
    """What a leak check found, where memory is not stable, and which lines of code leak."""
    from rich.cells import cell_len

    leak = test["memory"]["leak"]
    if leak is None or not (headline := leak_headline(leak)):
        return
    if leak["outcome"] == "inconclusive" and any(
        sla["metric"] == "memory_growth" and sla["doubt"] is not None for sla in test["slas"]
    ):
        return  # it is told with the SLA
    failed = leak["outcome"] == "leak" and test["verdict"] == "failed"
    lines = [(LeakLine(0, headline), "red" if failed else "yellow")]
    lines += [(line, "dim" if line.depth else "") for line in leak_sites(leak)]
    if leak["outcome"] == "leak" and leak["sites_note"]:
        lines.append((LeakLine(0, leak["sites_note"]), "dim"))
    for line, style in lines:
        room = sheet.width - _INDENT * (line.depth + 1)
        place = sheet.plain(line.place)
        if place:
            # A line number without the start of its path is worth more than the other way round.
            taken = cell_len(line.text) + cell_len(sheet.marks.ellipsis)
            place = sheet.keep_end(place, max(room - taken, 1))
        whole = sheet.plain(f"{line.text}{place}{line.code}")
        yield _line(" " * (sheet.width - room)).append(sheet.keep_start(whole, room), style)


def _calls(test: RunDocument, sheet: Sheet) -> Iterator[Text]:
    """What the columns do not show of models, the agent and single requests, where measured."""
    from rich.cells import cell_len

    figures = list(map(sheet.plain, _figures_of_calls(test)))
    room = sheet.width - _INDENT
    while figures:
        line = figures.pop(0)
        while figures:
            longer = f"{line}{sheet.marks.separator}{figures[0]}"
            if cell_len(longer) > room:
                break
            line = longer
            del figures[0]
        yield _line(" " * _INDENT).append(line, "dim")


def _figures_of_calls(test: RunDocument) -> Iterator[str]:
    streaming, calls, goodput = test["streaming"], test["llm_calls"], test["goodput"]
    for what, value in (
        ("ttft", streaming["ttft"]["p95"]),
        ("tpot", streaming["tpot"]["p95"]),
        ("overhead", test["overhead"]["p95"]),
    ):
        if value is not None:
            yield f"{what} p95 {compact_seconds(value)}"
    if calls["retries"]:
        yield f"{calls['retries']:,} {'retry' if calls['retries'] == 1 else 'retries'}"
    if calls["rate_limits"]:
        yield write_count(calls["rate_limits"], "rate limit")
    if goodput["limits"]:
        share, unknown = goodput["share"], goodput["undetermined"]
        figure = "n/a" if share is None else percent(share)
        yield f"goodput {figure}" + (f" ({unknown:,} undetermined)" if unknown else "")


def _failed_times(failed: int, mean: float | None, largest: float | None) -> str:
    if mean is None or largest is None:
        return ""
    if failed == 1:
        return f" after {seconds(largest)}"
    return f": {seconds(mean)} avg, {seconds(largest)} max"


def _line(text: str, style: str = "") -> Text:
    """A line that is never wrapped or cut."""
    from rich.text import Text

    return Text(no_wrap=True, overflow="ignore").append(text, style)
