"""What a load test adds: starts that were late or not made, timeouts, and time from the start."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from senytl.performance.metric import Direction, Metric
from senytl.performance.metric.reliability import nothing_ended
from senytl.performance.metric.units import write_count, write_figure
from senytl.performance.series import largest, percentiles

__all__ = ["LoadMetrics"]

_NO_SCHEDULE = (
    "no request had an intended start: only those of a load test with rate= or pacing= have one"
)


def _missing(run: Any) -> str:
    if len(run.start_lags) or run.dropped_starts:
        return "no request succeeded" if len(run.start_lags) else "every start was dropped"
    return _NO_SCHEDULE


def _spread(values: Sequence[float]) -> str:
    p50, p99, top = percentiles(values, 0.5, 0.99, 1.0)
    return ", ".join(
        f"{name} {write_figure(value, 's')}"
        for name, value in (("p50", p50), ("p99", p99), ("max", top))
    )


def _times(
    what: str,
    of: Callable[[Any], Sequence[float]],
    noun: str,
    formula: Callable[[Sequence[float]], float],
    quantile: float | None = None,
) -> Metric[float]:
    return Metric(
        unit="s",
        direction=Direction.LOWER,
        formula=lambda run: formula(of(run)) if len(of(run)) else None,
        absent=math.nan,
        missing=_missing,
        why=lambda run: f"{_spread(of(run))} over {write_count(len(of(run)), noun)}",
        quantile=quantile,
        population=lambda run: (len(of(run)), noun),
        sample=of,
        doc=what,
    )


def _service_time(what: str, *formula: Any) -> Metric[float]:
    return _times(
        f"{what} of the times from the actual start of successful requests to their end.",
        lambda run: run.service_times,
        "request",
        *formula,
    )


def _start_lag(what: str, *formula: Any) -> Metric[float]:
    return _times(
        f"{what} of the times by which requests started later than intended.",
        lambda run: run.start_lags,
        "start",
        *formula,
    )


def _at(quantile: float, make: Callable[..., Metric[float]]) -> Metric[float]:
    return make(
        f"The {quantile * 100:g}th percentile",
        lambda values: percentiles(values, quantile)[0],
        quantile,
    )


def _dropped_why(run: Any) -> str:
    made = write_count(len(run.start_lags), "start")
    if not run.dropped_starts:
        return f"all of {made} were made"
    users = f" of {write_count(run.concurrent_users, 'user')}" if run.concurrent_users else ""
    return f"{made} beside them were made; no one{users} was free for the others"


def _timeouts_why(run: Any) -> str:
    requests = write_count(run.total_requests, "request")
    return f"{run.timed_out_requests:,} of {requests} took longer than the load's timeout"


def _interruptions_why(run: Any) -> str:
    requests = write_count(run.total_requests, "request")
    return f"{requests} ended; a timeout= makes one that takes too long a failed request"


class LoadMetrics:
    """Figures of loads whose requests have intended starts; timeouts and interruptions of any."""

    dropped_starts = Metric[int](
        unit="requests",
        direction=Direction.LOWER,
        formula=lambda run: (
            int(run.dropped_starts) if run.dropped_starts or len(run.start_lags) else None
        ),
        absent=0,
        missing=_NO_SCHEDULE,
        why=_dropped_why,
        doc="Requests that were to start and did not, because no user was free.",
    )
    interrupted_requests = Metric[int](
        unit="requests",
        direction=Direction.LOWER,
        formula=lambda run: (
            int(run.interrupted_requests)
            if run.interrupted_requests or run.total_requests
            else None
        ),
        absent=0,
        missing=nothing_ended,
        why=_interruptions_why,
        doc="Requests that had not ended when the run was over, grace included.",
    )
    timed_out_requests = Metric[int](
        unit="requests",
        direction=Direction.LOWER,
        formula=lambda run: int(run.timed_out_requests) if run.total_requests else None,
        absent=0,
        missing=nothing_ended,
        why=_timeouts_why,
        doc="Requests that failed because they took longer than the load's timeout.",
    )
    p50_service_time = _at(0.50, _service_time)
    p95_service_time = _at(0.95, _service_time)
    p99_service_time = _at(0.99, _service_time)
    max_service_time = _service_time("The largest", largest)
    p99_start_lag = _at(0.99, _start_lag)
    max_start_lag = _start_lag("The largest", largest)
