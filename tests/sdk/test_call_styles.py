"""Every way to call a model through the real SDKs: answered by senytl, and answered by a server.

A style is written once for the sync and the async client of its SDK.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

from senytl.capture import flush, open_scope
from senytl.models import MockResponse, TokenUsage, ToolCall
from senytl.performance.pricing import Pricing

pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)

# Dollars per million tokens, as OpenAI, Anthropic and Google print them.
PRICES = {
    "gpt-4o": (Decimal("2.50"), Decimal("10.00")),
    "claude-sonnet-4-6": (Decimal("3.00"), Decimal("15.00")),
    "gemini-2.5-flash": (Decimal("0.30"), Decimal("2.50")),
}
TEXTS = {"hello": "Hello from the other side of the wire.", "weather": ""}
TOOLS = {"hello": [], "weather": [("get_weather", {"city": "Paris"})]}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


@dataclass
class Said:
    """What the SDK's own objects say of a reply."""

    text: str
    tools: list[tuple[str, Any]]
    tokens: tuple[int, int] | None


async def now(value: Any) -> Any:
    """The value, of a sync or an async method."""
    return await value if inspect.isawaitable(value) else value


async def each(values: Any) -> AsyncIterator[Any]:
    if hasattr(values, "__aiter__"):
        async for value in values:
            yield value
    else:
        for value in values:
            yield value


@asynccontextmanager
async def using(manager: Any) -> AsyncIterator[Any]:
    if hasattr(manager, "__aenter__"):
        async with manager as value:
            yield value
    else:
        with manager as value:
            yield value


def run(style: Coroutine[Any, Any, Said], is_async: bool) -> Said:
    """Run a style in an event loop, or without one."""
    if is_async:
        return asyncio.run(style)
    try:
        style.send(None)
    except StopIteration as finished:
        value: Said = finished.value
        return value
    raise AssertionError("a sync style awaited something")


# OpenAI, chat completions

CHAT_TOOL: Any = {
    "type": "function",
    "function": {"name": "get_weather", "strict": True, "parameters": SCHEMA},
}


def chat(prompt: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}]
    return {"model": "gpt-4o", "messages": messages, "tools": [CHAT_TOOL]}


def said_by_completion(completion: Any) -> Said:
    message = completion.choices[0].message
    tools = [
        (call.function.name, json.loads(call.function.arguments))
        for call in message.tool_calls or []
    ]
    usage = completion.usage
    tokens = (usage.prompt_tokens, usage.completion_tokens) if usage else None
    return Said(message.content or "", tools, tokens)


async def chat_create(client: Any, prompt: str) -> Said:
    return said_by_completion(await now(client.chat.completions.create(**chat(prompt))))


async def chat_parse(client: Any, prompt: str) -> Said:
    return said_by_completion(await now(client.chat.completions.parse(**chat(prompt))))


async def chat_raw(client: Any, prompt: str) -> Said:
    raw = await now(client.chat.completions.with_raw_response.create(**chat(prompt)))
    assert raw.status_code == 200
    return said_by_completion(await now(raw.parse()))


async def chat_streaming_response(client: Any, prompt: str) -> Said:
    manager = client.chat.completions.with_streaming_response.create(**chat(prompt))
    async with using(manager) as response:
        return said_by_completion(await now(response.parse()))


async def chat_stream(client: Any, prompt: str) -> Said:
    options = {"include_usage": True}
    stream = client.chat.completions.create(**chat(prompt), stream=True, stream_options=options)
    text, name, arguments, tokens = "", "", "", None
    async for chunk in each(await now(stream)):
        if chunk.usage:
            tokens = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for call in choice.delta.tool_calls or []:
                name += call.function.name or ""
                arguments += call.function.arguments or ""
    return Said(text, [(name, json.loads(arguments))] if name else [], tokens)


async def chat_stream_helper(client: Any, prompt: str) -> Said:
    manager = client.chat.completions.stream(**chat(prompt), stream_options={"include_usage": True})
    async with using(manager) as stream:
        async for _ in each(stream):
            pass
        return said_by_completion(await now(stream.get_final_completion()))


# OpenAI, responses


def ask(prompt: str) -> dict[str, Any]:
    tool = {"type": "function", "name": "get_weather", "strict": True, "parameters": SCHEMA}
    return {"model": "gpt-4o", "input": prompt, "tools": [tool]}


def said_by_response(response: Any) -> Said:
    calls = [item for item in response.output if item.type == "function_call"]
    tools = [(call.name, json.loads(call.arguments)) for call in calls]
    usage = response.usage
    return Said(response.output_text, tools, (usage.input_tokens, usage.output_tokens))


async def responses_create(client: Any, prompt: str) -> Said:
    return said_by_response(await now(client.responses.create(**ask(prompt))))


async def responses_stream(client: Any, prompt: str) -> Said:
    final = None
    async for event in each(await now(client.responses.create(**ask(prompt), stream=True))):
        if event.type == "response.completed":
            final = event.response
    return said_by_response(final)


async def responses_stream_helper(client: Any, prompt: str) -> Said:
    async with using(client.responses.stream(**ask(prompt))) as stream:
        async for _ in each(stream):
            pass
        return said_by_response(await now(stream.get_final_response()))


# Anthropic


def message(prompt: str) -> dict[str, Any]:
    tool = {"name": "get_weather", "input_schema": SCHEMA}
    messages = [{"role": "user", "content": prompt}]
    return {
        "model": "claude-sonnet-4-6",
        "max_tokens": 1024,
        "messages": messages,
        "tools": [tool],
    }


def said_by_message(reply: Any) -> Said:
    text = "".join(block.text for block in reply.content if block.type == "text")
    tools = [(block.name, block.input) for block in reply.content if block.type == "tool_use"]
    return Said(text, tools, (reply.usage.input_tokens, reply.usage.output_tokens))


async def messages_create(client: Any, prompt: str) -> Said:
    return said_by_message(await now(client.messages.create(**message(prompt))))


async def messages_raw(client: Any, prompt: str) -> Said:
    raw = await now(client.messages.with_raw_response.create(**message(prompt)))
    return said_by_message(await now(raw.parse()))


async def messages_stream(client: Any, prompt: str) -> Said:
    text, name, arguments, tokens = "", "", "", [0, 0]
    async for event in each(await now(client.messages.create(**message(prompt), stream=True))):
        if event.type == "message_start":
            tokens[0] = event.message.usage.input_tokens
        elif event.type == "message_delta":
            tokens[1] = event.usage.output_tokens
        elif event.type == "content_block_start" and event.content_block.type == "tool_use":
            name = event.content_block.name
        elif event.type == "content_block_delta":
            text += getattr(event.delta, "text", "")
            arguments += getattr(event.delta, "partial_json", "")
    return Said(text, [(name, json.loads(arguments))] if name else [], (tokens[0], tokens[1]))


async def messages_stream_helper(client: Any, prompt: str) -> Said:
    async with using(client.messages.stream(**message(prompt))) as stream:
        async for _ in each(stream):
            pass
        return said_by_message(await now(stream.get_final_message()))


# Gemini


def contents(prompt: str) -> dict[str, Any]:
    declaration = types.FunctionDeclaration(name="get_weather", parameters_json_schema=SCHEMA)
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declaration])])
    return {"model": "gemini-2.5-flash", "contents": prompt, "config": config}


def said_by_candidates(chunks: list[Any]) -> Said:
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    text = "".join(part.text or "" for part in parts)
    tools = [
        (part.function_call.name, part.function_call.args) for part in parts if part.function_call
    ]
    usage = chunks[-1].usage_metadata
    return Said(text, tools, (usage.prompt_token_count, usage.candidates_token_count))


async def generate_content(models: Any, prompt: str) -> Said:
    return said_by_candidates([await now(models.generate_content(**contents(prompt)))])


async def generate_content_stream(models: Any, prompt: str) -> Said:
    stream = await now(models.generate_content_stream(**contents(prompt)))
    return said_by_candidates([chunk async for chunk in each(stream)])


Style = Callable[[Any, str], Coroutine[Any, Any, Said]]
OPENAI: list[Style] = [
    chat_create,
    chat_parse,
    chat_raw,
    chat_streaming_response,
    chat_stream,
    chat_stream_helper,
    responses_create,
    responses_stream,
    responses_stream_helper,
]
ANTHROPIC: list[Style] = [messages_create, messages_raw, messages_stream, messages_stream_helper]
GEMINI: list[Style] = [generate_content, generate_content_stream]
STYLES = OPENAI + ANTHROPIC + GEMINI
STREAMING: list[Style] = [
    chat_stream,
    chat_stream_helper,
    responses_stream,
    responses_stream_helper,
    messages_stream,
    messages_stream_helper,
    generate_content_stream,
]


@asynccontextmanager
async def client_for(style: Style, base: str, is_async: bool) -> AsyncIterator[Any]:
    """A client of the style's SDK, closed afterwards."""
    async with AsyncExitStack() as stack:
        if style in OPENAI:
            kind: Any = openai.AsyncOpenAI if is_async else openai.OpenAI
            made = kind(api_key="sk-test", base_url=base + "/v1", max_retries=0)
            yield await stack.enter_async_context(using(made))
        elif style in ANTHROPIC:
            kind = anthropic.AsyncAnthropic if is_async else anthropic.Anthropic
            made = kind(api_key="sk-ant-test", base_url=base, max_retries=0)
            yield await stack.enter_async_context(using(made))
        else:
            options = types.HttpOptions(base_url=base, api_version="v1beta")
            client = genai.Client(api_key="test", vertexai=False, http_options=options)
            stack.callback(client.close)
            if is_async:
                stack.push_async_callback(client.aio.aclose)
            yield client.aio.models if is_async else client.models


async def call(style: Style, base: str, is_async: bool, prompt: str) -> Said:
    async with client_for(style, base, is_async) as client:
        return await style(client, prompt)


@pytest.mark.filterwarnings("ignore:FUNCTION_CALL is not a valid FinishReason")  # as aimock says
@pytest.mark.parametrize("word", ["hello", "weather"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("style", STYLES)
def test_a_server_that_counts_is_recorded_to_the_token_and_the_cent(
    style: Style, is_async: bool, word: str, aimock: str, sink: Any, counted: dict[str, Any]
) -> None:
    with open_scope(unattributed=sink):
        said = run(call(style, aimock, is_async, f"Please: {word}!"), is_async)
        flush(sink)
    sent = (counted[word]["prompt_tokens"], counted[word]["completion_tokens"])
    assert said == Said(TEXTS[word], TOOLS[word], sent)
    record = sink.only
    assert record.usage == TokenUsage(*sent)
    assert record.response.text == said.text
    assert [(tool.name, tool.arguments) for tool in record.response.tool_calls] == said.tools
    assert (record.status, record.error, record.mocked) == (200, None, False)
    assert record.streamed == (style in STREAMING)
    prompt_price, completion_price = PRICES[record.model]
    cost = Pricing().price(
        record.usage,
        record.model,
        record.provider,
        record.service_tier,
        record.timestamp,
        record.response_model,
    )
    assert cost is not None
    expected = (sent[0] * prompt_price + sent[1] * completion_price) / 1_000_000
    assert cost.total_cost == pytest.approx(float(expected), rel=1e-12)


ANSWERS = {
    "hello": MockResponse(
        TEXTS["hello"], usage=TokenUsage(1117, 246, cached_tokens=100, reasoning_tokens=40)
    ),
    "weather": MockResponse(
        tool_calls=(ToolCall("get_weather", {"city": "Paris"}),), usage=TokenUsage(4100, 123)
    ),
}


@pytest.mark.parametrize("word", ["hello", "weather"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("style", STYLES)
def test_an_answer_comes_out_as_the_sdks_own_objects(
    style: Style, is_async: bool, word: str, sink: Any, answers: Any
) -> None:
    answer = ANSWERS[word]
    with open_scope(unattributed=sink, answerer=answers(lambda call: answer)):
        said = run(call(style, "http://model.test", is_async, f"Please: {word}!"), is_async)
    usage = answer.usage
    assert usage is not None
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    if style in ANTHROPIC:  # its wire format counts cached tokens apart
        prompt -= usage.cached_tokens
    if style in GEMINI:  # and Gemini's counts thoughts apart
        completion -= usage.reasoning_tokens
    assert said == Said(TEXTS[word], TOOLS[word], (prompt, completion))
    record = sink.only
    assert record.mocked
    assert record.usage is usage
    assert record.response is answer
