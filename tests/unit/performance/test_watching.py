from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from senytl import performance
from senytl.models import MisuseError, PerformanceError
from senytl.performance import benchmarking
from senytl.performance.leaks import proof
from senytl.performance.memory import MemorySampler
from senytl.performance.metrics import PerformanceMetrics
from senytl.performance.run import RunSettings, current_settings

from .conftest import GrowingAgent


def figures_of(function: Any) -> PerformanceMetrics:
    """Those of a benchmark's only run."""
    (run,) = function._performance_metrics
    assert isinstance(run, PerformanceMetrics)
    return run


def test_a_benchmark_samples_the_process_in_which_the_agent_runs(agent: GrowingAgent) -> None:
    @performance.benchmark(iterations=4)
    def work() -> None:
        performance.watch_memory(agent.pid)
        agent.keep(10)
        time.sleep(0.06)

    before = agent.rss_mb
    work()
    run = figures_of(work)

    assert run.max_memory_mb == pytest.approx(agent.rss_mb, rel=0.05)
    assert run.memory_snapshots[0].rss_mb == pytest.approx(before, abs=5)
    assert len(run.memory_snapshots) >= 4  # said again, it drops nothing


@pytest.mark.parametrize("is_async", [False, True])
def test_a_load_test_samples_it(agent: GrowingAgent, is_async: bool) -> None:
    agent.keep(30)

    if is_async:

        @performance.load_test(concurrent_users=4, iterations=10)
        async def in_tasks() -> None:
            performance.watch_memory(pid=agent.pid)
            await asyncio.sleep(0)

        run = asyncio.run(in_tasks())
    else:

        @performance.load_test(concurrent_users=4, iterations=10)
        def in_threads() -> None:
            performance.watch_memory(pid=agent.pid)

        run = in_threads()

    rss = [one.rss_mb for one in run.memory_snapshots]
    assert rss
    assert rss == pytest.approx([agent.rss_mb] * len(rss), rel=0.05)
    assert run.total_requests == 40


def test_children_are_added_where_asked_for(agent: GrowingAgent) -> None:
    agent.start_child(80)

    @performance.benchmark
    def work() -> None:
        performance.watch_memory(agent.pid, children=True)

    work()
    agent.end_child()

    assert figures_of(work).memory_snapshots[0].rss_mb > agent.rss_mb + 80


def test_a_process_that_ends_during_the_run_leaves_its_samples(agent: GrowingAgent) -> None:
    @performance.benchmark(iterations=3)
    def work() -> None:
        performance.watch_memory(agent.pid)
        if performance.current_user().iteration == 1:
            agent.end()

    work()
    run = figures_of(work)

    assert run.total_requests == 3
    assert 1 < run.max_memory_mb < 100
    assert all(one.rss_mb > 1 for one in run.memory_snapshots)


def test_said_again_it_looks_at_no_process(
    agent: GrowingAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int | None, bool]] = []
    watch: Callable[..., bool] = MemorySampler.watch

    def note(sampler: MemorySampler, pid: int | None, children: bool) -> bool:
        asked.append((pid, children))
        return watch(sampler, pid, children)

    monkeypatch.setattr(MemorySampler, "watch", note)

    @performance.benchmark(iterations=5)
    def work() -> None:
        performance.watch_memory(agent.pid)

    @performance.benchmark(iterations=5)
    def of_this_process() -> None:
        performance.watch_memory()

    work()
    of_this_process()

    assert asked == [(agent.pid, False)]


def test_this_process_by_its_own_pid() -> None:
    @performance.benchmark(iterations=2)
    def work() -> None:
        performance.watch_memory(os.getpid())

    work()

    assert figures_of(work).max_memory_mb == pytest.approx(
        performance.capture_memory_snapshot().rss_mb, rel=0.2
    )


def test_looking_for_the_process_takes_no_time_of_the_body(
    agent: GrowingAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = MemorySampler.watch

    def watch_slowly(sampler: MemorySampler, pid: int | None, children: bool) -> bool:
        time.sleep(0.3)
        return watch(sampler, pid, children)

    monkeypatch.setattr(MemorySampler, "watch", watch_slowly)

    @performance.benchmark
    def work() -> None:
        performance.watch_memory(agent.pid)

    work()

    assert figures_of(work).max_latency < 0.3


@pytest.mark.parametrize("pid", [2**31 - 1, "agent"])
def test_a_bad_pid_ends_the_test(pid: int) -> None:
    @performance.benchmark(iterations=3)
    def work() -> None:
        performance.watch_memory(pid)

    @performance.load_test(concurrent_users=2, iterations=3)
    def load() -> None:
        performance.watch_memory(pid)

    with pytest.raises(MisuseError, match=f"{pid}"):
        work()
    with pytest.raises(MisuseError, match=f"{pid}"):
        load()


def test_outside_of_a_body_there_is_nothing_to_watch_for() -> None:
    with pytest.raises(PerformanceError, match="no benchmark or load test is running here"):
        performance.watch_memory()


def test_settings_say_it_before_the_run(agent: GrowingAgent) -> None:
    agent.keep(20)
    token = current_settings.set(RunSettings(memory_of=(agent.pid, False)))
    try:

        @performance.load_test(concurrent_users=2, iterations=2)
        def load() -> None:
            agent.keep(20)

        run = load()
    finally:
        current_settings.reset(token)

    assert run.memory_snapshots[0].rss_mb == pytest.approx(agent.rss_mb - 80, rel=0.2)
    assert run.memory_per_user == pytest.approx(40, abs=4)


def test_what_a_leak_check_read_of_another_process_is_dropped(
    agent: GrowingAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmarking, "FEWEST_REQUESTS", 10)
    monkeypatch.setattr(proof, "FEWEST_REQUESTS", 1_000)

    @performance.benchmark(iterations=60, leak_check=True)
    def work() -> None:
        if performance.current_user().iteration >= 30:
            performance.watch_memory(agent.pid)

    work()
    evidence = figures_of(work).leak_evidence

    assert evidence is not None
    rss = [reading.rss / 2**20 for reading in evidence.readings]
    assert 10 <= len(rss) <= 16  # one after every other iteration
    assert rss == pytest.approx([agent.rss_mb] * len(rss), rel=0.1)
