from __future__ import annotations

import math
from typing import Any

import pytest

from senytl.models import TokenUsage
from senytl.performance import CostEstimate, MemorySnapshot, PerformanceMetrics
from senytl.performance.load.health import GeneratorHealth
from senytl.performance.metric import (
    Direction,
    Metric,
    UnknownMetricError,
    all_metrics,
    find_metric,
)
from senytl.performance.metric.units import (
    write_beside,
    write_change,
    write_count,
    write_figure,
    write_interval,
    write_outcome,
)
from senytl.performance.sla import SLA


def snapshots(*rss: float) -> list[MemorySnapshot]:
    return [MemorySnapshot(mb, mb * 2, 1.0, float(at)) for at, mb in enumerate(rss)]


@pytest.fixture
def run() -> PerformanceMetrics:
    run = PerformanceMetrics()
    run.latencies = [0.1, 0.2, 0.3, 0.4]
    run.token_usage = [TokenUsage(100, 50, 150), TokenUsage(200, 100, 300)]
    run.costs = [CostEstimate(0.01, 0.02, 0.03), CostEstimate(0.02, 0.03, 0.05)]
    run.memory_snapshots = snapshots(100.0, 110.0, 120.0)
    run.throughput_rps = 67.5
    run.total_requests = 100
    run.failed_requests = 2
    return run


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("avg_latency", 0.25),
        ("p50_latency", 0.25),
        ("p75_latency", 0.325),
        ("p90_latency", 0.37),
        ("p95_latency", 0.385),
        ("p99_latency", 0.397),
        ("min_latency", 0.1),
        ("max_latency", 0.4),
        ("total_tokens", 450),
        ("total_prompt_tokens", 300),
        ("total_completion_tokens", 150),
        ("avg_tokens_per_request", 225.0),
        ("max_tokens_per_request", 300),
        ("total_cost", 0.08),
        ("avg_cost_per_request", 0.04),
        ("max_cost_per_request", 0.05),
        ("success_rate", 0.98),
        ("error_rate", 0.02),
        ("total_requests", 100),
        ("failed_requests", 2),
        ("throughput_rps", 67.5),
        ("avg_memory_mb", 110.0),
        ("max_memory_mb", 120.0),
        ("memory_growth", 0.2),
    ],
)
def test_every_metric_of_assigned_data(run: PerformanceMetrics, name: str, expected: float) -> None:
    assert getattr(run, name) == pytest.approx(expected)
    assert find_metric(name).measure(run) == pytest.approx(expected)


def test_memory_per_user_is_what_came_on_top_of_the_first_sample(run: PerformanceMetrics) -> None:
    metric = find_metric("memory_per_user")
    run.memory_snapshots = snapshots(100.0, 160.0, 120.0)
    run.concurrent_users = 4
    assert run.memory_per_user == metric.measure(run) == 15.0
    assert metric.why(run) == (
        "resident memory was 100.00 MB before the load and at most 160.00 MB with 4 users"
    )
    run.memory_snapshots = snapshots(100.0, 90.0, 80.0)
    assert metric.measure(run) == 0.0


def test_memory_per_user_of_no_users_or_samples(run: PerformanceMetrics) -> None:
    metric = find_metric("memory_per_user")
    assert metric.measure(run) is None
    assert metric.missing(run) == "only a load test has concurrent users whose memory it could be"
    run.concurrent_users = 4
    run.memory_snapshots = snapshots(100.0)
    assert metric.measure(run) is None
    assert metric.missing(run) == "too few memory samples were taken"


def test_failed_latencies_are_apart_from_successful_ones(run: PerformanceMetrics) -> None:
    run.failed_latencies = [5.0, 7.0]
    assert run.max_latency == 0.4
    assert run.avg_failed_latency == 6.0
    assert run.max_failed_latency == 7.0


@pytest.mark.parametrize("name", list(all_metrics()))
def test_nothing_measured_is_no_value(name: str) -> None:
    empty = PerformanceMetrics()
    metric = find_metric(name)
    if name == "failed_requests":  # none failed is known without any request
        assert metric.measure(empty) == 0
        return
    assert metric.measure(empty) is None
    assert metric.missing(empty)
    value = getattr(empty, name)
    assert value == 0 or math.isnan(value)


def test_the_specification_prints_any_run() -> None:
    empty = PerformanceMetrics()
    assert f"{empty.avg_latency:.3f} {empty.total_tokens} {empty.avg_tokens_per_request:.0f}"
    assert f"{empty.total_cost:.4f} {empty.throughput_rps:.2f} {empty.success_rate * 100:.1f}"


def test_counts_follow_from_latencies_unless_they_are_assigned() -> None:
    run = PerformanceMetrics()
    run.latencies = [0.1, 0.2, 0.3]
    run.failed_latencies = [0.5]
    assert (run.total_requests, run.failed_requests, run.success_rate) == (4, 1, 0.75)


def test_a_load_whose_requests_failed_has_failed_unless_an_sla_allows_it() -> None:
    run = PerformanceMetrics(kind="load_test")
    run.latencies = [0.1] * 8
    assert run.verdict == "passed"
    run.failed_latencies = [0.1] * 2
    assert run.verdict == "failed"
    assert repr(run) == "<PerformanceMetrics 10 requests, 2 failed; failed>"
    run.judgements = [SLA("success_rate", 0.8).judge(run)]
    assert run.verdict == "passed"


def test_a_computed_metric_cannot_be_assigned() -> None:
    with pytest.raises(AttributeError, match="p95_latency is computed"):
        PerformanceMetrics().p95_latency = 3.0


def test_a_model_without_a_price_leaves_the_cost_unknown(run: PerformanceMetrics) -> None:
    run.unpriced_models = ("my-model",)
    assert math.isnan(run.total_cost)
    assert find_metric("total_cost").measure(run) is None
    assert "my-model" in find_metric("total_cost").missing(run)
    assert any("my-model" in note for note in run.warnings)


def test_memory_that_grows_by_more_than_a_fifth_is_a_leak(run: PerformanceMetrics) -> None:
    assert run.memory_leak_detected is False
    run.memory_snapshots = snapshots(100.0, 121.0)
    assert run.memory_leak_detected is True
    assert PerformanceMetrics().memory_leak_detected is False


def test_the_class_gives_the_metric_itself() -> None:
    metric: Any = PerformanceMetrics.throughput_rps
    assert isinstance(metric, Metric)
    assert metric.direction is Direction.HIGHER
    assert metric.unit == "req/s"
    assert metric.__doc__ is not None
    assert metric.name == "throughput_rps"


@pytest.mark.parametrize(
    "name", ["p95_latancy", "p95_latencies", "latency_p95", "P95_Latency", "p95latency"]
)
def test_an_unknown_metric_names_the_nearest_alone(name: str) -> None:
    with pytest.raises(UnknownMetricError) as caught:
        find_metric(name)
    assert str(caught.value) == (
        f"there is no metric named {name!r} (did you mean p95_latency?); "
        "docs/reference/metrics.md lists all"
    )


def test_an_unknown_metric_that_is_like_none_lists_all() -> None:
    with pytest.raises(UnknownMetricError, match=r"named 'speed'; the metrics are: .*success_rate"):
        find_metric("speed")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2.4123, "s", "2.412 s"),
        (0.0000123, "s", "12.3 µs"),
        (0.0, "s", "0.000 s"),
        (0.0225, "USD", "$0.0225"),
        (0.0000071, "USD", "$0.0000071"),
        (0.02958, "s", "0.0296 s"),
        (0.0, "USD", "$0.0000"),
        (0.98, "ratio", "98 %"),
        (0.9876, "ratio", "98.76 %"),
        (1234.5678, "ratio", "123,457 %"),
        (0.0000004, "ratio", "0.00004 %"),
        (1.0, "calls", "1 call"),
        (1.5, "calls", "1.5 calls"),
        (0.00002, "calls", "0.00002 calls"),
        (450.0, "tokens", "450 tokens"),
        (1234567, "tokens", "1,234,567 tokens"),
        (67.5, "req/s", "67.50 req/s"),
        (125.31, "MB", "125.31 MB"),
        (None, "s", "n/a"),
        (math.nan, "USD", "n/a"),
    ],
)
def test_figures_are_written_with_their_unit(value: float | None, unit: str, text: str) -> None:
    assert write_figure(value, unit) == text


def test_a_change_says_by_how_much_and_which_way() -> None:
    assert write_change(2.5, 2.0, "s") == "0.500 s over, 25.0 %"
    assert write_change(40.0, 50.0, "req/s") == "10.00 req/s short, 20.0 %"
    assert write_change(0.9, 1.0, "ratio") == "10 percentage points short"
    assert write_change(0.51, 0.01, "s") == "0.500 s over, 51 times the limit"
    assert write_change(3.0, 0.0, "tokens") == "3 tokens over"
    assert write_change(2.0, 1.0, "calls") == "1 call over, 100.0 %"
    assert write_change(0.00239, 1e-6, "s") == "2,389.0 µs over, 2,390 times the limit"
    assert write_change(12345678.0, 2.0, "calls") == (
        "12,345,676 calls over, 6,172,839 times the limit"
    )


def test_a_figure_near_its_limit_does_not_read_like_it() -> None:
    assert write_beside(0.01012, 0.0101, "s") == "0.01012 s"
    assert write_beside(0.02958, 0.0101, "s") == "0.0296 s"
    assert write_beside(2.0001, 2.0, "s") == "2.0001 s"
    assert write_beside(2.0, 2.0, "s") == "2.000 s"


def test_counts_have_their_plural() -> None:
    assert [write_count(count, "test") for count in (0, 1, 1200)] == [
        "0 tests",
        "1 test",
        "1,200 tests",
    ]


def test_warnings_say_how_far_the_figures_can_be_trusted(run: PerformanceMetrics) -> None:
    assert run.warnings == []
    run.llm_calls = 10
    run.guessed_calls = 4
    run.unattributed_calls = 3
    run.interrupted_requests = 2
    run.judgements = [SLA("p95_latency", 1.0).judge(run)]
    notes = "\n".join(run.warnings)
    assert "some token counts are estimates" in notes
    assert "3 LLM calls could not be attributed" in notes
    assert "2 requests had not ended" in notes
    assert "p95_latency over 4 requests is little more than the maximum; it takes 200" in notes


@pytest.mark.parametrize(
    ("low", "high", "unit", "text"),
    [
        (2.1, 2.8, "s", "2.10 to 2.80 s"),
        (2.4012, 2.4087, "s", "2.4012 to 2.4087 s"),
        (12.3, 82.4, "s", "12 to 82 s"),
        (0.00012, 0.00087, "s", "120 to 870 µs"),
        (2.0, 2.0, "s", "2.000 to 2.000 s"),
        (0.9963, 1.0, "ratio", "99.63 to 100.00 %"),
        (2.1, math.inf, "s", "2.100 s or more"),
        (-math.inf, 2.1, "s", "2.100 s or less"),
        (-math.inf, math.inf, "s", ""),
    ],
)
def test_an_interval_shows_its_width(low: float, high: float, unit: str, text: str) -> None:
    assert write_interval(low, high, unit) == text


@pytest.mark.parametrize("interval", [None, (-math.inf, math.inf)])
def test_a_figure_without_an_interval_stands_alone(interval: tuple[float, float] | None) -> None:
    written = write_outcome(
        1.0, 2.0, "s", held=True, decisive=1.0, interval=interval, confidence=0.95
    )
    assert written == "1.000 s"


def test_a_generator_that_was_late_is_a_warning(run: PerformanceMetrics) -> None:
    run.generator = GeneratorHealth(lags=[0.0001] * 100, cpu_share=0.2)
    assert run.warnings == []
    run.generator = GeneratorHealth(lags=[0.015] * 100, cpu_share=0.5)
    run.latencies = [0.4] * 100
    [note] = run.warnings
    assert "late by 15.0 ms at p95" in note
    run.latencies = [40.0] * 100
    assert run.warnings == []
