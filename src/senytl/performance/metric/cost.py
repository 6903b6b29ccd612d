"""Dollars of the run's LLM calls."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from senytl.performance.metric import Direction, Metric
from senytl.performance.metric.attribution import calls_without_request
from senytl.performance.metric.units import write_count, write_figure
from senytl.performance.series import values

__all__ = ["CostMetrics"]


def _missing(run: Any) -> str:
    if run.unpriced_models:
        names = ", ".join(run.unpriced_models)
        return f"there is no price for {names}; add one to the ini option senytl_pricing"
    if len(run.costs):
        return calls_without_request(run)
    return "no LLM call was seen, so nothing could be priced"


def _why(run: Any) -> str:
    prompt = math.fsum(values(run.costs, "prompt_cost"))
    completion = math.fsum(values(run.costs, "completion_cost"))
    return (
        f"{write_figure(prompt, 'USD')} for prompts and {write_figure(completion, 'USD')} for "
        f"completions over {write_count(len(run.costs), 'request')}"
    )


def _dollars(
    doc: str, formula: Callable[[Any], float], absent: float, *, of_one: bool = False
) -> Metric[float]:
    def cost(run: Any) -> float | None:
        # A sum that leaves out a call that could not be priced would be a guess; so would the
        # cost of a single request where a call may have been any one's.
        unknown = run.unpriced_models or (of_one and run.unattributed_calls)
        return formula(run.costs) if len(run.costs) and not unknown else None

    return Metric(
        unit="USD",
        direction=Direction.LOWER,
        formula=cost,
        absent=absent,
        missing=_missing,
        why=_why,
        doc=doc,
    )


def _total(costs: Any) -> float:
    return math.fsum(values(costs, "total_cost"))


class CostMetrics:
    """Cost in all and per request, in dollars; NaN where a call's model has no price."""

    total_cost = _dollars("Dollars of all requests.", _total, math.nan)
    avg_cost_per_request = _dollars(
        "Dollars of all requests by the number of requests.",
        lambda costs: _total(costs) / len(costs),
        math.nan,
    )
    max_cost_per_request = _dollars(
        "Dollars of the dearest request.",
        lambda costs: max(values(costs, "total_cost")),
        math.nan,
        of_one=True,
    )
