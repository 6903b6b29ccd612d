"""Agent overhead: the time of a request in which no LLM call was in flight."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from senytl.performance.metric import Direction, Metric
from senytl.performance.metric.attribution import calls_without_request
from senytl.performance.metric.streaming import no_llm_call
from senytl.performance.metric.units import write_count, write_figure
from senytl.performance.series import mean, percentiles

__all__ = ["OverheadMetrics"]


def _missing(run: Any) -> str:
    if not run.llm_calls:
        return no_llm_call(run)
    if stray := calls_without_request(run):
        return f"{stray}, so what remains is not known"
    if not len(run.latencies):
        return "no request succeeded"
    return "the LLM calls have no times"


def _why(run: Any) -> str:
    overhead = write_figure(mean(run.agent_overheads), "s")
    latency = write_figure(mean(run.latencies), "s") if len(run.latencies) else "n/a"
    requests = write_count(len(run.agent_overheads), "successful request")
    return f"{overhead} of {latency} on average without an LLM call in flight, over {requests}"


def _overhead(
    what: str, formula: Callable[[Sequence[float]], float], quantile: float | None = None
) -> Metric[float]:
    return Metric(
        unit="s",
        direction=Direction.LOWER,
        formula=lambda run: formula(run.agent_overheads) if len(run.agent_overheads) else None,
        absent=math.nan,
        missing=_missing,
        why=_why,
        quantile=quantile,
        population=lambda run: (len(run.agent_overheads), "request"),
        sample=lambda run: run.agent_overheads,
        doc=f"{what} of the successful requests' times without an LLM call in flight.",
    )


def _at(quantile: float) -> Metric[float]:
    return _overhead(
        f"The {quantile * 100:g}th percentile",
        lambda values: percentiles(values, quantile)[0],
        quantile,
    )


class OverheadMetrics:
    """What a request takes beside its models: the agent's own work, its tools, its waits."""

    avg_agent_overhead = _overhead("The arithmetic mean", mean)
    p50_agent_overhead = _at(0.50)
    p95_agent_overhead = _at(0.95)
    p99_agent_overhead = _at(0.99)
    max_agent_overhead = _overhead("The largest", max)
