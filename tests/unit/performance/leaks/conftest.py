"""Readings of memory, made up: of agents that leak, and of those that do not."""

from __future__ import annotations

import math

from senytl.performance.leaks.readings import Reading

__all__ = ["MB", "growing"]

MB = 2**20


def growing(
    size: float = 0.0,
    blocks: float = 0.0,
    *,
    requests: int = 3_000,
    count: int = 31,
    start: float = 100 * MB,
    until: float = math.inf,
) -> list[Reading]:
    """Readings of memory that grows with each request, until so many have ended.

    Args:
        size: By how many bytes.
        blocks: By how many objects.
        requests: How many requests there are.
        count: How many readings, at even distances.
        start: Resident memory at first.
        until: How many requests it grows for.
    """
    readings = []
    for number in range(count):
        ended = requests * number / (count - 1)
        grown = min(ended, until)
        pages = start + size * grown
        heap = start / 2 + size * grown
        readings.append(Reading(ended, heap, 500_000 + blocks * grown, pages, pages))
    return readings
