"""The session with real SDKs; no call leaves the process, since no mock is left out by mistake."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from google import genai

from senytl import Senytl
from senytl.capture import current_sink
from senytl.mocking import MockExhaustedError, UnmockedCallError
from senytl.models import LLMCallRecord, MockResponse, SenytlError, TokenUsage, ToolCall

# google-genai derives its session from aiohttp's, of which aiohttp disapproves.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession")

HELLO: Any = [{"role": "user", "content": "hello"}]
NOWHERE = "http://127.0.0.1:9"  # nothing listens there: a call that gets out fails


def openai_client() -> openai.OpenAI:
    return openai.OpenAI(api_key="x", base_url=NOWHERE + "/v1", max_retries=0)


def gemini_client() -> genai.Client:
    return genai.Client(api_key="x", http_options={"base_url": NOWHERE})


def chat(client: openai.OpenAI, model: str = "gpt-4o") -> str | None:
    return client.chat.completions.create(model=model, messages=HELLO).choices[0].message.content


# One call per SDK and way of calling it, with retries as the SDKs do by default; each gives a text.


def openai_sync() -> str | None:
    return chat(openai.OpenAI(api_key="x", base_url=NOWHERE + "/v1"))


def openai_stream() -> str:
    client = openai.OpenAI(api_key="x", base_url=NOWHERE + "/v1")
    stream = client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def openai_async() -> str | None:
    async def call() -> str | None:
        async with openai.AsyncOpenAI(api_key="x", base_url=NOWHERE + "/v1") as client:
            completion = await client.chat.completions.create(model="gpt-4o", messages=HELLO)
            return completion.choices[0].message.content

    return asyncio.run(call())


def openai_responses() -> str:
    client = openai.OpenAI(api_key="x", base_url=NOWHERE + "/v1")
    return client.responses.create(model="gpt-4o", input="hello").output_text


def anthropic_sync() -> str:
    client = anthropic.Anthropic(api_key="x", base_url=NOWHERE)
    message = client.messages.create(model="claude-3-opus", max_tokens=99, messages=HELLO)
    return message.content[0].text  # type: ignore[union-attr]


def anthropic_async_stream() -> str:
    async def call() -> str:
        async with (
            anthropic.AsyncAnthropic(api_key="x", base_url=NOWHERE) as client,
            client.messages.stream(model="claude-3-opus", max_tokens=99, messages=HELLO) as stream,
        ):
            return "".join([text async for text in stream.text_stream])

    return asyncio.run(call())


def gemini_sync() -> str | None:
    client = gemini_client()  # once it is collected, its connections are closed
    return client.models.generate_content(model="gemini-pro", contents="hello").text


def gemini_stream() -> str:
    client = gemini_client()
    chunks = client.models.generate_content_stream(model="gemini-pro", contents="hello")
    return "".join(chunk.text or "" for chunk in chunks)


def gemini_async() -> str | None:
    async def call() -> str | None:
        client = gemini_client()
        async with client.aio as aio:
            reply = await aio.models.generate_content(model="gemini-pro", contents="hello")
            return reply.text

    return asyncio.run(call())


CALLS: list[Callable[[], str | None]] = [
    openai_sync,
    openai_stream,
    openai_async,
    openai_responses,
    anthropic_sync,
    anthropic_async_stream,
    gemini_sync,
    gemini_stream,
    gemini_async,
]


class Calls(list[LLMCallRecord]):
    def add_call(self, call: LLMCallRecord) -> None:
        self.append(call)


@pytest.fixture
def seen() -> Iterator[Calls]:
    """The LLM calls made in this test."""
    calls = Calls()
    token = current_sink.set(calls)
    yield calls
    current_sink.reset(token)


@pytest.mark.parametrize("call", CALLS)
def test_a_mock_answers_every_sdk(call: Callable[[], str | None], seen: Calls) -> None:
    with Senytl(fallback="error") as senytl:
        senytl.mock("*").when(contains="hello").respond("Hi there, you")
        assert call() == "Hi there, you"
    (record,) = seen
    assert record.mocked
    assert record.usage is not None
    assert record.usage.prompt_tokens > 0
    assert record.usage.source in ("tokenizer", "estimate")


@pytest.mark.parametrize("call", CALLS)
def test_a_call_without_a_mock_fails_as_itself_and_is_not_retried(
    call: Callable[[], str | None], seen: Calls
) -> None:
    with Senytl(fallback="error") as senytl:
        senytl.mock("another").respond("never")
        with pytest.raises(UnmockedCallError, match="prompt begins 'hello'") as caught:
            call()
    (record,) = seen
    assert record.error is not None
    assert record.error.startswith("UnmockedCallError: no mock answers")
    assert caught.value.model in ("gpt-4o", "claude-3-opus", "gemini-pro")
    assert "another for any prompt" in str(caught.value)


def test_tools_reach_the_sdk_as_its_own() -> None:
    with Senytl() as senytl:
        mock = senytl.mock("*")
        mock.respond(tool_calls=[ToolCall("weather", {"city": "Paris"}, "call_1")])
        message = openai_client().chat.completions.create(model="gpt-4o", messages=HELLO).choices[0]
        (tool,) = message.message.tool_calls or []
        assert isinstance(tool, openai.types.chat.ChatCompletionMessageFunctionToolCall)
        assert (tool.id, tool.function.name) == ("call_1", "weather")
        assert json.loads(tool.function.arguments) == {"city": "Paris"}
        client = anthropic.Anthropic(api_key="x", base_url=NOWHERE)
        use = client.messages.create(model="claude-3", max_tokens=9, messages=HELLO).content[-1]
        assert isinstance(use, anthropic.types.ToolUseBlock)
        assert (use.id, use.name, use.input) == ("call_1", "weather", {"city": "Paris"})
        gemini = gemini_client()
        reply = gemini.models.generate_content(model="gemini-pro", contents="hello")
        (called,) = reply.function_calls or []
        assert (called.name, called.args) == ("weather", {"city": "Paris"})


def test_a_loop_of_tools_runs_through_a_sequence() -> None:
    with Senytl(fallback="error") as senytl:
        senytl.mock("gpt-4o").when(contains="hello").respond_sequence(
            [{"tools": {"clock": {}}}, "It is noon."]
        )
        client, messages = openai_client(), list(HELLO)
        first = client.chat.completions.create(model="gpt-4o", messages=messages).choices[0].message
        (tool,) = first.tool_calls or []
        messages.append(first)
        messages.append({"role": "tool", "tool_call_id": tool.id, "content": "12:00"})
        second = client.chat.completions.create(model="gpt-4o", messages=messages)
        assert second.choices[0].message.content == "It is noon."
        with pytest.raises(MockExhaustedError, match="its 2 replies were given already"):
            client.chat.completions.create(model="gpt-4o", messages=messages)


def test_a_stated_usage_reaches_the_sdk_and_the_record(seen: Calls) -> None:
    with Senytl() as senytl:
        senytl.mock("gpt-4o").respond(MockResponse("a", usage=TokenUsage(1000, 50)))
        reply = openai_client().chat.completions.create(model="gpt-4o", messages=HELLO)
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (1000, 50)
    assert seen[0].usage == TokenUsage(1000, 50)


def test_a_call_without_a_mock_goes_through_by_default() -> None:
    with Senytl() as senytl:
        senytl.mock("gpt-4o").when(contains="other").respond("never")
        with pytest.raises(openai.APIConnectionError):
            chat(openai_client())


def test_mocks_stated_after_the_installation_hold() -> None:
    senytl = Senytl()
    senytl.mock("gpt-4o").respond("before")
    client = openai_client()
    senytl.install()
    try:
        assert chat(client) == "before"
        senytl.mock("gpt-4").respond("after")
        assert chat(client, "gpt-4") == "after"
    finally:
        senytl.uninstall()


def test_installing_twice_is_installing_once() -> None:
    before = {module: module.Client.send for module in (httpx, httpx2)}
    senytl = Senytl()
    senytl.mock("gpt-4o").respond("mocked")
    senytl.uninstall()
    senytl.install()
    senytl.install()
    assert chat(openai_client()) == "mocked"
    senytl.uninstall()
    assert {module: module.Client.send for module in (httpx, httpx2)} == before
    with pytest.raises(openai.APIConnectionError):
        chat(openai_client())
    senytl.uninstall()


def test_leaving_an_inner_block_leaves_what_was_installed_before_it() -> None:
    senytl = Senytl(fallback="error")
    senytl.mock("gpt-4o").respond("mocked")
    with senytl:
        with senytl:
            assert chat(openai_client()) == "mocked"
        assert chat(openai_client()) == "mocked"
    with pytest.raises(openai.APIConnectionError):
        chat(openai_client())
    senytl.install()
    with senytl:
        pass
    assert chat(openai_client()) == "mocked"
    senytl.uninstall()


def test_the_session_installed_last_answers_first() -> None:
    outer, inner = Senytl(), Senytl()
    outer.mock("gpt-4o").respond("outer")
    outer.mock("gpt-4").respond("outer")
    inner.mock("gpt-4o").respond("inner")
    with outer:
        with inner:
            assert chat(openai_client()) == "inner"
            assert chat(openai_client(), "gpt-4") == "outer"
        assert chat(openai_client()) == "outer"


@pytest.mark.parametrize("strict", ["outer", "inner"])
def test_a_mock_of_any_session_spares_a_call_the_error(strict: str) -> None:
    outer = Senytl(fallback="error" if strict == "outer" else "pass")
    inner = Senytl(fallback="error" if strict == "inner" else "pass")
    outer.mock("gpt-4").respond("outer")
    inner.mock("gpt-4o").respond("inner")
    with outer, inner:
        assert chat(openai_client(), "gpt-4") == "outer"
        with pytest.raises(UnmockedCallError, match="gpt-4o for any prompt") as caught:
            chat(openai_client(), "gpt-5")
    if strict == "inner":
        assert "gpt-4 for any prompt" in str(caught.value)


def test_a_fallback_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="fallback is 'real'; it is 'pass' or 'error'"):
        Senytl(fallback="real")  # type: ignore[arg-type]


def test_wrapping_a_wrapped_agent_gives_the_same() -> None:
    senytl = Senytl()
    agent = senytl.wrap(str.upper)
    assert senytl.wrap(agent) is agent


def test_a_strict_session_with_mocks_that_is_not_installed_runs_no_agent() -> None:
    senytl = Senytl(fallback="error")
    senytl.mock("gpt-4o").respond("hi")
    agent = senytl.wrap(lambda: chat(openai_client()))
    with pytest.raises(SenytlError, match="has mocks and is not installed"):
        agent.run()
    with senytl:
        assert agent.run().text == "hi"


def test_a_session_with_mocks_that_is_not_installed_says_so_once() -> None:
    senytl = Senytl()
    agent = senytl.wrap(lambda: "answer")
    assert agent.run().text == "answer"  # without mocks there is nothing to say
    senytl.mock("gpt-4o").respond("hi")
    with pytest.warns(UserWarning, match="has mocks and is not installed") as caught:
        assert [agent.run().text for _ in range(2)] == ["answer"] * 2
    assert [warning.filename for warning in caught] == [__file__]


def test_a_session_that_answers_for_a_model_server_need_not_be_installed() -> None:
    senytl = Senytl(fallback="error")
    senytl.mock("gpt-4o").respond("hi")
    assert senytl.answerer is not None
    assert senytl.wrap(lambda: "answer").run().text == "answer"
