from __future__ import annotations

import math
import pickle

import pytest

from senytl.models import MisuseError, PerformanceError
from senytl.performance import SLA, CostEstimate, PerformanceMetrics, SLAViolationError
from senytl.performance.cautions import caution
from senytl.performance.metric import UnknownMetricError
from senytl.performance.sla import enforce, judge, slas_from_limits


@pytest.fixture
def run() -> PerformanceMetrics:
    run = PerformanceMetrics(name="test_it")
    run.latencies = [1.0, 2.0, 3.0]
    run.throughput_rps = 40.0
    return run


@pytest.mark.parametrize(
    ("metric", "limit", "held"),
    [
        ("avg_latency", 2.1, True),
        ("avg_latency", 2.0, True),  # the limit itself still holds
        ("avg_latency", 1.9, False),
        ("throughput_rps", 39.0, True),
        ("throughput_rps", 40.0, True),
        ("throughput_rps", 41.0, False),
    ],
)
def test_the_metric_knows_which_way_its_limit_points(
    run: PerformanceMetrics, metric: str, limit: float, held: bool
) -> None:
    assert SLA(metric, limit).judge(run).held is held


@pytest.mark.parametrize("parts", [(0.1, 0.2), (0.0, 0.3), (0.15, 0.15)])
def test_a_sum_that_is_the_limit_but_for_rounding_keeps_it(
    run: PerformanceMetrics, parts: tuple[float, float]
) -> None:
    run.costs = [CostEstimate(*parts, sum(parts))]
    assert SLA("total_cost", 0.3).judge(run).held
    assert not SLA("total_cost", 0.2999999).judge(run).held


def test_a_limit_says_what_it_allows() -> None:
    assert SLA("total_cost", 0.3).allows(0.1 + 0.2)
    assert not SLA("total_cost", 0.3).allows(0.3001)
    assert SLA("throughput_rps", 10).allows(11)
    assert not SLA("throughput_rps", 10).allows(9.99)


def test_an_unknown_metric_is_refused_when_it_is_stated() -> None:
    with pytest.raises(UnknownMetricError, match="the metrics are: avg_agent_overhead, "):
        SLA("speed", 1.0)


@pytest.mark.parametrize(
    ("metric", "limit", "message"),
    [
        ("avg_latency", -1.0, "finite and not negative"),
        ("avg_latency", math.nan, "finite"),
        ("avg_latency", math.inf, "finite"),
        ("avg_latency", True, "must be a number"),
        ("avg_latency", "2", "must be a number"),
        ("success_rate", 98, "between 0 and 1"),
    ],
)
def test_a_limit_that_no_run_could_be_judged_by_is_refused(
    metric: str, limit: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SLA(metric, limit)


def test_all_violations_are_raised_together_with_how_much_and_why(
    run: PerformanceMetrics,
) -> None:
    slas = slas_from_limits({"avg_latency": 1.6, "max_latency": 9.0, "throughput_rps": 50.0})
    with pytest.raises(SLAViolationError) as caught:
        enforce(run, slas)
    text = str(caught.value)
    assert text.splitlines()[0] == "2 SLAs violated: avg_latency, throughput_rps"
    assert "avg_latency <= 1.600 s: 2.000 s (0.400 s over, 25.0 %)" in text
    assert "throughput_rps >= 50.00 req/s: 40.00 req/s (10.00 req/s short, 20.0 %)" in text
    assert "p95 2.900 s, max 3.000 s over 3 successful requests" in text
    assert "max_latency <=" not in text
    assert caught.value.name == "test_it"
    assert [one.sla.metric for one in caught.value.violations] == ["avg_latency", "throughput_rps"]


def test_the_error_is_both_a_performance_and_an_assertion_error() -> None:
    assert issubclass(SLAViolationError, PerformanceError)
    assert issubclass(SLAViolationError, AssertionError)


def test_the_error_survives_pickling(run: PerformanceMetrics) -> None:
    with pytest.raises(SLAViolationError) as caught:
        enforce(run, [SLA("avg_latency", 1.0)])
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert copy.violations == caught.value.violations


def test_no_data_is_never_a_pass(run: PerformanceMetrics) -> None:
    with pytest.raises(PerformanceError, match=r"total_cost.*no LLM call was seen") as caught:
        enforce(run, [SLA("total_cost", 1.0)])
    assert not isinstance(caught.value, SLAViolationError)
    assert run.verdict == "failed"


def test_what_was_not_measured_is_listed_beside_violations(run: PerformanceMetrics) -> None:
    with pytest.raises(SLAViolationError, match=r"total_tokens.*not measured"):
        enforce(run, [SLA("avg_latency", 1.0), SLA("total_tokens", 5)])


def test_failed_requests_say_what_went_wrong(run: PerformanceMetrics) -> None:
    from senytl.performance.metrics import RequestError

    run.failed_latencies = [0.1]
    run.errors = [RequestError("TimeoutError", "no answer", 1)]
    with pytest.raises(SLAViolationError, match=r"1 of 4 requests failed: TimeoutError: no answer"):
        enforce(run, [SLA("success_rate", 1.0)])


def test_an_sla_that_is_judged_again_takes_its_own_place(run: PerformanceMetrics) -> None:
    judge(run, [SLA("avg_latency", 1.0), SLA("max_latency", 9.0)])
    run.latencies = [0.5]
    judge(run, [SLA("avg_latency", 1.0)])
    assert [(one.sla.metric, one.held) for one in run.judgements] == [
        ("avg_latency", True),
        ("max_latency", True),
    ]


@pytest.mark.parametrize(
    ("metric", "requests", "cautious"),
    [
        ("p50_latency", 19, True),
        ("p50_latency", 20, False),
        ("p95_latency", 199, True),
        ("p95_latency", 200, False),
        ("p99_latency", 999, True),
        ("p99_latency", 1000, False),
        ("avg_latency", 1, False),
    ],
)
def test_too_little_data_for_a_percentile_is_said(
    metric: str, requests: int, cautious: bool
) -> None:
    run = PerformanceMetrics()
    run.latencies = [0.1] * requests
    note = caution([SLA(metric, 1.0).judge(run)], run)
    assert (note is not None) is cautious


def test_a_median_of_little_data_is_not_called_a_maximum() -> None:
    run = PerformanceMetrics(latencies=[0.1] * 3)
    assert caution([SLA("p50_latency", 1.0).judge(run)], run) == (
        "p50_latency over 3 requests says little; it takes 20 to mean something"
    )


def test_little_data_is_said_once_for_all_metrics_of_a_test() -> None:
    run = PerformanceMetrics(
        latencies=[0.1] * 3, ttfts=[0.1] * 10, tpots=[0.1] * 10, streamed_calls=10, llm_calls=10
    )
    slas = slas_from_limits({"p95_ttft": 1.0, "p95_tpot": 1.0, "avg_latency": 1.0})
    judge(run, [*slas, SLA("p95_ttft", 2.0)])
    assert run.warnings == [
        "p95_ttft, p95_tpot over 10 streams are little more than the maximum; it takes 200 to "
        "mean something"
    ]
    judge(run, slas_from_limits({"p50_latency": 1.0}))
    assert run.warnings == [
        "too little data for percentiles to mean something: p95_ttft, p95_tpot over 10 streams "
        "(it takes 200), p50_latency over 3 requests (it takes 20)"
    ]


def test_what_an_error_kept_from_being_measured_breaks_no_sla(run: PerformanceMetrics) -> None:
    slas = slas_from_limits({"avg_latency": 1.0, "total_cost": 1.0})
    assert [one.sla.metric for one in judge(run, slas, ended_early=True)] == ["avg_latency"]
    assert [one.sla.metric for one in run.judgements] == ["avg_latency"]


def test_a_figure_is_written_in_the_unit_of_its_tiny_limit() -> None:
    run = PerformanceMetrics(latencies=[0.00239])
    judgement = SLA("max_latency", 1e-6).judge(run)
    assert str(judgement).startswith(
        "max_latency <= 1.0 µs: 2,390.0 µs (2,389.0 µs over, 2,390 times the limit); "
    )


def test_a_percentile_is_told_with_its_interval() -> None:
    run = PerformanceMetrics(latencies=[number / 500 for number in range(1001)])
    judgement = SLA("p95_latency", 1.5).judge(run)
    low, high = judgement.interval or (0.0, 0.0)
    assert (low, high) == pytest.approx((1.872, 1.928))
    assert str(judgement).startswith(
        "p95_latency <= 1.500 s: 1.900 s (0.400 s over, 26.7 %; 95 % confidence: 1.872 to "
        "1.928 s); p50 1.000 s, "
    )
    assert str(SLA("p95_latency", 2.0).judge(run)) == (
        "p95_latency <= 2.000 s: 1.900 s (95 % confidence: 1.872 to 1.928 s)"
    )


def test_an_interval_that_has_no_end_says_so() -> None:
    run = PerformanceMetrics(latencies=[1.0, 2.0, 3.0])
    assert SLA("p95_latency", 9.0).judge(run).interval == (2.0, math.inf)
    assert "(95 % confidence: 2.000 s or more)" in str(SLA("p95_latency", 9.0).judge(run))
    assert str(SLA("p50_latency", 9.0).judge(run)) == "p50_latency <= 9.000 s: 2.000 s"


def test_an_interval_holds_the_figure() -> None:
    # Of two, p99 is at least the slower with 98 % certainty, and the interpolated figure is less.
    judgement = SLA("p99_latency", 9.0).judge(PerformanceMetrics(latencies=[1.0, 2.0]))
    assert judgement.interval == (judgement.actual, math.inf)


@pytest.mark.parametrize("metric", ["avg_latency", "max_latency", "throughput_rps"])
def test_figures_that_are_neither_percentile_nor_rate_have_no_interval(
    run: PerformanceMetrics, metric: str
) -> None:
    assert SLA(metric, 1.0).judge(run).interval is None


@pytest.mark.parametrize(
    ("limit", "held"), [(1.89, False), (1.9, False), (1.92, False), (1.928, True), (1.93, True)]
)
def test_a_confidence_demands_that_the_limit_holds_for_the_whole_interval(
    limit: float, held: bool
) -> None:
    run = PerformanceMetrics(latencies=[number / 500 for number in range(1001)])
    judgement = SLA("p95_latency", limit, confidence=0.95).judge(run)
    assert judgement.actual == pytest.approx(1.9)
    assert judgement.held is held


def test_a_confidence_of_a_share_looks_at_its_lower_end() -> None:
    run = PerformanceMetrics(latencies=[0.1] * 95, failed_latencies=[0.1] * 5)
    assert SLA("success_rate", 0.95).judge(run).held
    assert not SLA("success_rate", 0.95, confidence=0.95).judge(run).held
    assert SLA("success_rate", 0.88, confidence=0.95).judge(run).held
    assert SLA("error_rate", 0.12, confidence=0.95).judge(run).held
    assert not SLA("error_rate", 0.11, confidence=0.95).judge(run).held


def test_an_interval_that_breaks_its_limit_says_by_how_much() -> None:
    run = PerformanceMetrics(latencies=[number / 500 for number in range(1001)])
    assert str(SLA("p95_latency", 1.92, confidence=0.95).judge(run)).startswith(
        "p95_latency <= 1.920 s at 95 % confidence: 1.900 s (95 % confidence: 1.872 to 1.928 s, "
        "0.008 s over, 0.4 %); p50 1.000 s, "
    )


def test_a_confidence_that_so_little_data_cannot_give_is_a_violation() -> None:
    run = PerformanceMetrics(latencies=[1.0] * 50)
    with pytest.raises(SLAViolationError) as caught:
        enforce(run, [SLA("p95_latency", 9.0, confidence=0.95)])
    assert str(caught.value) == (
        "p95_latency <= 9.000 s at 95 % confidence: 1.000 s (95 % confidence: 1.000 s or more); "
        "p50 1.000 s, p95 1.000 s, max 1.000 s over 50 successful requests; the interval has no "
        "upper end below 72 requests, and there are 50"
    )
    run.latencies = [1.0] * 72
    enforce(run, [SLA("p95_latency", 9.0, confidence=0.95)])


@pytest.mark.parametrize(
    ("metric", "limit", "confidence", "message"),
    [
        ("p95_latency", 1.0, 0, "between 0 and 1"),
        ("p95_latency", 1.0, 1.0, "between 0 and 1"),
        ("p95_latency", 1.0, 95, "between 0 and 1, such as 0.95"),
        ("p95_latency", 1.0, math.nan, "between 0 and 1"),
        ("p95_latency", 1.0, "0.95", "must be a number"),
        ("p95_latency", 1.0, True, "must be a number"),
        ("avg_latency", 1.0, 0.95, "avg_latency has no confidence interval"),
        ("total_cost", 1.0, 0.95, "percentiles have one, and rates such as success_rate"),
        ("success_rate", 1.0, 0.95, "no number of requests can show"),
        ("error_rate", 0.0, 0.95, "no number of requests can show"),
    ],
)
def test_a_confidence_that_makes_no_sense_is_refused(
    metric: str, limit: float, confidence: float, message: str
) -> None:
    with pytest.raises(MisuseError, match=message):
        SLA(metric, limit, confidence=confidence)


def test_the_same_limit_with_and_without_a_confidence_are_two() -> None:
    run = PerformanceMetrics(latencies=[number / 500 for number in range(1001)])
    outcomes = judge(run, [SLA("p95_latency", 1.92), SLA("p95_latency", 1.92, confidence=0.95)])
    assert [one.held for one in outcomes] == [True, False]
