"""Stable workloads whose memory is soon free again: garbage, bursts, tasks, native memory."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import json
import mmap
import queue
import random
import sqlite3
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from corpus import Agent, stable

__all__: list[str] = []

ALL_FORMS = ("sync", "async", "benchmark")


class Node:
    def __init__(self, payload: str | bytearray) -> None:
        self.payload = payload
        self.me = self


@stable("cyclic_garbage", forms=ALL_FORMS)
class CyclicGarbage(Agent):
    def answer(self, request: int, user: int) -> None:
        for part in range(5):
            Node(f"{request + part:>300}")


@stable("cyclic_garbage_of_100_kb")
class LargeCyclicGarbage(Agent):
    pause = 0.001

    def answer(self, request: int, user: int) -> None:
        Node(bytearray(b"x") * 100_000)


@stable("bursts", forms=ALL_FORMS)
class Bursts(Agent):
    """50 MB at each 200th request, for as long as it takes."""

    def answer(self, request: int, user: int) -> int:
        if request % 200 == 150:
            return sum(len(bytearray(b"x") * 5_000_000) for _ in range(10)) + len(b"x" * 50_000_000)
        return 0


@stable("fragmentation", forms=ALL_FORMS)
class Fragmentation(Agent):
    """Pieces of mixed sizes, freed out of order."""

    def prepare(self) -> None:
        self.random = random.Random(5)
        self.pieces: list[bytes] = []

    def answer(self, request: int, user: int) -> None:
        piece = bytes(self.random.choice((40, 200, 600, 3_000, 20_000, 60_000)))
        if len(self.pieces) < 200:
            self.pieces.append(piece)
        else:
            self.pieces[self.random.randrange(200)] = piece


@stable("thread_pool")
class Pool(Agent):
    def prepare(self) -> None:
        self.pool = ThreadPoolExecutor(4)

    def answer(self, request: int, user: int) -> int:
        return self.pool.submit(lambda: len(f"{request:>20000}")).result()

    async def answer_async(self, request: int, user: int) -> int:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.pool, lambda: len(f"{request:>20000}"))

    def close(self) -> None:
        self.pool.shutdown()


@stable("tasks_that_end", forms=("async",))
class EndingTasks(Agent):
    async def answer_async(self, request: int, user: int) -> int:
        tasks = [asyncio.create_task(self.step(request + part)) for part in range(4)]
        return sum(await asyncio.gather(*tasks))

    async def step(self, number: int) -> int:
        await asyncio.sleep(0)
        return len(f"{number:>5000}")


@stable("background_tasks", forms=("async",))
class BackgroundTasks(Agent):
    """Tasks that nobody awaits, which end some requests later; they are kept until then."""

    def prepare(self) -> None:
        self.tasks: set[asyncio.Task[int]] = set()

    async def answer_async(self, request: int, user: int) -> None:
        task = asyncio.create_task(self.save(f"{request:>3000}"))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def save(self, text: str) -> int:
        await asyncio.sleep(0.003)
        return len(text)


@stable("timeouts", forms=("async",))
class Timeouts(Agent):
    """Each request has a timeout of an hour, which is cancelled in time."""

    async def answer_async(self, request: int, user: int) -> str:
        async with asyncio.timeout(3600):
            await asyncio.sleep(0.001)
            return f"{request:>500}"


@stable("short_timers", forms=("async",))
class ShortTimers(Agent):
    async def answer_async(self, request: int, user: int) -> None:
        asyncio.get_running_loop().call_later(0.005, len, f"{request:>1000}")
        await asyncio.sleep(0.001)


@stable("closed_streams", forms=("async",))
class ClosedStreams(Agent):
    """Streams that are read to their third piece, and closed."""

    async def stream(self, request: int) -> AsyncIterator[str]:
        for piece in range(10):
            await asyncio.sleep(0)
            yield f"{request + piece:>400}"

    async def answer_async(self, request: int, user: int) -> None:
        pieces = self.stream(request)
        for _ in range(3):
            await anext(pieces)
        await pieces.aclose()  # type: ignore[attr-defined]


@stable("emptied_queue")
class EmptiedQueue(Agent):
    """Filled by each request, emptied by each fortieth."""

    def prepare(self) -> None:
        self.queue: queue.SimpleQueue[str] = queue.SimpleQueue()

    def answer(self, request: int, user: int) -> None:
        self.queue.put(f"{request:>800}")
        if request % 40 == 39:
            while not self.queue.empty():
                self.queue.get()


@stable("large_json", forms=ALL_FORMS)
class LargeJSON(Agent):
    def prepare(self) -> None:
        rows = [{"id": row, "text": f"row {row} " * 5, "score": row / 7} for row in range(1_000)]
        self.body = json.dumps(rows)

    def answer(self, request: int, user: int) -> int:
        rows = json.loads(self.body)
        return len(json.dumps(rows[request % 1_000]))


@stable("dropped_exceptions")
class DroppedExceptions(Agent):
    """Errors with tracebacks, which refer to their own frames."""

    pause = 0.001

    def answer(self, request: int, user: int) -> str:
        try:
            self.fail(request)
        except ValueError as error:
            caught = error
            return str(caught)[:20]
        return ""

    def fail(self, request: int) -> None:
        text = f"{request:>5000}"
        raise ValueError(text)


@stable("context_variables")
class ContextVariables(Agent):
    def prepare(self) -> None:
        self.current: contextvars.ContextVar[str] = contextvars.ContextVar("current", default="")

    def answer(self, request: int, user: int) -> None:
        token = self.current.set(f"{request:>2000}")
        self.current.reset(token)


@stable("native_memory_freed", forms=ALL_FORMS)
class NativeFreed(Agent):
    def prepare(self) -> None:
        self.libc = ctypes.CDLL(None)
        self.libc.malloc.restype = ctypes.c_void_p
        self.libc.free.argtypes = (ctypes.c_void_p,)

    def answer(self, request: int, user: int) -> None:
        size = 1_000 + request % 50_000
        address = self.libc.malloc(ctypes.c_size_t(size))
        ctypes.memset(address, 1, size)
        self.libc.free(address)


@stable("mappings_closed")
class MappingsClosed(Agent):
    pause = 0.001

    def answer(self, request: int, user: int) -> None:
        with mmap.mmap(-1, 65_536) as mapping:
            mapping.write(b"x" * 65_536)


@stable("database_rows_deleted", forms=("sync", "benchmark"))
class DeletedRows(Agent):
    """A table in memory that holds the last 300 answers."""

    def prepare(self) -> None:
        self.lock = threading.Lock()
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        self.database.execute("create table answers (number integer primary key, text text)")

    def answer(self, request: int, user: int) -> None:
        with self.lock, self.database:
            row = (request, f"{request:>800}")
            self.database.execute("insert into answers values (?, ?)", row)
            self.database.execute("delete from answers where number <= ?", (request - 300,))

    def close(self) -> None:
        self.database.close()
