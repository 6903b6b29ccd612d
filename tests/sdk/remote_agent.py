"""An agent that knows nothing of senytl: it finds its models by environment variables.

As a program, ``python remote_agent.py NAME...`` runs these ways to call a model one after the other
and prints what each of them got, a JSON object on each line. Names that begin ``async_`` run the
same on an event loop, with the SDK's async client.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import types

PROMPT = "Please: hello!"
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}}
MODELS = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-6", "gemini": "gemini-2.5-flash"}


class Got:
    """What came of a call, and when each of its parts did, in seconds from its start."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.text = ""
        self.tool: tuple[str, Any] | None = None
        self.tokens: tuple[int, int] | None = None
        self.error = ""
        self.times: list[float] = []

    def add(self, text: str | None) -> None:
        if text:
            self.text += text
            self.times.append(time.perf_counter() - self.start)


async def now(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


async def each(values: Any) -> AsyncIterator[Any]:
    if hasattr(values, "__aiter__"):
        async for value in values:
            yield value
    else:
        for value in values:
            yield value


def chat(prompt: str) -> dict[str, Any]:
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
    messages = [{"role": "user", "content": prompt}]
    return {"model": MODELS["openai"], "messages": messages, "tools": [tool]}


async def chat_plain(client: Any, got: Got, prompt: str = PROMPT) -> None:
    reply = await now(client.chat.completions.create(**chat(prompt)))
    message = reply.choices[0].message
    got.add(message.content)
    for call in message.tool_calls or []:
        got.tool = (call.function.name, json.loads(call.function.arguments))
    got.tokens = (reply.usage.prompt_tokens, reply.usage.completion_tokens)


async def chat_tool(client: Any, got: Got) -> None:
    await chat_plain(client, got, "Please: weather!")


async def chat_stream(client: Any, got: Got) -> None:
    options = {"include_usage": True}
    stream = client.chat.completions.create(**chat(PROMPT), stream=True, stream_options=options)
    async for chunk in each(await now(stream)):
        if chunk.usage:
            got.tokens = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
        for choice in chunk.choices:
            got.add(choice.delta.content)


async def responses_stream(client: Any, got: Got) -> None:
    stream = client.responses.create(model=MODELS["openai"], input=PROMPT, stream=True)
    async for event in each(await now(stream)):
        if event.type == "response.output_text.delta":
            got.add(event.delta)
        if event.type == "response.completed":
            got.tokens = (event.response.usage.input_tokens, event.response.usage.output_tokens)


def message(prompt: str) -> dict[str, Any]:
    tool = {"name": "get_weather", "input_schema": SCHEMA}
    messages = [{"role": "user", "content": prompt}]
    return {
        "model": MODELS["anthropic"],
        "max_tokens": 1024,
        "messages": messages,
        "tools": [tool],
    }


async def messages_plain(client: Any, got: Got, prompt: str = PROMPT) -> None:
    reply = await now(client.messages.create(**message(prompt)))
    for block in reply.content:
        if block.type == "tool_use":
            got.tool = (block.name, block.input)
        else:
            got.add(block.text)
    got.tokens = (reply.usage.input_tokens, reply.usage.output_tokens)


async def messages_tool(client: Any, got: Got) -> None:
    await messages_plain(client, got, "Please: weather!")


async def messages_stream(client: Any, got: Got) -> None:
    stream = client.messages.create(**message(PROMPT), stream=True)
    async for event in each(await now(stream)):
        if event.type == "message_start":
            got.tokens = (event.message.usage.input_tokens, 0)
        elif event.type == "message_delta" and got.tokens is not None:
            got.tokens = (got.tokens[0], event.usage.output_tokens)
        elif event.type == "content_block_delta":
            got.add(event.delta.text)


async def gemini_plain(models: Any, got: Got, prompt: str = PROMPT) -> None:
    declaration = types.FunctionDeclaration(name="get_weather", parameters_json_schema=SCHEMA)
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declaration])])
    reply = await now(
        models.generate_content(model=MODELS["gemini"], contents=prompt, config=config)
    )
    for part in reply.candidates[0].content.parts:
        if part.function_call:
            got.tool = (part.function_call.name, part.function_call.args)
        got.add(part.text)
    usage = reply.usage_metadata
    got.tokens = (usage.prompt_token_count, usage.candidates_token_count)


async def gemini_tool(models: Any, got: Got) -> None:
    await gemini_plain(models, got, "Please: weather!")


async def gemini_stream(models: Any, got: Got) -> None:
    stream = models.generate_content_stream(model=MODELS["gemini"], contents=PROMPT)
    async for chunk in each(await now(stream)):
        got.add(chunk.text)
        usage = chunk.usage_metadata
        if usage is not None:
            got.tokens = (usage.prompt_token_count, usage.candidates_token_count)


WAYS = {
    way.__name__: way
    for way in (chat_plain, chat_tool, chat_stream, responses_stream, messages_plain,
                messages_tool, messages_stream, gemini_plain, gemini_tool, gemini_stream)
}  # fmt: skip
NAMES = [prefix + name for prefix in ("", "async_") for name in WAYS]


async def call(name: str, **options: Any) -> Got:
    """Call a model in one of the ways; what the SDK raises stands in the result."""
    is_async = name.startswith("async_")
    name = name.removeprefix("async_")
    gemini: Any = None
    if name.startswith("gemini"):
        gemini = genai.Client()
        client: Any = gemini.aio.models if is_async else gemini.models
    elif name.startswith("messages"):
        client = (anthropic.AsyncAnthropic if is_async else anthropic.Anthropic)(**options)
    else:
        client = (openai.AsyncOpenAI if is_async else openai.OpenAI)(**options)
    got = Got()
    try:
        await WAYS[name](client, got)
    except Exception as error:
        got.error = type(error).__name__
    finally:
        if gemini is not None:
            gemini.close()
            await gemini.aio.aclose()
        else:
            await now(client.close())
    return got


def run(name: str, **options: Any) -> Got:
    return asyncio.run(call(name, **options))


async def at_once(names: list[str]) -> list[Got]:
    return list(await asyncio.gather(*map(call, names)))


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        sys.stdout.write(json.dumps(vars(run(argument))) + "\n")
