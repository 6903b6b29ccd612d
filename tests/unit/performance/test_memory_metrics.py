"""The metrics of memory: what they are measured by, and when they are not."""

from __future__ import annotations

import math
from typing import Any

import pytest

from senytl.performance import MemorySnapshot, PerformanceMetrics
from senytl.performance.leaks.evidence import LeakEvidence
from senytl.performance.leaks.readings import Reading
from senytl.performance.metric import find_metric


def sampled(*rss: float, **fields: Any) -> PerformanceMetrics:
    snapshots = [MemorySnapshot(mb, mb, 1.0, float(at)) for at, mb in enumerate(rss)]
    return PerformanceMetrics(memory_snapshots=snapshots, **fields)


def evidence(size: float, requests: int = 3_000) -> LeakEvidence:
    pages = [1e8 + size * ended for ended in range(0, requests + 1, requests // 30)]
    return LeakEvidence(
        [Reading(at * requests / 30, mb / 2, 1e5, mb, mb) for at, mb in enumerate(pages)]
    )


CLIMBING = [200.0 + number for number in range(120)]


@pytest.mark.parametrize("kind", ["benchmark", "load_test"])
def test_growth_of_a_measured_run_is_that_of_the_later_half_of_its_samples(kind: str) -> None:
    assert sampled(*CLIMBING, kind=kind).memory_growth == pytest.approx(314.5 / 264.5 - 1)
    warm = [*range(100, 400, 5), *[400.0] * 60]
    assert sampled(*warm, kind=kind).memory_growth == 0.0
    burst = [*[100.0] * 90, *[200.0] * 30]
    assert sampled(*burst, kind=kind).memory_growth == 0.0


def test_growth_of_figures_made_by_hand_is_that_from_the_first_tenth_to_the_last() -> None:
    assert sampled(*CLIMBING).memory_growth == pytest.approx(313.5 / 205.5 - 1)
    assert sampled(100.0, 130.0).memory_growth == pytest.approx(0.3)


@pytest.mark.parametrize("kind", ["benchmark", "load_test"])
def test_growth_of_few_samples_of_a_measured_run_is_not_known(kind: str) -> None:
    run = sampled(*[100.0, 200.0] * 5, kind=kind)
    assert math.isnan(run.memory_growth)
    assert find_metric("memory_growth").measure(run) is None


@pytest.mark.parametrize("kind", ["benchmark", "load_test"])
def test_what_was_read_between_rounds_counts_for_more_than_samples(kind: str) -> None:
    run = sampled(*CLIMBING, kind=kind, leak_evidence=evidence(10_000))
    # From 1,500 requests on, 115 MB, memory grows by 15 MB.
    assert run.memory_growth == pytest.approx(15 / 115, rel=0.05)
    run = sampled(*CLIMBING, kind=kind, leak_evidence=evidence(0))
    assert run.memory_growth == pytest.approx(0)


def test_growth_that_readings_do_not_tell_is_not_taken_from_samples() -> None:
    run = sampled(*CLIMBING, kind="load_test", leak_evidence=evidence(10_000, requests=300))
    assert math.isnan(run.memory_growth)


def test_a_leak_is_detected_by_the_check_or_by_growth_past_a_fifth() -> None:
    assert PerformanceMetrics(leak_evidence=evidence(500)).memory_leak_detected
    assert not PerformanceMetrics(leak_evidence=evidence(0)).memory_leak_detected
    assert sampled(100.0, 121.0).memory_leak_detected
    assert not sampled(100.0, 119.0).memory_leak_detected
    assert not sampled(100.0).memory_leak_detected


def test_the_memory_of_a_user_is_its_share_of_what_the_load_took() -> None:
    run = sampled(100.0, 140.0, 120.0, kind="load_test", concurrent_users=8)
    assert run.memory_per_user == 5.0
    assert run.max_memory_mb == 140.0


def test_the_memory_of_a_user_is_not_known_without_users_or_samples() -> None:
    metric = find_metric("memory_per_user")
    benchmark = sampled(100.0, 140.0, kind="benchmark")
    assert math.isnan(benchmark.memory_per_user)
    assert "only a load test" in metric.missing(benchmark)
    short = sampled(100.0, kind="load_test", concurrent_users=8)
    assert math.isnan(short.memory_per_user)
    assert "too few memory samples" in metric.missing(short)
