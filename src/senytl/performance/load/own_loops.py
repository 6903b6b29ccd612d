"""Users of an async function in threads: each has an event loop of its own."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent import futures
from contextvars import copy_context
from functools import partial
from typing import Any

from senytl.models import MisuseError
from senytl.performance.load.running import Load
from senytl.performance.load.threads import run_threads
from senytl.performance.load.user_threads import UserThread

__all__ = ["Loops", "run_in_own_loops"]


async def run_in_own_loops(load: Load, call: Callable[[], Awaitable[Any]]) -> None:
    """Run the users of a load in threads, while the loop of the caller goes on.

    Args:
        load: What to run.
        call: Makes one body.

    Raises:
        MisuseError: If that is a loop of trio.
        BaseException: What stopped the load, if anything did.
    """
    __tracebackhide__ = True
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        raise MisuseError(
            "engine='threads' gives each user an event loop of asyncio, and this test runs on "
            "trio: leave the engine to the function, or run the test on asyncio"
        )
    loops = Loops(call)
    try:
        await asyncio.to_thread(partial(run_threads, load, loops.run_body, loops.close_here))
    except BaseException as error:
        load.stop(error)
        raise


class Loops:
    """The event loops of the users' threads, each made by its thread's first body.

    Args:
        call: Makes one body.
    """

    def __init__(self, call: Callable[[], Awaitable[Any]]) -> None:
        self._call = call
        self._here = threading.local()

    def run_body(self) -> None:
        """Run one body in the loop of this thread."""
        __tracebackhide__ = True
        runner: asyncio.Runner | None = getattr(self._here, "runner", None)
        if runner is None:
            runner = self._here.runner = asyncio.Runner()
        body = self._await()
        thread = threading.current_thread()
        if isinstance(thread, UserThread):  # so that it can tell where it hangs
            thread.body = body
        try:
            runner.run(body, context=copy_context())
        except asyncio.CancelledError as error:  # nobody but the agent itself cancels it here
            raise futures.CancelledError(*error.args) from error

    async def _await(self) -> None:
        __tracebackhide__ = True
        await self._call()

    def close_here(self) -> None:
        """Close the loop of this thread, if it has one."""
        runner: asyncio.Runner | None = getattr(self._here, "runner", None)
        if runner is not None:
            runner.close()
