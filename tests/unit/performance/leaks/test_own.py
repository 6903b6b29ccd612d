"""What senytl's own records take, held against the counters of the process itself."""

from __future__ import annotations

import gc
import sys
from array import array
from collections.abc import Callable, Iterator

import psutil
import pytest

from senytl.models import TokenUsage
from senytl.performance.leaks.own import OwnMemory, memory_of
from senytl.performance.recording import clock
from senytl.performance.run import Run
from senytl.performance.series import Series

RECORDS: dict[str, Callable[[], object]] = {
    "numbers": lambda: array("d", range(50_000)),
    "many columns": lambda: [array("d", range(200)) for _ in range(300)],
    "floats": lambda: [number / 7 for number in range(20_000)],
    "long texts": lambda: {number: f"{number:0600}" for number in range(1_000, 3_000)},
    "short texts": lambda: [f"request {number}" for number in range(5_000)],
    "lists": lambda: [[float(number)] for number in range(5_000)],
    "sets": lambda: [set(range(number, number + 40)) for number in range(1_000)],
    "a series": lambda: Series([number / 3 for number in range(30_000)]),
    "objects of slots": lambda: [TokenUsage(number, 3) for number in range(1_000, 6_000)],
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def counters() -> tuple[float, float]:
    """Bytes that malloc has handed out, and objects of the interpreter."""
    blocks = float(sys.getallocatedblocks())
    heap = psutil.heap_info()
    return float(heap.heap_used + heap.mmap_used), blocks


@pytest.mark.skipif(not hasattr(psutil, "heap_info"), reason="malloc's figures are not known here")
@pytest.mark.parametrize("name", RECORDS)
def test_a_record_takes_what_the_counters_of_the_process_say(name: str) -> None:
    make = RECORDS[name]
    make()  # whatever is made but once
    heap, blocks = counters()
    record = make()
    heap_after, blocks_after = counters()
    own = memory_of([record])
    assert own.bytes == pytest.approx(heap_after - heap, rel=0.1, abs=10_000)
    assert own.blocks == pytest.approx(blocks_after - blocks, rel=0.15, abs=100)
    assert own.bytes > 50_000 or own.blocks > 1_000  # so that the bounds mean something


@pytest.mark.skipif(not hasattr(psutil, "heap_info"), reason="malloc's figures are not known here")
def test_the_records_of_a_user_are_all_that_its_requests_leave() -> None:
    run = Run("a load", "load_test")
    recorder = run.new_recorder()

    def request(number: int) -> None:
        recorder.begin_body()
        if number % 2:
            recorder.record(0.25)
        recorder.end_body(clock(), ValueError("no") if number % 5 == 0 else None)

    for number in range(200):
        request(number)
    before = memory_of(run_records(run))
    heap, blocks = counters()
    for number in range(20_000):
        request(number)
    heap_after, blocks_after = counters()
    own = memory_of(run_records(run))
    assert own.bytes - before.bytes > 20_000 * 8
    assert own.bytes - before.bytes == pytest.approx(heap_after - heap, rel=0.2)
    assert own.blocks - before.blocks == pytest.approx(blocks_after - blocks, abs=1_000)


def run_records(run: Run) -> Iterator[object]:
    for recorder in run._recorders:
        yield from recorder.own_records()


def test_what_two_records_share_counts_once() -> None:
    column = array("d", range(1_000))
    alone = memory_of([column])
    assert alone.bytes >= 8_000
    assert memory_of([column, column]) == alone
    assert memory_of([[column], [column]]).bytes == alone.bytes


def test_records_that_hold_each_other_are_followed_once() -> None:
    one: list[object] = []
    other = {"one": one}
    one.append(other)
    own = memory_of([one])
    assert own.bytes == 0
    assert 2 <= own.blocks <= 6


class OfTheUser:
    """No class of senytl's."""

    def __init__(self) -> None:
        self.kept = [bytes(10_000) for _ in range(10)]


def test_what_belongs_to_the_user_is_left_alone() -> None:
    assert memory_of([OfTheUser()]) == OwnMemory(0, 0)
    assert memory_of([len, OfTheUser, lambda: None]) == OwnMemory(0, 0)
    usage = memory_of([{"usage": TokenUsage(1_000, 2)}])
    assert memory_of([{"usage": TokenUsage(1_000, 2), "agent": OfTheUser()}]).bytes == 0
    assert usage.blocks >= 3  # the dict with its table, and the usage


def test_what_the_interpreter_shares_is_nobodys() -> None:
    assert memory_of([None, True, False, 0, 7, 256, -5, (), frozenset()]) == OwnMemory(0, 0)
    assert memory_of([1_000, 2.5, "text"]) == OwnMemory(0, 3)
