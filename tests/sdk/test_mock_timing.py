"""Mocked models that take their time, measured by the consumers of the real SDKs."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import anthropic
import openai
import pytest
from google import genai

from senytl import Senytl
from senytl.capture import current_sink
from senytl.models import TokenUsage

pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)

HELLO: Any = [{"role": "user", "content": "hello"}]
NOWHERE = "http://127.0.0.1:9"  # nothing listens there: a call that gets out fails
TEXT = "one two three four five six"
WORDS = len(TEXT.split())
LATE = 0.15  # what a busy machine may be late by


@pytest.fixture
def senytl() -> Iterator[Senytl]:
    with Senytl(fallback="error") as session:
        yield session


def openai_client() -> openai.OpenAI:
    return openai.OpenAI(api_key="x", base_url=NOWHERE + "/v1", max_retries=0)


def openai_async_client() -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="x", base_url=NOWHERE + "/v1", max_retries=0)


def gemini_client() -> genai.Client:
    return genai.Client(api_key="x", vertexai=False, http_options={"base_url": NOWHERE})


# Each of these makes one call of the model "m" and yields its text piece by piece, but first READY:
# a client takes a while to be made.

READY = None


def openai_plain() -> Iterator[str | None]:
    with openai_client() as client:
        yield READY
        reply = client.chat.completions.create(model="m", messages=HELLO)
        yield reply.choices[0].message.content


def openai_stream() -> Iterator[str | None]:
    with openai_client() as client:
        yield READY
        for chunk in client.chat.completions.create(model="m", messages=HELLO, stream=True):
            for choice in chunk.choices:
                yield choice.delta.content


def responses_stream() -> Iterator[str | None]:
    with openai_client() as client:
        yield READY
        for event in client.responses.create(model="m", input="hello", stream=True):
            if event.type == "response.output_text.delta":
                yield event.delta


def anthropic_plain() -> Iterator[str | None]:
    with anthropic.Anthropic(api_key="x", base_url=NOWHERE) as client:
        yield READY
        reply: Any = client.messages.create(model="m", max_tokens=99, messages=HELLO)
        yield reply.content[0].text


def anthropic_stream() -> Iterator[str | None]:
    with anthropic.Anthropic(api_key="x", base_url=NOWHERE) as client:
        yield READY
        with client.messages.stream(model="m", max_tokens=99, messages=HELLO) as stream:
            yield from stream.text_stream


def gemini_plain() -> Iterator[str | None]:
    client = gemini_client()
    yield READY
    yield client.models.generate_content(model="m", contents="hello").text
    client.close()


def gemini_stream() -> Iterator[str | None]:
    client = gemini_client()
    yield READY
    for chunk in client.models.generate_content_stream(model="m", contents="hello"):
        yield chunk.text
    client.close()


async def openai_async_stream() -> AsyncIterator[str | None]:
    async with openai_async_client() as client:
        yield READY
        ask: Any = client.chat.completions.create(model="m", messages=HELLO, stream=True)
        async for chunk in await ask:
            for choice in chunk.choices:
                yield choice.delta.content


async def anthropic_async_stream() -> AsyncIterator[str | None]:
    async with anthropic.AsyncAnthropic(api_key="x", base_url=NOWHERE) as client:
        yield READY
        async with client.messages.stream(model="m", max_tokens=99, messages=HELLO) as stream:
            async for text in stream.text_stream:
                yield text


async def gemini_async_stream() -> AsyncIterator[str | None]:
    client = gemini_client()
    async with client.aio as aio:
        yield READY
        async for chunk in await aio.models.generate_content_stream(model="m", contents="hello"):
            yield chunk.text


PLAIN = [openai_plain, anthropic_plain, gemini_plain]
STREAMS = [openai_stream, responses_stream, anthropic_stream, gemini_stream]
ASYNC_STREAMS = [openai_async_stream, anthropic_async_stream, gemini_async_stream]


def warm_up(senytl: Senytl, call: Callable[[], Any]) -> None:
    """Make one call without times: what an SDK loads with its first call is no business of ours."""
    senytl.mock("m").respond("warm")
    moments(call)


def moments(call: Callable[[], Any]) -> list[tuple[float, str]]:
    """When each piece of a text came, counted from the call's start."""
    calling = call()
    if isinstance(calling, Iterator):
        assert next(calling) is READY
        start = time.perf_counter()
        return [(time.perf_counter() - start, text) for text in calling if text]

    async def collect() -> list[tuple[float, str]]:
        assert await anext(calling) is READY
        start = time.perf_counter()
        return [(time.perf_counter() - start, text) async for text in calling if text]

    return asyncio.run(collect())


@pytest.mark.parametrize("call", PLAIN)
def test_a_plain_reply_comes_when_it_is_whole(senytl: Senytl, call: Callable[[], Any]) -> None:
    warm_up(senytl, call)
    senytl.mock("m").respond(TEXT, latency=0.3)
    [(moment, text)] = moments(call)
    assert text == TEXT
    assert 0.3 <= moment < 0.3 + LATE


@pytest.mark.parametrize("call", [*STREAMS, *ASYNC_STREAMS])
def test_a_stream_starts_at_ttft_and_goes_on_at_its_speed(
    senytl: Senytl, call: Callable[[], Any]
) -> None:
    warm_up(senytl, call)
    senytl.mock("m").respond(TEXT, ttft=0.2, tokens_per_second=20, usage=(9, WORDS))
    came = moments(call)
    assert "".join(text for _, text in came) == TEXT
    assert len(came) == WORDS
    first, last = came[0][0], came[-1][0]
    whole = 0.2 + (WORDS - 1) / 20
    assert 0.2 <= first < 0.2 + LATE
    assert whole <= last < whole + LATE
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(came)]
    assert statistics.median(gaps) == pytest.approx(1 / 20, rel=0.4)


def test_a_latency_is_spread_over_the_stream(senytl: Senytl) -> None:
    warm_up(senytl, openai_stream)
    senytl.mock("m").respond(TEXT, latency=0.3)
    came = moments(openai_stream)
    assert 0.3 / WORDS <= came[0][0] < 0.3 / WORDS + LATE
    assert 0.3 <= came[-1][0] < 0.3 + LATE


def test_a_model_of_five_times_the_speed_takes_a_fifth_of_the_time(senytl: Senytl) -> None:
    warm_up(senytl, openai_stream)
    spans = []
    for speed in (20, 100):
        senytl.mock("m").respond(TEXT, ttft=0.0, tokens_per_second=speed, usage=(9, 21))
        came = moments(openai_stream)
        spans.append(came[-1][0] - came[0][0])
    assert 3 < spans[0] / spans[1] < 6


def test_a_reply_without_times_does_not_wait(senytl: Senytl) -> None:
    warm_up(senytl, openai_stream)
    senytl.mock("m").respond("word " * 200)
    assert moments(openai_stream)[-1][0] < 0.5


def test_the_record_tells_the_stated_times(senytl: Senytl, sink: Any) -> None:
    warm_up(senytl, openai_stream)
    senytl.mock("m").respond(TEXT, ttft=0.1, tokens_per_second=50, usage=TokenUsage(900, 6))
    token = current_sink.set(sink)
    moments(openai_stream)
    current_sink.reset(token)
    call = sink.only
    assert call.usage == TokenUsage(900, 6)
    assert call.chunks == WORDS
    assert 0.1 <= call.ttft < 0.1 + LATE
    assert 0.2 <= call.duration_seconds < 0.2 + LATE


def test_jittered_times_are_the_same_in_every_run() -> None:
    def run() -> list[float]:
        with Senytl(fallback="error", seed=7) as senytl, openai_client() as client:
            senytl.mock("warm").respond("warm")
            client.chat.completions.create(model="warm", messages=HELLO)
            senytl.mock("m").respond(TEXT, latency=0.2, jitter=1.0)
            taken = []
            for _ in range(6):
                start = time.perf_counter()
                client.chat.completions.create(model="m", messages=HELLO)
                taken.append(time.perf_counter() - start)
            return taken

    first, second = run(), run()
    assert first == pytest.approx(second, abs=0.05)
    assert max(first) - min(first) > 0.1


def test_async_calls_wait_side_by_side(senytl: Senytl) -> None:
    senytl.mock("m").respond(TEXT, latency=0.2)
    ticks = 0

    async def run() -> float:
        nonlocal ticks

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        async with openai_async_client() as client:

            async def call(number: int) -> None:
                ask: Any = {"model": "m", "messages": HELLO}
                if number % 2:
                    async for _ in await client.chat.completions.create(**ask, stream=True):
                        pass
                else:
                    await client.chat.completions.create(**ask)

            await call(0)
            ticking = asyncio.create_task(tick())
            start = time.perf_counter()
            await asyncio.gather(*(call(number) for number in range(20)))
            ticking.cancel()
            return time.perf_counter() - start

    taken = asyncio.run(run())
    assert 0.2 <= taken < 1.2  # one after the other they would take 4 seconds
    assert ticks >= 5


def test_threads_wait_side_by_side(senytl: Senytl) -> None:
    warm_up(senytl, openai_plain)
    senytl.mock("m").respond(TEXT, latency=0.2)
    barrier = threading.Barrier(10)
    with openai_client() as client, ThreadPoolExecutor(10) as pool:

        def call(_: int) -> None:
            barrier.wait()
            client.chat.completions.create(model="m", messages=HELLO)

        start = time.perf_counter()
        list(pool.map(call, range(10)))
        assert 0.2 <= time.perf_counter() - start < 1.0


def test_functions_reply_to_the_call_at_hand(senytl: Senytl) -> None:
    senytl.mock("m").when(predicate=lambda call: call.streamed).respond(
        lambda call: {"text": f"streamed by {call.provider}", "ttft": 0.1}
    )
    senytl.mock("m").respond(lambda call: call.request["messages"][0]["content"].upper())
    assert [text for _, text in moments(openai_plain)] == ["HELLO"]
    assert "".join(text for _, text in moments(anthropic_stream)) == "streamed by anthropic"


@pytest.mark.parametrize("call", [*PLAIN, *STREAMS, *ASYNC_STREAMS])
@pytest.mark.parametrize("where", ["predicate", "reply"])
def test_what_a_function_raises_reaches_the_caller(
    senytl: Senytl, sink: Any, call: Callable[[], Any], where: str
) -> None:
    def broken(call: object) -> Any:
        raise LookupError("no such order")

    mock = senytl.mock("m")
    if where == "predicate":
        mock.when(predicate=broken).respond(TEXT)
    else:
        mock.respond(broken)
    token = current_sink.set(sink)
    with pytest.raises(LookupError, match="no such order"):
        moments(call)
    current_sink.reset(token)
    assert sink.only.error == "LookupError: no such order"  # asked once: nothing was retried
