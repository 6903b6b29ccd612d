"""Limits on the growth of memory, and outcomes that cannot be told without failing a test."""

from __future__ import annotations

import math
import pickle
from typing import Any

import pytest

from senytl.models import MisuseError
from senytl.performance import SLA, PerformanceMetrics, SLAViolationError
from senytl.performance.leaks.evidence import LeakEvidence
from senytl.performance.leaks.readings import Reading
from senytl.performance.sla import InconclusiveError, Judgement, enforce, judge

GROWTH = SLA("memory_growth", 0.2)


def evidence(size: float, requests: int = 3_000) -> LeakEvidence:
    """Of an agent that keeps so many bytes of each request."""
    readings = [
        Reading(ended, 1e7 + size * ended, 1e5, 1e8 + size * ended, 1e8 + size * ended)
        for ended in range(0, requests + 1, requests // 30)
    ]
    return LeakEvidence(readings)


@pytest.fixture
def unclear() -> PerformanceMetrics:
    """A benchmark of too few requests to tell a leak."""
    run = PerformanceMetrics(name="test_it", kind="benchmark", leak_evidence=evidence(500, 300))
    run.latencies = [1.0, 2.0, 3.0]
    return run


@pytest.mark.parametrize("wrong", ["64", None.__class__, True, [64], 1j])
def test_a_min_leak_that_is_no_number_is_refused(wrong: Any) -> None:
    with pytest.raises(MisuseError, match="it must be a number of bytes a request"):
        SLA("memory_growth", 0.2, min_leak=wrong)


@pytest.mark.parametrize("wrong", [0, -1, math.nan, math.inf, -math.inf])
def test_a_min_leak_that_no_run_could_be_judged_by_is_refused(wrong: float) -> None:
    with pytest.raises(MisuseError, match=r"min_leak is .*above 0 bytes a request"):
        SLA("memory_growth", 0.2, min_leak=wrong)


@pytest.mark.parametrize("metric", ["max_memory_mb", "memory_per_user", "p95_latency"])
def test_a_min_leak_is_for_the_growth_of_memory_alone(metric: str) -> None:
    with pytest.raises(MisuseError, match=f"min_leak is for memory_growth alone.* on {metric}"):
        SLA(metric, 1.0, min_leak=64)


def test_limits_that_differ_in_min_leak_are_two() -> None:
    run = PerformanceMetrics(name="test_it", kind="benchmark", leak_evidence=evidence(500))
    strict, lax = SLA("memory_growth", 0.2, min_leak=100), SLA("memory_growth", 0.2, min_leak=1e4)
    assert strict != lax
    assert [one.held for one in judge(run, [strict, lax])] == [False, True]
    assert [one.sla for one in run.judgements] == [strict, lax]


def test_a_leak_fails_with_what_came_out_in_place_of_the_figure() -> None:
    run = PerformanceMetrics(name="test_it", kind="benchmark", leak_evidence=evidence(500))
    with pytest.raises(SLAViolationError) as failed:
        enforce(run, [GROWTH])
    [violation] = failed.value.violations
    assert violation.outcome == "leaks 500 B a request"
    assert str(failed.value).startswith("memory_growth <= 20 %: leaks 500 B a request; ")
    assert run.verdict == "failed"
    copy = pickle.loads(pickle.dumps(failed.value))
    assert copy.violations == failed.value.violations
    assert str(copy) == str(failed.value)


def test_a_leak_that_cannot_be_told_raises_nothing_and_the_run_is_inconclusive(
    unclear: PerformanceMetrics,
) -> None:
    assert not unclear.allow_inconclusive
    enforce(unclear, [GROWTH])
    assert unclear.verdict == "inconclusive"
    [judgement] = unclear.judgements
    assert judgement.doubt
    assert not judgement.doubt_is_failure


def test_it_hides_no_violation_and_is_not_listed_with_it(unclear: PerformanceMetrics) -> None:
    with pytest.raises(SLAViolationError) as failed:
        enforce(unclear, [GROWTH, SLA("avg_latency", 1.0)])
    assert [one.sla.metric for one in failed.value.violations] == ["avg_latency"]
    assert failed.value.inconclusive == ()
    assert unclear.verdict == "failed"


def test_a_doubt_that_is_a_failure_still_is_one_beside_it(unclear: PerformanceMetrics) -> None:
    class Doubtful(SLA):
        def judge(self, run: PerformanceMetrics) -> Judgement:
            return Judgement(self, 2.0, True, "", doubt="the generator was the bottleneck")

    with pytest.raises(InconclusiveError) as failed:
        enforce(unclear, [GROWTH, Doubtful("avg_latency", 5.0)])
    assert [one.sla.metric for one in failed.value.inconclusive] == ["avg_latency"]


def test_an_outcome_is_told_in_place_of_the_figure() -> None:
    plain = Judgement(GROWTH, 0.35, False, "it grew")
    assert str(plain).startswith("memory_growth <= 20 %: 35 %")
    told = Judgement(GROWTH, 0.05, False, "the heap grew", outcome="leaks 500 B a request")
    assert str(told) == "memory_growth <= 20 %: leaks 500 B a request; the heap grew"
    unknown = Judgement(GROWTH, None, False, "the heap grew", outcome="leaks 500 B a request")
    assert str(unknown) == str(told)


def test_what_an_early_end_kept_from_being_read_is_left_out(unclear: PerformanceMetrics) -> None:
    unclear.leak_evidence = LeakEvidence([])
    assert judge(unclear, [GROWTH], ended_early=True) == []
