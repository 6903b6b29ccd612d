"""Quiet on real loops, and with the real garbage collector."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator

import pytest
import trio

from senytl.performance.leaks.quiet import SetAside, sleep_here, take_turns


@pytest.fixture(autouse=True)
def _nothing_set_aside() -> Iterator[None]:
    before = gc.get_freeze_count()
    gc.unfreeze()
    yield
    if before:
        gc.freeze()


class Node:
    """What refers to itself: only the collector frees it."""

    def __init__(self) -> None:
        self.itself = self


def test_objects_that_are_set_aside_are_out_of_sight_until_it_is_closed() -> None:
    aside = SetAside()
    assert gc.get_freeze_count() > 10_000
    aside.close()
    assert gc.get_freeze_count() < 1_000
    aside.close()  # once is enough
    assert gc.get_freeze_count() < 1_000


def test_garbage_that_comes_later_is_collected_as_ever() -> None:
    aside = SetAside()
    died = weakref.ref(Node())
    assert gc.collect() >= 1
    assert died() is None
    aside.close()


def test_what_came_since_can_be_set_aside_too() -> None:
    aside = SetAside()
    kept = [Node() for _ in range(500)]
    before = gc.get_freeze_count()
    aside.extend()
    assert gc.get_freeze_count() >= before + len(kept)
    aside.close()


def test_one_inside_another_leaves_it_as_it_was() -> None:
    outer = SetAside()
    inner = SetAside()
    kept = [Node() for _ in range(2_000)]
    before = gc.get_freeze_count()
    inner.extend()
    inner.close()
    assert gc.get_freeze_count() == before
    outer.close()
    assert gc.get_freeze_count() < 1_000
    assert len(kept) == 2_000


def test_an_interpreter_that_cannot_do_it_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(gc, "freeze")
    aside = SetAside()
    aside.extend()
    aside.close()
    assert gc.get_freeze_count() < 1_000


def test_ready_callbacks_and_what_follows_from_them_run_on_asyncio() -> None:
    ran: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def step(number: int) -> None:
            ran.append(number)
            if number < 4:
                loop.call_soon(step, number + 1)

        loop.call_soon(step, 1)
        loop.call_later(0.0001, ran.append, 99)
        await take_turns(sleep_here())
        assert sorted(ran) == [1, 2, 3, 4, 99]

    asyncio.run(main())
    assert len(ran) == 5


def test_tasks_that_only_have_to_end_do_so_on_trio() -> None:
    ended: list[str] = []

    async def last_steps(name: str) -> None:
        for _ in range(3):
            await trio.sleep(0)
        ended.append(name)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for name in "abc":
                nursery.start_soon(last_steps, name)
            await take_turns(sleep_here())
            assert sorted(ended) == ["a", "b", "c"]

    trio.run(main)
    assert len(ended) == 3


def test_the_sleep_is_that_of_the_loop_that_runs_here() -> None:
    async def here() -> object:
        return sleep_here()

    assert asyncio.run(here()) is asyncio.sleep
    assert trio.run(here) is trio.sleep
    assert asyncio.run(here()) is asyncio.sleep


def test_a_thread_beside_a_loop_of_trio_is_not_taken_for_it() -> None:
    found: list[object] = []

    async def main() -> None:
        thread = threading.Thread(target=lambda: found.append(asyncio.run(here())))
        thread.start()
        await trio.to_thread.run_sync(thread.join)

    async def here() -> object:
        return sleep_here()

    trio.run(main)
    assert found == [asyncio.sleep]
