"""How a load test goes while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["LoadProgress", "Phase"]

Phase = Literal["warm-up", "load", "ending"]
"""What a load does: requests that do not count, those that do, or the wait for the last ones."""


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """A load test at one moment.

    Args:
        name: The test's name, its node id under pytest.
        phase: What the load does.
        elapsed: Seconds since its phase began.
        remaining: Seconds until its phase is over at the latest; None where nobody knows.
        users: Users that are at work.
        requests: Requests that have ended, without those of the warm-up.
        failed: How many of them failed.
        rps: Requests that ended per second, of the last seconds.
        p95: The 95th percentile of the latencies so far, in seconds; None before the first.
        dollars: What the LLM calls so far cost; None where that is not known.
        planned_requests: How many requests there are to be; None where time decides.
    """

    name: str
    phase: Phase
    elapsed: float
    remaining: float | None
    users: int
    requests: int
    failed: int
    rps: float
    p95: float | None = None
    dollars: float | None = None
    planned_requests: int | None = None
