"""The report as plain text: the documentation's example, then what else there is to say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from senytl.performance.report.figures import write_actual, write_error, write_limit
from senytl.performance.report.leaks import leak_details, leak_headline, leak_sites, leak_title
from senytl.performance.report.overview import Line, run_sections, session_lines
from senytl.performance.report.plain import one_line
from senytl.performance.report.schema import RunDocument, SessionDocument, SLADocument
from senytl.performance.report.schema_memory import LeakDocument

__all__ = ["name", "render_run", "render_session", "suffixes"]

name = "text"
suffixes = (".txt",)

_RULE = "─" * 50
_LABEL_WIDTH = 17


def render_run(run: RunDocument) -> str:
    """The report of one test."""
    return _join(["Performance Report", _RULE, *_body(run, run_sections(run))])


def render_session(session: SessionDocument) -> str:
    """The report of a session: its sums, then each test."""
    lines = ["SLA Report", _RULE, *_aligned(session_lines(session["totals"]))]
    for run in session["tests"]:
        title = one_line(run["nodeid"])
        lines += ["", "", title, _RULE, *_body(run, run_sections(run, titled=True))]
    lines += ["", "", "Environment", _RULE]
    lines += _aligned(
        [
            (label, one_line(str(value)))
            for label, value in session["environment"].items()
            if value is not None
        ]
    )
    return _join(lines)


def _body(run: RunDocument, sections: list[list[Line]]) -> Iterator[str]:
    for number, section in enumerate(sections):
        if number:
            yield ""
        yield from _aligned(section)
    yield from _list("SLAs", [_sla(sla) for sla in run["slas"]])
    leak = run["memory"]["leak"]
    if leak is not None:
        yield from _list(leak_title(leak), list(_leak(leak)))
    yield from _list("Errors", [one_line(write_error(error)) for error in run["errors"]])
    yield from _list("Warnings", [f"! {one_line(note)}" for note in run["warnings"]])


def _aligned(lines: Sequence[Line]) -> list[str]:
    return [f"{label + ':':<{_LABEL_WIDTH}}{value}" for label, value in lines]


def _list(title: str, items: Sequence[str]) -> list[str]:
    return ["", f"{title}:", *(f"  {item}" for item in items)] if items else []


def _sla(sla: SLADocument) -> str:
    line = f"{write_limit(sla)}: {write_actual(sla)}"
    if sla["doubt"] is not None:
        return f"? {line}; inconclusive: {one_line(sla['doubt'])}"
    return f"✓ {line}" if sla["held"] else f"✗ {line}; {one_line(sla['why'])}"


def _leak(leak: LeakDocument) -> Iterator[str]:
    """What a leak check found, where memory is not stable."""
    if not (headline := leak_headline(leak)):
        return
    for line in (headline, *leak_details(leak)):
        yield one_line(line)
    for site in leak_sites(leak):
        yield "  " * site.depth + one_line(str(site))


def _join(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
