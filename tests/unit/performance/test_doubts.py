from __future__ import annotations

import pickle

import pytest

from senytl.models import PerformanceError
from senytl.performance import InconclusiveError, PerformanceMetrics, SLAViolationError
from senytl.performance.load.health import GeneratorHealth
from senytl.performance.request_limits import Goodput
from senytl.performance.sla import SLA, Judgement, enforce, judge

LATE = 0.04
"""Seconds that the generator of `run` is always late."""


@pytest.fixture
def run() -> PerformanceMetrics:
    """A load whose generator was 40 ms late throughout."""
    run = PerformanceMetrics(name="test_it", kind="load_test", latencies=[1.0] * 1000)
    run.throughput_rps = 40.0
    run.duration_seconds = 25.0
    run.generator = GeneratorHealth(lags=[LATE] * 100, cpu_share=0.98)
    return run


def judged(run: PerformanceMetrics, metric: str, limit: float) -> Judgement:
    [judgement] = judge(run, [SLA(metric, limit)])
    return judgement


@pytest.mark.parametrize(
    ("limit", "held", "in_doubt"),
    [
        (3.0, True, False),  # 2 % of the limit are more than the lag
        (1.2, True, False),  # kept by more than four times the lag
        (1.15, True, True),  # kept by less
        (1.0, True, True),
        (0.97, False, True),  # kept but for the lag
        (0.5, False, True),  # as a request may have waited many times
    ],
)
@pytest.mark.parametrize("metric", ["p95_latency", "avg_latency", "min_latency"])
def test_an_outcome_is_in_doubt_where_the_lag_may_decide_it(
    run: PerformanceMetrics, metric: str, limit: float, held: bool, in_doubt: bool
) -> None:
    judgement = judged(run, metric, limit)
    assert (judgement.held, bool(judgement.doubt)) == (held, in_doubt)


@pytest.mark.parametrize(("limit", "in_doubt"), [(0.97, True), (0.95, False)])
def test_what_is_broken_by_more_than_a_lag_now_and_then_is_broken(
    run: PerformanceMetrics, limit: float, in_doubt: bool
) -> None:
    run.generator = GeneratorHealth(lags=[0.0] * 90 + [LATE] * 10, cpu_share=0.98)
    assert bool(judged(run, "p95_latency", limit).doubt) is in_doubt


@pytest.mark.parametrize(("limit", "in_doubt"), [(1.05, False), (1.03, True), (0.97, True)])
def test_the_largest_lag_counts_once(run: PerformanceMetrics, limit: float, in_doubt: bool) -> None:
    assert bool(judged(run, "max_latency", limit).doubt) is in_doubt


def test_a_lag_of_a_millisecond_leaves_no_doubt_whatever_the_limit(
    run: PerformanceMetrics,
) -> None:
    run.latencies = [0.002] * 1000
    run.generator = GeneratorHealth(lags=[0.001] * 100, cpu_share=1.0)
    assert not judged(run, "p95_latency", 0.002).doubt
    run.generator = GeneratorHealth(lags=[0.0015] * 100, cpu_share=1.0)
    assert judged(run, "p95_latency", 0.002).doubt


def test_the_lag_counts_at_the_percentile_that_is_judged(run: PerformanceMetrics) -> None:
    run.generator = GeneratorHealth(lags=[0.0] * 97 + [0.2] * 3)
    in_doubt = {
        metric: bool(judged(run, metric, 1.1).doubt)
        for metric in ("p50_latency", "p95_latency", "p99_latency", "max_latency", "avg_latency")
    }
    assert in_doubt == {
        "p50_latency": False,
        "p95_latency": False,
        "p99_latency": True,
        "max_latency": True,
        "avg_latency": False,  # 6 ms on average
    }


@pytest.mark.parametrize(
    ("metric", "field"),
    [
        ("p95_ttft", "ttfts"),
        ("p95_tpot", "tpots"),
        ("p95_agent_overhead", "agent_overheads"),
        ("p95_inter_chunk_latency", "chunk_gaps"),
        ("p95_service_time", "service_times"),
    ],
)
def test_every_time_may_be_in_doubt(run: PerformanceMetrics, metric: str, field: str) -> None:
    setattr(run, field, [1.0] * 1000)
    assert judged(run, metric, 1.1).doubt


def test_what_is_no_time_and_no_rate_of_requests_is_not(run: PerformanceMetrics) -> None:
    assert not judged(run, "success_rate", 0.9).doubt
    assert not judged(run, "total_requests", 2000).doubt


def test_without_a_generator_and_without_a_figure_there_is_no_doubt(
    run: PerformanceMetrics,
) -> None:
    assert not judged(run, "p95_ttft", 1.0).doubt
    run.generator = None
    assert not judged(run, "p95_latency", 1.0).doubt


@pytest.mark.parametrize(("seconds", "in_doubt"), [(0.09, False), (0.1, True)])
def test_a_load_that_was_too_short_to_be_looked_at_is_judged_as_it_is(
    run: PerformanceMetrics, seconds: float, in_doubt: bool
) -> None:
    run.duration_seconds = seconds
    assert bool(judged(run, "p95_latency", 1.1).doubt) is in_doubt
    assert bool(judged(run, "throughput_rps", 50.0).doubt) is in_doubt


def test_a_throughput_that_a_saturated_generator_did_not_make_is_in_doubt(
    run: PerformanceMetrics,
) -> None:
    assert "98 % of a core" in judged(run, "throughput_rps", 50.0).doubt
    assert not judged(run, "throughput_rps", 30.0).doubt
    run.generator = GeneratorHealth(lags=[0.0] * 90 + [LATE] * 10, cpu_share=0.98)
    assert not judged(run, "throughput_rps", 50.0).doubt


def test_a_confidence_is_judged_by_the_end_of_its_interval(run: PerformanceMetrics) -> None:
    run.latencies = [1.0] * 900 + [1.5] * 100
    sure = SLA("p90_latency", 1.52, confidence=0.95)
    [judgement] = judge(run, [sure])
    assert judgement.held
    assert judgement.doubt  # 1.5 s is near, 1.0 s is not
    assert not judged(run, "p90_latency", 1.52).doubt


@pytest.mark.parametrize(
    ("metric", "limit", "in_doubt"),
    [
        ("p95_latency", 5.0, True),
        ("throughput_rps", 30.0, True),
        ("success_rate", 0.9, True),
        ("failed_requests", 10, True),
        ("goodput", 0.5, True),
        ("total_requests", 10, False),
        ("p95_latency", 0.5, False),  # broken all the same
        ("p99_start_lag", 1.0, False),
    ],
)
def test_what_holds_for_a_load_that_was_not_made_is_in_doubt(
    run: PerformanceMetrics, metric: str, limit: float, in_doubt: bool
) -> None:
    run.generator = None
    run.request_verdicts = Goodput(limits={"latency": 2.0}, good=1000)
    run.start_lags = [0.001] * 1000
    run.dropped_starts = 1
    assert not judged(run, metric, limit).doubt  # 0.1 %
    run.dropped_starts = 2
    doubt = judged(run, metric, limit).doubt
    assert bool(doubt) is in_doubt
    assert not doubt or doubt.startswith("2 of 1,002 starts were dropped, since no user was free")


@pytest.mark.parametrize(("most", "in_doubt"), [(50, False), (10, True)])
def test_a_limit_on_dropped_starts_settles_it_if_it_holds(
    run: PerformanceMetrics, most: int, in_doubt: bool
) -> None:
    run.generator = None
    run.start_lags = [0.001] * 1000
    run.dropped_starts = 30
    latency, _ = judge(run, [SLA("p95_latency", 5.0), SLA("dropped_starts", most)])
    assert bool(latency.doubt) is in_doubt


def test_the_reason_says_the_figures_and_what_to_do(run: PerformanceMetrics) -> None:
    with pytest.raises(InconclusiveError) as caught:
        enforce(run, [SLA("p95_latency", 1.1)])
    assert str(caught.value) == (
        "p95_latency <= 1.100 s: 1.000 s (95 % confidence: 1.000 to 1.000 s); inconclusive: the "
        "load generator was late by 40.0 ms at p95 (its process used 98 % of a core), and the "
        "limit is kept by less than 4 times that: the load may have been lighter than the one "
        "asked for; fewer users, a lower rate, more processes or a wider limit give a clear "
        "verdict, allow_inconclusive=True accepts this one"
    )
    assert run.verdict == "inconclusive"


def test_whoever_handles_violations_handles_what_is_in_doubt_too(run: PerformanceMetrics) -> None:
    with pytest.raises(SLAViolationError) as caught:
        enforce(run, [SLA("p95_latency", 1.1), SLA("p50_latency", 0.98)])
    assert type(caught.value) is InconclusiveError
    assert [one.sla.metric for one in caught.value.inconclusive] == ["p95_latency", "p50_latency"]
    assert [one.sla.metric for one in caught.value.violations] == ["p50_latency"]


def test_the_error_survives_pickling(run: PerformanceMetrics) -> None:
    with pytest.raises(InconclusiveError) as caught:
        enforce(run, [SLA("p95_latency", 1.1), SLA("p50_latency", 1.1)])
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert copy.inconclusive == caught.value.inconclusive
    assert str(copy).startswith("2 SLAs inconclusive: p95_latency, p50_latency\n  p95_latency <=")


def test_what_is_broken_for_certain_wins_and_the_doubtful_is_listed(
    run: PerformanceMetrics,
) -> None:
    run.generator = GeneratorHealth(lags=[0.0] * 90 + [LATE] * 10, cpu_share=0.98)
    with pytest.raises(SLAViolationError) as caught:
        enforce(run, [SLA("p95_latency", 1.1), SLA("avg_latency", 0.5)])
    assert [one.sla.metric for one in caught.value.violations] == ["avg_latency"]
    assert [one.sla.metric for one in caught.value.inconclusive] == ["p95_latency"]
    first, second, third = str(caught.value).splitlines()
    assert first.startswith("avg_latency <= 0.500 s: 1.000 s (0.500 s over, 100.0 %)")
    assert second == "1 SLA inconclusive: p95_latency"
    assert third.startswith("  p95_latency <= 1.100 s")
    assert run.verdict == "failed"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_what_was_not_measured_wins_too(run: PerformanceMetrics) -> None:
    with pytest.raises(PerformanceError, match=r"(?s)total_cost.*inconclusive: ") as caught:
        enforce(run, [SLA("p95_latency", 1.1), SLA("total_cost", 0.5)])
    assert not isinstance(caught.value, InconclusiveError | SLAViolationError)


def test_a_run_may_allow_it_and_stays_inconclusive(run: PerformanceMetrics) -> None:
    run.allow_inconclusive = True
    run.generator = GeneratorHealth(lags=[0.0] * 60 + [LATE] * 40)
    enforce(run, [SLA("p95_latency", 1.1), SLA("p99_latency", 0.97)])
    assert run.verdict == "inconclusive"
    with pytest.raises(SLAViolationError):
        enforce(run, [SLA("avg_latency", 0.5)])


def test_failed_requests_that_nobody_allows_fail_an_inconclusive_load(
    run: PerformanceMetrics,
) -> None:
    run.failed_latencies = [0.1]
    judge(run, [SLA("p95_latency", 1.1)])
    assert run.verdict == "failed"
