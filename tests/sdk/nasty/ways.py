"""Real clients, used one way each; a test reads the same whatever the way.

``with WAYS["openai"](url) as ask`` makes a client, which lives until the end of the block, and
``ask(stream=True)`` gives the text of the reply.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import aiohttp
import anthropic
import boto3  # type: ignore[import-untyped]
import httpx
import httpx2
import openai
import requests
from google import genai

__all__ = [
    "MESSAGES",
    "STREAMING",
    "WAYS",
    "Ask",
    "bedrock",
    "by_anthropic",
    "by_anthropic_async",
    "by_boto3",
    "by_google",
    "by_google_over_aiohttp",
    "by_google_over_httpx2",
    "by_openai",
    "by_openai_async",
    "by_openai_async_over_httpx",
    "by_openai_over_httpx",
    "chat",
    "google",
]

MESSAGES: Any = [{"role": "user", "content": "Hello?"}]


class Ask(Protocol):
    def __call__(self, stream: bool = False) -> str: ...


def chat(stream: bool = False) -> Any:
    more = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    return {"model": "gpt-4o", "messages": MESSAGES, **more}


def text_of(found: Any) -> str:
    """The text of a reply of any SDK, or of the chunks of a stream."""
    if isinstance(found, list):
        return "".join(text_of(chunk) for chunk in found)
    if hasattr(found, "choices"):
        return "".join(
            (choice.delta if hasattr(choice, "delta") else choice.message).content or ""
            for choice in found.choices
        )
    if hasattr(found, "content"):
        return "".join(block.text for block in found.content)
    if hasattr(found, "candidates"):
        return str(found.text)
    return getattr(getattr(found, "delta", None), "text", "") or ""


def _asker(create: Callable[..., Any], settings: Callable[[bool], Any]) -> Ask:
    def ask(stream: bool = False) -> str:
        found = create(**settings(stream))
        return text_of(list(found) if stream else found)

    return ask


def _async_asker(
    runner: asyncio.Runner, create: Callable[..., Any], settings: Callable[[bool], Any]
) -> Ask:
    async def run(stream: bool) -> str:
        found = await create(**settings(stream))
        return text_of([chunk async for chunk in found] if stream else found)

    return lambda stream=False: runner.run(run(stream))


def _message(stream: bool) -> Any:
    more = {"stream": True} if stream else {}
    return {"model": "claude-sonnet-4-6", "max_tokens": 9, "messages": MESSAGES, **more}


def _openai(url: str, **more: Any) -> Any:
    return {"api_key": "none", "base_url": url + "/v1", "max_retries": 0, **more}


@contextmanager
def by_openai(url: str, **more: Any) -> Iterator[Ask]:
    with openai.OpenAI(**_openai(url, **more)) as client:
        yield _asker(client.chat.completions.create, chat)


@contextmanager
def by_openai_async(url: str, **more: Any) -> Iterator[Ask]:
    with asyncio.Runner() as runner:
        client = openai.AsyncOpenAI(**_openai(url, **more))
        yield _async_asker(runner, client.chat.completions.create, chat)
        runner.run(client.close())


@contextmanager
def by_openai_over_httpx(url: str, **more: Any) -> Iterator[Ask]:
    with (
        httpx.Client(trust_env=False) as inner,
        by_openai(url, http_client=inner, **more) as ask,
    ):
        yield ask


@contextmanager
def by_openai_async_over_httpx(url: str, **more: Any) -> Iterator[Ask]:
    with by_openai_async(url, http_client=httpx.AsyncClient(trust_env=False), **more) as ask:
        yield ask  # closing openai's client closes the one in it


@contextmanager
def by_anthropic(url: str, **more: Any) -> Iterator[Ask]:
    settings: Any = {"api_key": "none", "base_url": url, "max_retries": 0, **more}
    with anthropic.Anthropic(**settings) as client:
        yield _asker(client.messages.create, _message)


@contextmanager
def by_anthropic_async(url: str, **more: Any) -> Iterator[Ask]:
    settings: Any = {"api_key": "none", "base_url": url, "max_retries": 0, **more}
    with asyncio.Runner() as runner:
        client = anthropic.AsyncAnthropic(**settings)
        yield _async_asker(runner, client.messages.create, _message)
        runner.run(client.close())


def google(url: str, **options: Any) -> genai.Client:
    options = {"base_url": url, "api_version": "v1beta", **options}
    return genai.Client(
        api_key="none", vertexai=False, http_options=genai.types.HttpOptions(**options)
    )


PROMPT: Any = {"model": "gemini-2.5-flash", "contents": "Hello?"}


@contextmanager
def by_google(url: str, **options: Any) -> Iterator[Ask]:
    client = google(url, **options)

    def ask(stream: bool = False) -> str:
        if stream:
            return text_of(list(client.models.generate_content_stream(**PROMPT)))
        return text_of(client.models.generate_content(**PROMPT))

    yield ask
    client.close()


@contextmanager
def _by_google_async(runner: asyncio.Runner, client: genai.Client) -> Iterator[Ask]:
    async def run(stream: bool) -> str:
        if stream:
            chunks = await client.aio.models.generate_content_stream(**PROMPT)
            return text_of([chunk async for chunk in chunks])
        return text_of(await client.aio.models.generate_content(**PROMPT))

    yield lambda stream=False: runner.run(run(stream))
    runner.run(client.aio.aclose())
    client.close()


@contextmanager
def by_google_over_aiohttp(url: str, **options: Any) -> Iterator[Ask]:
    with asyncio.Runner() as runner, _by_google_async(runner, google(url, **options)) as ask:
        yield ask


@contextmanager
def by_google_over_httpx2(url: str) -> Iterator[Ask]:
    with asyncio.Runner() as runner:
        inner = httpx2.AsyncClient(trust_env=False)
        with _by_google_async(runner, google(url, httpx_async_client=inner)) as ask:
            yield ask
        runner.run(inner.aclose())


def _text_in(body: Any) -> str:
    return str(body["choices"][0]["message"]["content"])


@contextmanager
def by_requests(url: str) -> Iterator[Ask]:
    with requests.Session() as session:
        post = session.post
        yield lambda stream=False: _text_in(
            post(url + "/v1/chat/completions", json=chat(), timeout=9).json()
        )


@contextmanager
def by_httpx2(url: str) -> Iterator[Ask]:
    with httpx2.Client(trust_env=False) as client:
        post = client.post
        yield lambda stream=False: _text_in(post(url + "/v1/chat/completions", json=chat()).json())


@contextmanager
def by_aiohttp(url: str) -> Iterator[Ask]:
    with asyncio.Runner() as runner:

        async def begin() -> aiohttp.ClientSession:
            return aiohttp.ClientSession()

        session = runner.run(begin())
        post = session.post

        async def run() -> str:
            async with post(url + "/v1/chat/completions", json=chat()) as response:
                return _text_in(await response.json())

        yield lambda stream=False: runner.run(run())
        runner.run(session.close())


def bedrock(url: str, **config: Any) -> Any:
    """boto3's client of Bedrock; whoever makes it closes it."""
    from botocore.config import Config  # type: ignore[import-untyped]

    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(**{"retries": {"total_max_attempts": 1}, "read_timeout": 9, **config}),
    )


@contextmanager
def by_boto3(url: str, **config: Any) -> Iterator[Ask]:
    client = bedrock(url, **config)
    converse = client.converse
    prompt = [{"role": "user", "content": [{"text": "Hello?"}]}]

    def ask(stream: bool = False) -> str:
        message = converse(modelId="anthropic.claude", messages=prompt)["output"]["message"]
        return "".join(block["text"] for block in message["content"])

    yield ask
    client.close()


Way = Callable[..., AbstractContextManager[Ask]]
STREAMING: dict[str, Way] = {
    "openai": by_openai,
    "openai-async": by_openai_async,
    "openai-over-httpx": by_openai_over_httpx,
    "openai-async-over-httpx": by_openai_async_over_httpx,
    "anthropic": by_anthropic,
    "anthropic-async": by_anthropic_async,
    "google": by_google,
    "google-over-aiohttp": by_google_over_aiohttp,
    "google-over-httpx2": by_google_over_httpx2,
}
"""The ways that can stream."""
WAYS: dict[str, Way] = {
    **STREAMING,
    "requests": by_requests,
    "httpx2": by_httpx2,
    "aiohttp": by_aiohttp,
    "boto3": by_boto3,
}
