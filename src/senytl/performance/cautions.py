"""How far percentiles that were judged can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from senytl.performance.metric import find_metric
from senytl.performance.metric.units import write_count

if TYPE_CHECKING:
    from senytl.performance.metrics import PerformanceMetrics
    from senytl.performance.sla import Judgement

__all__ = ["caution"]

_MEDIAN = 0.5


def caution(judgements: Iterable[Judgement], run: PerformanceMetrics) -> str | None:
    """Why judged figures are weak evidence, all in one sentence; None where they are not.

    Below 10 / (1 - q) of what it is taken over, a percentile q says little; one above the median
    is then little more than the maximum.

    Args:
        judgements: What was judged.
        run: The run that it was judged by.
    """
    weak: dict[tuple[str, int, bool], list[str]] = {}
    for judgement in judgements:
        name = judgement.sla.metric
        metric = find_metric(name)
        if metric.quantile is None or judgement.actual is None:
            continue
        wanted = math.ceil(round(10 / (1 - metric.quantile), 6))
        count, noun = metric.population(run)
        if count < wanted:
            over = write_count(count, noun)
            names = weak.setdefault((over, wanted, metric.quantile > _MEDIAN), [])
            names += [] if name in names else [name]
    if len(weak) > 1:
        parts = (
            f"{', '.join(names)} over {over} (it takes {wanted:,})"
            for (over, wanted, _), names in weak.items()
        )
        return f"too little data for percentiles to mean something: {', '.join(parts)}"
    for (over, wanted, is_extreme), names in weak.items():
        one = len(names) == 1
        if is_extreme:
            says = f"{'is' if one else 'are'} little more than the maximum"
        else:
            says = "says little" if one else "say little"
        return f"{', '.join(names)} over {over} {says}; it takes {wanted:,} to mean something"
    return None
