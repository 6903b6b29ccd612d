"""The hooks on threads and thread pools, which let an agent's own threads know whose they are.

``loop.run_in_executor`` submits to a pool and is thereby covered; ``asyncio.to_thread`` copies the
context by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from senytl.capture.calls import current_sink
from senytl.capture.hooks.patching import Seat
from senytl.capture.lending import context_to_lend
from senytl.capture.scope import carries_context

__all__ = ["pool_seats", "thread_seats"]

_starts_worker: ContextVar[bool] = ContextVar("senytl_starts_worker", default=False)


def thread_seats(module: ModuleType) -> Iterator[Seat]:
    """The start of `threading.Thread` and of everything that is one."""
    yield Seat(module.Thread, "start", _thread_start)


def pool_seats(module: ModuleType) -> Iterator[Seat]:
    """The submission of work to `concurrent.futures.ThreadPoolExecutor`."""
    yield Seat(module.ThreadPoolExecutor, "submit", _pool_submit)


def _thread_start(original: Callable[..., Any]) -> Callable[..., Any]:
    def start(self: Any) -> Any:
        # Without a sink there is nothing to lend. The workers of a pool get a context with each
        # piece of work; one of their own would make the first submitter the owner of the others'.
        if (
            current_sink.get() is not None
            and carries_context()
            and not _starts_worker.get()
            and getattr(self, "_context", None) is None  # given by the user, since Python 3.14
        ):
            _run_in(self, context_to_lend())
        return original(self)

    return start


def _run_in(thread: Any, context: Any) -> None:
    """Let a thread's ``run``, which a subclass may have overridden, run in a context."""
    own = vars(thread).get("run")
    run = thread.run

    def carried() -> None:
        # The thread is as it was before anything of the user's sees it.
        if own is None:
            vars(thread).pop("run", None)
        else:
            thread.run = own
        context.run(run)

    with suppress(AttributeError):  # a class may not let it be replaced
        thread.run = carried


def _pickling_pools() -> tuple[type, ...]:
    """Pools of threads that pickle their work, which a context cannot be (since Python 3.14)."""
    pool = getattr(sys.modules.get("concurrent.futures"), "InterpreterPoolExecutor", None)
    return () if pool is None else (pool,)


def _pool_submit(original: Callable[..., Any]) -> Callable[..., Any]:
    def submit(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if not carries_context() or isinstance(self, _pickling_pools()):
            return original(self, fn, *args, **kwargs)
        context = context_to_lend()
        token = _starts_worker.set(True)
        try:
            return original(self, context.run, fn, *args, **kwargs)
        finally:
            _starts_worker.reset(token)

    return submit
