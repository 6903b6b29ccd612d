"""What it costs a call to be seen: the same call with senytl and without it, in turn.

    python benchmarks/capture_cost.py

The client is the OpenAI SDK over a transport that answers at once, so that nothing but Python is
measured. Streams are read by the SDK's own HTTP client without the SDK, which takes a hundred times
as long for a chunk as is to be measured. Each figure is the median over pairs: the fastest of a few
calls with capture and of as many without it, in random order. (Calls that alternate one by one
would measure how Python's caches take it that a method is replaced before each of them.) Exits with
1 if a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import openai

from senytl.capture import open_scope
from senytl.models import LLMCallRecord
from senytl.performance.ledger import CallLedger

PLAIN_LIMIT = 30.0
CHUNK_LIMIT = 1.0
WARMUP, BLOCK = 3, 11
CHUNKS = 1000
URL = "https://api.openai.com/v1/chat/completions"
MESSAGES: Any = [{"role": "user", "content": "Where is order A-1001? " * 20}]
STREAMED = {"model": "gpt-4o-mini", "messages": MESSAGES, "stream": True}
REPLY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "It is in transit. " * 20},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 120, "completion_tokens": 80, "total_tokens": 200},
}


class Sink:
    """Keeps the records, unread, as a recorder does until the run is over."""

    def __init__(self) -> None:
        self.calls: list[LLMCallRecord] = []

    def add_call(self, call: LLMCallRecord) -> None:
        self.calls.append(call)


class Events(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    def __init__(self, chunks: int) -> None:
        chunk = (
            b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,'
            b'"model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
        )
        self.pieces = [chunk] * chunks + [b"data: [DONE]\n\n"]

    def __iter__(self) -> Any:
        yield from self.pieces

    async def __aiter__(self) -> Any:
        for piece in self.pieces:
            yield piece


def handle(request: httpx2.Request) -> httpx2.Response:
    if b'"stream":true' not in request.content:
        return httpx2.Response(200, json=REPLY)
    return httpx2.Response(
        200, headers={"content-type": "text/event-stream"}, stream=Events(CHUNKS)
    )


def sync_call(*, streamed: bool) -> Callable[[], None]:
    http = httpx2.Client(transport=httpx2.MockTransport(handle))
    client = openai.OpenAI(api_key="none", http_client=http)

    def plain() -> None:
        client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)

    def stream() -> None:
        with http.stream("POST", URL, json=STREAMED) as response:
            for _ in response.iter_bytes():
                pass

    return stream if streamed else plain


def async_call(*, streamed: bool) -> Callable[[], Awaitable[None]]:
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(handle))
    client = openai.AsyncOpenAI(api_key="none", http_client=http)

    async def plain() -> None:
        await client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)

    async def stream() -> None:
        async with http.stream("POST", URL, json=STREAMED) as response:
            async for _ in response.aiter_bytes():
                pass

    return stream if streamed else plain


def difference(call: Callable[[], Any], pairs: int, sink: Sink) -> tuple[float, float]:
    """The median time of the bare call, and the median of what capture adds; in microseconds."""

    def block() -> float:
        for _ in range(WARMUP):
            call()
        times = []
        for _ in range(BLOCK):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return min(times)

    def seen() -> float:
        with open_scope(unattributed=sink):
            return block()

    block(), seen()
    without: list[float] = []
    added: list[float] = []
    for _ in range(pairs):
        sink.calls.clear()
        gc.collect()
        gc.disable()
        if random.random() < 0.5:
            first, second = block(), seen()
        else:
            second, first = seen(), block()
        gc.enable()
        without.append(first)
        added.append(second - first)
    return statistics.median(without) * 1e6, statistics.median(added) * 1e6


def reading(calls: list[LLMCallRecord]) -> float:
    """Microseconds to read one of the replies, once the run is over."""

    def read(some: list[LLMCallRecord]) -> float:
        ledger = CallLedger()
        for call in some:
            ledger.add(0, call)
        start = time.perf_counter()
        ledger.columns()
        return (time.perf_counter() - start) / len(some) * 1e6

    read(calls[:1])  # loads what it takes
    return read(calls[1:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=200)
    options = parser.parse_args()
    rows: list[tuple[str, float, float, float]] = []
    with asyncio.Runner() as runner:
        for streamed in (False, True):
            name = f"stream of {CHUNKS:,} chunks" if streamed else "plain call"
            kept = Sink()
            sync = sync_call(streamed=streamed)
            without, added = difference(sync, options.pairs, kept)
            rows.append((f"sync {name}", without, added, reading(kept.calls)))
            kept = Sink()
            work = async_call(streamed=streamed)

            def call(work: Callable[[], Awaitable[None]] = work) -> None:
                runner.run(work())  # type: ignore[arg-type]

            without, added = difference(call, options.pairs, kept)
            rows.append((f"async {name}", without, added, reading(kept.calls)))
    print(f"{'call':<28}{'bare us':>10}{'added us':>10}{'a chunk us':>12}{'read later us':>15}")
    held = True
    for name, without, added, read in rows:
        per_chunk = added / CHUNKS if "stream" in name else None
        shown = "" if per_chunk is None else f"{per_chunk:.2f}"
        print(f"{name:<28}{without:>10.1f}{added:>10.1f}{shown:>12}{read:>15.1f}")
        held &= added <= PLAIN_LIMIT if per_chunk is None else per_chunk <= CHUNK_LIMIT
    print(
        f"targets: {PLAIN_LIMIT:g} us a plain call, {CHUNK_LIMIT:g} us a chunk: "
        f"{'met' if held else 'missed'}"
    )
    return not held


if __name__ == "__main__":
    sys.exit(main())
