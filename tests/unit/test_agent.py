from __future__ import annotations

import asyncio
import copy
import functools
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from senytl import Senytl, performance
from senytl.agent import WrappedAgent
from senytl.capture import current_sink
from senytl.models import LLMCallRecord, SenytlResponse

NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture
def senytl() -> Iterator[Senytl]:
    """A session whose models answer ``"re: "`` and the model's name."""
    with Senytl(fallback="error") as session:
        for model in ("outer", "inner", "m"):
            session.mock(model).respond(f"re: {model}", tools=[f"tool_{model}"])
        yield session


def ask(model: str, *, stream: bool = False) -> Any:
    client = openai.OpenAI(api_key="x", base_url=NOWHERE, max_retries=0)
    messages: Any = [{"role": "user", "content": "hello"}]
    return client.chat.completions.create(model=model, messages=messages, stream=stream)


async def ask_async(model: str) -> Any:
    async with openai.AsyncOpenAI(api_key="x", base_url=NOWHERE, max_retries=0) as client:
        messages: Any = [{"role": "user", "content": "hello"}]
        return await client.chat.completions.create(model=model, messages=messages)


def models(response: SenytlResponse) -> list[str]:
    return [call.model for call in response.llm_calls]


# What can be wrapped


def answer(query: str) -> str:
    return query.upper()


async def answer_async(query: str) -> str:
    await asyncio.sleep(0)
    return query.upper()


class Runs:
    memory = ("hello",)

    def run(self, query: str, *, suffix: str = "") -> str:
        return query.upper() + suffix

    def invoke(self, query: str) -> str:
        return f"invoked {query}"

    async def ainvoke(self, query: str) -> str:
        return f"ainvoked {query}"

    def __call__(self, query: str) -> str:
        raise AssertionError("run goes before the call")


class Invokes:
    def invoke(self, query: str) -> str:
        return query.upper()


class RunsAsync:
    async def run(self, query: str) -> str:
        return await answer_async(query)


class RunsOnlyAsync:
    async def arun(self, query: str) -> str:
        return await answer_async(query)


class CallableObject:
    def __call__(self, query: str) -> str:
        return query.upper()


class CallableAsyncObject:
    async def __call__(self, query: str) -> str:
        return await answer_async(query)


@pytest.mark.parametrize(
    "agent",
    [
        answer,
        functools.partial(answer),
        Runs(),
        Invokes(),
        CallableObject(),
        CallableObject().__call__,
    ],
)
def test_sync_agents_give_a_response(agent: Any) -> None:
    response = Senytl().wrap(agent).run("hello")
    assert isinstance(response, SenytlResponse)
    assert (response.text, response.raw, response.llm_calls) == ("HELLO", "HELLO", [])


@pytest.mark.parametrize(
    "agent",
    [
        answer_async,
        functools.partial(answer_async),
        lambda query: answer_async(query),
        RunsAsync(),
        RunsOnlyAsync(),
        CallableAsyncObject(),
    ],
)
def test_async_agents_give_an_awaitable_of_a_response(agent: Any) -> None:
    async def main() -> SenytlResponse:
        response: SenytlResponse = await Senytl().wrap(agent).run("hello")
        return response

    response = asyncio.run(main())
    assert (response.text, response.raw) == ("HELLO", "HELLO")


@pytest.mark.parametrize(
    ("agent", "message"),
    [(object(), "an agent is a callable, or has"), (Runs, "wrap an instance of it")],
)
def test_what_is_no_agent_is_refused(agent: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Senytl().wrap(agent)


def test_arguments_reach_the_agent() -> None:
    assert Senytl().wrap(Runs()).run("hello", suffix="!").text == "HELLO!"


def test_the_agents_own_attributes_are_there() -> None:
    agent = Runs()
    wrapped = Senytl().wrap(agent)
    assert wrapped.memory == ("hello",)
    assert wrapped.raw_agent is agent
    assert repr(wrapped) == f"WrappedAgent({agent!r})"
    with pytest.raises(AttributeError, match="plans"):
        _ = wrapped.plans


def test_other_ways_of_running_are_measured_too() -> None:
    wrapped = Senytl().wrap(Runs())
    assert wrapped.invoke("hello").text == "invoked hello"
    assert asyncio.run(wrapped.ainvoke("hello")).text == "ainvoked hello"
    with pytest.raises(AttributeError):
        _ = wrapped.arun


def test_a_wrapped_agent_can_be_copied() -> None:
    wrapped = copy.copy(Senytl().wrap(Runs()))
    assert wrapped.run("hello").text == "HELLO"


# What a response holds


@pytest.mark.parametrize(
    ("raw", "text"),
    [(SimpleNamespace(content="hello"), "hello"), (None, ""), (7, "7"), ({"a": 1}, "{'a': 1}")],
)
def test_the_text_is_found_or_made_of_what_the_agent_gave(raw: Any, text: str) -> None:
    response = Senytl().wrap(lambda: raw).run()
    assert response.text == text
    assert response.raw is raw


def test_an_sdks_response_is_a_text(senytl: Senytl) -> None:
    response = senytl.wrap(ask).run("m")
    assert response.text == "re: m"
    assert isinstance(response.raw, openai.types.chat.ChatCompletion)


def test_a_streaming_agent_is_read_to_its_end(senytl: Senytl) -> None:
    response = senytl.wrap(lambda: ask("m", stream=True)).run()
    assert response.text == "re: m"
    assert len(response.raw) > 1
    assert models(response) == ["m"]

    def chunks() -> Iterator[str]:
        for letter in "abc":
            time.sleep(0.01)
            yield letter

    response = senytl.wrap(chunks).run()
    assert (response.text, response.raw) == ("abc", ["a", "b", "c"])
    assert response.duration_seconds >= 0.03


def test_an_async_streaming_agent_is_read_to_its_end() -> None:
    async def chunks() -> AsyncIterator[str]:
        for letter in "abc":
            await asyncio.sleep(0.01)
            yield letter

    async def later() -> AsyncIterator[str]:
        return chunks()

    async def main(agent: Any) -> SenytlResponse:
        response: SenytlResponse = await Senytl().wrap(agent).run()
        return response

    for agent in (chunks, later):
        response = asyncio.run(main(agent))
        assert response.text == "abc"
        assert response.duration_seconds >= 0.03


def test_the_calls_of_the_run_are_kept_with_their_tools(senytl: Senytl) -> None:
    response = senytl.wrap(lambda: [ask("m"), ask("inner")][1]).run()
    assert models(response) == ["m", "inner"]
    assert [tool.name for tool in response.tool_calls] == ["tool_m", "tool_inner"]


def test_calls_are_seen_without_a_session_installed() -> None:
    def agent() -> str:
        try:
            ask("m")
        except openai.APIConnectionError:
            return "I could not ask."
        return "I asked."

    response = Senytl().wrap(agent).run()
    assert response.text == "I could not ask."
    (call,) = response.llm_calls
    assert (call.model, call.mocked, call.status) == ("m", False, None)
    assert call.error is not None


def test_a_stream_left_half_read_is_a_call_of_the_run(senytl: Senytl) -> None:
    def agent() -> str:
        for chunk in ask("m", stream=True):
            if chunk.choices and chunk.choices[0].delta.content:
                return str(chunk.choices[0].delta.content)
        return ""

    assert models(senytl.wrap(agent).run()) == ["m"]


def test_the_duration_is_that_of_the_run() -> None:
    response = Senytl().wrap(lambda: time.sleep(0.05)).run()
    assert 0.05 <= response.duration_seconds < 0.5


def test_an_async_run_is_timed_from_when_it_is_awaited() -> None:
    async def main() -> SenytlResponse:
        pending = Senytl().wrap(answer_async).run("hello")
        await asyncio.sleep(0.2)
        response: SenytlResponse = await pending
        return response

    assert asyncio.run(main()).duration_seconds < 0.1


def test_runs_side_by_side_keep_their_calls_apart(senytl: Senytl) -> None:
    async def agent(model: str, wait: float) -> Any:
        await asyncio.sleep(wait)
        return await ask_async(model)

    async def main() -> list[SenytlResponse]:
        wrapped = senytl.wrap(agent)
        return list(await asyncio.gather(wrapped.run("m", 0.03), wrapped.run("inner", 0.01)))

    assert [models(response) for response in asyncio.run(main())] == [["m"], ["inner"]]


def test_nothing_is_left_behind() -> None:
    assert current_sink.get() is None
    Senytl().wrap(answer).run("hello")
    with pytest.raises(TypeError):
        Senytl().wrap(answer).run()
    assert current_sink.get() is None


# What a run tells the benchmark around it


class Recorded(list[LLMCallRecord]):
    def add_call(self, call: LLMCallRecord) -> None:
        self.append(call)


@pytest.fixture
def stray() -> Iterator[Recorded]:
    """The calls that belong to no wrapped run."""
    calls = Recorded()
    token = current_sink.set(calls)
    yield calls
    current_sink.reset(token)


def measured(body: Callable[[], Any]) -> performance.PerformanceMetrics:
    """The figures of a benchmark of this body."""
    benchmark: Any = performance.benchmark(body)
    with suppress(LookupError, KeyboardInterrupt):
        benchmark()
    metrics: performance.PerformanceMetrics = benchmark._performance_metrics[-1]
    return metrics


def test_each_run_is_a_request(senytl: Senytl) -> None:
    wrapped = senytl.wrap(lambda: ask("m"))

    def body() -> None:
        wrapped.run()
        wrapped.run()

    metrics = measured(body)
    assert (metrics.total_requests, metrics.failed_requests, metrics.llm_calls) == (2, 0, 2)
    assert [usage.total_tokens > 0 for usage in metrics.token_usage] == [True, True]


def test_of_nested_runs_the_outer_one_is_the_request_and_has_all_calls(senytl: Senytl) -> None:
    inner = senytl.wrap(lambda: ask("inner"))
    responses: list[SenytlResponse] = []

    def delegate() -> str:
        ask("outer")
        responses.append(inner.run())
        return "done"

    outer = senytl.wrap(delegate)
    metrics = measured(lambda: responses.append(outer.run()))
    assert [models(response) for response in responses] == [["inner"], ["outer", "inner"]]
    assert (metrics.total_requests, metrics.llm_calls) == (1, 2)


def test_runs_in_threads_of_the_body_are_requests_of_the_only_one_that_runs(
    senytl: Senytl,
) -> None:
    wrapped = senytl.wrap(ask)

    def body() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(wrapped.run, ["m", "m", "m"]))

    metrics = measured(body)
    assert (metrics.total_requests, metrics.llm_calls) == (3, 3)
    assert [usage.total_tokens > 0 for usage in metrics.token_usage] == [True, True, True]


def test_runs_in_threads_of_a_run_are_no_requests_of_their_own(senytl: Senytl) -> None:
    inner = senytl.wrap(ask)

    def delegate() -> str:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(inner.run, ["m", "m", "m"]))
        return "done"

    metrics = measured(senytl.wrap(delegate).run)
    assert (metrics.total_requests, metrics.llm_calls) == (1, 3)


def test_runs_in_threads_that_the_body_starts_are_requests_of_its_user(senytl: Senytl) -> None:
    wrapped = senytl.wrap(ask)

    @performance.load_test(concurrent_users=2, iterations=1)
    def load() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(wrapped.run, "m").result()

    metrics = load()
    assert (metrics.total_requests, metrics.llm_calls, metrics.unattributed_calls) == (2, 2, 0)


def test_a_nested_run_in_a_thread_with_the_context_belongs_to_the_outer_one(
    senytl: Senytl,
) -> None:
    inner = senytl.wrap(lambda: ask("inner"))

    def delegate() -> str:
        thread = threading.Thread(target=copy_context().run, args=(inner.run,))
        thread.start()
        thread.join()
        return "done"

    wrapped = senytl.wrap(delegate)
    responses: list[SenytlResponse] = []
    metrics = measured(lambda: responses.append(wrapped.run()))
    assert models(responses[0]) == ["inner"]
    assert metrics.total_requests == 1


def test_a_run_in_a_task_that_outlives_the_run_that_started_it_is_its_own_request(
    senytl: Senytl,
) -> None:
    inner = senytl.wrap(ask_async)
    tasks: list[asyncio.Task[SenytlResponse]] = []

    async def later() -> SenytlResponse:
        await asyncio.sleep(0.02)
        response: SenytlResponse = await inner.run("inner")
        return response

    async def delegate() -> str:
        tasks.append(asyncio.create_task(later()))
        return "done"

    outer = senytl.wrap(delegate)

    async def main() -> SenytlResponse:
        response: SenytlResponse = await outer.run()
        await tasks[0]
        return response

    assert models(asyncio.run(main())) == []
    assert models(tasks[0].result()) == ["inner"]


def test_an_agents_error_is_its_own_and_makes_a_failed_request(senytl: Senytl) -> None:
    error = LookupError("no such city")

    def fail() -> str:
        ask("m")
        raise error

    with pytest.raises(LookupError) as caught:
        senytl.wrap(fail).run()
    assert caught.value is error
    metrics = measured(lambda: senytl.wrap(fail).run())
    assert (metrics.total_requests, metrics.failed_requests, metrics.llm_calls) == (1, 1, 1)
    assert [(one.type, one.message) for one in metrics.errors] == [("LookupError", "no such city")]


def test_an_async_agents_error_makes_a_failed_request(senytl: Senytl) -> None:
    async def fail() -> str:
        raise LookupError("no such city")

    metrics = measured(lambda: asyncio.run(senytl.wrap(fail).run()))
    assert (metrics.total_requests, metrics.failed_requests) == (1, 1)


def test_an_interrupted_run_is_no_failure_and_its_calls_are_not_lost(
    senytl: Senytl, stray: Recorded
) -> None:
    def interrupted() -> str:
        ask("m")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        senytl.wrap(interrupted).run()
    assert [call.model for call in stray] == ["m"]
    metrics = measured(lambda: senytl.wrap(interrupted).run())
    assert metrics.failed_requests == 0


def test_wrapped_agents_are_of_the_public_kind() -> None:
    assert isinstance(Senytl().wrap(answer), WrappedAgent)


def test_calls_of_a_run_s_own_thread_that_end_after_it_count_for_its_request(
    senytl: Senytl,
) -> None:
    """In each body a thread calls on after the run has ended, and after the body has."""
    threads: list[threading.Thread] = []
    release = threading.Event()

    def late() -> None:
        release.wait(5)
        ask("m")

    def delegate() -> str:
        threads.append(threading.Thread(target=late))
        threads[-1].start()
        return str(ask("m"))

    wrapped = senytl.wrap(delegate)

    @performance.benchmark(iterations=2)
    def bodies() -> None:
        wrapped.run()
        if len(threads) == 2:
            release.set()
            for thread in threads:
                thread.join()

    bodies()
    metrics = bodies._performance_metrics[-1]  # type: ignore[attr-defined]
    assert (metrics.total_requests, metrics.llm_calls) == (2, 4)


def test_posts_to_the_agent_s_own_endpoint_are_no_calls_of_a_run_either(senytl: Senytl) -> None:
    import httpx2

    def delegate() -> str:
        with httpx2.Client(transport=httpx2.MockTransport(lambda _: httpx2.Response(200))) as own:
            own.post("http://agent/api/chat", json={"message": "Hi"})
        return "done"

    response = WrappedAgent(delegate).run()
    assert response.llm_calls == []
    assert response.tool_calls == []
