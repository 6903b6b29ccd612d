"""Many threads and tasks of mixed SDKs: no call is lost, and none is attributed wrongly.

The number of a user is in each of its prompts and comes back in the tokens of each reply, so that
a call in the wrong place shows in the sums of two requests.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from threading import Barrier, Thread
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google import genai
from tests.sdk.wires import written

from senytl import Senytl, performance
from senytl.capture import PendingCall, current_sink, open_scope
from senytl.models import LLMCallRecord, MockResponse, TokenUsage
from senytl.performance import PerformanceMetrics

pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)

THREADS = 100
TASKS = 1000
SERVED_TASKS = 200
FIRST = 1000  # the lowest number of a user: no sum of some numbers is a multiple of another one


@dataclass
class Model:
    """Where the calls of a test go: to a server, or nowhere since a mock answers."""

    url: str
    server: Any = None

    def expect(self, calls: int) -> None:
        """Compare with what the server got; a mock has let nothing through."""
        assert len(self.server.requests) == (0 if self.is_mocked else calls)

    @property
    def is_mocked(self) -> bool:
        return self.url == "http://model.test"


def number_of(request: Any) -> int:
    found = re.search(r"user (\d+)", str(request))
    assert found is not None
    return int(found[1])


def echo(call: PendingCall) -> MockResponse:
    """Answer with the number of the user who asks."""
    number = number_of(call.request)
    return MockResponse(f"to {number}", usage=TokenUsage(number, 2))


@pytest.fixture(params=["mocked", "served"])
def model(request: pytest.FixtureRequest, server: Any, answered: Any) -> Iterator[Model]:
    def answer(path: str, body: Any) -> Any:
        number = number_of(body)
        pieces = written(path, body, f"to {number}", (number, 2))
        kind = "application/json" if len(pieces) == 1 else "text/event-stream"
        return answered(pieces, headers={"content-type": kind})

    server.answer = answer
    if request.param == "served":
        yield Model(server.url(""), server)
        return
    with Senytl(fallback="error") as senytl:
        senytl.mock("*").respond(echo)
        yield Model("http://model.test", server)


def chat(number: int, **more: Any) -> Any:
    return {"model": "gpt-4o", "messages": said_by(number), **more}


def said_by(number: int) -> Any:
    return [{"role": "user", "content": f"I am user {number}."}]


def response(number: int) -> Any:
    return {"model": "gpt-4o", "input": f"I am user {number}."}


def message(number: int) -> Any:
    return {"model": "claude-sonnet-4-6", "max_tokens": 9, "messages": said_by(number)}


def content(number: int) -> Any:
    return {"model": "gemini-2.5-flash", "contents": f"I am user {number}."}


STREAM: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}


def of_chunks(chunks: list[Any]) -> str:
    return "".join(choice.delta.content or "" for one in chunks for choice in one.choices)


def of_deltas(events: list[Any], kind: str) -> str:
    found = [event.delta for event in events if event.type == kind]
    return "".join(delta if isinstance(delta, str) else delta.text for delta in found)


Way = Callable[[int], str]


@contextmanager
def sync_ways(model: Model) -> Iterator[list[Way]]:
    """Eight ways to call a model, each given the user's number and giving the reply's text."""
    google = genai.Client(
        api_key="none", vertexai=False, http_options={"base_url": model.url, "timeout": 60_000}
    )
    with (
        openai.OpenAI(api_key="none", base_url=model.url + "/v1", max_retries=0) as oai,
        anthropic.Anthropic(api_key="none", base_url=model.url, max_retries=0) as claude,
    ):
        create: Any = oai.chat.completions.create
        respond: Any = oai.responses.create
        ask: Any = claude.messages.create
        generate: Any = google.models.generate_content
        stream: Any = google.models.generate_content_stream
        yield [
            lambda n: create(**chat(n)).choices[0].message.content,
            lambda n: of_chunks(list(create(**chat(n, **STREAM)))),
            lambda n: respond(**response(n)).output_text,
            lambda n: of_deltas(
                list(respond(**response(n), stream=True)), "response.output_text.delta"
            ),
            lambda n: ask(**message(n)).content[0].text,
            lambda n: of_deltas(list(ask(**message(n), stream=True)), "content_block_delta"),
            lambda n: generate(**content(n)).text,
            lambda n: "".join(chunk.text for chunk in stream(**content(n))),
        ]
    google.close()


AsyncWay = Callable[[int], Awaitable[str]]


async def every(values: Awaitable[Any]) -> list[Any]:
    return [value async for value in await values]


@asynccontextmanager
async def async_ways(model: Model) -> AsyncIterator[list[AsyncWay]]:
    """The same without threads: Google's SDK over aiohttp, and over httpx2."""
    async with (
        openai.AsyncOpenAI(api_key="none", base_url=model.url + "/v1", max_retries=0) as oai,
        anthropic.AsyncAnthropic(api_key="none", base_url=model.url, max_retries=0) as claude,
        httpx2.AsyncClient(trust_env=False, timeout=60) as inner,
    ):
        by_aiohttp = genai.Client(
            api_key="none", vertexai=False, http_options={"base_url": model.url}
        )
        by_httpx2 = genai.Client(
            api_key="none",
            vertexai=False,
            http_options=genai.types.HttpOptions(base_url=model.url, httpx_async_client=inner),
        )
        create: Any = oai.chat.completions.create
        respond: Any = oai.responses.create
        ask: Any = claude.messages.create

        async def completed(n: int) -> Any:
            return (await create(**chat(n))).choices[0].message.content

        async def completed_in_chunks(n: int) -> str:
            return of_chunks(await every(create(**chat(n, **STREAM))))

        async def responded(n: int) -> Any:
            return (await respond(**response(n))).output_text

        async def responded_in_chunks(n: int) -> str:
            events = await every(respond(**response(n), stream=True))
            return of_deltas(events, "response.output_text.delta")

        async def said(n: int) -> Any:
            return (await ask(**message(n))).content[0].text

        async def said_in_chunks(n: int) -> str:
            return of_deltas(await every(ask(**message(n), stream=True)), "content_block_delta")

        def generating(client: Any) -> list[AsyncWay]:
            async def generated(n: int) -> Any:
                return (await client.aio.models.generate_content(**content(n))).text

            async def generated_in_chunks(n: int) -> str:
                chunks = await every(client.aio.models.generate_content_stream(**content(n)))
                return "".join(chunk.text for chunk in chunks)

            return [generated, generated_in_chunks]

        yield [
            completed, completed_in_chunks, responded, responded_in_chunks, said, said_in_chunks,
            *generating(by_aiohttp), *generating(by_httpx2),
        ]  # fmt: skip
        for client in (by_aiohttp, by_httpx2):
            await client.aio.aclose()
            client.close()


def check(calls: list[LLMCallRecord], number: int, count: int) -> None:
    assert len(calls) == count
    assert {call.usage for call in calls} == {TokenUsage(number, 2)}
    assert {call.response.text for call in calls} == {f"to {number}"}
    assert {number_of(call.request) for call in calls} == {number}


def check_run(metrics: PerformanceMetrics, users: int, calls: int) -> None:
    """Each request has its own user's tokens, of so many calls."""
    assert metrics.errors == []
    assert metrics.total_requests == users
    assert metrics.llm_calls == users * calls
    assert metrics.unattributed_calls == 0
    assert set(metrics.calls_per_request) == {calls}
    found = sorted(usage.prompt_tokens for usage in metrics.token_usage)
    assert found == [calls * (FIRST + user) for user in range(users)]
    assert {usage.completion_tokens for usage in metrics.token_usage} == {2 * calls}
    assert set(metrics.token_sources) == {"provider"}


def test_every_call_of_100_threads_is_recorded_once_where_it_belongs(
    model: Model, sink: Any
) -> None:
    barrier = Barrier(THREADS)

    def agent(ways: list[Way], number: int) -> list[LLMCallRecord]:
        mine = type(sink)()
        token = current_sink.set(mine)
        barrier.wait()
        first = number % len(ways)
        for way in ways[first:] + ways[:first]:
            assert way(number) == f"to {number}"
        current_sink.reset(token)
        calls: list[LLMCallRecord] = mine.calls
        return calls

    with (
        open_scope(unattributed=sink),
        sync_ways(model) as ways,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        numbers = range(FIRST, FIRST + THREADS)
        everyones = list(pool.map(lambda number: agent(ways, number), numbers))
    for number, calls in zip(numbers, everyones, strict=True):
        check(calls, number, len(ways))
        assert len({call.api for call in calls}) == 4
        assert sum(call.streamed for call in calls) == 4
    assert sink.calls == []
    model.expect(THREADS * len(ways))


def test_every_call_of_1000_tasks_is_recorded_once_where_it_belongs(
    model: Model, sink: Any
) -> None:
    numbers = range(FIRST, FIRST + (TASKS if model.is_mocked else SERVED_TASKS))

    async def run() -> list[list[LLMCallRecord]]:
        async with async_ways(model) as ways:

            async def agent(number: int) -> list[LLMCallRecord]:
                mine = type(sink)()
                current_sink.set(mine)
                for step in (0, 3):
                    assert await ways[(number + step) % len(ways)](number) == f"to {number}"
                calls: list[LLMCallRecord] = mine.calls
                return calls

            return await asyncio.gather(*(agent(number) for number in numbers))

    with open_scope(unattributed=sink):
        everyones = asyncio.run(run())
    for number, calls in zip(numbers, everyones, strict=True):
        check(calls, number, 2)
    assert sink.calls == []
    model.expect(len(numbers) * 2)


def test_a_load_of_100_users_whose_agents_have_threads_of_their_own(model: Model) -> None:
    numbers = itertools.count(FIRST)

    with sync_ways(model) as ways:

        @performance.load_test(concurrent_users=THREADS, iterations=1)
        def agent() -> None:
            number = next(numbers)
            mine = [ways[(number + step) % len(ways)] for step in range(4)]
            said: list[str] = []
            thread = Thread(target=lambda: said.append(mine[0](number)))
            thread.start()
            with ThreadPoolExecutor(2) as pool:
                said += pool.map(lambda way: way(number), mine[1:3])
            said.append(mine[3](number))
            thread.join()
            assert said == [f"to {number}"] * 4

        metrics = agent()
    check_run(metrics, THREADS, 4)
    model.expect(THREADS * 4)


def test_a_load_of_1000_tasks_whose_agents_share_a_pool_of_threads(model: Model) -> None:
    numbers = itertools.count(FIRST)
    users = TASKS if model.is_mocked else SERVED_TASKS

    async def load(pool: ThreadPoolExecutor, ways: list[Way]) -> PerformanceMetrics:
        async with async_ways(model) as own:

            @performance.load_test(concurrent_users=users, iterations=1)
            async def agent() -> None:
                number = next(numbers)
                way = ways[number % len(ways)]
                loop = asyncio.get_running_loop()
                in_a_thread: Awaitable[str] = (
                    asyncio.to_thread(way, number)
                    if number % 3 == 0
                    else loop.run_in_executor(pool, way, number)
                )
                said = await asyncio.gather(own[number % len(own)](number), in_a_thread)
                assert list(said) == [f"to {number}"] * 2

            return await agent()

    with sync_ways(model) as ways, ThreadPoolExecutor(8) as pool:
        metrics = asyncio.run(load(pool, ways))
    check_run(metrics, users, 2)
    model.expect(users * 2)
