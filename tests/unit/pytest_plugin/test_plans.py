from __future__ import annotations

import pytest

from senytl.performance.benchmarking import BenchmarkPlan
from senytl.performance.load import LoadPlan
from senytl.pytest_plugin.planning import Work
from senytl.pytest_plugin.plans import sum_up

FIXED = LoadPlan(concurrent_users=10, iterations=5)
TIMED = LoadPlan(concurrent_users=10, duration=60, warmup=2.5)
OPEN = LoadPlan(rate=100, duration=10)
BENCHMARK = BenchmarkPlan(iterations=1_000, warmup=10)


@pytest.mark.parametrize(
    ("works", "line"),
    [
        ([], "no measured test would run"),
        ([None], "no measured test would run"),
        ([FIXED], "1 load test: 50 requests planned"),
        ([TIMED], "1 load test: 62.5 s of load"),
        ([OPEN, OPEN], "2 load tests: 2,000 requests planned, 20 s of load"),
        (
            [FIXED, TIMED, OPEN],
            "3 load tests: 1,050 requests planned by 2 of them, 72.5 s of load by 2 of them",
        ),
        ([BENCHMARK], "1 benchmark: 1,010 iterations"),
        (
            [BENCHMARK, None, FIXED, BENCHMARK],
            "1 load test: 50 requests planned; 2 benchmarks: 2,020 iterations",
        ),
    ],
)
def test_all_plans_are_summed_up_in_a_line(works: list[Work | None], line: str) -> None:
    assert sum_up(works) == line
