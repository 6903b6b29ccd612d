from __future__ import annotations

import pytest

from senytl.performance.report.document import describe_session
from senytl.performance.report.schema import TotalsDocument
from senytl.performance.sla import SLA
from senytl.pytest_plugin.budget import judge_budget
from senytl.pytest_plugin.options import BUDGET_TOTALS


def totals(**changes: object) -> TotalsDocument:
    empty = describe_session([])["totals"]
    values = {"tests": 2, "cost": 0.5, "tokens": 1_000, **changes}
    return {**empty, **values}  # type: ignore[typeddict-item]  # the names are the document's


@pytest.mark.parametrize("metric", BUDGET_TOTALS)
def test_the_limit_itself_is_within_the_budget(metric: str) -> None:
    spent = totals(failed_requests=3)
    actual = spent[BUDGET_TOTALS[metric]]
    assert actual is not None
    assert judge_budget([SLA(metric, actual)], spent) == []
    [clause] = judge_budget([SLA(metric, actual / 2)], spent)
    assert clause.startswith(f"the session exceeds its budget: {metric} <= ")
    assert clause.endswith("the sum of 2 measured tests")


def test_every_limit_is_judged() -> None:
    budget = [SLA("total_cost", 0.4), SLA("total_tokens", 1_000), SLA("failed_requests", 0)]
    clauses = judge_budget(budget, totals(failed_requests=1))
    assert [clause.split(": ")[1].split()[0] for clause in clauses] == [
        "total_cost",
        "failed_requests",
    ]


def test_what_was_not_measured_is_not_within_the_budget() -> None:
    budget = [SLA("total_cost", 100), SLA("total_tokens", 100_000)]
    unpriced = totals(cost=None, unpriced_models=["my-model"])
    [clause] = judge_budget(budget, unpriced)
    assert "cannot be judged: total_cost" in clause
    assert "there is no price for my-model" in clause
    assert "senytl_pricing" in clause
    clauses = judge_budget(budget, totals(cost=None, tokens=None))
    assert len(clauses) == 2
    assert all("no LLM call was seen" in clause for clause in clauses)
