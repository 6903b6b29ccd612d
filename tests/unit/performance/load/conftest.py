"""One body on every engine: threads, tasks on three kinds of loops, and a loop per thread."""

from __future__ import annotations

import asyncio
import inspect
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import pytest
import trio

from senytl import performance
from senytl.performance import PerformanceMetrics

Sleep = Callable[[float], Awaitable[object]]
Body = Callable[[Sleep], Coroutine[Any, Any, object]]


class Way:
    """A way to run users; a body is an async function that gets the sleep of that way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_threaded = name in {"threads", "own-loops"}
        self.figures: list[PerformanceMetrics] = []
        """Of the loads that ran, also of those that raised."""

    def load(self, body: Body, **settings: Any) -> PerformanceMetrics:
        """Run a load to its end."""
        if self.name == "own-loops":
            settings["engine"] = "threads"
        run: Any
        if self.name == "threads":

            def block() -> None:
                _drive(body(_block))

            run = performance.load_test(**settings)(block)
        else:

            async def wait() -> None:
                await body(anyio.sleep)

            run = performance.load_test(**settings)(wait)
        try:
            return self._start(run)
        finally:
            self.figures += run._performance_metrics

    def _start(self, run: Callable[[], Any]) -> PerformanceMetrics:
        if self.name == "threads":
            return run()  # type: ignore[no-any-return]
        if self.name == "trio":
            return trio.run(run)  # type: ignore[no-any-return]
        if self.name == "uvloop":
            import uvloop

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(run())  # type: ignore[no-any-return]
        return asyncio.run(run())  # type: ignore[no-any-return]


async def _block(seconds: float) -> None:
    time.sleep(seconds)


def _drive(body: Coroutine[Any, Any, object]) -> None:
    """Run an async function that never waits but by blocking its thread."""
    assert inspect.iscoroutine(body)
    try:
        body.send(None)
    except StopIteration:
        return
    raise AssertionError("a sync body was suspended")


_no_windows = pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not for Windows")
_TASKS = ["asyncio", "trio", pytest.param("uvloop", marks=_no_windows)]


@pytest.fixture(params=["threads", *_TASKS, "own-loops"])
def every_way(request: pytest.FixtureRequest) -> Way:
    """Every way to run users."""
    return Way(request.param)


@pytest.fixture(params=["threads", "asyncio", "trio"])
def way(request: pytest.FixtureRequest) -> Way:
    """Threads, and tasks of both libraries."""
    return Way(request.param)


@pytest.fixture(params=["threads", "asyncio"])
def main_way(request: pytest.FixtureRequest) -> Way:
    """What is chosen for sync and for async functions."""
    return Way(request.param)


@pytest.fixture(params=_TASKS)
def task_way(request: pytest.FixtureRequest) -> Way:
    """Those that run users as tasks."""
    return Way(request.param)
