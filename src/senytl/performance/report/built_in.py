"""Values as a document holds them: of exact built-in types, and fit for JSON."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import SupportsFloat, SupportsInt

__all__ = ["as_float", "as_int", "as_moment", "as_text"]


def as_int(value: SupportsInt | None) -> int | None:
    """An integer, or None."""
    return None if value is None else int(value)


def as_float(value: SupportsFloat | None) -> float | None:
    """A finite number; None for anything else, since JSON has no NaN and no infinity."""
    number = math.nan if value is None else float(value)
    return number if math.isfinite(number) else None


def as_text(text: str) -> str:
    """Text that can be written to a file.

    A lone surrogate, as in a file name that is not UTF-8, is shown as an escape.
    """
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def as_moment(unix_time: float) -> str | None:
    """ISO 8601 in UTC, to the millisecond; None for 0."""
    if not unix_time:
        return None
    return datetime.fromtimestamp(unix_time, UTC).isoformat(timespec="milliseconds")
