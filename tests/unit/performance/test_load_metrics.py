from __future__ import annotations

import math

import pytest

from senytl.models import PerformanceError
from senytl.performance import PerformanceMetrics
from senytl.performance.report.document import describe_run
from senytl.performance.sla import SLA, enforce, judge


@pytest.fixture
def run() -> PerformanceMetrics:
    """A load with a schedule: its requests took 100 ms each, and started up to 300 ms late."""
    return PerformanceMetrics(
        kind="load_test",
        latencies=[0.1, 0.2, 0.3, 0.4],
        failed_latencies=[0.5],
        service_times=[0.1, 0.1, 0.1, 0.2],
        start_lags=[0.0, 0.1, 0.2, 0.3, 0.3],
        dropped_starts=3,
        timed_out_requests=1,
        concurrent_users=4,
    )


def test_figures_of_the_schedule(run: PerformanceMetrics) -> None:
    assert (run.dropped_starts, run.timed_out_requests) == (3, 1)
    assert run.p50_service_time == pytest.approx(0.1)
    assert run.p95_service_time == pytest.approx(0.185)
    assert run.p99_service_time == pytest.approx(0.197)
    assert run.max_service_time == 0.2
    assert run.p99_start_lag == pytest.approx(0.3)
    assert run.max_start_lag == 0.3


@pytest.mark.parametrize("metric", ["p95_service_time", "p99_start_lag", "dropped_starts"])
def test_a_load_without_a_schedule_has_none_of_them(metric: str) -> None:
    run = PerformanceMetrics(kind="load_test", latencies=[0.1])
    assert metric == "dropped_starts" or math.isnan(getattr(run, metric))
    with pytest.raises(PerformanceError, match=r"no request had an intended start.*rate= or pac"):
        enforce(run, [SLA(metric, 1.0)])


def test_where_all_starts_were_dropped_they_are_counted_and_no_time_is_known() -> None:
    run = PerformanceMetrics(kind="load_test", dropped_starts=5)
    enforce(run, [SLA("dropped_starts", 5)])
    with pytest.raises(PerformanceError, match="every start was dropped"):
        enforce(run, [SLA("max_start_lag", 1.0)])


def test_a_schedule_whose_requests_all_failed_has_no_service_time(
    run: PerformanceMetrics,
) -> None:
    run.service_times = []
    with pytest.raises(PerformanceError, match="no request succeeded"):
        enforce(run, [SLA("p50_service_time", 1.0)])


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("dropped_starts", "3 requests over.; 5 starts beside them were made; no one of 4 users"),
        ("timed_out_requests", "1 request over.; 1 of 5 requests took longer than the load's time"),
        ("max_start_lag", "p50 0.200 s, p99 0.300 s, max 0.300 s over 5 starts"),
        ("max_service_time", "p50 0.100 s, p99 0.197 s, max 0.200 s over 4 requests"),
    ],
)
def test_a_violation_says_the_figures_behind_it(
    run: PerformanceMetrics, metric: str, message: str
) -> None:
    with pytest.raises(PerformanceError, match=message):
        enforce(run, [SLA(metric, 0)])


def test_timeouts_are_known_where_a_request_ended() -> None:
    run = PerformanceMetrics(latencies=[0.1])
    enforce(run, [SLA("timed_out_requests", 0)])
    with pytest.raises(PerformanceError, match="no request was recorded"):
        enforce(PerformanceMetrics(), [SLA("timed_out_requests", 0)])


def test_dropped_starts_are_warned_of(run: PerformanceMetrics) -> None:
    assert run.warnings == [
        "3 starts of the load were dropped, since no user was free: the load was lighter than "
        "planned"
    ]


def test_they_are_in_the_document(run: PerformanceMetrics) -> None:
    document = describe_run(run)
    assert document["requests"]["timed_out"] == 1
    assert document["starts"] == {
        "made": 5,
        "dropped": 3,
        "lag": {"p99": pytest.approx(0.3), "max": 0.3},
        "service_times": {
            "p50": pytest.approx(0.1),
            "p95": pytest.approx(0.185),
            "p99": pytest.approx(0.197),
            "max": 0.2,
        },
    }
    assert describe_run(PerformanceMetrics())["starts"]["dropped"] is None


def test_interrupted_requests_can_be_limited() -> None:
    run = PerformanceMetrics(latencies=[1.0] * 9, interrupted_requests=1)
    [judgement] = judge(run, [SLA("interrupted_requests", 0)])
    assert not judgement.held
    assert "timeout=" in judgement.why


def test_of_starts_that_were_all_made_none_is_missing() -> None:
    run = PerformanceMetrics(latencies=[1.0] * 9, start_lags=[0.0] * 9)
    [judgement] = judge(run, [SLA("dropped_starts", 0)])
    assert judgement.held
    assert judgement.why == "all of 9 starts were made"
