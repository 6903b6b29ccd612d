from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from senytl import performance
from senytl.models import MisuseError, PerformanceError, TokenUsage
from senytl.performance import CostEstimate, MemorySnapshot, PerformanceMetrics, SLAViolationError


@pytest.fixture
def run() -> Iterator[PerformanceMetrics]:
    run = PerformanceMetrics()
    run.latencies = [0.5] * 90 + [1.0] * 8 + [3.0] * 2
    run.token_usage = [TokenUsage(60, 40), TokenUsage(160, 40)]
    run.costs = [CostEstimate(0.01, 0.01, 0.02), CostEstimate(0.02, 0.02, 0.04)]
    run.memory_snapshots = [MemorySnapshot(m, m, 1.0, 0.0) for m in (100.0, 115.0)]
    run.throughput_rps = 50.0
    performance.set_current_metrics(run)
    yield run
    performance.set_current_metrics(None)


Check = Callable[[], None]


@pytest.mark.parametrize(
    ("held", "broken"),
    [
        (
            lambda: performance.assert_latency_under(seconds=0.6),
            lambda: performance.assert_latency_under(0.5),
        ),
        (
            lambda: performance.assert_latency_under(seconds=0.5, percentile="p50"),
            lambda: performance.assert_latency_under(seconds=0.49, percentile="p50"),
        ),
        (
            lambda: performance.assert_latency_under(seconds=3.0, percentile="max"),
            lambda: performance.assert_latency_under(seconds=2.9, percentile="max"),
        ),
        (
            lambda: performance.assert_p95_latency_under(seconds=1.0),
            lambda: performance.assert_p95_latency_under(seconds=0.9),
        ),
        (
            lambda: performance.assert_p99_latency_under(seconds=3.0),
            lambda: performance.assert_p99_latency_under(seconds=2.0),
        ),
        (
            lambda: performance.assert_token_usage_under(150),
            lambda: performance.assert_token_usage_under(149, per_request=True),
        ),
        (
            lambda: performance.assert_token_usage_under(300, per_request=False),
            lambda: performance.assert_token_usage_under(299, per_request=False),
        ),
        (
            lambda: performance.assert_cost_under(cents=3.0),
            lambda: performance.assert_cost_under(cents=2.9, per_request=True),
        ),
        (
            lambda: performance.assert_cost_under(cents=6.01, per_request=False),
            lambda: performance.assert_cost_under(cents=5.9, per_request=False),
        ),
        (
            lambda: performance.assert_throughput_above(requests_per_second=50),
            lambda: performance.assert_throughput_above(requests_per_second=51),
        ),
        (
            lambda: performance.assert_no_memory_leaks(),
            lambda: performance.assert_no_memory_leaks(threshold=0.14),
        ),
    ],
)
def test_every_assertion_of_the_specification(
    run: PerformanceMetrics, held: Check, broken: Check
) -> None:
    held()
    with pytest.raises(SLAViolationError):
        broken()
    assert [one.held for one in run.judgements] == [True, False]


def test_an_unknown_percentile_lists_those_that_there_are(run: PerformanceMetrics) -> None:
    with pytest.raises(ValueError, match="avg, p50, p75, p90, p95, p99, min, max"):
        performance.assert_latency_under(seconds=1, percentile="p96")


def test_no_figures_at_all_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(PerformanceError, match="set_current_metrics"):
        performance.assert_latency_under(seconds=1)


def test_set_current_metrics_takes_figures_or_none() -> None:
    with pytest.raises(TypeError, match="not dict"):
        performance.set_current_metrics({})  # type: ignore[arg-type]


def test_current_metrics_are_those_that_were_set(run: PerformanceMetrics) -> None:
    assert performance.get_current_metrics() is run
    performance.set_current_metrics(None)
    assert performance.get_current_metrics() is None


def test_current_metrics_belong_to_their_thread(run: PerformanceMetrics) -> None:
    seen = []
    thread = threading.Thread(target=lambda: seen.append(performance.get_current_metrics()))
    thread.start()
    thread.join()
    assert seen == [None]


def test_a_body_speaks_of_itself_whatever_was_set_around_it(run: PerformanceMetrics) -> None:
    @performance.benchmark
    def work() -> None:
        performance.record_request(9.0)
        performance.assert_latency_under(seconds=1)

    with pytest.raises(SLAViolationError, match=r"9\.000 s"):
        work()
    assert performance.get_current_metrics() is run
    assert run.judgements == []


@pytest.mark.parametrize("cents", ["5", None, True])
def test_cents_that_are_no_number_are_refused(run: PerformanceMetrics, cents: float) -> None:
    with pytest.raises(ValueError, match="must be a number"):
        performance.assert_cost_under(cents=cents)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: performance.assert_latency_under(seconds=1, percentile="p96"),
        lambda: performance.assert_p95_latency_under(seconds=-1),
        lambda: performance.record_request(-1),
    ],
)
def test_a_mistake_in_the_body_of_a_load_test_stops_it(mistake: Check) -> None:
    @performance.load_test(concurrent_users=2, duration=60)
    def work() -> None:
        mistake()

    started = time.perf_counter()
    with pytest.raises(MisuseError):
        work()
    assert time.perf_counter() - started < 30
