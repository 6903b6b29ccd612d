from __future__ import annotations

import gc
import json
import math
import os
import sys
import time
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, Protocol

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from senytl.models import MisuseError
from senytl.performance.leaks import readings as module
from senytl.performance.leaks.readings import MemoryReader, Reading, Readings

KB, MB = 2**10, 2**20

needs_heap = pytest.mark.skipif(
    not hasattr(psutil, "heap_info"), reason="this system tells nothing of its heap"
)


class Agent(Protocol):
    pid: int

    def keep(self, megabytes: int) -> None: ...
    def start_child(self, megabytes: int) -> None: ...
    def end(self) -> None: ...


def reading(requests: float) -> Reading:
    return Reading(requests, requests + 1, requests + 2, requests + 3, math.nan)


def test_readings_are_a_sequence_in_the_order_in_which_they_came() -> None:
    readings = Readings()
    assert len(readings) == 0
    assert not readings

    for requests in (10, 20, 30):
        readings.add(reading(requests))

    assert len(readings) == 3
    assert [one.requests for one in readings] == [10, 20, 30]
    assert readings[0][:4] == (10, 11, 12, 13)
    assert readings[-1].requests == 30
    assert [one.requests for one in readings[1:]] == [20, 30]
    assert math.isnan(readings[0].uss)


@pytest.mark.parametrize("place", [3, -4])
def test_there_is_nothing_beyond_the_readings(place: int) -> None:
    readings = Readings()
    for requests in (10, 20, 30):
        readings.add(reading(requests))

    with pytest.raises(IndexError, match="there are 3"):
        readings[place]


def test_fewer_than_four_places_are_refused() -> None:
    with pytest.raises(ValueError, match="capacity=3 must be 4 or more"):
        Readings(capacity=3)


@given(capacity=st.integers(4, 40), count=st.integers(0, 200))
def test_however_many_come_the_held_ones_span_all_evenly(capacity: int, count: int) -> None:
    readings = Readings(capacity)
    for requests in range(count):
        readings.add(reading(requests))

    held = [one.requests for one in readings]
    assert len(held) == count if count <= capacity else capacity // 2 < len(held) <= capacity
    assert held[:1] == [0][:count]
    assert held[-1:] == [count - 1][:count]
    assert [one[:4] for one in readings] == [reading(requests)[:4] for requests in held]
    gaps = [b - a for a, b in pairwise(held)]
    assert len(set(gaps[:-1])) <= 1
    assert gaps[-1:] <= gaps[:1]


def test_columns_are_plain_data_in_which_what_is_unknown_is_null() -> None:
    readings = Readings()
    readings.add(Reading(1, 2, math.nan, 4, math.nan))
    readings.add(Reading(2, 3, math.nan, 5, 6))

    assert json.loads(json.dumps(readings.columns(), allow_nan=False)) == {
        "requests": [1, 2],
        "heap": [2, 3],
        "blocks": [None, None],
        "rss": [4, 5],
        "uss": [None, 6],
    }


def test_adding_readings_takes_no_memory_that_lasts() -> None:
    readings, reader = Readings(), MemoryReader()
    for requests in range(20):
        readings.add(reader.read(requests, uss=False))
    gc.collect()
    before = sys.getallocatedblocks()

    for requests in range(20, 220):
        readings.add(reader.read(requests, uss=False))

    gc.collect()
    assert sys.getallocatedblocks() - before < 100


@needs_heap
def test_a_large_object_shows_in_the_heap_to_the_byte_nearly() -> None:
    reader = MemoryReader()
    reader.read(0)
    before = reader.read(0, uss=False)

    kept = [bytearray(100 * KB) for _ in range(20)]

    after = reader.read(1, uss=False)
    assert after.requests == 1
    assert after.heap - before.heap == pytest.approx(2000 * KB, rel=0.02)
    del kept
    assert reader.read(2, uss=False).heap - before.heap < 100 * KB


def test_small_objects_show_in_the_count_of_blocks() -> None:
    reader = MemoryReader()
    reader.read(0)
    before = reader.read(0, uss=False)

    kept = [object() for _ in range(50_000)]

    after = reader.read(1, uss=False)
    assert after.blocks - before.blocks == pytest.approx(50_000, rel=0.02)
    del kept


@needs_heap
def test_what_senytl_keeps_itself_is_taken_from_the_heap() -> None:
    reader = MemoryReader()
    reader.read(0)

    mine = reader.read(1, uss=False)
    less = reader.read(1, own_bytes=10 * MB, uss=False)

    assert mine.heap - less.heap == pytest.approx(10 * MB, abs=100 * KB)


def test_resident_and_unshared_memory_are_those_of_the_process() -> None:
    read = MemoryReader().read(0, uss=True)

    figures = psutil.Process().memory_full_info()
    assert read.rss == pytest.approx(figures.rss, abs=5 * MB)
    assert read.uss == pytest.approx(figures.uss, abs=5 * MB)
    assert read.uss <= read.rss


def test_without_what_tells_of_the_heap_the_rest_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_heap_info", lambda: None)

    read = MemoryReader().read(0)

    assert math.isnan(read.heap)
    assert read.blocks > 0
    assert read.rss > 0


def test_a_heap_that_may_not_be_read_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Any:
        raise OSError("not here")

    monkeypatch.setattr(module, "_heap_info", lambda: refuse)

    assert math.isnan(MemoryReader().read(0).heap)


def test_unshared_memory_is_left_out_while_it_takes_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def slowly(process: psutil.Process) -> float:
        now[0] += 0.01
        return 1.0

    monkeypatch.setattr(module, "_uss_of", slowly)
    reader = MemoryReader()

    assert reader.read(0).uss == 1.0
    now[0] += 0.5
    assert math.isnan(reader.read(1).uss)
    assert reader.read(1, uss=True).uss == 1.0
    now[0] += 1.0
    assert math.isnan(reader.read(2).uss)
    now[0] += 1.0
    assert reader.read(3).uss == 1.0
    assert math.isnan(reader.read(4, uss=False).uss)


class Knot:
    def __init__(self) -> None:
        self.itself = self


class Undone:
    """Leaves garbage of its own when it is collected."""

    def __init__(self, collected: list[int]) -> None:
        self.itself = self
        self.collected = collected

    def __del__(self) -> None:
        self.collected.append(1)
        if len(self.collected) < 20:
            Undone(self.collected)


def test_settling_collects_garbage_and_what_its_finalizers_leave_but_not_for_ever() -> None:
    gc.collect()
    gc.disable()
    try:
        collected: list[int] = []
        Undone(collected)
        MemoryReader().settle()
    finally:
        gc.enable()

    assert len(collected) == 3
    collected.extend([1] * 20)
    gc.collect()


def test_settling_another_process_leaves_garbage_here_alone(agent: Agent) -> None:
    gc.collect()
    gc.disable()
    try:
        Knot()
        MemoryReader(agent.pid).settle()
        assert gc.collect() > 0
    finally:
        gc.enable()


def test_another_process_is_read_by_its_pages_alone(agent: Agent) -> None:
    reader = MemoryReader(agent.pid)
    before = reader.read(0)

    agent.keep(20)

    after = reader.read(5)
    assert math.isnan(after.heap)
    assert math.isnan(after.blocks)
    assert after.rss - before.rss == pytest.approx(20 * MB, abs=2 * MB)
    assert after.uss - before.uss == pytest.approx(20 * MB, abs=2 * MB)


def test_unshared_memory_of_another_process_is_read_each_time(agent: Agent) -> None:
    reader = MemoryReader(agent.pid)

    assert not any(math.isnan(reader.read(requests).uss) for requests in range(20))


def test_children_are_added_on_request(agent: Agent) -> None:
    agent.start_child(30)

    alone = MemoryReader(agent.pid).read(0)
    together = MemoryReader(agent.pid, children=True).read(0)

    assert together.uss - alone.uss > 30 * MB
    assert together.rss - alone.rss > 30 * MB


def test_a_process_that_has_ended_has_no_memory(agent: Agent) -> None:
    reader = MemoryReader(agent.pid)
    reader.read(0)
    agent.end()

    ended = reader.read(7)

    assert ended.requests == 7
    assert all(math.isnan(figure) for figure in ended[1:])


def test_this_process_by_its_own_pid_is_this_process() -> None:
    assert MemoryReader(os.getpid()).read(0).blocks > 0


def test_a_process_that_is_not_there_is_refused() -> None:
    with pytest.raises(MisuseError, match="there is no process"):
        MemoryReader(2**22 + 1)


def test_reading_takes_well_under_a_millisecond_without_unshared_memory() -> None:
    reader = MemoryReader()
    reader.read(0)
    began = time.perf_counter()
    for requests in range(100):
        reader.read(requests, uss=False)

    assert time.perf_counter() - began < 0.5
