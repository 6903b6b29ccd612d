"""Times where the caller was slow, or where its first call was."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
import requests
from tests.sdk.nasty.streaming import client_of, paused, pieces_of, stream_of
from tests.sdk.nasty.ways import chat

from senytl import performance
from senytl.capture import open_scope
from senytl.models import TokenUsage

TIMES = 3  # a busy machine lets a piece that is there seem to come late


def check_late(calls: list[Any]) -> None:
    assert len(calls) == TIMES
    assert all(call.ttft >= 0.2 for call in calls)
    assert all(call.usage == TokenUsage(1117, 246) for call in calls)
    assert any(call.ttft_is_upper_bound for call in calls)


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_nasty_10_a_slow_consumer(
    vendor: str, url: str, script: Any, answered: Any, sink: Any, server: Any
) -> None:
    """Who comes late for the first chunk gets an upper bound; the record tells so."""
    script(*[paused(answered, pieces_of(vendor), pause=0.0)] * TIMES)
    with closing(client_of(vendor, url)) as client, open_scope(unattributed=sink):
        for _ in range(TIMES):
            stream = stream_of(client)
            time.sleep(0.2)
            list(stream)
    check_late(sink.calls)
    assert len(server.requests) == TIMES


def test_nasty_10_a_consumer_that_is_slow_after_the_first_chunk(
    url: str, script: Any, answered: Any, sink: Any, once: Any
) -> None:
    script(paused(answered, pieces_of("openai"), pause=0.05))
    with closing(client_of("openai", url)) as client, open_scope(unattributed=sink):
        for event in stream_of(client):
            if "Hello" in str(event):
                time.sleep(0.3)
    call = once()
    assert call.ttft < 0.3
    assert not call.ttft_is_upper_bound
    assert call.duration_seconds >= 0.3


@pytest.mark.parametrize("way", ["openai-async", "aiohttp", "requests"])
def test_nasty_10_a_slow_consumer_of_other_libraries(
    way: str, url: str, script: Any, answered: Any, sink: Any
) -> None:
    """The pieces have come long before they are asked for."""
    script(*[paused(answered, pieces_of("openai"), pause=0.0)] * TIMES)
    address = url + "/v1/chat/completions"

    async def by_openai_async() -> None:
        async with openai.AsyncOpenAI(api_key="none", base_url=url + "/v1") as client:
            stream: Any = await stream_of(client)
            await asyncio.sleep(0.2)
            async for _ in stream:
                pass

    async def by_aiohttp() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.post(address, json=chat(stream=True)) as response,
        ):
            await asyncio.sleep(0.2)
            async for _ in response.content:
                pass

    def by_requests() -> None:
        body = chat(stream=True)
        with requests.post(address, json=body, stream=True, timeout=9) as response:
            time.sleep(0.2)
            list(response.iter_lines())

    with open_scope(unattributed=sink):
        for _ in range(TIMES):
            if way == "requests":
                by_requests()
            else:
                asyncio.run(by_aiohttp() if way == "aiohttp" else by_openai_async())
    check_late(sink.calls)


def test_nasty_10_a_slow_consumer_shows_in_a_runs_figures(
    url: str, script: Any, answered: Any
) -> None:
    script(*[paused(answered, pieces_of("openai"), pause=0.0)] * TIMES)
    with closing(client_of("openai", url)) as client:

        @performance.benchmark(iterations=TIMES, warmup=0)
        def agent() -> None:
            stream = stream_of(client)
            time.sleep(0.2)
            list(stream)

        agent()
    [metrics] = agent._performance_metrics  # type: ignore[attr-defined]
    assert metrics.streamed_calls == len(metrics.ttfts) == TIMES
    assert metrics.late_first_tokens > 0
    assert any("may have come earlier" in warning for warning in metrics.warnings)


@pytest.mark.parametrize("mocked", [False, True], ids=["served", "mocked"])
def test_nasty_10_a_first_call_is_not_slowed_by_lazy_imports_of_senytl(
    mocked: bool, url: str
) -> None:
    """Nothing of it, and nothing that only it needs, is loaded between a call's start and end."""
    program = f"""
        import sys
        from tests.sdk.nasty.ways import STREAMING, WAYS
        from senytl import Senytl
        from senytl.capture import open_scope
        from senytl.capture.exchange import Exchange
        calls, loaded = [], []
        class Sink:
            def add_call(self, call):
                calls.append(call)
                loaded.extend(set(sys.modules) - before)
        mocked = {mocked}
        with open_scope(unattributed=Sink()), Senytl() as senytl:
            if mocked:
                for name in ("gpt-4o", "claude-*", "gemini-*", "anthropic.claude"):
                    senytl.mock(name).respond("Hello, you.", ttft=0.001, latency=0.003)
            for name, way in WAYS.items():
                with way("{url}") as ask:
                    for stream in (False, True)[:1 + (name in STREAMING)]:
                        before = set(sys.modules)
                        assert ask(stream) == "Hello, you."
        assert len(calls) == len(WAYS) + len(STREAMING), calls
        assert {{call.mocked for call in calls}} == {{mocked}}
        ours = ("senytl", "tiktoken", "genai_prices", "rich", "psutil", "wrapt")
        print(sorted(name for name in loaded if name.partition(".")[0] in ours))
    """
    assert run(program) == "[]"


def run(program: str) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    folder = Path(__file__).parents[3]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
