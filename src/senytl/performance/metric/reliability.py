"""How many requests there were, how many of them succeeded, and how fast they came."""

from __future__ import annotations

import math
from typing import Any

from senytl.performance.metric import Direction, Metric
from senytl.performance.metric.units import write_count

__all__ = ["ReliabilityMetrics", "nothing_ended"]


def nothing_ended(run: Any) -> str:
    """Why there is no request at all, for the errors of metrics that need one."""
    if run.interrupted_requests:
        count = write_count(run.interrupted_requests, "request")
        return f"no request ended in time, {count} interrupted; a longer grace= waits for them"
    return "no request was recorded"


def _why(run: Any) -> str:
    if not run.failed_requests:
        return f"none of {write_count(run.total_requests, 'request')} failed"
    worst = "; ".join(f"{error} ({error.count:,}x)" for error in run.errors[:3])
    of = f"{run.failed_requests:,} of {write_count(run.total_requests, 'request')} failed"
    return f"{of}: {worst}" if worst else of


def _total(run: Any) -> int | None:
    ended = len(run.latencies) + len(run.failed_latencies)
    stored: int | None = run.__dict__.get("total_requests")
    return stored if stored is not None else ended or None


def _failed(run: Any) -> int | None:
    stored: int | None = run.__dict__.get("failed_requests")
    return stored if stored is not None else len(run.failed_latencies)


def _rate_why(run: Any) -> str:
    users = f" of {write_count(run.concurrent_users, 'user')}" if run.concurrent_users else ""
    time = f" in {run.duration_seconds:.2f} s" if run.duration_seconds else ""
    requests = write_count(run.total_requests, "request")
    return f"{requests}{users}{time}, {run.failed_requests:,} of them failed"


class ReliabilityMetrics:
    """Counts, the shares made from them, and throughput."""

    success_rate = Metric[float](
        unit="ratio",
        direction=Direction.HIGHER,
        formula=lambda run: (
            (run.total_requests - run.failed_requests) / run.total_requests
            if run.total_requests
            else None
        ),
        absent=math.nan,
        missing=nothing_ended,
        why=_why,
        trials=lambda run: (run.total_requests - run.failed_requests, run.total_requests),
        at_most=1.0,
        doc="The share of requests that succeeded; interrupted ones are left out.",
    )
    error_rate = Metric[float](
        unit="ratio",
        direction=Direction.LOWER,
        formula=lambda run: (
            run.failed_requests / run.total_requests if run.total_requests else None
        ),
        absent=math.nan,
        missing=nothing_ended,
        why=_why,
        trials=lambda run: (run.failed_requests, run.total_requests),
        at_most=1.0,
        doc="The share of requests that failed; interrupted ones are left out.",
    )
    total_requests = Metric[int](
        unit="requests",
        direction=Direction.HIGHER,
        formula=_total,
        absent=0,
        missing=nothing_ended,
        why=_rate_why,
        stored=True,
        doc="Requests that ended, successful or failed.",
    )
    failed_requests = Metric[int](
        unit="requests",
        direction=Direction.LOWER,
        formula=_failed,
        absent=0,
        missing=nothing_ended,
        why=_why,
        stored=True,
        doc="Requests that failed.",
    )
    throughput_rps = Metric[float](
        unit="req/s",
        direction=Direction.HIGHER,
        formula=lambda run: run.__dict__.get("throughput_rps"),
        absent=math.nan,
        missing=nothing_ended,
        why=_rate_why,
        stored=True,
        doc="Requests that ended, successful or failed, by the seconds that the load ran.",
    )
