"""The engine for async functions: each user is a task on the caller's own loop."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable, Callable
from concurrent import futures
from itertools import repeat
from typing import Any

from senytl.performance.load.users import Load, User
from senytl.performance.recording import clock

__all__ = ["run_tasks"]

_CANCEL_WAIT = 1.0
"""Seconds that cancelled tasks may take to end before they are left to their loop."""

_TURN = 0.0005
"""Seconds after which a user that was not suspended lets the others have the loop.

A body that never really waits would keep the loop to itself. Giving it up after each body costs
ten times such a body (measured: 0.26 us the body, 1.9 to 3.5 us the ``sleep(0)``), this one
hundredth.
"""


async def run_tasks(load: Load, call: Callable[[], Awaitable[Any]]) -> None:
    """Run the users of a load, and come back when they have left or were cancelled.

    Works on asyncio, whatever its loop, and on trio.

    Args:
        load: What to run.
        call: Makes one body.

    Raises:
        BaseException: What stopped the load, if anything did.
    """
    __tracebackhide__ = True
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        await _run_on_trio(load, call)
    else:
        await _run_on_asyncio(load, call)
    if load.error is not None:
        raise load.error


async def _run_on_asyncio(load: Load, call: Callable[[], Awaitable[Any]]) -> None:
    gate, over = asyncio.Event(), asyncio.Event()
    load.on_over = over.set
    tasks = [
        asyncio.create_task(
            _live(user, call, gate.wait, asyncio.sleep, asyncio.CancelledError),
            name=f"senytl-user-{user.number}",
        )
        for user in load.users
    ]
    try:
        load.begin()
        gate.set()
        cut_off = load.plan.cut_off
        async with asyncio.timeout(None if cut_off == math.inf else cut_off):
            await over.wait()
    except TimeoutError:
        pass
    except BaseException as error:  # this test was cancelled from outside
        load.stop(error)
    unfinished = [task for task in tasks if not task.done()]
    for user in load.users:
        user.close()
    for task in unfinished:
        task.cancel()
    if unfinished:
        await asyncio.wait(unfinished, timeout=_CANCEL_WAIT)


async def _run_on_trio(load: Load, call: Callable[[], Awaitable[Any]]) -> None:
    import trio

    gate, over = trio.Event(), trio.Event()
    load.on_over = over.set
    async with trio.open_nursery() as nursery:
        for user in load.users:
            nursery.start_soon(
                _live, user, call, gate.wait, trio.sleep, trio.Cancelled,
                name=f"senytl-user-{user.number}",
            )  # fmt: skip
        try:
            load.begin()
            gate.set()
            with trio.move_on_after(load.plan.cut_off):
                await over.wait()
        except BaseException as error:
            load.stop(error)
            if isinstance(error, trio.Cancelled):
                raise
        finally:
            for user in load.users:
                user.close()
            nursery.cancel_scope.cancel()


async def _live(
    user: User,
    call: Callable[[], Awaitable[Any]],
    gate: Callable[[], Awaitable[object]],
    sleep: Callable[[float], Awaitable[object]],
    cancelled: type[BaseException],
) -> None:
    """The life of one user, in its own task and context."""
    end = -math.inf
    try:
        with user.recorder.entered():
            await gate()
            delay = user.load.seconds_until(user.load.plan.start_of(user.number))
            if delay > 0:
                await sleep(delay)
            end = await _work(user, call, sleep, cancelled)
    except cancelled:
        raise
    except BaseException as error:  # not of the body: those are caught where they occur
        user.load.stop(error)
    finally:
        user.leave(end)


async def _work(
    user: User,
    call: Callable[[], Awaitable[Any]],
    sleep: Callable[[float], Awaitable[object]],
    cancelled: type[BaseException],
) -> float:
    """Run one body after the other; gives the end of the last one."""
    __tracebackhide__ = True  # a failed request is shown from the body on
    load, recorder = user.load, user.recorder
    append = recorder.latencies.append
    iterations = load.plan.iterations
    end = -math.inf
    now = clock()
    if now >= load.deadline:
        return end
    turn_ends = now + _TURN
    user.idle = False
    for _ in repeat(None) if iterations is None else repeat(None, iterations):
        recorder.body_start = start = clock()
        try:
            await call()
        except BaseException as error:
            end = clock()
            if not user.commit(end, _meaning(error)):
                if isinstance(error, cancelled):
                    raise
                break
        else:
            end = clock()
            if recorder.touched or end >= load.deadline:
                if not user.commit(end):
                    break
            else:
                append(end - start)
        if end >= turn_ends:
            user.idle = True
            await sleep(0)
            now = clock()
            if now >= load.deadline:
                break
            turn_ends = now + _TURN
            user.idle = False
    return end


def _meaning(error: BaseException) -> BaseException:
    """What an error that left a body says: a cancellation that no one asked for is a failure."""
    if not isinstance(error, asyncio.CancelledError):
        return error
    task = asyncio.current_task()
    return error if task is None or task.cancelling() else futures.CancelledError(*error.args)
