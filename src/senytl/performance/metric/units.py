"""How figures are written, one way for each unit."""

from __future__ import annotations

import math

__all__ = [
    "write_beside",
    "write_bytes",
    "write_change",
    "write_count",
    "write_figure",
    "write_interval",
    "write_outcome",
]


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
                _microseconds(value, digits)
                if _is_tiny(value)
                else f"{_precise(value, 3, digits)} s"
            )
        case "USD":
            return f"${_precise(value, 4, digits)}"
        case "ratio":
            return f"{_precise(value * 100, 0, 4)} %"
        case "tokens" | "requests" | "calls":
            number = _precise(value, 0, 6)
            return f"{number} {unit.removesuffix('s') if number == '1' else unit}"
        case _:
            return f"{value:,.2f} {unit}"


def _precise(value: float, decimals: int, digits: int) -> str:
    """So many decimals, and more where it takes them to show so many significant digits."""
    if value == 0:
        return f"{value:.{decimals}f}"
    needed = digits - 1 - math.floor(math.log10(abs(value)))
    text = f"{value:,.{max(decimals, needed)}f}"
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0").ljust(decimals, "0")
    return f"{whole}.{fraction}" if fraction else whole


def _is_tiny(seconds: float) -> bool:
    return 0 < seconds < 0.001


def _microseconds(seconds: float, digits: int = 3) -> str:
    return f"{_precise(seconds * 1e6, 1, digits)} µs"


def _write_like(limit: float, value: float, unit: str, digits: int = 3) -> str:
    """A figure in the unit that its limit is written in, where that is a small one."""
    if unit == "s" and _is_tiny(limit) and value:
        return _microseconds(value, digits)
    return write_figure(value, unit, digits)


def write_bytes(size: float) -> str:
    """``152 B``, ``1.2 KB``, ``3.4 MB``: in units of 1,024."""
    for unit in ("B", "KB"):
        if abs(size) < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} MB"


def write_count(number: int, what: str) -> str:
    """``1 request``, ``1,200 requests``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def write_beside(actual: float, limit: float, unit: str) -> str:
    """A figure with as many digits as it takes to tell it from its limit."""
    written = write_figure(limit, unit)
    texts = (_write_like(limit, actual, unit, digits) for digits in range(3, 10))
    return next((text for text in texts if actual == limit or text != written), written)


def write_change(actual: float, limit: float, unit: str) -> str:
    """By how much a figure misses its limit: the difference, and in percent of the limit."""
    difference = _write_like(limit, abs(actual - limit), unit)
    if unit == "ratio":
        difference = difference.replace("%", "percentage points")
    side = "over" if actual > limit else "short"
    if unit == "ratio" or not limit:
        return f"{difference} {side}"
    if actual >= 10 * limit:
        return f"{difference} {side}, {_precise(actual / limit, 0, 3)} times the limit"
    return f"{difference} {side}, {abs(actual - limit) / limit * 100:.1f} %"


def write_interval(low: float, high: float, unit: str) -> str:
    """``2.10 to 2.80 s``, ``2.100 s or more``; empty where both ends are open.

    It has as many decimals as it takes to show its width by two digits.

    Args:
        low: The lower end; minus infinity where it is open.
        high: The upper end; infinity where it is open.
        unit: A unit of `senytl.performance.metric.Metric`.
    """
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(high):
        return f"{write_figure(low, unit)} or more"
    if math.isinf(low):
        return f"{write_figure(high, unit)} or less"
    scale, suffix = 1.0, unit
    if unit == "ratio":
        scale, suffix = 100.0, "%"
    elif unit == "s" and _is_tiny(high):
        scale, suffix = 1e6, "µs"
    width = (high - low) * scale
    decimals = min(max(1 - math.floor(math.log10(width)), 0), 9) if width > 0 else 3
    return f"{low * scale:,.{decimals}f} to {high * scale:,.{decimals}f} {suffix}"


def write_outcome(
    actual: float,
    limit: float,
    unit: str,
    *,
    held: bool,
    decisive: float,
    interval: tuple[float, float] | None,
    confidence: float,
) -> str:
    """``2.412 s (0.412 s over, 20.6 %; 95 % confidence: 2.10 to 2.80 s)``.

    Where the end of the interval is what misses the limit, by how much stands behind that.

    Args:
        actual: The figure.
        limit: What it is held against.
        unit: The unit of both.
        held: Whether the limit holds.
        decisive: What the limit was held against: the figure, or an end of its interval.
        interval: Its ends, infinity where one is open; None where there is none.
        confidence: That of the interval, between 0 and 1.
    """
    notes = []
    if not held and math.isfinite(decisive):
        notes.append(write_change(decisive, limit, unit))
    if interval is not None and (ends := write_interval(*interval, unit)):
        notes.append(f"{confidence * 100:.10g} % confidence: {ends}")
    if decisive != actual:
        notes.reverse()
    figure = write_beside(actual, limit, unit)
    separator = "; " if decisive == actual else ", "
    return f"{figure} ({separator.join(notes)})" if notes else figure
