"""Latency of requests, in seconds; failed requests are kept apart from successful ones."""

from __future__ import annotations

import math
from typing import Any

from senytl.performance.metric import Direction, Metric
from senytl.performance.metric.reliability import nothing_ended
from senytl.performance.metric.units import write_count, write_figure
from senytl.performance.series import largest, mean, percentiles, smallest

__all__ = ["LatencyMetrics"]


def _why(run: Any) -> str:
    if not run.latencies:
        return "no request succeeded"
    p50, p95, top = percentiles(run.latencies, 0.5, 0.95, 1.0)
    spread = ", ".join(
        f"{name} {write_figure(value, 's')}"
        for name, value in (("p50", p50), ("p95", p95), ("max", top))
    )
    return f"{spread} over {write_count(len(run.latencies), 'successful request')}"


def _missing(run: Any) -> str:
    if failed := len(run.failed_latencies):
        return f"no request succeeded ({failed:,} failed)"
    return nothing_ended(run)


def _latency(what: str, formula: Any, quantile: float | None = None) -> Metric[float]:
    return Metric(
        unit="s",
        direction=Direction.LOWER,
        formula=lambda run: formula(run.latencies) if len(run.latencies) else None,
        absent=math.nan,
        missing=_missing,
        why=_why,
        quantile=quantile,
        doc=f"{what} of the latencies of successful requests.",
    )


def _at(quantile: float) -> Metric[float]:
    return _latency(
        f"The {quantile * 100:g}th percentile, linearly interpolated between closest ranks,",
        lambda values: percentiles(values, quantile)[0],
        quantile,
    )


def _failed(what: str, formula: Any) -> Metric[float]:
    return Metric(
        unit="s",
        direction=Direction.LOWER,
        formula=lambda run: formula(run.failed_latencies) if len(run.failed_latencies) else None,
        absent=math.nan,
        missing="no request failed",
        why=lambda run: f"{len(run.failed_latencies):,} requests failed",
        doc=f"{what} of the latencies of failed requests.",
    )


class LatencyMetrics:
    """Latency of successful requests, and of failed ones."""

    avg_latency = _latency("The arithmetic mean", mean)
    p50_latency = _at(0.50)
    p75_latency = _at(0.75)
    p90_latency = _at(0.90)
    p95_latency = _at(0.95)
    p99_latency = _at(0.99)
    min_latency = _latency("The smallest", smallest)
    max_latency = _latency("The largest", largest)
    avg_failed_latency = _failed("The arithmetic mean", mean)
    max_failed_latency = _failed("The largest", largest)
