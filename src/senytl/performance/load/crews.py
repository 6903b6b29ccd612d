"""The tasks of a load, on asyncio and on trio: started, waited for, and cancelled together."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent import futures
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from senytl.performance.load.hanging import line_of_coroutine

__all__ = ["Crew", "Event", "Limit", "crew_here"]

_CANCEL_WAIT = 1.0
"""Seconds that cancelled tasks may take to end before they are left to their loop."""


class Event(Protocol):
    """What the events of both libraries can do."""

    def set(self) -> object:
        """Wake who waits."""
        ...

    async def wait(self) -> object:
        """Wait until it is set."""
        ...

    def is_set(self) -> bool:
        """Whether it is."""
        ...


class Limit(Protocol):
    """A limit on the time of what runs inside it."""

    def expired(self) -> bool:
        """Whether the time was up before that had ended, by the loop's own clock."""
        ...


class Crew(Protocol):
    """Tasks that are started together, and cancelled when whoever runs them has done."""

    cancelled: type[BaseException]
    """What a cancelled task gets."""

    left_behind: list[str]
    """Tasks that had not ended some time after they were cancelled, and where they are."""

    def sleep(self, seconds: float, /) -> Awaitable[object]:
        """Wait; 0 lets other tasks have the loop."""
        ...

    def event(self) -> Event:
        """A new event."""
        ...

    def start(self, function: Callable[..., Awaitable[None]], *args: Any, name: str) -> object:
        """Start a task."""
        ...

    def limit(self, seconds: float) -> AbstractAsyncContextManager[Limit]:
        """Cancel what runs inside after so many seconds, with an error out of it."""
        ...

    async def wait(self, event: Event, seconds: float) -> None:
        """Wait until an event is set, at most so many seconds."""
        ...

    def from_any_thread(self, function: Callable[[], object]) -> Callable[[], None]:
        """The same function, to be called by any thread, and when the loop has ended too."""
        ...

    def meaning(self, error: BaseException) -> BaseException:
        """What an error says that left a body: a cancellation nobody asked for is a failure."""
        ...


class _AsyncioCrew:
    cancelled: type[BaseException] = asyncio.CancelledError
    sleep = staticmethod(asyncio.sleep)
    event = staticmethod(asyncio.Event)

    def __init__(self) -> None:
        self.left_behind: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._loop = asyncio.get_running_loop()

    def start(self, function: Callable[..., Any], *args: Any, name: str) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(function(*args), name=name)
        self._tasks.append(task)
        return task

    def limit(self, seconds: float) -> AbstractAsyncContextManager[Limit]:
        return asyncio.timeout(seconds)

    async def wait(self, event: Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if seconds == math.inf else max(0.0, seconds)):
                await event.wait()

    def from_any_thread(self, function: Callable[[], object]) -> Callable[[], None]:
        def call() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(function)

        return call

    def meaning(self, error: BaseException) -> BaseException:
        if not isinstance(error, asyncio.CancelledError):
            return error
        task = asyncio.current_task()
        return error if task is None or task.cancelling() else futures.CancelledError(*error.args)

    async def cancel(self) -> None:
        unfinished = [task for task in self._tasks if not task.done()]
        for task in unfinished:
            task.cancel()
        if unfinished:
            _, pending = await asyncio.wait(unfinished, timeout=_CANCEL_WAIT)
            for task in sorted(pending, key=unfinished.index):
                user = task.get_name().removeprefix("senytl-").replace("-", " ")
                line = line_of_coroutine(task.get_coro())
                self.left_behind.append(user if line is None else f"{user} at {line}")


class _TrioLimit:
    def __init__(self, scope: Any) -> None:
        self._scope = scope

    def expired(self) -> bool:
        return bool(self._scope.cancel_called)


class _TrioCrew:
    def __init__(self, nursery: Any) -> None:
        import trio

        self.left_behind: list[str] = []  # a nursery leaves nobody: it waits
        self._trio = trio
        self._nursery = nursery
        self._token = trio.lowlevel.current_trio_token()
        self.cancelled: type[BaseException] = trio.Cancelled
        self.sleep: Callable[[float], Awaitable[object]] = trio.sleep
        self.event: Callable[[], Event] = trio.Event

    def start(self, function: Callable[..., Any], *args: Any, name: str) -> None:
        self._nursery.start_soon(function, *args, name=name)

    @asynccontextmanager
    async def limit(self, seconds: float) -> AsyncIterator[Limit]:
        with self._trio.fail_after(seconds) as scope:
            yield _TrioLimit(scope)

    async def wait(self, event: Event, seconds: float) -> None:
        with self._trio.move_on_after(max(0.0, seconds)):
            await event.wait()

    def from_any_thread(self, function: Callable[[], object]) -> Callable[[], None]:
        def call() -> None:
            with contextlib.suppress(self._trio.RunFinishedError):
                self._token.run_sync_soon(function)

        return call

    def meaning(self, error: BaseException) -> BaseException:
        return error


@asynccontextmanager
async def crew_here() -> AsyncIterator[Crew]:
    """A crew on the loop that runs here; its tasks are cancelled at the end of the block."""
    import sys

    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        async with trio.open_nursery() as nursery:
            try:
                yield _TrioCrew(nursery)
            finally:
                nursery.cancel_scope.cancel()
        return
    crew = _AsyncioCrew()
    try:
        yield crew
    finally:
        await crew.cancel()
