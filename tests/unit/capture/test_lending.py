"""Whose the calls are that an agent makes in threads of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest

from senytl.capture import CallSink, current_sink, open_scope
from senytl.capture.lending import LentSink, slot_of
from senytl.capture.scope import sink_of_new_call
from senytl.models import LLMCallRecord

colour: ContextVar[str] = ContextVar("colour", default="none")


class Requests:
    """A sink that has one request after the other."""

    def __init__(self) -> None:
        self.number = 0
        self.calls: list[tuple[int, LLMCallRecord]] = []

    def slot_of_new_call(self) -> Slot:
        return Slot(self, self.number)

    def add_call(self, call: LLMCallRecord) -> None:
        self.calls.append((self.number, call))


class Slot:
    def __init__(self, owner: Requests, number: int) -> None:
        self.owner = owner
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slot) and (self.owner, self.number) == (other.owner, other.number)

    __hash__ = None  # type: ignore[assignment]

    def add_call(self, call: LLMCallRecord) -> None:
        self.owner.calls.append((self.number, call))


@pytest.fixture
def requests() -> Iterator[Requests]:
    requests = Requests()
    token = current_sink.set(requests)
    yield requests
    current_sink.reset(token)


def number_here() -> int | None:
    """The number of the request that a call made here would belong to; None for nobody's."""
    slot = sink_of_new_call()
    return slot.number if isinstance(slot, Slot) else None


def in_thread(work: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def test_a_thread_works_for_the_request_that_starts_it(requests: Requests) -> None:
    requests.number = 7
    with open_scope():
        assert in_thread(number_here) == 7
    assert in_thread(number_here) is None


def test_a_thread_that_overrides_run_and_keeps_a_run_of_its_own(requests: Requests) -> None:
    class Worker(threading.Thread):
        found: int | None = None

        def run(self) -> None:
            assert "run" not in vars(self)  # it looks as the user made it
            self.found = number_here()

    worker = Worker()
    own = threading.Thread()
    found: list[int | None] = []
    replaced = lambda: found.append(number_here())  # noqa: E731
    own.run = replaced  # type: ignore[method-assign]
    with open_scope():
        for thread in (worker, own):
            thread.start()
            thread.join()
    assert worker.found == 0
    assert found == [0]
    assert own.run is replaced


def test_a_thread_that_outlives_its_request_works_for_nobody(requests: Requests) -> None:
    """A queue-fed worker, started by the first request, serves those of others later on."""
    work: queue.Queue[bool] = queue.Queue()
    found: queue.Queue[int | None] = queue.Queue()

    def serve() -> None:
        while work.get():
            found.put(number_here())

    with open_scope():
        worker = threading.Thread(target=serve)
        worker.start()
        work.put(True)
        assert found.get() == 0
        requests.number = 1
        work.put(True)
        assert found.get() is None
        work.put(False)
        worker.join()


def test_work_of_a_pool_belongs_to_the_request_that_submits_it(requests: Requests) -> None:
    with open_scope(), ThreadPoolExecutor(1) as shared:
        numbers = []
        for number in range(3):
            requests.number = number
            numbers.append(shared.submit(number_here).result())
        token = current_sink.set(None)
        nobodys = shared.submit(number_here).result()  # the worker itself belongs to nobody
        current_sink.reset(token)
    assert numbers == [0, 1, 2]
    assert nobodys is None


def test_work_that_a_pool_does_after_its_request_has_ended_is_nobodys(requests: Requests) -> None:
    release = threading.Event()
    with open_scope(), ThreadPoolExecutor(1) as pool:
        pool.submit(release.wait)
        late = pool.submit(number_here)
        requests.number = 1
        release.set()
        assert late.result() is None


def test_other_context_variables_come_along_as_copies(requests: Requests) -> None:
    token = colour.set("red")

    def repaint() -> str:
        before = colour.get()
        colour.set("blue")
        return before

    with open_scope(), ThreadPoolExecutor(1) as pool:
        assert [in_thread(repaint), pool.submit(repaint).result()] == ["red", "red"]
    assert colour.get() == "red"
    colour.reset(token)


def test_it_can_be_switched_off_by_any_scope(requests: Requests) -> None:
    with open_scope(), open_scope(carry_context=False), ThreadPoolExecutor(1) as pool:
        assert in_thread(number_here) is None
        assert pool.submit(number_here).result() is None


def test_a_submitted_function_gets_all_its_arguments(requests: Requests) -> None:
    with open_scope(), ThreadPoolExecutor(1) as pool:
        future = pool.submit(dict, [("a", 1)], self=2, fn=3)
    assert future.result() == {"a": 1, "self": 2, "fn": 3}


def test_threads_and_pools_are_left_as_they_were() -> None:
    before = (threading.Thread.start, ThreadPoolExecutor.submit)
    with open_scope():
        assert (threading.Thread.start, ThreadPoolExecutor.submit) != before
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == before


def test_a_sink_that_is_lent_twice_is_lent_once(requests: Requests) -> None:
    sink: CallSink = LentSink(requests)
    assert slot_of(sink) == Slot(requests, 0)
    token = current_sink.set(sink)
    with open_scope():
        assert in_thread(lambda: type(current_sink.get()).__name__) == "LentSink"
        assert in_thread(number_here) == 0
    current_sink.reset(token)


def test_a_thread_whose_run_cannot_be_replaced_starts_all_the_same(requests: Requests) -> None:
    class Fixed(threading.Thread):
        ran = False

        @property
        def run(self) -> Callable[[], None]:
            return lambda: setattr(self, "ran", True)

    thread = Fixed()
    with open_scope():
        thread.start()
        thread.join()
    assert thread.ran
