"""Clients made early, handed over, aliased, wrapped by others, or called in unusual styles."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
from types import ModuleType
from typing import Any

import aiohttp
import anthropic
import httpx
import httpx2
import openai
import pytest
import requests
from tests.sdk.nasty.ways import (
    MESSAGES,
    STREAMING,
    WAYS,
    bedrock,
    by_google,
    by_google_over_aiohttp,
    by_google_over_httpx2,
    by_openai,
    by_openai_async_over_httpx,
    by_openai_over_httpx,
    chat,
)

from senytl import Senytl
from senytl.capture import open_scope
from senytl.models import TokenUsage

pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)

TEXT = "Hello, you."
TOKENS = TokenUsage(1117, 246)


@pytest.mark.parametrize("way", WAYS)
def test_nasty_01_a_client_and_its_bound_method_made_before_the_installation(
    way: str, url: str, sink: Any, once: Any, server: Any
) -> None:
    """Each way binds the method that it calls when the client is made."""
    with WAYS[way](url) as ask:
        with open_scope(unattributed=sink):
            assert ask() == TEXT
        call = once()
        assert not call.streamed
        assert call.duration_seconds > 0
        assert ask() == TEXT  # and it is left as it was
    assert (len(server.requests), len(sink.calls)) == (2, 1)


@pytest.mark.parametrize("way", STREAMING)
def test_nasty_01_a_stream_of_a_client_made_before_the_installation(
    way: str, url: str, sink: Any, once: Any
) -> None:
    with STREAMING[way](url) as ask:
        ask()  # its connection is open before, too
        with open_scope(unattributed=sink):
            assert ask(stream=True) == TEXT
    sink.calls.insert(0, None)
    call = once(2)
    assert call.streamed
    assert call.chunks == 2
    assert 0 < call.ttft <= call.duration_seconds


def test_nasty_01_a_client_of_a_module_that_is_imported_after_the_installation(url: str) -> None:
    program = f"""
        import sys
        from senytl import Senytl, performance
        assert not {{"openai", "httpx2", "httpx"}} & set(sys.modules)
        calls = []
        class Sink:
            add_call = calls.append
        from senytl.capture import open_scope
        with open_scope(unattributed=Sink()):
            import openai
            with openai.OpenAI(api_key="none", base_url="{url}/v1") as client:
                client.chat.completions.create(model="gpt-4o", messages=[])
        print(len(calls), calls[0].usage.total_tokens)
    """
    assert run(program) == f"1 {TOKENS.total_tokens}"


def run(program: str) -> str:
    """What a fresh interpreter prints."""
    import textwrap

    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("way", [by_openai_over_httpx, by_openai_async_over_httpx])
def test_nasty_02_an_httpx_client_handed_to_openai(
    way: Any, stream: bool, url: str, sink: Any, once: Any
) -> None:
    with open_scope(unattributed=sink), way(url) as ask:
        assert ask(stream) == TEXT
    assert once().streamed == stream


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("way", [by_google_over_aiohttp, by_google_over_httpx2])
def test_nasty_03_google_genai_async_over_aiohttp_and_over_httpx2(
    way: Any, stream: bool, url: str, sink: Any, once: Any
) -> None:
    with open_scope(unattributed=sink), way(url) as ask:
        assert ask(stream) == TEXT
    call = once()
    assert (call.provider, call.model, call.streamed) == ("google", "gemini-2.5-flash", stream)


def test_nasty_03_google_genai_async_where_aiohttp_is_not_installed(url: str) -> None:
    program = f"""
        import asyncio, sys
        sys.modules["aiohttp"] = None  # importing it fails
        from google import genai
        from senytl.capture import open_scope
        calls = []
        class Sink:
            add_call = calls.append
        async def main():
            options = genai.types.HttpOptions(base_url="{url}")
            client = genai.Client(api_key="none", vertexai=False, http_options=options)
            prompt = dict(model="gemini-2.5-flash", contents="Hello?")
            await client.aio.models.generate_content(**prompt)
            async for _ in await client.aio.models.generate_content_stream(**prompt):
                pass
            await client.aio.aclose()
        with open_scope(unattributed=Sink()):
            asyncio.run(main())
        print([(call.streamed, call.usage.total_tokens) for call in calls])
    """
    assert run(program) == f"[(False, {TOKENS.total_tokens}), (True, {TOKENS.total_tokens})]"


@pytest.mark.parametrize("when", ["before the scope", "inside the scope"])
@pytest.mark.parametrize(
    ("alias", "module", "way"),
    [
        ("httpx", httpx2, by_openai),
        ("httpx", httpx2, by_google),
        ("httpx2", httpx, by_openai_over_httpx),
    ],
)
def test_nasty_04_httpx_and_httpx2_aliased_to_one_module(
    alias: str,
    module: ModuleType,
    way: Any,
    when: str,
    url: str,
    sink: Any,
    once: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One class is hooked under two names, and another one loses its name meanwhile."""
    if when == "before the scope":
        monkeypatch.setitem(sys.modules, alias, module)
    with open_scope(unattributed=sink):
        monkeypatch.setitem(sys.modules, alias, module)
        with way(url) as ask:
            assert ask() == TEXT
    once()


@pytest.mark.parametrize("style", ["with_raw_response", "parse", "stream", "streaming_response"])
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_nasty_12_raw_responses_parsing_and_stream_helpers(
    vendor: str, style: str, url: str, sink: Any, once: Any
) -> None:
    client: Any
    settings: dict[str, Any] = {"messages": MESSAGES}
    if vendor == "openai":
        client = openai.OpenAI(api_key="none", base_url=url + "/v1", max_retries=0)
        api, settings["model"] = client.chat.completions, "gpt-4o"
    else:
        client = anthropic.Anthropic(api_key="none", base_url=url, max_retries=0)
        api, settings["model"] = client.messages, "claude-sonnet-4-6"
        settings["max_tokens"] = 9
    with client, open_scope(unattributed=sink):
        if style == "with_raw_response":
            raw = api.with_raw_response.create(**settings)
            assert (raw.status_code, raw.parse().id[:3]) in ((200, "cha"), (200, "msg"))
        elif style == "streaming_response":
            with api.with_streaming_response.create(**settings) as raw:
                assert TEXT in "".join(raw.iter_text())
        elif style == "parse":
            assert TEXT in str(api.parse(**settings))
        else:
            usage = {"stream_options": {"include_usage": True}} if vendor == "openai" else {}
            with api.stream(**settings, **usage) as stream:
                for _ in stream:
                    pass
    assert once().streamed == (style == "stream")


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("module", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_nasty_16_the_users_event_hooks_under_a_mock(
    module: ModuleType, is_async: bool, sink: Any, server: Any
) -> None:
    """They see the request and the response once each, as they would without a mock."""
    seen: list[str] = []

    def asked(request: Any) -> None:
        request.headers["x-seen"] = "yes"
        seen.append(f"{request.method} {request.url.path}")

    def came(response: Any) -> None:
        seen.append(f"{response.status_code} {response.request.headers['x-seen']}")

    async def asked_async(request: Any) -> None:
        asked(request)

    async def came_async(response: Any) -> None:
        await response.aread()
        came(response)

    async def run() -> str:
        hooks: Any = {"request": [asked_async], "response": [came_async]}
        inner = module.AsyncClient(event_hooks=hooks)
        async with openai.AsyncOpenAI(api_key="none", http_client=inner) as client:
            found = await client.chat.completions.create(**chat())
            return str(found.choices[0].message.content)

    with open_scope(unattributed=sink), Senytl(fallback="error") as senytl:
        senytl.mock("gpt-4o").respond("Mocked.", usage=(11, 5))
        if is_async:
            text = asyncio.run(run())
        else:
            hooks: Any = {"request": [asked], "response": [came]}
            inner = module.Client(event_hooks=hooks)
            with openai.OpenAI(api_key="none", http_client=inner) as client:
                text = str(client.chat.completions.create(**chat()).choices[0].message.content)
    assert text == "Mocked."
    assert seen == ["POST /v1/chat/completions", "200 yes"]
    assert (sink.only.mocked, sink.only.usage) == (True, TokenUsage(11, 5))
    assert server.requests == []


def test_nasty_16_the_users_hooks_of_requests_aiohttp_and_boto3_under_a_mock(sink: Any) -> None:
    seen: list[str] = []
    note = functools.partial(lambda what, *args, **kwargs: seen.append(what))

    async def by_aiohttp() -> None:
        traces = aiohttp.TraceConfig()

        async def started(*args: Any) -> None:
            seen.append("aiohttp asks")

        async def ended(*args: Any) -> None:
            seen.append("aiohttp got")

        traces.on_request_start.append(started)
        traces.on_request_end.append(ended)
        async with (
            aiohttp.ClientSession(trace_configs=[traces]) as session,
            session.post("http://model.test/v1/chat/completions", json=chat()) as response,
        ):
            await response.read()

    with open_scope(unattributed=sink), Senytl(fallback="error") as senytl:
        senytl.mock("*").respond("Mocked.", usage=(11, 5))
        with requests.Session() as session:
            session.hooks["response"].append(functools.partial(note, "requests got"))
            session.post("http://model.test/v1/chat/completions", json=chat(), timeout=9)
        asyncio.run(by_aiohttp())
        client = bedrock("http://model.test")
        events = client.meta.events
        events.register("before-send.*", lambda **kwargs: note("boto3 asks"))
        events.register("response-received.*", lambda **kwargs: note("boto3 got"))
        client.converse(modelId="any", messages=[])
        client.close()
    assert seen == ["requests got", "aiohttp asks", "aiohttp got", "boto3 asks", "boto3 got"]
    assert [call.usage for call in sink.calls] == [TokenUsage(11, 5)] * 3
