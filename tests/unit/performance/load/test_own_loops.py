"""Users of async functions in threads, each with an event loop of its own."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from contextvars import ContextVar
from typing import Any

import httpx
import pytest
import trio

from senytl import performance
from senytl.models import MisuseError


def test_each_user_has_a_thread_and_a_loop_that_stays_its_own() -> None:
    seen: dict[int, set[tuple[int, int]]] = {}

    @performance.load_test(concurrent_users=4, iterations=3, engine="threads")
    async def work() -> None:
        loop, thread = asyncio.get_running_loop(), threading.current_thread()
        assert thread.name.startswith("senytl-user-")
        seen.setdefault(performance.current_user().number, set()).add((id(loop), id(thread)))
        await asyncio.sleep(0.01)

    run = asyncio.run(work())
    assert (run.total_requests, run.failed_requests) == (12, 0)
    assert sorted(seen) == [0, 1, 2, 3]
    assert all(len(places) == 1 for places in seen.values())
    assert len(set.union(*seen.values())) == 4


def test_a_user_that_blocks_its_loop_holds_up_no_other() -> None:
    @performance.load_test(concurrent_users=4, duration=0.5, engine="threads")
    async def work() -> None:
        if performance.current_user().number == 0:
            time.sleep(0.4)
        else:
            await asyncio.sleep(0.01)

    run = asyncio.run(work())
    assert run.p50_latency < 0.1
    assert run.total_requests > 3 * 10


def test_the_loop_of_the_caller_goes_on_meanwhile() -> None:
    ticks: list[float] = []

    @performance.load_test(concurrent_users=2, duration=0.3, engine="threads")
    async def work() -> None:
        await asyncio.sleep(0.01)

    async def main() -> None:
        async def tick() -> None:
            while True:
                ticks.append(time.perf_counter())
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        await work()
        ticking.cancel()

    asyncio.run(main())
    assert len(ticks) >= 10


def test_a_client_that_is_bound_to_a_loop_serves_its_user_for_all_iterations(server: Any) -> None:
    @performance.load_test(concurrent_users=3, iterations=4, engine="threads")
    async def work() -> None:
        client = performance.current_user().setup(httpx.AsyncClient)
        answer = await client.post(server.url(), json={})
        assert answer.status_code == 200
        if performance.current_user().iteration == 3:
            await client.aclose()

    run = asyncio.run(work())
    assert [(error.type, error.message) for error in run.errors] == []
    assert run.total_requests == 12
    assert len(server.requests) == 12


def test_bodies_see_the_context_of_the_caller() -> None:
    name: ContextVar[str] = ContextVar("name", default="nobody")
    seen: list[str] = []

    @performance.load_test(concurrent_users=3, iterations=2, engine="threads")
    async def work() -> None:
        seen.append(name.get())
        name.set("a user")

    async def main() -> str:
        name.set("the caller")
        await work()
        return name.get()

    assert asyncio.run(main()) == "the caller"
    assert seen == ["the caller"] * 6


def test_what_a_body_raises_is_what_its_request_failed_with() -> None:
    @performance.load_test(concurrent_users=2, iterations=2, engine="threads")
    async def work() -> None:
        if performance.current_user().number:
            await asyncio.sleep(0.001)
            raise ValueError("no answer")
        asyncio.current_task().cancel()  # type: ignore[union-attr]
        await asyncio.sleep(1)

    run = asyncio.run(work())
    assert run.total_requests == 4
    assert run.failed_requests == 4
    assert {error.type for error in run.errors} == {"ValueError", "CancelledError"}


def test_the_load_ends_when_the_one_who_awaits_it_is_cancelled() -> None:
    @performance.load_test(concurrent_users=2, duration=60, engine="threads")
    async def work() -> None:
        await asyncio.sleep(0.01)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await work()

    began = time.perf_counter()
    asyncio.run(main())
    assert time.perf_counter() - began < 5


def test_a_test_that_runs_on_trio_is_told_that_its_users_would_run_on_asyncio() -> None:
    @performance.load_test(concurrent_users=2, iterations=1, engine="threads")
    async def work() -> None:
        raise AssertionError("it must not run")

    with pytest.raises(MisuseError, match="event loop of asyncio, and this test runs on trio"):
        trio.run(work)


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_ctrl_c_ends_the_load() -> None:
    script = """
import asyncio
from senytl import performance

@performance.load_test(concurrent_users=2, duration=60, engine="threads")
async def work():
    await asyncio.sleep(0.01)
    if (performance.current_user().number, performance.current_user().iteration) == (0, 10):
        print("running", flush=True)

try:
    asyncio.run(work())
except KeyboardInterrupt:
    (run,) = work._performance_metrics
    print("stopped", run.total_requests > 5, run.failed_requests, flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "running\n"
            child.send_signal(signal.SIGINT)
            rest, _ = child.communicate(timeout=20)
        finally:
            child.kill()
    assert "stopped True 0" in rest
