"""The session's budget: limits on all measured tests together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from senytl.performance.metric.units import write_count
from senytl.performance.sla import SLA, Judgement
from senytl.pytest_plugin.options import BUDGET_TOTALS

if TYPE_CHECKING:
    from senytl.performance.report.schema import TotalsDocument

__all__ = ["judge_budget"]


def judge_budget(budget: Iterable[SLA], totals: TotalsDocument) -> list[str]:
    """Hold limits against the sums over a session's tests.

    Args:
        budget: The limits: upper ones, as every metric that adds up is better when lower.
        totals: The sums.

    Returns:
        A clause for each limit that does not hold, or that cannot be judged.
    """
    return [clause for sla in budget if (clause := _judge(sla, totals))]


def _judge(sla: SLA, totals: TotalsDocument) -> str | None:
    actual: float | None = totals[BUDGET_TOTALS[sla.metric]]
    if actual is None:
        judgement = Judgement(sla, None, False, _missing(totals))
        return f"the session's budget cannot be judged: {judgement}"
    if sla.allows(actual):
        return None
    tests = totals["tests"]
    why = f"the sum of {write_count(tests, 'measured test')}"
    return f"the session exceeds its budget: {Judgement(sla, actual, False, why)}"


def _missing(totals: TotalsDocument) -> str:
    if totals["unpriced_models"]:
        return (
            f"there is no price for {', '.join(totals['unpriced_models'])}; "
            "add one to the ini option senytl_pricing"
        )
    return "no LLM call was seen in the whole session"
