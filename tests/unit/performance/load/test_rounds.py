"""The rounds of a load whose memory is checked, on every engine."""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import pytest

from senytl import performance
from senytl.models import MisuseError
from senytl.performance.leaks import proof
from senytl.performance.leaks.check import LeakCheck
from senytl.performance.load import rounds

from .conftest import Sleep, Way

Read = Callable[[LeakCheck, float, Iterable[object]], None]


class Readings:
    """What the readings of a load's memory found: the requests by then, and those in flight."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.in_flight = 0
        self.requests: list[float] = []
        self.busy: list[int] = []
        self.began: list[float] = []


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    """Notes each reading, which may be made to take long. None is followed by further rounds."""
    notes = Readings()
    read: Read = LeakCheck.read

    def note(self: LeakCheck, requests: float, own: Iterable[object] = ()) -> None:
        notes.began.append(time.perf_counter())
        notes.requests.append(requests)
        notes.busy.append(notes.in_flight)
        if notes.seconds:
            time.sleep(notes.seconds)
        read(self, requests, own)

    monkeypatch.setattr(LeakCheck, "read", note)
    monkeypatch.setattr(proof, "FEWEST_REQUESTS", math.inf)
    return notes


def working(readings: Readings, seconds: float = 0.002) -> Callable[[Sleep], Any]:
    async def body(sleep: Sleep) -> None:
        readings.in_flight += 1
        await sleep(seconds)
        readings.in_flight -= 1

    return body


SHAPES: dict[str, dict[str, Any]] = {
    "iterations": {"concurrent_users": 4, "iterations": 300},
    "shared": {"concurrent_users": 4, "total_iterations": 1_200},
    "duration": {"concurrent_users": 4, "duration": 1.0},
    "stages": {"stages": [(0.2, 8), (0.6, 8), (0.2, 0)]},
    "think-time": {"concurrent_users": 8, "duration": 1.0, "think_time": (0.0, 0.02)},
    "pacing": {"concurrent_users": 8, "duration": 1.0, "pacing": 0.03},
    "open": {"rate": 1_200, "duration": 1.0},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_no_request_is_in_flight_while_memory_is_read(
    way: Way, readings: Readings, shape: str
) -> None:
    run = way.load(working(readings), **SHAPES[shape], leak_check=True)
    assert len(readings.requests) >= 8
    assert set(readings.busy) == {0}
    assert readings.requests == sorted(readings.requests)
    assert len(set(readings.requests)) >= 8
    assert readings.requests[-1] == run.total_requests
    assert run.leak_evidence is not None
    assert run.leak_evidence.pauses == len(readings.requests) - 1


def test_rounds_are_of_equal_work(way: Way, readings: Readings) -> None:
    way.load(working(readings), **SHAPES["iterations"], leak_check=True)
    sizes = [later - earlier for earlier, later in pairwise(readings.requests)]
    whole = min(sizes)
    # A round whose pause would have cost too much goes on for as much work again.
    assert all(size % whole == 0 or size == sizes[-1] for size in sizes)


@pytest.mark.parametrize("shape", ["iterations", "duration", "pacing", "open"])
def test_a_pause_is_part_of_no_latency_and_of_no_throughput(
    way: Way, readings: Readings, shape: str
) -> None:
    readings.seconds = 0.1
    began = time.perf_counter()
    run = way.load(working(readings), **SHAPES[shape], leak_check=True)
    elapsed = time.perf_counter() - began
    evidence = run.leak_evidence
    assert evidence is not None
    assert evidence.pauses >= 3
    # Where all wait for their next start, the pause begins before it is due: that is no part of it.
    least = 0.06 if shape == "pacing" else 0.1
    assert evidence.paused_seconds >= least * evidence.pauses
    assert evidence.longest_pause >= least
    assert run.p95_latency < 0.1
    assert run.dropped_starts <= 4 * evidence.pauses  # a pause that counts drops twice as many
    assert run.duration_seconds <= elapsed - evidence.paused_seconds + 0.05
    if "duration" in SHAPES[shape]:
        assert run.duration_seconds == pytest.approx(1.0, abs=0.1)


def test_users_keep_their_distance_over_a_pause(readings: Readings) -> None:
    readings.seconds = 0.2
    starts: defaultdict[int, list[float]] = defaultdict(list)

    def work() -> None:
        starts[performance.current_user().number].append(time.perf_counter())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds, "FEWEST_REQUESTS", 1)
        patch.setattr(rounds, "ROUNDS", 4)
        performance.load_test(
            concurrent_users=4, duration=2.0, pacing=0.2, ramp_up=0.2, leak_check=True
        )(work)()
    assert len(readings.requests) >= 3
    last_before, first_after = [], []
    pause = readings.began[0]
    for number in range(4):
        last_before.append(max(moment for moment in starts[number] if moment < pause))
        first_after.append(min(moment for moment in starts[number] if moment > pause))
    waits = [after - before for before, after in zip(last_before, first_after, strict=True)]
    # Each was held as long as the others, so that they are as far apart as before.
    assert max(waits) - min(waits) < 0.1
    assert min(waits) >= 0.2


def test_a_load_of_too_few_requests_is_not_held(way: Way, readings: Readings) -> None:
    run = way.load(working(readings), concurrent_users=4, iterations=20, leak_check=True)
    assert readings.requests == [80]
    assert run.leak_evidence is not None
    assert run.leak_evidence.pauses == 0


def test_nobody_is_held_unless_it_is_asked_for(way: Way, readings: Readings) -> None:
    run = way.load(working(readings), **SHAPES["iterations"])
    assert readings.requests == []
    assert run.leak_evidence is None


def test_waiting_for_each_other_leaves_nothing_behind(way: Way, readings: Readings) -> None:
    run = way.load(working(readings, 0.001), **SHAPES["iterations"], leak_check=True)
    assert run.leak_evidence is not None
    finding = run.leak_evidence.finding
    assert finding.outcome == "stable"
    assert abs(finding.blocks_per_request) < 0.15


def test_a_limit_that_every_body_states_asks_for_it(
    way: Way, readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "FEWEST_REQUESTS", 1_000)  # what looks like a leak is made sure of

    async def body(sleep: Sleep) -> None:
        await sleep(0.001)
        performance.assert_no_memory_leaks()

    run = way.load(body, **SHAPES["iterations"])
    assert len(readings.requests) >= 8
    assert [one.sla.metric for one in run.judgements] == ["memory_growth"]


def test_no_leak_check_overrules_a_limit(way: Way, readings: Readings) -> None:
    async def body(sleep: Sleep) -> None:
        performance.assert_no_memory_leaks()

    run = way.load(body, **SHAPES["iterations"], leak_check=False)
    assert readings.requests == []
    [judgement] = run.judgements
    assert "leak_check" in judgement.doubt


def test_a_request_that_takes_too_long_is_not_waited_for(
    way: Way, readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_LEAST_PATIENCE", 0.1)
    monkeypatch.setattr(rounds, "_PATIENCE", 0.0)

    async def body(sleep: Sleep) -> None:
        slow = performance.current_user().number == 0
        await sleep(1.5 if slow else 0.002)

    began = time.perf_counter()
    run = way.load(body, concurrent_users=3, duration=1.0, leak_check=True, grace=3.0)
    assert time.perf_counter() - began < 8
    assert run.total_requests > 150  # the others went on
    evidence = run.leak_evidence
    assert evidence is not None
    assert "in flight took longer than 0.1 s" in evidence.note
    assert evidence.finding.outcome == "unclear"


def test_an_error_that_stops_the_load_stops_those_who_are_held(way: Way) -> None:
    failed = threading.Event()

    async def body(sleep: Sleep) -> None:
        user = performance.current_user()
        await sleep(0.001)
        if user.number == 0 and user.iteration > 20 and not failed.is_set():
            failed.set()
            await sleep(0.3)  # the others wait for this one by now
            raise MisuseError("stop")

    began = time.perf_counter()
    with pytest.raises(MisuseError, match="stop"):
        way.load(body, concurrent_users=4, iterations=300, leak_check=True)
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("wrong", ["yes", 1, 0.5])
def test_a_leak_check_that_is_no_truth_value_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="leak_check is"):
        performance.load_test(concurrent_users=1, leak_check=wrong)
    with pytest.raises(ValueError, match="leak_check is"):
        performance.benchmark(leak_check=wrong)
