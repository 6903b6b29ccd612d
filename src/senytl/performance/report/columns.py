"""The columns of the table of tests, which the terminal and the Markdown report share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from senytl.performance.report.figures import (
    compact_count,
    compact_dollars,
    compact_megabytes,
    compact_rate,
    compact_seconds,
)
from senytl.performance.report.schema import RunDocument

__all__ = ["COLUMNS", "Column"]


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of each test, written so that it never takes more than `width` cells.

    Args:
        heading: The two lines above it, of at most `width` characters each.
        width: Cells that hold the heading and every figure.
        metric: The metric's name.
        read: The figure of a test; None where it was not measured.
        write: How it is written.
    """

    heading: tuple[str, str]
    width: int
    metric: str
    read: Callable[[RunDocument], float | None]
    write: Callable[[float], str]

    @property
    def title(self) -> str:
        """The heading on one line."""
        top, bottom = self.heading
        return top + bottom if bottom.startswith("/") else f"{top} {bottom}".strip()

    def cell(self, run: RunDocument) -> str | None:
        """The figure of a test as text; None where it was not measured."""
        value = self.read(run)
        return None if value is None else self.write(value)


COLUMNS = (
    Column(
        ("", "requests"), 8, "total_requests", lambda run: run["requests"]["total"], compact_count
    ),
    Column(("", "p50"), 5, "p50_latency", lambda run: run["latencies"]["p50"], compact_seconds),
    Column(("", "p95"), 5, "p95_latency", lambda run: run["latencies"]["p95"], compact_seconds),
    Column(("", "p99"), 5, "p99_latency", lambda run: run["latencies"]["p99"], compact_seconds),
    Column(("", "req/s"), 5, "throughput_rps", lambda run: run["throughput_rps"], compact_rate),
    Column(
        ("tokens", "/req"),
        6,
        "avg_tokens_per_request",
        lambda run: run["tokens"]["avg_per_request"],
        compact_count,
    ),
    Column(
        ("$", "/req"),
        8,
        "avg_cost_per_request",
        lambda run: run["cost"]["avg_per_request"],
        compact_dollars,
    ),
    Column(
        ("peak", "MB"), 5, "max_memory_mb", lambda run: run["memory"]["max_mb"], compact_megabytes
    ),
)
