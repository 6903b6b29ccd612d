"""Whether a load test's figures speak of what was loaded, or of the load generator itself.

A generator that is late starts requests late and notices late that they have ended. Both make the
figures of whatever it loads worse, or its load lighter than the one that was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from senytl.performance.metric import find_metric
from senytl.performance.metric.units import write_count

if TYPE_CHECKING:
    from senytl.performance.load.health import GeneratorHealth
    from senytl.performance.metric import Metric
    from senytl.performance.metrics import PerformanceMetrics
    from senytl.performance.sla import Judgement

__all__ = ["doubt", "dropped_share"]

_UNAVOIDABLE = 0.001
"""Seconds that an idle machine is late by, too: asyncio's timers have that grain."""
_NOTICEABLE = 0.02
"""Of a limit: a generator that is later than that, and a millisecond, may decide the outcome."""
_REACH = 4
"""How many times its lag a figure must stay away from a limit that it keeps.

A lag may count twice in a request's latency, at its start and at its end, and the delay makes the
load lighter, and what is loaded faster, by an amount that nobody knows: twice that again.
"""
_SHORTEST = 0.1
"""Seconds that a load must have lasted: the generator is looked at every 10 ms, and in a shorter
load one pause of the garbage collector would be every percentile of its lags."""
_DROPPED = 0.001
"""The share of starts that may be missing from a load that is still the one asked for."""

_AGGREGATES = {"min": 0.0, "max": 1.0}
"""At which percentile of the lags to look for metrics that are none themselves."""

_ADVICE = (
    "fewer users, a lower rate, more processes or a wider limit give a clear verdict, "
    "allow_inconclusive=True accepts this one"
)


def doubt(judgement: Judgement, run: PerformanceMetrics) -> str | None:
    """Why an outcome says little, because the load generator may be to blame; None where it says.

    Args:
        judgement: The outcome, one of those of `run`.
        run: What it was judged by; all other limits have been judged by now.
    """
    if judgement.actual is None:
        return None
    metric = find_metric(judgement.sla.metric)
    if metric.name in _ABOUT_THE_GENERATOR:
        return None
    reason = None
    generator = run.generator
    if generator is not None and run.duration_seconds >= _SHORTEST:
        if metric.unit == "s":
            reason = _of_lag(judgement, metric, generator)
        elif metric.unit.endswith("/s"):
            reason = _of_saturation(judgement, generator)
    if reason is not None:
        return f"{reason}; {_ADVICE}"
    return _of_dropped_starts(judgement, metric, run)


_ABOUT_THE_GENERATOR = frozenset(("p99_start_lag", "max_start_lag"))
"""Limits on how late it may be."""


def _of_lag(judgement: Judgement, metric: Metric[Any], generator: GeneratorHealth) -> str | None:
    quantile = metric.quantile
    if quantile is None:
        quantile = _AGGREGATES.get(metric.name.partition("_")[0])
    # Delays that come at random move a median by their mean, however small their own median is.
    lag = max(generator.lag_at(quantile), generator.lag_at(None))
    limit, figure = judgement.sla.limit, judgement.decisive
    if lag <= _UNAVOIDABLE + _NOTICEABLE * limit:
        return None
    # The largest lag is one event, which says nothing of the load as a whole.
    reach = 1 if quantile == 1 else _REACH
    if judgement.held and limit - figure < reach * lag:
        times = f"{reach} times that" if reach > 1 else "that"
        return (
            f"{generator.describe(quantile)}, and the limit is kept by less than {times}: the "
            "load may have been lighter than the one asked for"
        )
    # Of a saturated generator nobody knows how often a request had to wait for it.
    if not judgement.held and (figure - lag <= limit or generator.saturated):
        return f"{generator.describe(quantile)}, and but for that the limit may hold"
    return None


def _of_saturation(judgement: Judgement, generator: GeneratorHealth) -> str | None:
    if judgement.held or not generator.saturated:
        return None
    return f"{generator.describe(None)}, and could start no more requests"


def _of_dropped_starts(
    judgement: Judgement, metric: Metric[Any], run: PerformanceMetrics
) -> str | None:
    from senytl.performance.metrics import SUCCESS_METRICS

    concerned = metric.unit in ("s", "req/s") or metric.name in ("goodput", *SUCCESS_METRICS)
    if not (judgement.held and concerned) or dropped_share(run) <= _DROPPED:
        return None
    if any(one.sla.metric == "dropped_starts" and one.held for one in run.judgements):
        return None
    starts = write_count(_starts(run), "start")
    return (
        f"{run.dropped_starts:,} of {starts} were dropped, since no user was free: the load that "
        "was asked for was not made. More users (concurrent_users=) or a lower rate make it, an "
        "SLA on dropped_starts says how many may be dropped"
    )


def dropped_share(run: PerformanceMetrics) -> float:
    """Of the starts that a load test was to make, those that it did not make."""
    return run.dropped_starts / _starts(run) if run.dropped_starts else 0.0


def _starts(run: PerformanceMetrics) -> int:
    return run.dropped_starts + run.total_requests + run.interrupted_requests
