"""Memory that is taken past Python is at the line that takes it, and trace functions come back."""

from __future__ import annotations

import asyncio
import gc
import json
import queue
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from senytl.performance.leaks import frames, lines, readings
from senytl.performance.leaks.lines import HeapLines
from senytl.performance.leaks.sites import LeakSite

if sys.platform == "win32":
    pytest.skip("there is no C library to call by name", allow_module_level=True)

from .native_helper import libc, look_up

if not HeapLines.works_here():
    pytest.skip("nobody tells the size of the heap here", allow_module_level=True)

ROUNDS, EACH = 5, 10


@pytest.fixture(autouse=True)
def traced_as_before() -> Iterator[None]:
    """All tests leave trace functions and garbage collection as they were."""
    before = sys.gettrace(), threading.gettrace(), gc.isenabled()
    yield
    assert (sys.gettrace(), threading.gettrace(), gc.isenabled()) == before


DRIVER: dict[str, Any] = {}
exec(
    compile(
        """
def work(begins, ended, each, body):
    while begins.get():
        for _ in range(each):
            try:
                body()
            except LookupError:
                pass
        ended.put(True)
""",
        "<what calls bodies, which is not the user's>",
        "exec",
    ),
    DRIVER,
)


def find(body: Callable[[], object]) -> list[LeakSite]:
    """The sites of a body that one thread runs, begun after the tracing was."""
    finder = HeapLines()
    begins, ended = queue.SimpleQueue[bool](), queue.SimpleQueue[bool]()
    thread = threading.Thread(target=DRIVER["work"], args=(begins, ended, EACH, body))
    finder.start()
    try:
        thread.start()
        finder.mark(0)
        for number in range(1, ROUNDS + 1):
            begins.put(True)
            ended.get()
            gc.collect()
            finder.mark(number * EACH)
        begins.put(False)
        thread.join()
    finally:
        sites = finder.stop()
    return sites


async def find_in_tasks(body: Callable[[], Coroutine[Any, Any, object]]) -> list[LeakSite]:
    """The sites of a body that one task at a time runs on this loop."""
    finder = HeapLines()
    finder.start()
    try:
        finder.mark(0)
        for number in range(1, ROUNDS + 1):
            for _ in range(EACH):
                await asyncio.create_task(body())
            finder.mark(number * EACH)
    finally:
        sites = finder.stop()
    return sites


def large(sites: list[LeakSite]) -> list[LeakSite]:
    """Those that are no chance of what the C library keeps for later."""
    return [site for site in sites if site.bytes_per_request >= 1_000]


def marker_of(site: LeakSite) -> str:
    """The comment at the end of a site's line."""
    source = Path(site.location.file).read_text(encoding="utf-8").splitlines()
    return source[site.location.line - 1].rpartition("# ")[2]


def think() -> dict[str, Any]:
    """Some work that keeps nothing."""
    reply = json.dumps({"parts": list(range(200)), "text": "x" * 3_000})
    read: dict[str, Any] = json.loads(reply)
    read["upper"] = read["text"].upper()
    return read


@pytest.mark.parametrize("size", [1_000, 20_000, 300_000])
def test_memory_that_stays_is_at_its_line(size: int) -> None:
    def body() -> None:
        reply = think()
        libc.malloc(size)  # leaks
        reply["words"] = reply["text"].split("y")

    site = find(body)[0]
    assert marker_of(site) == "leaks"
    assert site.bytes_per_request == pytest.approx(
        size, rel=0.5
    )  # what is given back is told by size
    assert site.blocks_per_request == 0.0


def test_the_way_to_the_line_is_shown_from_the_users_outermost_call() -> None:
    def answer() -> None:
        think()
        libc.malloc(2_000)  # leaks

    def body() -> None:
        answer()  # the caller

    site = find(body)[0]
    functions = [frame.function for frame in site.frames]
    assert functions[-2:] == ["body", "answer"]
    assert site.frames[-2].source == "answer()  # the caller"
    assert site.frames[-1] == site.location
    assert site.location.source == "libc.malloc(2_000)  # leaks"


class Agent:
    """An agent whose method leaks, and a caller of it that does not."""

    def answer(self) -> int:
        return self.look_up() or 0

    def look_up(self) -> int | None:
        think()
        address: int | None = libc.malloc(700)  # leaks
        return address


def test_a_method_of_a_class_is_charged_and_not_who_calls_it() -> None:
    site = find(Agent().answer)[0]
    assert (marker_of(site), site.location.function) == ("leaks", "look_up")


def test_a_helper_module_is_charged() -> None:
    def body() -> None:
        think()
        look_up(900)

    site = find(body)[0]
    assert Path(site.location.file).name == "native_helper.py"
    assert marker_of(site) == "leaks"


def test_a_request_that_fails_is_charged_as_any_other() -> None:
    def body() -> None:
        libc.malloc(800)  # leaks
        raise LookupError

    site = find(body)[0]
    assert marker_of(site) == "leaks"


def test_a_line_between_two_awaits_is_charged() -> None:
    async def answer() -> None:
        await asyncio.sleep(0)
        think()
        libc.malloc(2_000)  # leaks
        await asyncio.sleep(0.0001)

    async def body() -> None:
        await answer()
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))

    site = asyncio.run(find_in_tasks(body))[0]
    assert marker_of(site) == "leaks"
    assert [frame.function for frame in site.frames][-2:] == ["body", "answer"]


def test_the_line_that_waits_for_a_thread_that_was_there_before_is_charged() -> None:
    async def body() -> None:
        think()
        await asyncio.to_thread(libc.malloc, 2_000)  # leaks

    async def find_after_one() -> list[LeakSite]:
        await asyncio.to_thread(think)  # the pool's thread begins untraced
        return await find_in_tasks(body)

    site = asyncio.run(find_after_one())[0]
    assert marker_of(site) == "leaks"


def test_a_thread_that_the_agent_starts_is_charged_at_its_own_line() -> None:
    def work() -> None:
        libc.malloc(20_000)  # leaks

    def body() -> None:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    site = find(body)[0]
    assert (marker_of(site), site.location.function) == ("leaks", "work")


def test_what_is_freed_is_no_site() -> None:
    def body() -> None:
        address = libc.malloc(100_000)
        think()
        libc.free(address)

    assert large(find(body)) == []


def test_a_large_buffer_that_is_freed_does_not_hide_a_small_leak() -> None:
    def take() -> int:
        address: int = libc.malloc(100_000)
        return address

    def body() -> None:
        address = take()
        libc.malloc(112)  # leaks
        libc.free(address)

    site = find(body)[0]
    assert marker_of(site) == "leaks"
    assert site.bytes_per_request == pytest.approx(120, rel=0.6)


def test_locals_that_die_and_values_that_are_handed_on_are_no_sites() -> None:
    def make() -> bytearray:
        unused = bytearray(30_000)
        return bytearray(len(unused) * 2)

    def body() -> int:
        kept = make()
        text = kept.decode("latin-1")
        return len(text)

    assert large(find(body)) == []


def test_garbage_in_cycles_is_no_site() -> None:
    def body() -> None:
        cycle: list[object] = [bytearray(5_000)]
        cycle.append(cycle)

    assert large(find(body)) == []


def test_a_cache_that_is_full_is_no_site() -> None:
    cache: dict[int, bytearray] = {}
    count = 0

    def body() -> None:
        nonlocal count
        count += 1
        cache[count % 8] = bytearray(4_000 + count % 8)
        think()

    assert large(find(body)) == []


def test_only_lines_of_the_users_own_code_are_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    owner_of = frames.owner_of

    class Calls(lines._Call):
        def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
            seen.add(owner_of(frame.f_code.co_filename))
            return super().__call__(frame, event, arg)

    monkeypatch.setattr(lines, "_Call", Calls)
    find(think)
    assert seen == {frames.Owner.USER}


def tracer(frame: FrameType, event: str, arg: object) -> None:
    """Somebody else's: it sees calls."""
    CALLS.append(frame.f_code.co_name)


CALLS: list[str] = []


@pytest.fixture
def other_tracer() -> Iterator[None]:
    """A debugger, or coverage."""
    before = sys.gettrace(), threading.gettrace()
    sys.settrace(tracer)
    threading.settrace(tracer)
    CALLS.clear()
    yield
    sys.settrace(before[0])
    threading.settrace(before[1])


@pytest.mark.usefixtures("other_tracer")
def test_who_traced_before_traces_afterwards() -> None:
    finder = HeapLines()
    finder.start()
    assert sys.gettrace() is not tracer
    assert threading.gettrace() is not tracer
    finder.stop()
    assert sys.gettrace() is tracer
    assert threading.gettrace() is tracer
    think()
    assert "think" in CALLS


@pytest.mark.usefixtures("other_tracer")
def test_who_traced_before_does_so_after_an_error_and_after_two_stops() -> None:
    with pytest.raises(ZeroDivisionError):
        _fail_while_tracing()
    assert sys.gettrace() is tracer


def _fail_while_tracing() -> None:
    finder = HeapLines()
    finder.start()
    try:
        raise ZeroDivisionError
    finally:
        finder.stop()
        finder.stop()


@pytest.mark.usefixtures("other_tracer")
def test_a_thread_that_outlives_it_is_traced_by_who_traced_before() -> None:
    work, done = queue.SimpleQueue[bool](), queue.SimpleQueue[object]()

    def live() -> None:
        while work.get():
            think()
            done.put(sys.gettrace())

    finder = HeapLines()
    finder.start()
    thread = threading.Thread(target=live)
    thread.start()
    work.put(True)
    assert done.get() is not tracer
    finder.stop()
    CALLS.clear()
    work.put(True)
    assert done.get() is tracer
    assert "think" in CALLS
    work.put(False)
    thread.join()


def test_a_generator_that_outlives_it_goes_on() -> None:
    def count() -> Iterator[int]:
        yield from range(3)
        yield 3

    finder = HeapLines()
    finder.start()
    numbers = count()
    next(numbers)
    finder.stop()
    assert list(numbers) == [1, 2, 3]


def test_where_nobody_tells_the_size_of_the_heap_nothing_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readings, "_heap_info", lambda: None)
    before = sys.gettrace()
    finder = HeapLines()
    finder.start()
    assert sys.gettrace() is before
    finder.mark(0)
    assert finder.stop() == []
    assert not HeapLines.works_here()


def test_marks_and_stops_that_come_without_a_start_do_nothing() -> None:
    finder = HeapLines()
    finder.mark(10)
    assert finder.stop() == []
