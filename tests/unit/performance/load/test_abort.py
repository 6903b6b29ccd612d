"""Limits that are broken beyond repair, by hand-made states of a load."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest

from senytl.models import MisuseError
from senytl.performance.distribution import Distribution
from senytl.performance.load.abort import AbortRule, LoadState
from senytl.performance.series import percentiles


def state(
    latencies: Iterable[float] = (), *, failed: int = 0, remaining: float = 0, elapsed: float = 10
) -> LoadState:
    return LoadState(elapsed, Distribution(latencies), failed, remaining)


def test_limits_that_hold_end_nothing() -> None:
    rule = AbortRule({"p95_latency": 1.0, "error_rate": 0.5, "max_latency": 3.0})
    assert rule.broken_beyond_repair(state([0.5, 0.9, 0.7], failed=1, remaining=5)) is None


@pytest.mark.parametrize(
    "metric",
    [
        *("p50_latency", "p75_latency", "p90_latency", "p95_latency", "p99_latency"),
        *("avg_latency", "max_latency", "error_rate", "success_rate", "failed_requests"),
    ],
)
def test_before_anything_ended_nothing_is_broken(metric: str) -> None:
    rule = AbortRule({metric: 0})
    assert rule.broken_beyond_repair(state(remaining=100)) is None
    assert rule.broken_beyond_repair(state(remaining=math.inf)) is None
    assert rule.broken_beyond_repair(state(remaining=0)) is None


@pytest.mark.parametrize("quantile", [0.5, 0.75, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("remaining", [0, 1, 7, 50, 300])
def test_a_percentile_is_broken_just_when_fast_requests_would_not_help(
    quantile: float, remaining: int
) -> None:
    latencies = [0.01 * n for n in range(1, 101)]
    [best] = percentiles([0.0] * remaining + latencies, quantile)
    now = state(latencies, remaining=remaining)
    name = f"p{quantile * 100:g}_latency"
    if best:
        reason = AbortRule({name: best * 0.998}).broken_beyond_repair(now)
        assert reason is not None
        assert reason.startswith(f"{name} <= ")
    # At its limit a figure holds, and buckets may read as a thousandth more than what they hold.
    assert AbortRule({name: best * 1.0001}).broken_beyond_repair(now) is None
    assert AbortRule({name: best * 0.9995}).broken_beyond_repair(now) is None


def test_a_percentile_in_buckets_is_broken_as_an_exact_one() -> None:
    latencies = [0.001 * n for n in range(1, 1001)]
    buckets = LoadState(10, Distribution(latencies, most_exact=0), 0, 1000)
    # The 950th of 2,000 is the 900th of the slow ones from below.
    assert AbortRule({"p95_latency": 0.895}).broken_beyond_repair(buckets) is not None
    assert AbortRule({"p95_latency": 0.902}).broken_beyond_repair(buckets) is None


def test_an_average_is_broken_when_no_time_at_all_would_not_help() -> None:
    rule = AbortRule({"avg_latency": 0.5})
    assert rule.broken_beyond_repair(state([1.0] * 10, remaining=10)) is None  # 0.5 at best
    assert rule.broken_beyond_repair(state([1.0] * 10, remaining=9)) is not None


def test_a_maximum_and_a_count_cannot_get_better_whatever_is_to_come() -> None:
    unknown = state([0.1, 2.5], failed=3, remaining=math.inf)
    reason = AbortRule({"max_latency": 2.0}).broken_beyond_repair(unknown)
    assert reason == "max_latency <= 2.000 s is broken beyond repair after 10.0 s: it is 2.500 s"
    assert AbortRule({"failed_requests": 2}).broken_beyond_repair(unknown) is not None
    assert AbortRule({"failed_requests": 3}).broken_beyond_repair(unknown) is None


def test_rates_count_what_is_to_come_as_successes() -> None:
    now = state([0.1] * 40, failed=60, remaining=20)
    reason = AbortRule({"error_rate": 0.4}).broken_beyond_repair(now)
    assert reason == (
        "error_rate <= 40 % is broken beyond repair after 10.0 s: it would be 50 % even if "
        "20 more requests succeeded and took no time"
    )
    assert AbortRule({"error_rate": 0.5}).broken_beyond_repair(now) is None
    assert AbortRule({"success_rate": 0.5}).broken_beyond_repair(now) is None
    assert AbortRule({"success_rate": 0.51}).broken_beyond_repair(now) is not None


def test_a_part_of_the_latencies_stands_for_all_of_them() -> None:
    # One in ten of 1,000 requests, half of which took 1 s.
    part = Distribution([0.1] * 50 + [1.0] * 50)
    now = LoadState(10, part, failed=1000, remaining=500, succeeded=1000)
    assert AbortRule({"p50_latency": 0.5}).broken_beyond_repair(now) is None
    assert AbortRule({"p75_latency": 0.5}).broken_beyond_repair(now) is not None
    assert AbortRule({"avg_latency": 0.36}).broken_beyond_repair(now) is not None  # 550 s by 1,500
    assert AbortRule({"avg_latency": 0.37}).broken_beyond_repair(now) is None
    assert AbortRule({"error_rate": 0.39}).broken_beyond_repair(now) is not None  # 1,000 of 2,500
    assert AbortRule({"error_rate": 0.40}).broken_beyond_repair(now) is None


@pytest.mark.parametrize("limits", [{"error_rate": 0.1}, {"avg_latency": 0.1}, {"p50_latency": 0}])
def test_what_nobody_can_foresee_may_still_help(limits: dict[str, float]) -> None:
    worst = state([5.0] * 100, failed=900, remaining=math.inf)
    assert AbortRule(limits).broken_beyond_repair(worst) is None


def test_nothing_ends_the_load_before_its_delay() -> None:
    rule = AbortRule({"failed_requests": 0}, after=5)
    assert rule.broken_beyond_repair(state(failed=1, elapsed=4.9)) is None
    assert rule.broken_beyond_repair(state(failed=1, elapsed=5)) is not None


def test_the_first_broken_limit_of_several_is_named() -> None:
    rule = AbortRule({"max_latency": 9.0, "failed_requests": 1, "error_rate": 0.1})
    reason = rule.broken_beyond_repair(state([1.0], failed=2))
    assert reason is not None
    assert reason.startswith("failed_requests <= 1 request ")


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"error_rate": 1.5}, "share"),
        ({"p95_latency": -1}, "not negative"),
        ({"p95_latency": math.nan}, "finite"),
        ({"p95_latency": True}, "number"),
        ({"p95_latencies": 1}, "p95_latency"),
        ({"total_tokens": 100}, "when the load is over"),
        ({"p95_ttft": 1}, "when the load is over"),
        ({"min_latency": 1}, "when the load is over"),
        ([("error_rate", 0.5)], "by metric name"),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits: dict[str, float], says: str) -> None:
    with pytest.raises(MisuseError, match=says):
        AbortRule(limits)


@pytest.mark.parametrize("after", [-1, math.inf, math.nan, "5", True])
def test_a_delay_that_makes_no_sense_is_refused(after: float) -> None:
    with pytest.raises(MisuseError, match="abort_after"):
        AbortRule({"error_rate": 0.5}, after)
