"""What growth of memory is a leak, unless a limit says otherwise."""

from __future__ import annotations

__all__ = [
    "DEFAULT_MIN_LEAK",
    "FEWEST_READINGS",
    "FEWEST_REQUESTS",
    "LEAK_METRIC",
    "LEAK_THRESHOLD",
    "ROUNDS",
    "check_leak_check",
]

LEAK_METRIC = "memory_growth"
"""The metric whose limits ask for a leak check."""

LEAK_THRESHOLD = 0.20
"""The share by which memory may grow after the warm-up."""

DEFAULT_MIN_LEAK = 64.0
"""Bytes that each request may leave behind: less than any object of its own takes."""

ROUNDS = 30
"""Into how many rounds of work a run is cut: enough to tell a slope from steps, few to wait for."""

FEWEST_READINGS = 10
"""Readings of memory below which growth is not told from warm-up."""

FEWEST_REQUESTS = 1_000
"""Requests below which growth is not told from warm-up."""


def check_leak_check(asked: object) -> None:
    """Refuse what is no answer to whether memory is to be checked for leaks.

    Raises:
        ValueError: If it is neither True, False nor None.
    """
    if asked is not None and not isinstance(asked, bool):
        raise ValueError(
            f"leak_check is {asked!r}; it is True or False, or left out so that a limit on memory "
            "growth asks for it"
        )
