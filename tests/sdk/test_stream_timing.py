"""The times of real streams, beside those that a plain socket measures on the same server."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import anthropic
import openai
import pytest
from google import genai

from senytl.capture import open_scope
from senytl.models import LLMCallRecord

pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)

ROUNDS = 5
TOLERANCE = 0.010
STORY: Any = [{"role": "user", "content": "Tell me a story"}]
PATHS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": (
        "/v1/chat/completions",
        {"model": "gpt-4o", "messages": STORY, "stream": True},
    ),
    "anthropic": (
        "/v1/messages",
        {"model": "claude-sonnet-4-6", "max_tokens": 99, "messages": STORY, "stream": True},
    ),
    "gemini": (
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "Tell me a story"}]}]},
    ),
}


def by_socket(url: str, sdk: str) -> tuple[float, float]:
    """Seconds to the first chunk and the median gap, read line by line from a plain connection."""
    path, body = PATHS[sdk]
    ttfts, gaps = [], []
    for _ in range(ROUNDS):
        connection = http.client.HTTPConnection(urlsplit(url).netloc)
        connection.connect()
        start = time.perf_counter()
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        came = []
        while line := response.readline():
            # Chunks of the story are no more than seven characters, in any of the formats.
            if line.startswith(b"data: {") and is_chunk(json.loads(line[6:])):
                came.append(time.perf_counter())
        connection.close()
        ttfts.append(came[0] - start)
        gaps += [later - earlier for earlier, later in pairwise(came)]
    return median(ttfts), median(gaps)


def is_chunk(document: dict[str, Any]) -> bool:
    """Whether an event of one of the three formats brings text."""
    for choice in document.get("choices", ()):
        return bool(choice["delta"].get("content"))
    for candidate in document.get("candidates", ()):
        return any(part.get("text") for part in candidate["content"]["parts"])
    return bool(document.get("delta", {}).get("text"))


def ask_openai(url: str) -> None:
    with openai.OpenAI(api_key="sk-test", base_url=url + "/v1") as client:
        for _ in range(ROUNDS):
            list(client.chat.completions.create(model="gpt-4o", messages=STORY, stream=True))


def ask_openai_async(url: str) -> None:
    async def run() -> None:
        async with openai.AsyncOpenAI(api_key="sk-test", base_url=url + "/v1") as client:
            for _ in range(ROUNDS):
                async for _ in await client.chat.completions.create(
                    model="gpt-4o", messages=STORY, stream=True
                ):
                    pass

    asyncio.run(run())


def ask_anthropic(url: str) -> None:
    with anthropic.Anthropic(api_key="sk-ant-test", base_url=url) as client:
        for _ in range(ROUNDS):
            with client.messages.stream(
                model="claude-sonnet-4-6", max_tokens=99, messages=STORY
            ) as stream:
                stream.get_final_text()


def ask_gemini(url: str) -> None:
    client = google(url)
    for _ in range(ROUNDS):
        list(client.models.generate_content_stream(model="gemini-2.5-flash", contents="a story"))
    client.close()


def ask_gemini_async(url: str) -> None:
    async def run() -> None:
        client = google(url)
        for _ in range(ROUNDS):
            async for _ in await client.aio.models.generate_content_stream(
                model="gemini-2.5-flash", contents="a story"
            ):
                pass
        await client.aio.aclose()
        client.close()

    asyncio.run(run())


def google(url: str) -> genai.Client:
    options = genai.types.HttpOptions(base_url=url, api_version="v1beta")
    return genai.Client(api_key="test", vertexai=False, http_options=options)


@pytest.mark.parametrize(
    ("sdk", "ask"),
    [
        pytest.param("openai", ask_openai, id="openai"),
        pytest.param("openai", ask_openai_async, id="openai-async"),
        pytest.param("anthropic", ask_anthropic, id="anthropic"),
        pytest.param("gemini", ask_gemini, id="gemini"),
        pytest.param("gemini", ask_gemini_async, id="gemini-async"),
    ],
)
def test_times_are_those_of_the_server(
    sink: Any, aimock: str, sdk: str, ask: Callable[[str], None]
) -> None:
    # The machine may be busy with other things for a while: three tries.
    for last in (False, False, True):
        sink.calls.clear()
        expected = by_socket(aimock, sdk)
        with open_scope(unattributed=sink):
            ask(aimock)
        found = medians(sink.calls)
        if last or all(
            abs(one - other) <= TOLERANCE for one, other in zip(found, expected, strict=True)
        ):
            break
    assert found == pytest.approx(expected, abs=TOLERANCE)
    assert expected[1] == pytest.approx(1 / 20, abs=TOLERANCE)
    assert expected[0] >= 0.2


def medians(calls: list[LLMCallRecord]) -> tuple[float, float]:
    assert len(calls) == ROUNDS
    assert all(call.chunks > 5 for call in calls)
    ttfts = [call.ttft for call in calls if call.ttft is not None]
    assert len(ttfts) == ROUNDS
    return median(ttfts), median(gap for call in calls for gap in call.chunk_gaps)
