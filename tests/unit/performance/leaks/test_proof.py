"""Which further rounds are asked for, by what was read so far."""

from __future__ import annotations

import gc
import inspect
import os
import sys
import threading
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from senytl.performance.leaks import native, proof
from senytl.performance.leaks.check import LeakCheck
from senytl.performance.leaks.lines import HeapLines
from senytl.performance.leaks.proof import FurtherRounds, prove
from senytl.performance.leaks.quiet import SetAside
from senytl.performance.leaks.readings import Reading
from senytl.performance.run import Run
from senytl.performance.sla import SLA

from .conftest import growing

if sys.platform != "win32":
    from .native_helper import look_up

KEPT: list[object] = []

needs_heap = pytest.mark.skipif(
    sys.platform == "win32" or not HeapLines.works_here(), reason="needs the size of the heap"
)


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    heap = SetAside()  # collections look at what is new alone
    yield
    heap.close()
    KEPT.clear()


@pytest.fixture
def run() -> Iterator[Run]:
    run = Run("a load", "load_test")
    run.state(SLA("memory_growth", 0.2))
    run.start()
    yield run
    run.stop()


def check_of(run: Run, readings: Iterable[Reading]) -> LeakCheck:
    """A check that has read this in the run."""
    check = LeakCheck(run)
    check.evidence.readings = list(readings)
    return check


def leak() -> None:
    KEPT.append(bytes(2_000))  # the line that leaks


def trace(wish: FurtherRounds) -> None:
    """Run what is asked for, of an agent that leaks 2 kB with each request."""
    ended = 0
    goes_on = wish.between(ended)
    for _ in range(wish.rounds):
        if not goes_on:
            break
        for _ in range(wish.requests // wish.rounds):
            leak()
        ended += wish.requests // wish.rounds
        gc.collect()
        goes_on = wish.between(ended)


def wishes_of(
    check: LeakCheck,
    *further: Sequence[Reading],
    requests: int = 3_000,
    seconds: float = 1.0,
    least: int = 1,
) -> list[FurtherRounds]:
    """All rounds that are asked for, if those that are to prove it read this."""
    wishes = []
    read = iter(further)
    for wish in prove(check, requests, seconds, least):
        wishes.append(wish)
        if wish.traces:
            trace(wish)
        else:
            check.evidence.further = next(read)
    return wishes


def test_a_run_whose_memory_is_steady_is_not_followed_by_more(run: Run) -> None:
    assert wishes_of(check_of(run, growing())) == []


@pytest.mark.parametrize("requests", [0, 1, 999])
def test_a_run_of_few_requests_is_not_followed_by_more(run: Run, requests: int) -> None:
    assert wishes_of(check_of(run, growing(2_000, requests=999)), requests=requests) == []


def test_a_run_whose_memory_was_not_read_as_it_should_be_is_not_followed_by_more(run: Run) -> None:
    check = check_of(run, growing(2_000))
    check.evidence.note = "requests were still in flight"
    assert wishes_of(check) == []


def test_what_looks_like_a_leak_is_run_for_as_long_again_and_then_located(run: Run) -> None:
    check = check_of(run, growing(2_000, 1))
    again, traced = wishes_of(check, growing(2_000, 1), seconds=4.0)
    assert (again.requests, again.rounds, again.traces) == (3_000, 30, False)
    assert again.seconds == 6.0
    assert (traced.requests, traced.rounds, traced.traces) == (600, 10, True)
    assert check.evidence.finding.outcome == "leak"


def test_what_is_not_leaking_any_more_is_not_located(run: Run) -> None:
    check = check_of(run, growing(2_000, 1))
    assert len(wishes_of(check, growing())) == 1
    assert check.evidence.finding.outcome == "stable"
    assert (check.evidence.sites, check.evidence.sites_by) == ([], "")


def test_what_stays_unclear_is_not_located(run: Run) -> None:
    check = check_of(run, growing(2_000, 1))
    assert len(wishes_of(check, growing(2_000, 1, count=4))) == 1
    assert check.evidence.finding.outcome == "unclear"


def test_one_limit_of_several_that_is_in_doubt_is_enough(run: Run) -> None:
    check = check_of(run, growing(100, 1))
    run.state(SLA("memory_growth", 0.9, min_leak=1_000_000))
    assert len(wishes_of(check, growing(100, 1))) >= 2


def test_a_limit_that_allows_the_growth_asks_for_nothing() -> None:
    run = Run("a load", "load_test")
    run.state(SLA("memory_growth", 0.9, min_leak=1_000_000))
    assert wishes_of(check_of(run, growing(100, 1))) == []


def test_without_a_limit_the_usual_one_decides() -> None:
    assert len(wishes_of(check_of(Run("a load", "load_test"), growing(2_000)), growing())) == 1


def test_a_run_of_too_few_rounds_is_replaced_by_further_ones(run: Run) -> None:
    check = check_of(run, growing(2_000, 1, count=3))
    asked = 0
    wishes = prove(check, 3_000, 1.0)
    for wish in wishes:
        asked += 1
        if wish.traces:
            break
        for requests in range(0, 3_001, 100):
            wish.between(requests)
            KEPT.extend(bytes(2_000) for _ in range(100))
    wishes.close()
    assert asked == 3  # for the run itself, to prove it, to find it
    assert len(check.evidence.readings) == 31
    assert len(check.evidence.further) == 31
    assert check.evidence.finding.outcome == "leak"
    assert check.evidence.finding.bytes_per_request == pytest.approx(2_000, rel=0.1)


def test_one_batch_of_further_rounds_is_enough_where_it_is_steady(run: Run) -> None:
    check = check_of(run, growing(2_000, 1, count=3))
    asked = 0
    for wish in prove(check, 3_000, 1.0):
        asked += 1
        for requests in range(0, 3_001, 100):
            wish.between(requests)
    assert asked == 1
    assert check.evidence.finding.outcome == "stable"
    assert len(check.evidence.further) == 0


def test_further_rounds_that_failed_are_not_repeated(run: Run) -> None:
    check = check_of(run, growing(2_000, 1, count=3))
    asked = 0
    for _ in prove(check, 3_000, 1.0):
        asked += 1
        check.evidence.note = "2,000 of 3,000 further requests failed"
    assert asked == 1
    assert check.evidence.finding.outcome == "unclear"


def test_every_round_has_a_request_for_each_user(run: Run) -> None:
    check = check_of(run, growing(2_000, 1))
    again, traced = wishes_of(check, growing(2_000, 1), requests=1_200, least=50)
    assert (again.requests, again.rounds) == (1_500, 30)
    assert traced.requests % traced.rounds == 0
    assert traced.requests // traced.rounds >= 50


def test_requests_are_rounded_up_to_whole_rounds(run: Run) -> None:
    [again] = wishes_of(check_of(run, growing(2_000)), growing(), requests=1_001)
    assert again.requests == 34 * 30


@pytest.mark.parametrize(
    ("seconds", "again_seconds", "traced_seconds"),
    [(0.1, 2.0, 10.0), (2.0, 3.0, 15.0), (10.0, 15.0, 20.0), (60.0, 90.0, 60.0)],
)
def test_further_rounds_take_about_as_long_as_the_run(
    run: Run, seconds: float, again_seconds: float, traced_seconds: float
) -> None:
    check = check_of(run, growing(2_000, 1))
    again, traced = wishes_of(check, growing(2_000, 1), seconds=seconds)
    assert again.seconds == pytest.approx(again_seconds)
    assert traced.seconds == pytest.approx(traced_seconds)


def test_the_line_that_leaks_is_found(run: Run) -> None:
    check = check_of(run, growing(2_000, 1))
    wishes_of(check, growing(2_000, 1))
    evidence = check.evidence
    assert evidence.sites_by == "tracemalloc"
    assert evidence.traced_requests == 600
    site = evidence.sites[0]
    assert Path(site.location.file).name == "test_proof.py"
    assert site.location.line == inspect.getsourcelines(leak)[1] + 1
    assert site.bytes_per_request == pytest.approx(2_033, rel=0.05)
    assert not tracemalloc.is_tracing()


def test_tracing_ends_when_the_rounds_are_broken_off(run: Run) -> None:
    check = check_of(run, growing(2_000, 1))
    wishes = prove(check, 3_000, 1.0)
    for wish in wishes:
        if wish.traces:
            assert tracemalloc.is_tracing()
            break
        check.evidence.further = growing(2_000, 1)
    wishes.close()
    assert not tracemalloc.is_tracing()
    assert check.evidence.sites_by == "tracemalloc"


def test_nothing_is_traced_of_another_process(run: Run) -> None:
    run.watched = (os.getppid(), False)
    check = check_of(run, growing(2_000, 1))
    assert len(wishes_of(check, growing(2_000, 1))) == 1
    assert "another process" in check.evidence.sites_note
    assert check.evidence.sites == []


def test_a_growth_that_python_does_not_explain_may_be_native(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "why_not_memray", lambda: "install the extra")
    monkeypatch.setattr(HeapLines, "works_here", lambda: False)
    check = check_of(run, growing(200_000, 1))
    assert len(wishes_of(check, growing(200_000, 1))) == 2
    note = check.evidence.sites_note
    assert note.startswith("Python's own allocations explain 1% of the growth")
    assert note.endswith("install the extra")
    assert check.evidence.sites_by == "tracemalloc"


def test_small_objects_are_python_s_own(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "why_not_memray", lambda: "install the extra")
    check = check_of(run, growing(0, 2))
    assert len(wishes_of(check, growing(0, 2))) == 2
    assert check.evidence.finding.signal == "blocks"
    assert check.evidence.sites_note == ""


@needs_heap
def test_a_growth_that_no_line_explains_was_looked_for_line_by_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "why_not_memray", lambda: "install the extra")
    check = check_of(run, growing(200_000, 1))
    _, traced, by_line = wishes_of(check, growing(200_000, 1))
    assert (traced.alone, by_line.alone, by_line.traces) == (False, True, True)
    assert (by_line.requests, by_line.rounds) == (200, 10)
    note = check.evidence.sites_note
    assert note.startswith("Python's own allocations explain 1% of the growth")
    assert "before and after each of your lines" in note
    assert note.endswith("install the extra")
    assert check.evidence.sites[0].location.line == inspect.getsourcelines(leak)[1] + 1


@needs_heap
@pytest.mark.parametrize("size", [3_000])
def test_what_is_taken_past_python_is_found_line_by_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(native, "why_not_memray", lambda: "install the extra")
    monkeypatch.setitem(globals(), "leak", lambda: look_up(size))
    before = sys.gettrace(), threading.gettrace()
    check = check_of(run, growing(size, 0))
    assert [wish.alone for wish in wishes_of(check, growing(size, 0))] == [False, False, True]
    evidence = check.evidence
    assert (evidence.sites_by, evidence.sites_note) == ("heap readings", "")
    assert evidence.traced_requests == 200
    site = evidence.sites[0]
    assert Path(site.location.file).name == "native_helper.py"
    assert site.location.source.startswith("address: int = libc.malloc(size)")
    assert site.bytes_per_request == pytest.approx(size, rel=0.5)
    assert (sys.gettrace(), threading.gettrace()) == before


@needs_heap
def test_trace_functions_come_back_when_the_rounds_are_broken_off(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "why_not_memray", lambda: "install the extra")
    before = sys.gettrace(), threading.gettrace(), gc.isenabled()
    check = check_of(run, growing(200_000, 1))
    wishes = prove(check, 3_000, 1.0)
    for wish in wishes:
        if wish.alone:
            assert sys.gettrace() is not before[0]
            break
        if not wish.traces:
            check.evidence.further = growing(200_000, 1)
    wishes.close()
    assert (sys.gettrace(), threading.gettrace(), gc.isenabled()) == before


@pytest.mark.skipif(find_spec("memray") is None, reason="needs memray")
def test_what_native_code_holds_is_traced_with_its_own_rounds(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HeapLines, "works_here", lambda: False)
    check = check_of(run, growing(200_000, 1))
    again, traced, natively = wishes_of(check, growing(200_000, 1))
    assert not again.traces
    assert natively.traces
    assert natively.requests == traced.requests
    assert check.evidence.sites  # memray's, or those of before where it has none
    assert check.evidence.sites_by in ("memray", "tracemalloc")


def test_the_fewest_requests_are_traced_that_tell_a_leak_at_every_fiftieth(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "FEWEST_REQUESTS", 10)
    check = check_of(run, growing(2_000, 1))
    _, traced = wishes_of(check, growing(2_000, 1), requests=60)
    assert traced.requests == 120
