"""`assert_no_memory_leaks` wherever it may stand, with agents that leak and agents that do not."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from senytl import performance
from senytl.models import MisuseError, PerformanceError
from senytl.performance import MemorySnapshot, PerformanceMetrics, SLAViolationError

KEPT: list[object] = []


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    performance.set_current_metrics(None)
    yield
    performance.set_current_metrics(None)
    KEPT.clear()


def leak() -> None:
    KEPT.append(bytes(3_000))  # the line that leaks


def calm() -> None:
    bytes(3_000)


def measured(work: Callable[[], object], measure: str, requests: int, **limits: Any) -> Any:
    """A test that makes so many requests, whose body states the limit."""
    decorate: Any
    if measure == "benchmark":
        decorate = performance.benchmark(iterations=requests)
    else:
        decorate = performance.load_test(concurrent_users=2, total_iterations=requests)

    def body() -> None:
        work()
        performance.assert_no_memory_leaks(**limits)

    async def body_of_task() -> None:
        body()

    if measure != "tasks":
        return decorate(body)
    run = decorate(body_of_task)

    def start() -> Any:
        return asyncio.run(run())

    start._performance_metrics = run._performance_metrics  # type: ignore[attr-defined]
    return start


@pytest.mark.parametrize("measure", ["benchmark", "threads", "tasks"])
def test_a_leak_fails_when_the_run_ends_and_is_located(measure: str) -> None:
    test = measured(leak, measure, 1_500)
    with pytest.raises(SLAViolationError) as failed:
        test()
    text = str(failed.value)
    assert text.startswith("memory_growth <= 20 %: leaks 3.0 KB")
    line = inspect.getsourcelines(leak)[1] + 1
    assert f"test_leak_assertions.py:{line}: KEPT.append(bytes(3_000))" in text
    [run] = test._performance_metrics
    assert run.total_requests == 1_500  # those that prove it are none of them
    assert run.verdict == "failed"
    assert run.memory_leak_detected


@pytest.mark.parametrize("measure", ["benchmark", "threads", "tasks"])
def test_an_agent_that_keeps_nothing_passes(measure: str) -> None:
    test = measured(calm, measure, 1_500)
    test()
    [run] = test._performance_metrics
    assert [one.sla.metric for one in run.judgements] == ["memory_growth"]
    assert run.verdict == "passed"
    assert not run.memory_leak_detected


@pytest.mark.parametrize("measure", ["benchmark", "threads", "tasks"])
def test_few_requests_are_inconclusive_and_raise_nothing(measure: str) -> None:
    test = measured(leak, measure, 30)
    test()
    [run] = test._performance_metrics
    assert run.verdict == "inconclusive"
    assert "1,000 are needed" in run.judgements[0].doubt


@pytest.mark.parametrize("measure", ["benchmark", "threads"])
def test_a_leak_of_less_than_is_allowed_passes(measure: str) -> None:
    test = measured(leak, measure, 1_200, min_leak=50_000, threshold=0.9)
    test()
    assert test._performance_metrics[0].verdict == "passed"


def test_after_the_fact_figures_are_judged_at_once() -> None:
    @performance.benchmark(iterations=1_200, leak_check=True)
    def work() -> None:
        leak()

    work()  # nothing says that it must not leak
    [run] = work._performance_metrics  # type: ignore[attr-defined]
    assert run.verdict == "passed"
    performance.set_current_metrics(run)
    with pytest.raises(SLAViolationError, match=r"leaks 3\.0 KB"):
        performance.assert_no_memory_leaks()
    performance.assert_no_memory_leaks(threshold=0.9, min_leak=100_000)
    assert [one.held for one in run.judgements] == [False, True]


def test_a_load_without_a_leak_check_is_in_doubt_after_the_fact() -> None:
    @performance.load_test(concurrent_users=2, iterations=5)
    def work() -> None: ...

    run: Any = work()
    performance.set_current_metrics(run)
    performance.assert_no_memory_leaks()
    assert run.verdict == "inconclusive"
    assert "leak_check=True" in run.judgements[0].doubt


def test_figures_made_by_hand_are_judged_by_their_samples() -> None:
    run = PerformanceMetrics()
    run.memory_snapshots = [MemorySnapshot(m, m, 1.0, 0.0) for m in (100.0, 115.0)]
    performance.set_current_metrics(run)
    performance.assert_no_memory_leaks()
    with pytest.raises(SLAViolationError, match=r"memory_growth <= 10 %: 15 %"):
        performance.assert_no_memory_leaks(threshold=0.1)


@pytest.mark.parametrize(
    "wrong",
    [{"threshold": -0.1}, {"threshold": "20 %"}, {"min_leak": 0}, {"min_leak": None.__class__}],
)
def test_an_impossible_limit_is_refused_where_it_stands(wrong: dict[str, Any]) -> None:
    with pytest.raises(MisuseError, match=r"min_leak|the limit of memory_growth"):
        performance.assert_no_memory_leaks(**wrong)
    test = measured(calm, "benchmark", 3, **wrong)
    with pytest.raises(MisuseError):
        test()


def test_where_nothing_is_measured_there_is_nothing_to_hold_it_against() -> None:
    with pytest.raises(PerformanceError, match="there is nothing to hold memory_growth"):
        performance.assert_no_memory_leaks()
