"""Real cassettes of vcrpy between real clients and a server on 127.0.0.1."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import boto3  # type: ignore[import-untyped]
import httpx
import openai
import pytest
import requests
import vcr  # type: ignore[import-untyped]

from senytl.capture import CaptureScope, open_scope
from senytl.models import MockResponse, TokenUsage

Ask = Callable[[Any, Any], str]


def _any(client: Any) -> Any:
    """openai takes httpx's clients too, which its types do not say."""
    return client


def by_openai(server: Any, chat: Any) -> str:
    base_url = server.url("/v1")
    with openai.OpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        return str(client.chat.completions.create(**chat).choices[0].message.content)


def by_openai_over_httpx(server: Any, chat: Any) -> str:
    with (
        httpx.Client() as inner,
        openai.OpenAI(
            base_url=server.url("/v1"), api_key="none", http_client=_any(inner)
        ) as client,
    ):
        return str(client.chat.completions.create(**chat).choices[0].message.content)


def by_async_openai(server: Any, chat: Any) -> str:
    async def run() -> str:
        base_url = server.url("/v1")
        async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
            completion = await client.chat.completions.create(**chat)
            return str(completion.choices[0].message.content)

    return asyncio.run(run())


def by_aiohttp(server: Any, chat: Any) -> str:
    async def run() -> str:
        async with (
            aiohttp.ClientSession() as session,
            session.post(server.url(), json=chat) as response,
        ):
            document = await response.json()
            return str(document["choices"][0]["message"]["content"])

    return asyncio.run(run())


def by_requests(server: Any, chat: Any) -> str:
    document = requests.post(server.url(), json=chat, timeout=5).json()
    return str(document["choices"][0]["message"]["content"])


ASKS = [by_openai, by_openai_over_httpx, by_async_openai, by_aiohttp, by_requests]


def openai_stream(server: Any, chat: Any) -> str:
    base_url = server.url("/v1")
    options: Any = {"stream": True, "stream_options": {"include_usage": True}}
    with openai.OpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(**chat, **options)
        return "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)


def aiohttp_stream(server: Any, chat: Any) -> str:
    async def run() -> bytes:
        async with (
            aiohttp.ClientSession() as session,
            session.post(server.url(), json=chat | {"stream": True}) as response,
        ):
            return b"".join([line async for line in response.content])

    return text_of(asyncio.run(run()))


def requests_stream(server: Any, chat: Any) -> str:
    body = chat | {"stream": True}
    with requests.post(server.url(), json=body, stream=True, timeout=5) as response:
        return text_of(b"\n".join(response.iter_lines()))


def text_of(body: bytes) -> str:
    documents = [
        json.loads(line.removeprefix(b"data: "))
        for line in body.splitlines()
        if line.startswith(b"data: {")
    ]
    return "".join(
        choice["delta"].get("content", "") for one in documents for choice in one["choices"]
    )


STREAMS = [openai_stream, aiohttp_stream, requests_stream]


@pytest.mark.parametrize("opened", ["before the scope", "inside the scope"])
@pytest.mark.parametrize("ask", ASKS)
def test_calls_are_seen_once_while_recording_and_in_playback(
    ask: Ask, opened: str, sink: Any, server: Any, chat: Any, tmp_path: Path
) -> None:
    for _ in range(2):
        cassette = vcr.use_cassette(str(tmp_path / "cassette.yaml"))
        scope = open_scope(unattributed=sink) if opened == "inside the scope" else None
        with cassette:
            scope = scope or open_scope(unattributed=sink)
            assert ask(server, chat) == "Hello!"
            scope.close()
    assert len(server.requests) == 1
    assert [call.usage for call in sink.calls] == [TokenUsage(9, 3)] * 2
    assert [call.response.text for call in sink.calls] == ["Hello!"] * 2
    assert [call.outcome for call in sink.calls] == ["completed"] * 2
    assert not any(call.timing_valid for call in sink.calls)


@pytest.mark.parametrize("ask", STREAMS)
def test_times_of_streams_under_a_cassette_are_marked_as_invalid(
    ask: Ask,
    scope: CaptureScope,
    sink: Any,
    server: Any,
    chat: Any,
    events: list[bytes],
    tmp_path: Path,
) -> None:
    server.reply(*events, content_type="text/event-stream")
    for _ in range(2):
        with vcr.use_cassette(str(tmp_path / "cassette.yaml")):
            assert ask(server, chat) == "Hello"
    ask(server, chat)
    assert len(server.requests) == 2
    assert [call.usage for call in sink.calls] == [TokenUsage(7, 2)] * 3
    assert [call.timing_valid for call in sink.calls] == [False, False, True]


def test_bedrock_under_a_cassette_is_seen(
    scope: CaptureScope, sink: Any, server: Any, tmp_path: Path
) -> None:
    reply = {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello."}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 7, "outputTokens": 2, "totalTokens": 9},
        "metrics": {"latencyMs": 5},
    }
    server.reply(json.dumps(reply).encode(), content_type="application/json")
    for _ in range(2):
        with vcr.use_cassette(str(tmp_path / "cassette.yaml")):
            client = boto3.client(
                "bedrock-runtime",
                region_name="us-east-1",
                endpoint_url=server.url(""),
                aws_access_key_id="none",
                aws_secret_access_key="none",
            )
            client.converse(modelId="some.model", messages=[])
            client.close()
    assert len(server.requests) == 1
    assert [call.usage for call in sink.calls] == [TokenUsage(7, 2)] * 2
    assert not any(call.timing_valid for call in sink.calls)


@pytest.mark.parametrize("ask", ASKS)
def test_a_mock_answers_before_a_cassette_does(
    ask: Ask, sink: Any, server: Any, chat: Any, answers: Any, tmp_path: Path
) -> None:
    answer = MockResponse("Mocked.", usage=TokenUsage(11, 5))
    path = tmp_path / "cassette.yaml"
    with open_scope(unattributed=sink, answerer=answers(answer)), vcr.use_cassette(str(path)):
        assert ask(server, chat) == "Mocked."
    assert server.requests == []
    assert not path.exists()
    assert (sink.only.mocked, sink.only.usage) == (True, TokenUsage(11, 5))
    assert sink.only.timing_valid


def test_a_call_after_a_cassette_that_was_opened_before_is_seen(
    sink: Any, server: Any, chat: Any, tmp_path: Path
) -> None:
    cassette = vcr.use_cassette(str(tmp_path / "cassette.yaml"))
    cassette.__enter__()
    with open_scope(unattributed=sink):
        by_aiohttp(server, chat)
        cassette.__exit__(None, None, None)
        by_aiohttp(server, chat)
    assert [call.usage for call in sink.calls] == [TokenUsage(9, 3)] * 2
    assert [call.timing_valid for call in sink.calls] == [False, True]


def test_aiohttp_is_as_it_was_after_cassette_and_scope(
    server: Any, chat: Any, tmp_path: Path
) -> None:
    original = vars(aiohttp.ClientSession)["_request"]
    with open_scope(), vcr.use_cassette(str(tmp_path / "cassette.yaml")):
        by_aiohttp(server, chat)
    assert vars(aiohttp.ClientSession)["_request"] is original
    with vcr.use_cassette(str(tmp_path / "cassette.yaml")):
        scope = open_scope()
    scope.close()
    assert vars(aiohttp.ClientSession)["_request"] is original
