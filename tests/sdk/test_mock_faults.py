"""Faults of mocked models, as the real SDKs see them: their own retries, their own errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import anthropic
import httpx
import httpx2
import openai
import pytest
from google import genai
from google.genai import errors as gemini_errors
from google.genai import types

from senytl import Senytl
from senytl.capture import current_sink

pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)

HELLO: Any = [{"role": "user", "content": "hello"}]
NOWHERE = "http://127.0.0.1:9"  # nothing listens there: a call that gets out fails
TEXT = "one two three four five six"


@pytest.fixture
def senytl() -> Iterator[Senytl]:
    with Senytl(fallback="error") as session:
        yield session


@pytest.fixture
def calls(sink: Any) -> Iterator[list[Any]]:
    """The records of the calls, in their order."""
    token = current_sink.set(sink)
    yield sink.calls
    current_sink.reset(token)


# Each of these asks the model "m", with so many retries, and gives the text.


def openai_plain(retries: int = 0) -> str | None:
    with openai.OpenAI(api_key="x", base_url=NOWHERE, max_retries=retries) as client:
        reply = client.chat.completions.create(model="m", messages=HELLO)
        return reply.choices[0].message.content


def openai_stream(retries: int = 0) -> str:
    with openai.OpenAI(api_key="x", base_url=NOWHERE, max_retries=retries) as client:
        stream = client.chat.completions.create(model="m", messages=HELLO, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def openai_async(retries: int = 0) -> str | None:
    async def call() -> str | None:
        async with openai.AsyncOpenAI(api_key="x", base_url=NOWHERE, max_retries=retries) as client:
            reply = await client.chat.completions.create(model="m", messages=HELLO)
            return reply.choices[0].message.content

    return asyncio.run(call())


def openai_async_stream(retries: int = 0) -> str:
    async def call() -> str:
        async with openai.AsyncOpenAI(api_key="x", base_url=NOWHERE, max_retries=retries) as client:
            ask: Any = client.chat.completions.create(model="m", messages=HELLO, stream=True)
            return "".join([c.choices[0].delta.content or "" async for c in await ask if c.choices])

    return asyncio.run(call())


def anthropic_plain(retries: int = 0) -> str:
    with anthropic.Anthropic(api_key="x", base_url=NOWHERE, max_retries=retries) as client:
        reply: Any = client.messages.create(model="m", max_tokens=99, messages=HELLO)
        return str(reply.content[0].text)


def anthropic_stream(retries: int = 0) -> str:
    with (
        anthropic.Anthropic(api_key="x", base_url=NOWHERE, max_retries=retries) as client,
        client.messages.stream(model="m", max_tokens=99, messages=HELLO) as stream,
    ):
        return "".join(stream.text_stream)


def anthropic_async(retries: int = 0) -> str:
    async def call() -> str:
        async with anthropic.AsyncAnthropic(
            api_key="x", base_url=NOWHERE, max_retries=retries
        ) as client:
            reply: Any = await client.messages.create(model="m", max_tokens=99, messages=HELLO)
            return str(reply.content[0].text)

    return asyncio.run(call())


def gemini_client(retries: int) -> genai.Client:
    options = types.HttpOptions(
        base_url=NOWHERE,
        retry_options=types.HttpRetryOptions(attempts=retries + 1, initial_delay=0.01, jitter=0),
    )
    return genai.Client(api_key="x", vertexai=False, http_options=options)


def gemini_plain(retries: int = 0) -> str | None:
    client = gemini_client(retries)
    try:
        return client.models.generate_content(model="m", contents="hello").text
    finally:
        client.close()


def gemini_stream(retries: int = 0) -> str:
    client = gemini_client(retries)
    try:
        stream = client.models.generate_content_stream(model="m", contents="hello")
        return "".join(chunk.text or "" for chunk in stream)
    finally:
        client.close()


def gemini_async(retries: int = 0) -> str | None:
    async def call() -> str | None:
        async with gemini_client(retries).aio as client:
            return (await client.models.generate_content(model="m", contents="hello")).text

    return asyncio.run(call())


def gemini_async_stream(retries: int = 0) -> str:
    async def call() -> str:
        async with gemini_client(retries).aio as client:
            ask = client.models.generate_content_stream(model="m", contents="hello")
            return "".join([chunk.text or "" async for chunk in await ask])

    return asyncio.run(call())


OPENAI = [openai_plain, openai_stream, openai_async, openai_async_stream]
ANTHROPIC = [anthropic_plain, anthropic_stream, anthropic_async]
GEMINI = [gemini_plain, gemini_stream, gemini_async, gemini_async_stream]

# google-genai has no errors of its own for these: they are those of the library it sends with.
LOSSES = (httpx.RemoteProtocolError, httpx2.RemoteProtocolError)
GEMINI_LOSSES = (*LOSSES, aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError)
GEMINI_TIMEOUTS = (httpx.ReadTimeout, httpx2.ReadTimeout, aiohttp.ServerTimeoutError)


@pytest.mark.parametrize("call", [*OPENAI, *ANTHROPIC, *GEMINI])
def test_refusals_run_through_the_retries_of_the_sdk(
    senytl: Senytl, calls: list[Any], call: Callable[[int], str]
) -> None:
    senytl.mock("m").fail(429, times=2, retry_after=0.02).respond(TEXT)
    start = time.perf_counter()
    assert call(3) == TEXT
    if call not in GEMINI:  # which knows no retry-after
        assert time.perf_counter() - start >= 0.04
    assert [one.status for one in calls] == [429, 429, 200]
    assert all(one.mocked for one in calls)
    assert ["Too Many Requests" in (one.error or "") for one in calls] == [True, True, False]
    assert calls[2].response.text == TEXT


@pytest.mark.parametrize(
    ("call", "status", "error"),
    [
        *((call, 429, openai.RateLimitError) for call in OPENAI),
        *((call, 500, openai.InternalServerError) for call in OPENAI),
        (openai_plain, 401, openai.AuthenticationError),
        *((call, 429, anthropic.RateLimitError) for call in ANTHROPIC),
        *((call, 529, anthropic.InternalServerError) for call in ANTHROPIC),
        *((call, 429, gemini_errors.ClientError) for call in GEMINI),
        *((call, 503, gemini_errors.ServerError) for call in GEMINI),
    ],
)
def test_a_refusal_is_the_sdk_s_own_error(
    senytl: Senytl, calls: list[Any], call: Callable[[], str], status: int, error: type[Exception]
) -> None:
    senytl.mock("m").fail(status).respond(TEXT)
    with pytest.raises(error) as caught:
        call()
    seen: Any = caught.value
    assert getattr(seen, "status_code", None) == status or seen.code == status
    assert "said by a mock of senytl" in str(seen)
    assert [one.status for one in calls] == [status]


def test_an_overloaded_model_is_anthropic_s_own_error(senytl: Senytl) -> None:
    senytl.mock("m").fail(529)
    with pytest.raises(anthropic.APIStatusError) as caught:
        anthropic_plain()
    body: Any = caught.value.body
    assert body["error"] == {
        "type": "overloaded_error",
        "message": "Overloaded (said by a mock of senytl)",
    }


def test_a_refusal_takes_its_time(senytl: Senytl) -> None:
    senytl.mock("m").fail(500, latency=0.2)
    start = time.perf_counter()
    with pytest.raises(openai.InternalServerError):
        openai_plain()
    assert time.perf_counter() - start >= 0.2


def test_a_rate_fails_about_so_many_calls_and_the_same_ones_in_each_run() -> None:
    def run() -> list[bool]:
        failed = []
        with (
            Senytl(fallback="error") as senytl,
            openai.OpenAI(api_key="x", base_url=NOWHERE, max_retries=0) as client,
        ):
            senytl.mock("m").fail(429, rate=0.3).respond("ok", usage=(1, 1))
            for _ in range(100):
                try:
                    client.chat.completions.create(model="m", messages=HELLO)
                except openai.RateLimitError:
                    failed.append(True)
                else:
                    failed.append(False)
        return failed

    first = run()
    assert 15 <= sum(first) <= 45
    assert run() == first


@pytest.mark.parametrize(
    ("call", "error"),
    [
        *((call, openai.APITimeoutError) for call in OPENAI),
        *((call, anthropic.APITimeoutError) for call in ANTHROPIC),
        *((call, GEMINI_TIMEOUTS) for call in GEMINI),
    ],
)
def test_a_timeout_is_the_sdk_s_own_error(
    senytl: Senytl, calls: list[Any], call: Callable[[], str], error: Any
) -> None:
    senytl.mock("m").timeout(after=0.1).respond(TEXT)
    start = time.perf_counter()
    with pytest.raises(error):
        call()
    assert time.perf_counter() - start >= 0.1
    [record] = calls
    assert record.status is None
    assert record.error_kind == "timeout"
    assert record.mocked


def test_timeouts_run_through_the_retries_of_the_sdk(senytl: Senytl, calls: list[Any]) -> None:
    senytl.mock("m").timeout(times=1).respond(TEXT)
    assert openai_plain(1) == TEXT
    assert [one.status for one in calls] == [None, 200]


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (openai_stream, openai.APIConnectionError),
        (openai_async_stream, openai.APIConnectionError),
        (anthropic_stream, (anthropic.APIConnectionError, *LOSSES)),
        (gemini_stream, LOSSES),
        (gemini_async_stream, GEMINI_LOSSES),
    ],
)
def test_a_stream_is_lost_after_so_many_chunks(
    senytl: Senytl, calls: list[Any], stream: Callable[[], str], error: Any
) -> None:
    senytl.mock("m").disconnect(after_chunks=3).respond(TEXT)
    with pytest.raises(error):
        stream()
    [record] = calls
    assert record.status == 200
    assert record.chunks == 3
    assert record.outcome == "failed"
    assert record.response.text.split() == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (openai_plain, openai.APIConnectionError),
        (openai_async, openai.APIConnectionError),
        (anthropic_plain, anthropic.APIConnectionError),
        (anthropic_async, anthropic.APIConnectionError),
        (gemini_plain, GEMINI_LOSSES),
        (gemini_async, GEMINI_LOSSES),
    ],
)
def test_a_plain_reply_is_lost_as_a_whole(
    senytl: Senytl, calls: list[Any], call: Callable[[], str], error: Any
) -> None:
    senytl.mock("m").disconnect(after_chunks=3).respond(TEXT)
    with pytest.raises(error):
        call()
    [record] = calls
    assert record.status is None
    assert record.error_kind == "connection"


def test_lost_replies_run_through_the_retries_and_stay_in_the_sequence(
    senytl: Senytl, calls: list[Any]
) -> None:
    senytl.mock("m").disconnect(times=1).respond_sequence(["first", "second"])
    assert openai_plain(1) == "first"
    assert openai_plain(1) == "second"
    assert [one.status for one in calls] == [None, 200, 200]


def test_faults_of_several_kinds_follow_each_other(senytl: Senytl, calls: list[Any]) -> None:
    model = senytl.mock("m").fail(500, times=1, retry_after=0.01).timeout(times=1)
    model.fail(529, times=1, retry_after=0.01).respond(TEXT)
    assert anthropic_plain(3) == TEXT
    assert [one.status for one in calls] == [500, None, 529, 200]
