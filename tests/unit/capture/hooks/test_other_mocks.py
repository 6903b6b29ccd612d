"""Other people's mocks: respx, pook and aioresponses, which answer below ours or above it.

None of them sees httpx2, so their calls are made with httpx, requests and aiohttp.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
import openai
import pook  # type: ignore[import-untyped]
import pytest
import requests
import respx
from aioresponses import aioresponses

from senytl.capture import open_scope
from senytl.models import MockResponse, TokenUsage

URL = "https://api.openai.com/v1/chat/completions"
REPLY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Theirs."},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}
THEIRS = ("Theirs.", TokenUsage(9, 3), False)
OURS = ("Ours.", TokenUsage(11, 5), True)
ANSWER = MockResponse("Ours.", usage=TokenUsage(11, 5))


def any_client(client: Any) -> Any:
    """openai takes httpx's clients too, which its types do not say."""
    return client


def by_openai(chat: Any) -> str:
    with (
        httpx.Client() as inner,
        openai.OpenAI(api_key="none", http_client=any_client(inner), max_retries=0) as client,
    ):
        return str(client.chat.completions.create(**chat).choices[0].message.content)


def by_async_openai(chat: Any) -> str:
    async def run() -> str:
        async with (
            httpx.AsyncClient() as inner,
            openai.AsyncOpenAI(
                api_key="none", http_client=any_client(inner), max_retries=0
            ) as client,
        ):
            completion = await client.chat.completions.create(**chat)
            return str(completion.choices[0].message.content)

    return asyncio.run(run())


def by_requests(chat: Any) -> str:
    document = requests.post(URL, json=chat, timeout=5).json()
    return str(document["choices"][0]["message"]["content"])


class Response(aiohttp.ClientResponse):
    """aiohttp's response, made without an argument that these mocks do not know yet."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        known = inspect.signature(aiohttp.ClientResponse.__init__).parameters
        if "stream_writer" in known:
            kwargs.setdefault("stream_writer", SimpleNamespace(output_size=0))
        super().__init__(*args, **kwargs)


def by_aiohttp(chat: Any) -> str:
    async def run() -> str:
        async with (
            aiohttp.ClientSession(response_class=Response) as session,
            session.post(URL, json=chat) as response,
        ):
            document = await response.json()
            return str(document["choices"][0]["message"]["content"])

    return asyncio.run(run())


@contextmanager
def using_respx_below_httpx() -> Iterator[None]:
    with respx.mock(using="httpcore", assert_all_called=False) as router:
        router.post(URL).respond(json=REPLY)
        yield


@contextmanager
def using_respx_on_httpx() -> Iterator[None]:
    with respx.mock(using="httpx", assert_all_called=False) as router:
        router.post(URL).respond(json=REPLY)
        yield


@contextmanager
def using_pook() -> Iterator[None]:
    with pook.use():
        pook.post(URL).persist().reply(200).json(REPLY)
        yield


@contextmanager
def using_aioresponses() -> Iterator[None]:
    with aioresponses() as mocked:
        mocked.post(URL, payload=REPLY, repeat=True, response_class=Response)
        yield


PAIRS = [
    (using_respx_below_httpx, by_openai),
    (using_respx_below_httpx, by_async_openai),
    (using_respx_on_httpx, by_openai),
    (using_respx_on_httpx, by_async_openai),
    (using_pook, by_openai),
    (using_pook, by_async_openai),
    (using_pook, by_requests),
    (using_pook, by_aiohttp),
    (using_aioresponses, by_aiohttp),
]


def name(value: Any) -> str:
    return str(value.__name__)


@pytest.mark.parametrize("opened", ["before", "after"])
@pytest.mark.parametrize(("using", "ask"), PAIRS, ids=name)
def test_a_call_that_another_mock_answers_is_seen_once(
    using: Callable[[], Any], ask: Callable[[Any], str], opened: str, sink: Any, chat: Any
) -> None:
    if opened == "before":
        with open_scope(unattributed=sink), using():
            text = ask(chat)
    else:
        with using(), open_scope(unattributed=sink):
            text = ask(chat)
    assert (text, sink.only.usage, sink.only.mocked) == THEIRS
    assert (sink.only.response.text, sink.only.outcome) == ("Theirs.", "completed")
    assert sink.only.timing_valid


@pytest.mark.parametrize("opened", ["before", "after"])
@pytest.mark.parametrize(("using", "ask"), PAIRS, ids=name)
def test_ours_answers_before_another_mock_does(
    using: Callable[[], Any],
    ask: Callable[[Any], str],
    opened: str,
    sink: Any,
    chat: Any,
    answers: Any,
) -> None:
    scope: dict[str, Any] = {"unattributed": sink, "answerer": answers(ANSWER)}
    if opened == "before":
        with open_scope(**scope), using():
            text = ask(chat)
    else:
        with using(), open_scope(**scope):
            text = ask(chat)
    assert (text, sink.only.usage, sink.only.mocked) == OURS


@pytest.mark.parametrize("ask", [by_requests, by_aiohttp])
def test_the_libraries_are_as_they_were_afterwards(
    ask: Callable[[Any], str], sink: Any, chat: Any
) -> None:
    originals = vars(aiohttp.ClientSession)["_request"], vars(requests.Session)["send"]
    with open_scope(unattributed=sink), using_aioresponses(), using_pook():
        ask(chat)
    with using_aioresponses(), open_scope(unattributed=sink), using_pook():
        ask(chat)
    assert (vars(aiohttp.ClientSession)["_request"], vars(requests.Session)["send"]) == originals
    assert [call.usage for call in sink.calls] == [TokenUsage(9, 3)] * 2
