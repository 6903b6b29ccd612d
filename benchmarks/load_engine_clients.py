"""Loads of real HTTP clients that send one GET a request; for `load_engine.py`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import perf_counter
from typing import Any

import aiohttp
import httpx
import requests

from senytl import performance
from senytl.performance.metrics import PerformanceMetrics

__all__ = ["AIOHTTP", "CLIENTS", "bare_aiohttp"]

AIOHTTP = "aiohttp"
"""The fastest of them."""


@contextmanager
def _one_each(make: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    """Gives the client of the user who asks; all are closed at the end."""
    with contextlib.ExitStack() as stack:

        def enter() -> Any:
            return stack.enter_context(make())

        yield lambda: performance.current_user().setup(enter)


@asynccontextmanager
async def _one_each_async(make: Callable[[], Any]) -> AsyncIterator[Callable[[], Any]]:
    async with contextlib.AsyncExitStack() as stack:

        async def enter() -> Any:
            return await stack.enter_async_context(make())

        yield lambda: performance.current_user().setup(enter)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


def _sync(make: Callable[[], Any]) -> Callable[[str, int, float], PerformanceMetrics]:
    def run(url: str, users: int, seconds: float) -> PerformanceMetrics:
        with _one_each(make) as client:

            @performance.load_test(concurrent_users=users, duration=seconds)
            def load() -> None:
                assert client().get(url).status_code == 200

            return load()

    return run


def _with_httpx_async(url: str, users: int, seconds: float) -> PerformanceMetrics:
    async def run() -> PerformanceMetrics:
        async with _one_each_async(httpx.AsyncClient) as client:

            @performance.load_test(concurrent_users=users, duration=seconds)
            async def load() -> None:
                assert (await (await client()).get(url)).status_code == 200

            return await load()

    return asyncio.run(run())


def _with_aiohttp(url: str, users: int, seconds: float) -> PerformanceMetrics:
    async def run() -> PerformanceMetrics:
        async with _one_each_async(_session) as client:

            @performance.load_test(concurrent_users=users, duration=seconds)
            async def load() -> None:
                async with (await client()).get(url) as answer:
                    await answer.read()
                    assert answer.status == 200

            return await load()

    return asyncio.run(run())


CLIENTS: dict[str, Callable[[str, int, float], PerformanceMetrics]] = {
    "requests": _sync(requests.Session),
    "httpx": _sync(httpx.Client),
    "httpx, async": _with_httpx_async,
    AIOHTTP: _with_aiohttp,
}
"""Each runs a load against an address, of so many users, who have a client each, for so long."""


def bare_aiohttp(url: str, users: int, seconds: float) -> tuple[int, float, float, float, float]:
    """Tasks that do nothing but send requests and read the clock twice around each.

    Returns:
        Requests, seconds, CPU seconds, and latencies at p50 and p95.
    """

    async def user(end: float) -> list[float]:
        latencies = []
        async with _session() as session:
            while (start := perf_counter()) < end:
                async with session.get(url) as answer:
                    await answer.read()
                    assert answer.status == 200
                latencies.append(perf_counter() - start)
        return latencies

    async def run() -> tuple[int, float, float, float, float]:
        cpu, start = time.process_time(), perf_counter()
        lists = await asyncio.gather(*(user(start + seconds) for _ in range(users)))
        elapsed, cpu = perf_counter() - start, time.process_time() - cpu
        latencies = sorted(latency for one in lists for latency in one)
        count = len(latencies)
        return count, elapsed, cpu, latencies[count // 2], latencies[count * 95 // 100]

    return asyncio.run(run())
