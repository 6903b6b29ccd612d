"""Clients, and bound methods of clients, that were made before senytl began to watch."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import httpx
import openai
import pytest

from senytl.capture import open_scope
from senytl.models import MockResponse, TokenUsage

USER: Any = [{"role": "user", "content": "hello"}]
ANSWER = MockResponse("Hi there", usage=TokenUsage(3, 2))


def any_client(client: Any) -> Any:
    """openai takes httpx's clients too, which its types do not say."""
    return client


def openai_client(aimock: str) -> Any:
    return openai.OpenAI(api_key="none", base_url=aimock + "/v1")


def openai_client_over_httpx(aimock: str) -> Any:
    client = any_client(httpx.Client())
    return openai.OpenAI(api_key="none", base_url=aimock + "/v1", http_client=client)


def anthropic_client(aimock: str) -> Any:
    return anthropic.Anthropic(api_key="none", base_url=aimock)


def use(client: Any) -> Any:
    """The method that calls a model."""
    if isinstance(client, openai.OpenAI | openai.AsyncOpenAI):
        create = client.chat.completions.create
        return lambda: create(model="gpt-4o", messages=USER)
    send = client.messages.create
    return lambda: send(model="claude-sonnet-4-6", max_tokens=99, messages=USER)


@pytest.mark.parametrize("make", [openai_client, openai_client_over_httpx, anthropic_client])
def test_clients_and_bound_methods_made_before_are_seen_and_answered(
    make: Any, aimock: str, sink: Any, counted: Any, answers: Any
) -> None:
    with make(aimock) as client:
        call = use(client)
        with open_scope(unattributed=sink):
            call()
        with open_scope(unattributed=sink, answerer=answers(lambda pending: ANSWER)):
            call()
        call()
    tokens = counted["hello"]
    seen = TokenUsage(tokens["prompt_tokens"], tokens["completion_tokens"])
    assert [call.usage for call in sink.calls] == [seen, ANSWER.usage]
    assert [call.mocked for call in sink.calls] == [False, True]


def test_an_async_client_over_httpx_is_seen_and_answered(
    aimock: str, sink: Any, counted: Any, answers: Any
) -> None:
    async def run() -> None:
        inner = any_client(httpx.AsyncClient())
        async with openai.AsyncOpenAI(
            api_key="none", base_url=aimock + "/v1", http_client=inner
        ) as client:
            call = use(client)
            with open_scope(unattributed=sink):
                await call()
            with open_scope(unattributed=sink, answerer=answers(lambda pending: ANSWER)):
                await call()

    asyncio.run(run())
    tokens = counted["hello"]
    seen = TokenUsage(tokens["prompt_tokens"], tokens["completion_tokens"])
    assert [call.usage for call in sink.calls] == [seen, ANSWER.usage]
