"""How reports write figures: in full, and compact for columns of a fixed width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from senytl.performance.confidence import DEFAULT_CONFIDENCE
from senytl.performance.metric.units import write_figure, write_outcome
from senytl.performance.report.schema import ErrorDocument, RunDocument, SLADocument

__all__ = [
    "compact_count",
    "compact_dollars",
    "compact_megabytes",
    "compact_rate",
    "compact_seconds",
    "dollars",
    "is_violated",
    "percent",
    "requests_per_second",
    "seconds",
    "where_ended",
    "write_actual",
    "write_error",
    "write_limit",
]


def seconds(value: float) -> str:
    """``1.234s``; microseconds where milliseconds would show nothing."""
    return f"{value:.3f}s" if value >= 0.001 or value == 0 else f"{value * 1e6:.1f}µs"


def dollars(value: float) -> str:
    """``$0.0225``; two significant digits where four decimals would show less than those."""
    if value == 0 or abs(value) >= 0.001:
        return f"${value:.4f}"
    return f"${value:.{1 - math.floor(math.log10(abs(value)))}f}"


def percent(share: float) -> str:
    """``98.0%``; a share below 1 is never written as 100 %."""
    decimals = 1
    while share < 1 and decimals < 9 and round(share * 100, decimals) >= 100:
        decimals += 1
    return f"{share * 100:.{decimals}f}%"


def requests_per_second(rate: float) -> str:
    """``67.50 req/s``; two significant digits where two decimals would show less than those."""
    return f"{rate:.2f} req/s" if rate >= 0.1 or rate == 0 else f"{rate:.2g} req/s"


def write_limit(sla: SLADocument) -> str:
    """``p95_latency <= 2.000 s``, and at which confidence if at one."""
    sign = "<=" if sla["direction"] == "lower" else ">="
    confidence = sla["confidence"]
    sure = "" if confidence is None else f" at {confidence * 100:.10g} % confidence"
    return f"{sla['metric']} {sign} {write_figure(sla['limit'], sla['unit'])}{sure}"


def write_actual(sla: SLADocument) -> str:
    """``2.100 s (0.100 s over, 5.0 %; 95 % confidence: 1.90 to 2.30 s)``, or ``not measured``."""
    if sla["outcome"] is not None:
        return sla["outcome"]
    actual = sla["actual"]
    if actual is None:
        return "not measured"
    interval = None
    if sla["interval"] is not None:
        low, high = sla["interval"]
        interval = -math.inf if low is None else low, math.inf if high is None else high
    decisive = actual
    if interval is not None and sla["confidence"] is not None:
        decisive = interval[1] if sla["direction"] == "lower" else interval[0]
    return write_outcome(
        actual,
        sla["limit"],
        sla["unit"],
        held=sla["held"],
        decisive=decisive,
        interval=interval,
        confidence=sla["confidence"] or DEFAULT_CONFIDENCE,
    )


def is_violated(sla: SLADocument) -> bool:
    """Whether the limit does not hold for certain."""
    return not sla["held"] and sla["doubt"] is None


def write_error(error: ErrorDocument) -> str:
    """``12x RateLimitError: slow down``, as it came: not made safe to show."""
    message = f": {error['message']}" if error["message"] else ""
    return f"{error['count']:,}x {error['type']}{message}"


def where_ended(run: RunDocument) -> str:
    """``in iteration 3 of 5``, where an error ended a benchmark of several; else empty."""
    iterations, ended_in = run["iterations"] or 1, run["ended_in_iteration"]
    if ended_in == 0:
        return "in the warm-up"
    if ended_in is None or iterations == 1:
        return ""
    return f"in iteration {ended_in:,} of {iterations:,}"


class _Step(NamedTuple):
    """Up to `below`, a figure times `scale` is written with so many decimals and a suffix."""

    below: float
    scale: float
    decimals: int
    suffix: str


_SECONDS = (
    _Step(10, 1e6, 1, "µs"),
    _Step(1_000, 1e6, 0, "µs"),
    _Step(10, 1e3, 1, "ms"),
    _Step(1_000, 1e3, 0, "ms"),
    _Step(10, 1, 2, "s"),
    _Step(100, 1, 1, "s"),
    _Step(1_000, 1, 0, "s"),
    _Step(1_000, 1 / 60, 0, "m"),
    _Step(math.inf, 1 / 3600, 0, "h"),
)
_THOUSANDS = (
    _Step(10_000, 1, 0, ""),
    _Step(100, 1e-3, 1, "k"),
    _Step(1_000, 1e-3, 0, "k"),
    _Step(100, 1e-6, 1, "M"),
    _Step(1_000, 1e-6, 0, "M"),
    _Step(100, 1e-9, 1, "G"),
    _Step(math.inf, 1e-9, 0, "G"),
)
_RATE = (_Step(0.1, 1, 3, ""), _Step(10, 1, 2, ""), _Step(1_000, 1, 1, ""), *_THOUSANDS)
_MEGABYTES = (_Step(1_000, 1, 1, ""), *_THOUSANDS)
_DOLLARS = (
    _Step(0.01, 1, 5, ""),
    _Step(10, 1, 4, ""),
    _Step(1_000, 1, 2, ""),
    *_THOUSANDS,
)


def compact_seconds(value: float) -> str:
    """At most 5 characters: ``850µs``, ``1.2ms``, ``1.23s``, ``12.3s``, ``123s``, ``17m``."""
    return "0s" if value == 0 else _compact(value, _SECONDS)


def compact_count(value: float) -> str:
    """At most 5 characters: ``450``, ``4,500``, ``45.0k``, ``1.2M``."""
    return _compact(value, _THOUSANDS)


def compact_rate(value: float) -> str:
    """At most 5 characters: ``0.83``, ``67.5``, ``6,750``, ``67.5k``."""
    if 0 < value < 0.0005:
        return "<.001"
    return _compact(value, _RATE) if value else "0"


def compact_megabytes(value: float) -> str:
    """At most 5 characters: ``138.7``, ``1,387``, ``13.9k``."""
    return _compact(value, _MEGABYTES)


def compact_dollars(value: float) -> str:
    """At most 8 characters: ``$7.1e-6``, ``$0.00021``, ``$0.0225``, ``$123.45``."""
    if 0 < value < 0.0001:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"${mantissa}e{int(exponent)}"
    return f"${_compact(value, _DOLLARS)}" if value else "$0"


def _compact(value: float, steps: Sequence[_Step]) -> str:
    # What is compared is the rounded figure, lest 9,999.7 be written as 10,000.
    for step in steps:
        figure = round(value * step.scale, step.decimals)
        if abs(figure) < step.below:
            return f"{figure:,.{step.decimals}f}{step.suffix}"
    raise ValueError(f"{value} is not finite")
