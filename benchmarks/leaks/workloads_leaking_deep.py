"""Workloads that leak in ways that are harder to see: tasks, frames, native memory, clients."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import logging
import mmap
import sqlite3
import threading
from collections.abc import Coroutine, Iterator
from logging.handlers import BufferingHandler
from typing import Any

from corpus import Agent, leaking

__all__: list[str] = []

ALL_FORMS = ("sync", "async", "benchmark")


@leaking("tasks_that_never_end", 2_800, forms=("async",))
class EndlessTasks(Agent):
    def prepare(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()

    async def answer_async(self, request: int, user: int) -> None:
        self.tasks.add(asyncio.create_task(self.watch(f"{request:>500}")))  # leaks

    async def watch(self, text: str) -> None:
        changed = asyncio.Event()  # leaks
        await changed.wait()  # leaks
        print(text)


@leaking("futures_kept", 880, forms=("async",))
class FuturesKept(Agent):
    """Futures that nobody will ever answer, with callbacks."""

    def prepare(self) -> None:
        self.waiting: dict[int, asyncio.Future[str]] = {}

    async def answer_async(self, request: int, user: int) -> None:
        future = asyncio.get_running_loop().create_future()  # leaks
        text = f"{request:>300}"  # leaks
        future.add_done_callback(lambda _: print(text))  # leaks
        self.waiting[request] = future  # leaks


@leaking("timers_far_in_the_future", 700, forms=("async",))
class FarTimers(Agent):
    async def answer_async(self, request: int, user: int) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(3600, len, f"{request:>400}")  # leaks


@leaking("coroutines_kept", 670)
class CoroutinesKept(Agent):
    """Coroutines that are to be awaited some day."""

    def prepare(self) -> None:
        self.pending: list[Coroutine[Any, Any, int]] = []

    async def store(self, text: str) -> int:
        return len(text)

    def answer(self, request: int, user: int) -> None:
        self.pending.append(self.store(f"{request:>400}"))  # leaks

    def close(self) -> None:
        for coroutine in self.pending:
            coroutine.close()


@leaking("callbacks_of_one_task", 760, forms=("async",))
class CallbacksOfOneTask(Agent):
    """Each request waits for the same task to end, in vain."""

    def prepare(self) -> None:
        self.shutdown: asyncio.Future[None] | None = None

    async def answer_async(self, request: int, user: int) -> None:
        if self.shutdown is None:
            self.shutdown = asyncio.get_running_loop().create_future()
        text = f"{request:>350}"  # leaks
        self.shutdown.add_done_callback(lambda _: print(text))  # leaks


@leaking("context_tokens", 720)
class ContextTokens(Agent):
    """Tokens of a context variable, each of which keeps the value before it."""

    def prepare(self) -> None:
        self.current: contextvars.ContextVar[str] = contextvars.ContextVar("current", default="")
        self.tokens: list[contextvars.Token[str]] = []

    def answer(self, request: int, user: int) -> None:
        self.tokens.append(self.current.set(f"{request:>600}"))  # leaks


@leaking("exceptions_kept", 1_900)
class ExceptionsKept(Agent):
    pause = 0.001

    def prepare(self) -> None:
        self.errors: list[Exception] = []

    def answer(self, request: int, user: int) -> None:
        try:
            self.fail(request)  # leaks
        except ValueError as error:
            self.errors.append(error)  # leaks

    def fail(self, request: int) -> None:
        details = f"{request:>900}"  # leaks
        raise ValueError(f"order {request} of {len(details)}")  # leaks


@leaking("generators_kept", 820, forms=ALL_FORMS)
class GeneratorsKept(Agent):
    """Streams that are read to their first piece and never closed."""

    def prepare(self) -> None:
        self.streams: list[Iterator[str]] = []

    def stream(self, request: int) -> Iterator[str]:
        text = f"{request:>450}"  # leaks
        for start in range(0, 450, 50):
            yield text[start : start + 50]

    def answer(self, request: int, user: int) -> None:
        stream = self.stream(request)  # leaks
        next(stream)  # leaks
        self.streams.append(stream)


@leaking("log_records", 970)
class LogRecords(Agent):
    """A handler that is to hand the records on when there are a million of them."""

    pause = 0.001

    def prepare(self) -> None:
        self.log = logging.Logger("unbounded")
        self.log.addHandler(BufferingHandler(1_000_000))

    def answer(self, request: int, user: int) -> None:
        self.log.warning("request %d: %s", request, f"{request:>300}")  # leaks


@leaking("native_malloc", 112, native="heap")
class NativeMalloc(Agent):
    """Takes memory past Python, and never gives it back.

    memray does not see it, whose hooks are where one library calls another: ctypes calls the
    address itself. It is located by the heap before and after each line.
    """

    def prepare(self) -> None:
        self.libc = ctypes.CDLL(None)
        self.libc.malloc.restype = ctypes.c_void_p

    def answer(self, request: int, user: int) -> None:
        address = self.libc.malloc(ctypes.c_size_t(100))  # leaks
        ctypes.memset(address, 1, 100)


class NativeCopy(Agent):
    """Lets a native library copy a text, and does not free it."""

    each = 1_000

    def prepare(self) -> None:
        self.libc = ctypes.CDLL(None)
        self.libc.strdup.restype = ctypes.c_void_p

    def answer(self, request: int, user: int) -> None:
        self.libc.strdup(b"x" * self.each)  # leaks


@leaking("native_copy_of_1_kb", 1_008, native="heap", forms=ALL_FORMS)
class NativeCopyMedium(NativeCopy):
    pause = 0.001


@leaking("native_copy_of_20_kb", 20_008, native="heap")
class NativeCopyLarge(NativeCopy):
    each = 20_000


@leaking("mappings_never_closed", 16_500, native="pages")
class MappingsKept(Agent):
    pause = 0.001

    def prepare(self) -> None:
        self.mappings: list[mmap.mmap] = []

    def answer(self, request: int, user: int) -> None:
        mapping = mmap.mmap(-1, 16_384)  # leaks
        mapping.write(b"x" * 16_384)
        self.mappings.append(mapping)


@leaking("database_rows", 1_050, native="heap", forms=("sync", "benchmark"))
class DatabaseRows(Agent):
    """A table in memory that nobody empties."""

    def prepare(self) -> None:
        self.lock = threading.Lock()
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        self.database.execute("create table answers (number integer primary key, text text)")

    def answer(self, request: int, user: int) -> None:
        with self.lock, self.database:
            row = (request, f"{request:>900}")
            self.database.execute("insert into answers values (?, ?)", row)  # leaks

    def close(self) -> None:
        self.database.close()
