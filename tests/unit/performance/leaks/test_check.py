"""The leak check of one run, on the memory of this process and of another one."""

from __future__ import annotations

import gc
import os
from array import array
from collections.abc import Iterator

import psutil
import pytest

from senytl.performance.leaks.check import LeakCheck, limits_of
from senytl.performance.leaks.detector import LeakLimits
from senytl.performance.leaks.quiet import SetAside
from senytl.performance.run import Run
from senytl.performance.sla import SLA

from ..conftest import GrowingAgent
from .conftest import growing

knows_heap = pytest.mark.skipif(
    not hasattr(psutil, "heap_info"), reason="malloc's figures are not known here"
)


@pytest.fixture
def run() -> Iterator[Run]:
    run = Run("a load", "load_test")
    run.start()
    heap = SetAside()
    yield run
    heap.close()
    run.stop()


def test_an_sla_says_what_a_leak_is() -> None:
    assert limits_of(SLA("memory_growth", 0.3)) == LeakLimits(threshold=0.3)
    assert limits_of(SLA("memory_growth", 0.3, min_leak=500)) == LeakLimits(0.3, 500)


def test_readings_know_how_many_requests_had_ended(run: Run) -> None:
    check = LeakCheck(run)
    for requests in (0, 40, 80):
        check.read(requests)
    assert [one.requests for one in check.evidence.readings] == [0, 40, 80]
    assert all(one.rss > 2**20 and one.blocks > 10_000 for one in check.evidence.readings)


@knows_heap
def test_what_the_agent_keeps_shows_and_what_senytl_keeps_does_not(run: Run) -> None:
    check = LeakCheck(run)
    own: list[object] = []
    kept: list[object] = []
    check.read(0, own)
    own += [array("d", range(1_000)) for _ in range(500)]
    own += [number / 7 for number in range(20_000)]
    check.read(1, own)
    kept += [bytes(8_000) for _ in range(500)]
    kept += [[number] for number in range(20_000)]
    check.read(2, own)
    first, second, third = check.evidence.readings
    assert second.heap - first.heap == pytest.approx(0, abs=400_000)
    assert second.blocks - first.blocks == pytest.approx(0, abs=2_000)
    assert third.heap - second.heap == pytest.approx(4_000_000, rel=0.1)
    assert third.blocks - second.blocks >= 40_000


def test_garbage_is_not_taken_for_what_is_kept(run: Run) -> None:
    check = LeakCheck(run)
    check.read(0)
    gc.disable()
    try:
        for _ in range(5_000):
            ring: list[object] = []
            ring.append(ring)
        check.read(1)
    finally:
        gc.enable()
    first, second = check.evidence.readings
    assert second.blocks - first.blocks < 2_000


def test_further_readings_are_kept_apart_and_may_replace_those_of_the_run(run: Run) -> None:
    check = LeakCheck(run)
    check.evidence.note = "memory could not be read between rounds"
    check.read(100)
    check.read_further(0)
    check.read_further(50)
    assert [one.requests for one in check.evidence.readings] == [100]
    assert [one.requests for one in check.evidence.further] == [0, 50]
    check.replace_by_further()
    assert [one.requests for one in check.evidence.readings] == [0, 50]
    assert len(check.evidence.further) == 0
    assert check.evidence.note == ""
    check.read_further(7)
    check.read(60)  # goes on with those that stand for the run
    assert [one.requests for one in check.evidence.readings] == [0, 50, 60]
    assert [one.requests for one in check.evidence.further] == [7]


def test_without_further_readings_those_of_the_run_stay(run: Run) -> None:
    check = LeakCheck(run)
    check.evidence.note = "most of them failed"
    check.read(100)
    check.replace_by_further()
    assert [one.requests for one in check.evidence.readings] == [100]
    assert check.evidence.note == "most of them failed"


def test_pauses_add_up(run: Run) -> None:
    check = LeakCheck(run)
    for seconds in (0.25, 0.5, 0.125):
        check.note_pause(seconds)
    evidence = check.evidence
    assert (evidence.pauses, evidence.paused_seconds, evidence.longest_pause) == (3, 0.875, 0.5)


def test_the_limits_are_those_of_the_run_on_memory_growth(run: Run) -> None:
    check = LeakCheck(run)
    assert check.limits == [LeakLimits()]
    run.state(SLA("avg_latency", 1.0))
    run.state(SLA("memory_growth", 0.5, min_leak=500))
    run.state(SLA("memory_growth", 0.1, min_leak=900))
    assert check.limits == [LeakLimits(0.5, 500), LeakLimits(0.1, 900)]


def test_the_strictest_limits_are_those_of_the_evidence(run: Run) -> None:
    check = LeakCheck(run)
    check.evidence.readings = growing(600, 0)
    for threshold, min_leak in ((0.1, 900), (0.5, 500), (0.2, 500)):
        run.state(SLA("memory_growth", threshold, min_leak=min_leak))
    evidence = check.conclude()
    assert evidence is check.evidence
    assert evidence.limits == LeakLimits(0.2, 500)
    assert evidence.finding.outcome == "leak"


def test_the_check_begins_anew_for_another_process(run: Run, agent: GrowingAgent) -> None:
    run.leaks.read(0)
    assert not run.leaks.is_of_another_process
    run.watch_memory(agent.pid, False)
    check = run.leaks
    assert check.is_of_another_process
    check.read(0)
    agent.keep(30)
    check.read(10)
    before, after = check.evidence.readings
    assert after.uss - before.uss == pytest.approx(30 * 2**20, rel=0.1)
    assert before.heap != before.heap  # not known from here
    assert before.blocks != before.blocks


def test_this_process_by_its_number_is_no_other_one(run: Run) -> None:
    run.watch_memory(os.getpid(), False)
    assert not run.leaks.is_of_another_process
    run.leaks.read(0)
    assert run.leaks.evidence.readings[0].blocks > 10_000


def test_a_process_that_has_ended_is_said_and_not_read(run: Run, agent: GrowingAgent) -> None:
    run.watch_memory(agent.pid, False)
    agent.end()
    check = run.leaks
    check.read(0)
    check.read_further(1)
    assert len(check.evidence.readings) == 0
    assert str(agent.pid) in check.evidence.note
    finding = check.conclude().finding
    assert finding.outcome == "unclear"
    assert finding.why.startswith(check.evidence.note)
