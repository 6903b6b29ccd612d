from __future__ import annotations

from typing import Any

import pytest

from senytl.performance.load import LoadPlan
from senytl.performance.load.describe import describe_plan, summarise_plan


@pytest.mark.parametrize(
    ("settings", "summary"),
    [
        ({"concurrent_users": 50, "duration": 60}, "closed model: 50 users for 60 s"),
        ({"concurrent_users": 1}, "closed model: 1 user, 1 iteration each"),
        (
            {"concurrent_users": 50, "total_iterations": 5_000},
            "closed model: 50 users sharing 5,000 iterations",
        ),
        (
            {"concurrent_users": 20, "duration": 60, "ramp_up": 5, "ramp_down": 2.5, "warmup": 10},
            "closed model: 20 users for 60 s, ramp-up 5 s, ramp-down 2.5 s, "
            "after a warm-up of 10 s",
        ),
        (
            {"concurrent_users": 2, "iterations": 10, "warmup": 1},
            "closed model: 2 users, 10 iterations each, after a warm-up of 1 iteration each",
        ),
        (
            {"concurrent_users": 2, "total_iterations": 10, "warmup": 3},
            "closed model: 2 users sharing 10 iterations, after a warm-up of 3 iterations",
        ),
        (
            {"stages": [(30, 50), (60, 50), (0, 10), (10, 0)], "warmup": 30},
            "closed model: users to 50 in 30 s, 50 for 60 s, at once to 10, to 0 in 10 s, "
            "the first 30 s a warm-up",
        ),
        (
            {"concurrent_users": 5, "duration": 60, "think_time": (0.5, 2.0)},
            "closed model: 5 users for 60 s, think time 0.5 to 2 s",
        ),
        (
            {"concurrent_users": 5, "duration": 60, "think_time": 1},
            "closed model: 5 users for 60 s, think time 1 s",
        ),
        (
            {"concurrent_users": 5, "duration": 60, "pacing": 2},
            "closed model: 5 users for 60 s, pacing 2 s",
        ),
        (
            {"rate": 100, "duration": 1_800},
            "open model: 100 requests/s for 1,800 s, evenly spaced",
        ),
        (
            {"rate": 0.5, "duration": 60, "arrivals": "poisson", "ramp_up": 10},
            "open model: 0.5 requests/s for 60 s, Poisson arrivals, ramp-up 10 s",
        ),
        (
            {"rate": [(10, 0), (30, 100), (0, 0.5), (10, 0.5)]},
            "open model: requests/s 0 for 10 s, to 100 in 30 s, at once to 0.5, 0.5 for 10 s, "
            "evenly spaced",
        ),
    ],
)
def test_a_plan_is_summed_up_in_a_line(settings: dict[str, Any], summary: str) -> None:
    plan = LoadPlan(**settings)
    assert summarise_plan(plan) == summary
    assert str(plan) == summary


@pytest.mark.parametrize(
    ("settings", "is_async", "lines"),
    [
        (
            {"concurrent_users": 50, "duration": 60, "warmup": 5, "grace": 10},
            False,
            [
                "65 s of load with its warm-up, then up to 10 s for requests in flight",
                "run by 50 threads",
            ],
        ),
        (
            {"stages": [(30, 50), (10, 0)], "warmup": 5},
            True,
            [
                "40 s of load with its warm-up, then up to 30 s for requests in flight",
                "run by 50 tasks on the test's event loop",
            ],
        ),
        (
            {"concurrent_users": 50, "iterations": 100},
            True,
            [
                "5,000 requests to measure",
                "ends when all iterations have ended, however long that takes",
                "run by 50 tasks on the test's event loop",
            ],
        ),
        (
            {"concurrent_users": 1, "engine": "threads"},
            True,
            [
                "1 request to measure",
                "ends when all iterations have ended, however long that takes",
                "run by 1 thread, each with an event loop of its own",
            ],
        ),
        (
            {"rate": 100, "duration": 10, "warmup": 2, "timeout": 1.5},
            False,
            [
                "1,000 requests to measure",
                "12 s of load with its warm-up, then up to 30 s for requests in flight",
                "a request that takes longer than 1.5 s has failed",
                "run by up to 1,000 threads",
            ],
        ),
        (
            {"rate": 100, "duration": 10, "arrivals": "poisson", "concurrent_users": 20},
            True,
            [
                "about 1,000 requests to measure",
                "10 s of load, then up to 30 s for requests in flight",
                "run by up to 20 tasks on the test's event loop",
            ],
        ),
        (
            {
                "concurrent_users": 5,
                "duration": 60,
                "abort_on": (("p95_latency", 2.0), ("error_rate", 0.5)),
                "abort_after": 10,
                "allow_inconclusive": True,
            },
            False,
            [
                "60 s of load, then up to 30 s for requests in flight",
                "ends early after 10 s once p95_latency is beyond 2.000 s for good",
                "ends early after 10 s once error_rate is beyond 50 % for good",
                "an inconclusive verdict is no failure",
                "run by 5 threads",
            ],
        ),
    ],
)
def test_a_plan_is_described_in_lines(
    settings: dict[str, Any], is_async: bool, lines: list[str]
) -> None:
    plan = LoadPlan(**settings)
    assert describe_plan(plan, is_async=is_async) == [str(plan), *lines]


def test_the_number_of_requests_is_that_of_the_starts() -> None:
    plan = LoadPlan(rate=[(1, 10), (2, 10), (1, 0)], warmup=1)
    counted = sum(start >= 1 for start in plan.starts())
    assert describe_plan(plan, is_async=False)[1] == f"{counted} requests to measure"
