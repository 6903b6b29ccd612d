"""A leak of memory in reports: as plain data, and in words.

The lines of code that leak are shown with how they were come to: at most three, and of each
the innermost six calls. The document holds all that is known of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from senytl.performance.leaks.frames import short_path
from senytl.performance.metric.units import write_bytes, write_count, write_figure
from senytl.performance.report.built_in import as_float, as_text
from senytl.performance.report.figures import percent
from senytl.performance.report.schema_memory import (
    FrameDocument,
    LeakDocument,
    ReadingsDocument,
    SiteDocument,
)

if TYPE_CHECKING:
    from senytl.performance.leaks.evidence import LeakEvidence
    from senytl.performance.leaks.readings import Reading
    from senytl.performance.leaks.sites import Frame, LeakSite

__all__ = [
    "LeakLine",
    "describe_leak",
    "leak_details",
    "leak_headline",
    "leak_sites",
    "leak_title",
    "memory_trend",
    "place_of",
    "shown_frames",
    "shown_sites",
    "site_cells",
    "write_pauses",
]

_MOST_SITES = 3
_MOST_FRAMES = 6
_LONGEST_SOURCE = 200

_OUTCOMES: dict[str, Literal["stable", "leak", "inconclusive"]] = {
    "stable": "stable",
    "leak": "leak",
    "unclear": "inconclusive",
}


class LeakLine(NamedTuple):
    """A line about a site; where a line is short, the end of its place is worth the most.

    Args:
        depth: How far it is indented, in steps.
        text: What comes first.
        place: The file and the line number.
        code: What comes last.
    """

    depth: int
    text: str
    place: str = ""
    code: str = ""

    def __str__(self) -> str:
        return f"{self.text}{self.place}{self.code}"


def describe_leak(evidence: LeakEvidence) -> LeakDocument:
    """What a leak check found, as plain data."""
    finding = evidence.finding
    return {
        "outcome": _OUTCOMES[finding.outcome],
        "why": as_text(finding.why),
        "signal": as_text(finding.signal),
        "bytes_per_request": as_float(finding.bytes_per_request),
        "blocks_per_request": as_float(finding.blocks_per_request),
        "growth": as_float(finding.growth),
        "requests": as_float(finding.requests),
        "requests_to_threshold": as_float(finding.requests_to_threshold),
        # The first reading comes before the first round.
        "rounds": sum(reading.requests > 0 for reading in evidence.readings),
        "pauses": int(evidence.pauses),
        "paused_seconds": float(evidence.paused_seconds),
        "longest_pause": float(evidence.longest_pause),
        "readings": _describe_readings(evidence.readings),
        "further": _describe_readings(evidence.further) if len(evidence.further) else None,
        "sites_by": as_text(evidence.sites_by),
        "sites_note": as_text(evidence.sites_note),
        "traced_requests": int(evidence.traced_requests),
        "sites": [_describe_site(site) for site in evidence.sites],
    }


def leak_headline(leak: LeakDocument) -> str:
    """``leaks 1.2 KB (3.0 blocks) a request, steadily over 600 requests``.

    Or ``memory: inconclusive: ...``, and why; empty where memory is stable.
    """
    if leak["outcome"] == "stable":
        return ""
    if leak["outcome"] == "inconclusive":
        return f"memory: inconclusive: {leak['why']}"
    over = "" if leak["requests"] is None else f" over {_requests(leak['requests'])}"
    amount = _amount(leak["bytes_per_request"], leak["blocks_per_request"])
    if leak["signal"] == "growth" or not amount:
        growth = "" if leak["growth"] is None else f" by {percent(leak['growth'])}"
        return f"memory grew{growth}{over}"
    return f"leaks {amount} a request, steadily{over}"


def leak_title(leak: LeakDocument) -> str:
    """What stands above the part of a report that tells of it."""
    return "Memory leak" if leak["outcome"] == "leak" else "Memory check"


def leak_details(leak: LeakDocument) -> Iterator[str]:
    """What there is to say of a leak beside its headline and its sites."""
    if leak["outcome"] != "leak":
        return
    yield leak["why"]
    if leak["requests_to_threshold"] is not None:
        left = _requests(leak["requests_to_threshold"], "more request")
        yield f"at this rate memory grows past its limit after {left}"
    if leak["sites_note"]:
        yield leak["sites_note"]
    if leak["sites"] and leak["sites_by"]:
        traced = write_count(leak["traced_requests"], "further request")
        yield f"located by {leak['sites_by']} in {traced}"


def leak_sites(leak: LeakDocument) -> Iterator[LeakLine]:
    """The lines of code that leak, and below each how it was come to; none but for a leak."""
    for site in shown_sites(leak):
        amount = _amount(site["bytes_per_request"], site["blocks_per_request"])
        text = f"{amount} a request at " if amount else "at "
        yield LeakLine(0, text, place_of(site), f": {site['source']}" if site["source"] else "")
        yield from shown_frames(site)


def shown_sites(leak: LeakDocument) -> Sequence[SiteDocument]:
    """The sites that a report for people shows: the worst three of a leak."""
    return leak["sites"][:_MOST_SITES] if leak["outcome"] == "leak" else []


def shown_frames(site: SiteDocument) -> Iterator[LeakLine]:
    """The calls that a report for people shows: the innermost six, the last one at the end.

    None where all that is known is the line, which stands with the site.
    """
    if len(site["traceback"]) == 1 and site["source"]:
        return
    for frame in site["traceback"][-_MOST_FRAMES:]:
        function = f" in {frame['function']}" if frame["function"] else ""
        yield LeakLine(
            1, "", place_of(frame), f" {frame['source']}" if frame["source"] else function
        )


def place_of(where: SiteDocument | FrameDocument) -> str:
    """``agent.py:42``."""
    return f"{where['file']}:{where['line']}"


def site_cells(site: SiteDocument) -> tuple[str, str, str, str]:
    """A site as a row of a table: bytes and blocks of a request, where, and the line itself."""
    size, blocks = site["bytes_per_request"], site["blocks_per_request"]
    return (
        "n/a" if size is None else write_bytes(size),
        "n/a" if blocks is None else f"{blocks:,.1f}",
        place_of(site),
        site["source"],
    )


def memory_trend(leak: LeakDocument) -> str:
    """``✓ stable``, ``✗ leaking, +1.2 KB/request``, or ``? inconclusive``."""
    if leak["outcome"] == "stable":
        return "✓ stable"
    if leak["outcome"] == "inconclusive":
        return "? inconclusive"
    size, blocks = leak["bytes_per_request"], leak["blocks_per_request"]
    if leak["signal"] == "growth" and leak["growth"] is not None:
        return f"✗ growing, +{percent(leak['growth'])}"
    if size is not None and size > 0:
        return f"✗ leaking, +{write_bytes(size)}/request"
    if blocks is not None and blocks > 0:
        return f"✗ leaking, +{blocks:,.1f} blocks/request"
    return "✗ leaking"


def write_pauses(leak: LeakDocument) -> str:
    """``29 between rounds, 0.412 s in all, longest 0.031 s``; empty where there was none."""
    if not leak["pauses"]:
        return ""
    total, longest = (
        write_figure(leak["paused_seconds"], "s"),
        write_figure(leak["longest_pause"], "s"),
    )
    return f"{leak['pauses']:,} between rounds, {total} in all, longest {longest}"


def _describe_readings(readings: Sequence[Reading]) -> ReadingsDocument:
    return {
        "requests": [as_float(one.requests) for one in readings],
        "heap": [as_float(one.heap) for one in readings],
        "blocks": [as_float(one.blocks) for one in readings],
        "rss": [as_float(one.rss) for one in readings],
        "uss": [as_float(one.uss) for one in readings],
    }


def _describe_site(site: LeakSite) -> SiteDocument:
    at = _describe_frame(site.location)
    return {
        "bytes_per_request": as_float(site.bytes_per_request),
        "blocks_per_request": as_float(site.blocks_per_request),
        "file": at["file"],
        "line": at["line"],
        "source": at["source"],
        "traceback": [_describe_frame(frame) for frame in site.frames],
    }


def _describe_frame(frame: Frame) -> FrameDocument:
    source = as_text(frame.source)
    if len(source) > _LONGEST_SOURCE:
        source = source[: _LONGEST_SOURCE - 1] + "…"
    return {
        "file": as_text(short_path(frame.file)),
        "line": int(frame.line),
        "function": as_text(frame.function),
        "source": source,
    }


def _amount(size: float | None, blocks: float | None) -> str:
    """``1.2 KB (3.0 blocks)``: what of the two grew; empty where neither is known to."""
    counted = f"{blocks:,.1f} blocks" if blocks is not None and blocks > 0 else ""
    if size is None or size <= 0:
        return counted
    return f"{write_bytes(size)} ({counted})" if counted else write_bytes(size)


def _requests(number: float, what: str = "request") -> str:
    return write_count(round(number), what)
