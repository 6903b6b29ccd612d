"""The report as Markdown (GitHub's): tables, and every text of unknown origin escaped."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence

from senytl.performance.report.columns import COLUMNS
from senytl.performance.report.figures import is_violated, write_actual, write_limit
from senytl.performance.report.leaks import (
    leak_details,
    leak_headline,
    leak_title,
    place_of,
    shown_frames,
    shown_sites,
    site_cells,
)
from senytl.performance.report.overview import Line, run_sections, session_lines
from senytl.performance.report.plain import one_line
from senytl.performance.report.schema import RunDocument, SessionDocument, SLADocument

__all__ = ["name", "render_run", "render_session", "suffixes"]

name = "markdown"
suffixes = (".md", ".markdown")

# An underscore before a letter or a digit never ends an emphasis, and names are full of them.
_MARKUP = re.compile(r"[\\`*\[\]|~#]|_(?![^\W_])")
_BACKTICKS = re.compile("`+")
_MARKS = {"passed": "✓", "failed": "✗", "inconclusive": "?"}
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def render_run(run: RunDocument) -> str:
    """The report of one test."""
    return _join(["# Performance Report", *_body(run, run_sections(run), "##")])


def render_session(session: SessionDocument) -> str:
    """The report of a session: its sums, a row for each test, what does not hold, each test."""
    tests = session["tests"]
    blocks = ["# SLA Report", _pairs(session_lines(session["totals"]))]
    if tests:
        blocks += ["## Tests", _test_table(tests)]
    slas = [(run["nodeid"], sla) for run in tests for sla in run["slas"]]
    for title, chosen in (
        ("Violations", [entry for entry in slas if is_violated(entry[1])]),
        ("Inconclusive", [entry for entry in slas if entry[1]["doubt"] is not None]),
    ):
        if chosen:
            headings = ("Test", "SLA", "Actual", "Verdict", "Why")
            rows = [(nodeid, *_sla_row(sla)) for nodeid, sla in chosen]
            blocks += [f"## {title}", _table(headings, rows)]
    for run in tests:
        blocks += [
            f"## {_escape(run['nodeid']) or 'Unnamed test'}",
            *_body(run, run_sections(run, titled=True), "###"),
        ]
    environment = [
        (label, str(value)) for label, value in session["environment"].items() if value is not None
    ]
    return _join([*blocks, "## Environment", _pairs(environment)])


def _body(run: RunDocument, sections: list[list[Line]], level: str) -> Iterator[str]:
    yield _pairs([line for section in sections for line in section])
    if run["slas"]:
        yield f"{level} SLAs"
        yield _table(("SLA", "Actual", "Verdict", "Why"), [_sla_row(sla) for sla in run["slas"]])
    yield from _leak(run, level)
    if run["errors"]:
        yield f"{level} Errors"
        yield _table(
            ("Count", "Type", "Message"),
            [(str(error["count"]), error["type"], error["message"]) for error in run["errors"]],
        )
    if run["warnings"]:
        yield f"{level} Warnings"
        yield "\n".join(f"- {_escape(note)}" for note in run["warnings"])


def _leak(run: RunDocument, level: str) -> Iterator[str]:
    """What a leak check found, where memory is not stable."""
    leak = run["memory"]["leak"]
    if leak is None or not (headline := leak_headline(leak)):
        return
    yield f"{level} {leak_title(leak)}"
    yield "\n".join(f"- {_escape(line)}" for line in (headline, *leak_details(leak)))
    sites = shown_sites(leak)
    if sites:
        headings = ("Bytes/request", "Blocks/request", "Where", "Line")
        yield _table(headings, [site_cells(site) for site in sites], numbers=(0, 1))
    for site in sites:
        frames = [one_line(str(frame)) for frame in shown_frames(site)]
        if frames:
            yield f"Traceback of {_escape(place_of(site))}:"
            yield _fenced(frames)


def _sla_row(sla: SLADocument) -> tuple[str, str, str, str]:
    if sla["doubt"] is not None:
        verdict, why = "? inconclusive", sla["doubt"]
    else:
        verdict, why = "✓ held" if sla["held"] else "✗ violated", sla["why"]
    return write_limit(sla), write_actual(sla), verdict, why


def _test_table(tests: Sequence[RunDocument]) -> str:
    headings = ("Test", *(column.title for column in COLUMNS), "failed", "verdict")
    rows = [
        (
            run["nodeid"],
            *(column.cell(run) or "n/a" for column in COLUMNS),
            "n/a" if run["requests"]["failed"] is None else str(run["requests"]["failed"]),
            f"{_MARKS[run['verdict']]} {run['verdict']}",
        )
        for run in tests
    ]
    return _table(headings, rows, numbers=range(1, len(headings) - 1))


def _pairs(lines: Sequence[Line]) -> str:
    return _table(("Figure", "Value"), lines)


def _table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], numbers: Container[int] = ()
) -> str:
    rule = ["---:" if place in numbers else "---" for place in range(len(headings))]
    body = [[_escape(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, rule, *body))


def _fenced(lines: Sequence[str]) -> str:
    """Lines as they are, in a fence that none of them can close."""
    body = "\n".join(lines)
    fence = "`" * max([3, *(len(ticks) + 1 for ticks in _BACKTICKS.findall(body))])
    return f"{fence}text\n{body}\n{fence}"


def _escape(text: str) -> str:
    return _MARKUP.sub(r"\\\g<0>", one_line(text)).translate(_ENTITIES)


def _join(blocks: Iterable[str]) -> str:
    return "\n\n".join(blocks) + "\n"
