"""How figures are written, one way for each unit."""

from __future__ import annotations

import math

__all__ = ["write_beside", "write_change", "write_count", "write_figure"]


def write_figure(value: float | None, unit: str, digits: int = 3) -> str:
    """A figure with its unit, for people.

    Args:
        value: The figure; None or NaN, which is "not measured", gives ``"n/a"``.
        unit: A unit of `senytl.performance.metric.Metric`.
        digits: Significant digits to show at the least, of seconds and dollars.
    """
    if value is None or math.isnan(value):
        return "n/a"
    match unit:
        case "s":
            return (
                f"{value * 1e6:.1f} µs" if 0 < value < 0.001 else f"{_precise(value, 3, digits)} s"
            )
        case "USD":
            return f"${_precise(value, 4, digits)}"
        case "ratio":
            return f"{value * 100:.4g} %"
        case "tokens" | "requests":
            return f"{value:,.6g} {unit}" if value < 1e6 else f"{value:,.0f} {unit}"
        case _:
            return f"{value:,.2f} {unit}"


def _precise(value: float, decimals: int, digits: int) -> str:
    """So many decimals, and more where it takes them to show so many significant digits."""
    if value == 0:
        return f"{value:.{decimals}f}"
    needed = digits - 1 - math.floor(math.log10(abs(value)))
    text = f"{value:.{max(decimals, needed)}f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(decimals, '0')}"


def write_count(number: int, what: str) -> str:
    """``1 request``, ``1,200 requests``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def write_beside(actual: float, limit: float, unit: str) -> str:
    """A figure with as many digits as it takes to tell it from its limit."""
    written = write_figure(limit, unit)
    texts = (write_figure(actual, unit, digits) for digits in range(3, 10))
    return next((text for text in texts if actual == limit or text != written), written)


def write_change(actual: float, limit: float, unit: str) -> str:
    """By how much a figure misses its limit: the difference, and in percent of the limit."""
    difference = write_figure(abs(actual - limit), unit)
    if unit == "ratio":
        difference = difference.replace("%", "percentage points")
    side = "over" if actual > limit else "short"
    if unit == "ratio" or not limit:
        return f"{difference} {side}"
    if actual >= 10 * limit:
        return f"{difference} {side}, {actual / limit:,.3g} times the limit"
    return f"{difference} {side}, {abs(actual - limit) / limit * 100:.1f} %"
