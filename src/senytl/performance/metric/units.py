"""How figures are written, one way for each unit."""

from __future__ import annotations

import math

__all__ = ["write_change", "write_count", "write_figure"]


def write_figure(value: float | None, unit: str) -> str:
    """A figure with its unit, for people.

    Args:
        value: The figure; None or NaN, which is "not measured", gives ``"n/a"``.
        unit: A unit of `senytl.performance.metric.Metric`.
    """
    if value is None or math.isnan(value):
        return "n/a"
    match unit:
        case "s":
            return f"{value:.3f} s" if value >= 0.001 or value == 0 else f"{value * 1e6:.1f} µs"
        case "USD":
            return f"${value:.4f}" if value == 0 or abs(value) >= 0.001 else f"${value:.3g}"
        case "ratio":
            return f"{value * 100:.4g} %"
        case "tokens" | "requests":
            return f"{value:,.6g} {unit}" if value < 1e6 else f"{value:,.0f} {unit}"
        case _:
            return f"{value:,.2f} {unit}"


def write_count(number: int, what: str) -> str:
    """``1 request``, ``1,200 requests``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def write_change(actual: float, limit: float, unit: str) -> str:
    """By how much a figure misses its limit: the difference, and in percent of the limit."""
    difference = write_figure(abs(actual - limit), unit)
    if unit == "ratio":
        difference = difference.replace("%", "percentage points")
    side = "over" if actual > limit else "short"
    share = f", {abs(actual - limit) / limit * 100:.1f} %" if limit else ""
    return f"{difference} {side}{share}"
