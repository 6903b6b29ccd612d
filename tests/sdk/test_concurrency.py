"""Many threads and tasks of mixed SDKs: every call is recorded once, in the right sink."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import anthropic
import openai
import pytest
from google import genai

from senytl.capture import PendingCall, current_sink, open_scope
from senytl.models import LLMCallRecord, MockResponse, TokenUsage

pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)

THREADS = 50
TASKS = 200
CALLS = ["openai-chat", "openai-chat", "openai-responses", "anthropic-messages", "gemini"]


def echo(call: PendingCall) -> MockResponse:
    """Answer with the number of the user who asks."""
    found = re.search(r"user (\d+)", str(call.request))
    assert found is not None
    return MockResponse(f"to {found[1]}", usage=TokenUsage(int(found[1]), 1))


def user(number: int) -> Any:
    return [{"role": "user", "content": f"I am user {number}"}]


def check(number: int, calls: list[LLMCallRecord]) -> None:
    assert [call.api for call in calls] == CALLS
    assert {call.response.text for call in calls} == {f"to {number}"}
    assert {call.usage for call in calls} == {TokenUsage(number, 1)}


def test_threads(sink: Any, answers: Any) -> None:
    barrier = Barrier(THREADS)
    oai = openai.OpenAI(api_key="sk-test")
    claude = anthropic.Anthropic(api_key="sk-ant-test")
    google = genai.Client(api_key="test", vertexai=False)

    def agent(number: int) -> list[LLMCallRecord]:
        mine = type(sink)()
        current_sink.set(mine)
        barrier.wait()
        ask: Any = {"model": "gpt-4o", "messages": user(number)}
        said = oai.chat.completions.create(**ask).choices[0].message.content
        stream: Any = oai.chat.completions.create(**ask, stream=True)
        streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        responded = oai.responses.create(model="gpt-4o", input=user(number)).output_text
        reply: Any = claude.messages.create(
            model="claude-sonnet-4-6", max_tokens=9, messages=user(number)
        )
        generated = google.models.generate_content(
            model="gemini-2.5-flash", contents=f"user {number}"
        )
        texts = {said, streamed, responded, reply.content[0].text, generated.text}
        assert texts == {f"to {number}"}
        current_sink.set(None)
        calls: list[LLMCallRecord] = mine.calls
        return calls

    with (
        open_scope(unattributed=sink, answerer=answers(echo)),
        ThreadPoolExecutor(THREADS) as pool,
    ):
        for number, calls in enumerate(pool.map(agent, range(THREADS))):
            check(number, calls)
    assert sink.calls == []
    oai.close()
    claude.close()
    google.close()


def test_tasks(sink: Any, answers: Any) -> None:
    async def run() -> None:
        async with (
            openai.AsyncOpenAI(api_key="sk-test") as oai,
            anthropic.AsyncAnthropic(api_key="sk-ant-test") as claude,
        ):
            google = genai.Client(api_key="test", vertexai=False)

            async def agent(number: int) -> list[LLMCallRecord]:
                mine = type(sink)()
                current_sink.set(mine)
                ask: Any = {"model": "gpt-4o", "messages": user(number)}
                said = await oai.chat.completions.create(**ask)
                stream: Any = await oai.chat.completions.create(**ask, stream=True)
                streamed = [chunk.choices[0].delta.content or "" async for chunk in stream]
                responded = await oai.responses.create(model="gpt-4o", input=user(number))
                reply: Any = await claude.messages.create(
                    model="claude-sonnet-4-6", max_tokens=9, messages=user(number)
                )
                generated = await google.aio.models.generate_content(
                    model="gemini-2.5-flash", contents=f"user {number}"
                )
                texts = {said.choices[0].message.content, "".join(streamed)}
                texts |= {responded.output_text, reply.content[0].text, generated.text}
                assert texts == {f"to {number}"}
                calls: list[LLMCallRecord] = mine.calls
                return calls

            everyones = await asyncio.gather(*(agent(number) for number in range(TASKS)))
            await google.aio.aclose()
            google.close()
        for number, calls in enumerate(everyones):
            check(number, calls)

    with open_scope(unattributed=sink, answerer=answers(echo)):
        asyncio.run(run())
    assert sink.calls == []
