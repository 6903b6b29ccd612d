"""Memory of a run as plain data: its figures, its course, and what a leak check found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from senytl.performance.metric import find_metric
from senytl.performance.report.built_in import as_float
from senytl.performance.report.leaks import describe_leak
from senytl.performance.report.schema_memory import MemoryDocument, MemorySeriesDocument

if TYPE_CHECKING:
    from senytl.performance.memory import MemorySnapshot
    from senytl.performance.metrics import PerformanceMetrics

__all__ = ["MOST_POINTS", "describe_memory"]

_FEWEST = 2
"""Samples below which nobody knows whether memory grew."""

MOST_POINTS = 240
"""How many samples a document holds at the most: as many as a load has intervals."""


def describe_memory(metrics: PerformanceMetrics) -> MemoryDocument:
    """What is known of the memory of one run."""
    growth = find_metric("memory_growth").measure(metrics)
    evidence, known = metrics.leak_evidence, metrics.memory_snapshots
    leak = None if evidence is None else describe_leak(evidence)
    if leak is not None:
        leaks = None if leak["outcome"] == "inconclusive" else leak["outcome"] == "leak"
    else:
        leaks = None if len(known) < _FEWEST else bool(metrics.memory_leak_detected)
    return {
        "avg_mb": as_float(find_metric("avg_memory_mb").measure(metrics)),
        "max_mb": as_float(find_metric("max_memory_mb").measure(metrics)),
        "per_user_mb": as_float(find_metric("memory_per_user").measure(metrics)),
        "growth": as_float(growth),
        "leak_detected": leaks,
        "samples": len(known),
        "series": _series(known, metrics.started_at),
        "leak": leak,
    }


def _series(snapshots: Sequence[MemorySnapshot], began: float) -> MemorySeriesDocument:
    """The samples, or so many of them at even steps, the first and the last included."""
    count = min(len(snapshots), MOST_POINTS)
    steps = max(count - 1, 1)
    chosen = [snapshots[place * (len(snapshots) - 1) // steps] for place in range(count)]
    # Figures made by hand have no moment at which the run began.
    start = began or (chosen[0].timestamp if chosen else 0.0)
    return {
        "seconds": [round(float(one.timestamp) - start, 6) for one in chosen],
        "rss_mb": [round(float(one.rss_mb), 3) for one in chosen],
    }
