"""Requests that keep every limit that is stated for each single one of them."""

from __future__ import annotations

import math
from typing import Any

from senytl.performance.metric import Direction, Metric
from senytl.performance.metric.attribution import calls_without_request
from senytl.performance.metric.reliability import nothing_ended
from senytl.performance.metric.units import write_count, write_figure

__all__ = ["GoodputMetrics"]


def _missing(run: Any) -> str:
    verdicts = run.request_verdicts
    if not verdicts.limits:
        return (
            "no limit is stated for single requests; state some with "
            "@pytest.mark.goodput(latency=2.0, ttft=0.5), perf.goodput(...), "
            "performance.goodput(...) in the body or the ini option senytl_goodput"
        )
    if not verdicts.undetermined:
        return nothing_ended(run)
    what = ", ".join(
        f"{name} of {write_count(count, 'request')}" for name, count in verdicts.unmeasured.items()
    )
    stray = calls_without_request(run)
    reason = f"; {stray}" if stray else ""
    return f"no request can be judged: not measured were {what}{reason}"


def _why(run: Any) -> str:
    from senytl.performance.request_limits import LIMITS

    verdicts = run.request_verdicts
    judged = write_count(verdicts.good + verdicts.bad, "request")
    parts = [f"{verdicts.failed:,} failed"] if verdicts.failed else []
    parts += [
        f"{count:,} over {name} {write_figure(verdicts.limits[name], LIMITS[name])}"
        for name, count in verdicts.broken.items()
    ]
    if verdicts.undetermined:
        parts.append(f"{verdicts.undetermined:,} more undetermined")
    reasons = f": {', '.join(parts)}" if parts else ""
    return f"{verdicts.good:,} of {judged} kept all limits{reasons}"


def _share(run: Any) -> float | None:
    judged = run.request_verdicts.good + run.request_verdicts.bad
    return run.request_verdicts.good / judged if judged else None


def _rate(run: Any) -> float | None:
    if _share(run) is None or not run.duration_seconds:
        return None
    return float(run.request_verdicts.good / run.duration_seconds)


class GoodputMetrics:
    """Shares and rates of good requests; undetermined ones are in neither."""

    goodput = Metric[float](
        unit="ratio",
        direction=Direction.HIGHER,
        formula=_share,
        absent=math.nan,
        missing=_missing,
        why=_why,
        trials=lambda run: (
            run.request_verdicts.good,
            run.request_verdicts.good + run.request_verdicts.bad,
        ),
        at_most=1.0,
        doc="The share of requests that succeeded and kept all limits stated for each, of those "
        "that can be judged.",
    )
    goodput_rps = Metric[float](
        unit="req/s",
        direction=Direction.HIGHER,
        formula=_rate,
        absent=math.nan,
        missing=_missing,
        why=_why,
        doc="Requests that succeeded and kept all limits stated for each, by the seconds that "
        "the run lasted.",
    )
