"""Calls that an agent makes in threads of its own, under a load test with real clients."""

from __future__ import annotations

import itertools
import queue
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from typing import Any

import openai
import pytest
from tests.sdk.wires import written

from senytl import performance
from senytl.performance import PerformanceMetrics

USERS = 12
FIRST = 1000


@pytest.fixture
def client(server: Any, answered: Any) -> Iterator[openai.OpenAI]:
    """A client of a server that counts the user's number as the tokens of its prompt."""

    def answer(path: str, body: Any) -> Any:
        found = re.search(r"user (\d+)", str(body))
        assert found is not None
        pieces = written(path, body, "Hello, you.", (int(found[1]), 2))
        kind = "application/json" if len(pieces) == 1 else "text/event-stream"
        return answered(pieces, headers={"content-type": kind})

    server.answer = answer
    with openai.OpenAI(api_key="none", base_url=server.url("/v1"), max_retries=0) as client:
        yield client


def ask(client: openai.OpenAI, number: int, stream: bool = False) -> None:
    more: Any = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    messages: Any = [{"role": "user", "content": f"I am user {number}."}]
    reply = client.chat.completions.create(model="gpt-4o", messages=messages, **more)
    if stream:
        list(reply)


def check(metrics: PerformanceMetrics, server: Any, calls: int) -> None:
    """Each user's request has all of its calls, and no other's."""
    assert metrics.errors == []
    assert metrics.unattributed_calls == 0
    assert metrics.llm_calls == len(server.requests) == USERS * calls
    assert set(metrics.calls_per_request) == {calls}
    found = sorted(usage.prompt_tokens for usage in metrics.token_usage)
    assert found == [calls * (FIRST + user) for user in range(USERS)]


def test_nasty_15_a_thread_subclass_that_overrides_run(client: openai.OpenAI, server: Any) -> None:
    class Worker(Thread):
        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

        def run(self) -> None:
            ask(client, self.number)
            ask(client, self.number, stream=True)

    numbers = itertools.count(FIRST)

    @performance.load_test(concurrent_users=USERS, iterations=1)
    def agent() -> None:
        workers = [Worker(number) for number in [next(numbers)] * 2]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    check(agent(), server, 4)


def test_nasty_15_a_pool_that_the_users_of_a_load_test_share(
    client: openai.OpenAI, server: Any
) -> None:
    numbers = itertools.count(FIRST)
    with ThreadPoolExecutor(3) as pool:

        @performance.load_test(concurrent_users=USERS, iterations=1)
        def agent() -> None:
            number = next(numbers)
            futures = [pool.submit(ask, client, number, stream) for stream in (False, True, False)]
            for future in futures:
                future.result()

        metrics = agent()
    check(metrics, server, 3)


def test_nasty_15_a_queue_fed_worker_is_counted_as_unattributed(
    client: openai.OpenAI, server: Any
) -> None:
    """It was there before any request, so its calls are nobody's: counted, and said."""
    work: queue.Queue[tuple[int, Event] | None] = queue.Queue()

    def serve() -> None:
        while (item := work.get()) is not None:
            number, done = item
            ask(client, number)
            done.set()

    worker = Thread(target=serve)
    worker.start()
    numbers = itertools.count(FIRST)

    @performance.load_test(concurrent_users=USERS, iterations=1)
    def agent() -> None:
        number, done = next(numbers), Event()
        work.put((number, done))
        done.wait(30)
        ask(client, number)

    metrics = agent()
    work.put(None)
    worker.join()
    assert metrics.llm_calls == len(server.requests) == 2 * USERS
    assert metrics.unattributed_calls == USERS
    assert any("could not be attributed" in warning for warning in metrics.warnings)
    total = sum(usage.prompt_tokens for usage in metrics.token_usage)
    assert total == 2 * sum(range(FIRST, FIRST + USERS))  # none is lost


def test_nasty_15_a_queue_fed_worker_that_the_first_request_started(
    client: openai.OpenAI, server: Any
) -> None:
    """What it does for others later is not counted with the request that started it."""
    work: queue.Queue[tuple[int, Event] | None] = queue.Queue()
    workers: list[Thread] = []

    def serve() -> None:
        while (item := work.get()) is not None:
            number, done = item
            ask(client, number)
            done.set()

    numbers = itertools.count(FIRST)

    @performance.load_test(concurrent_users=1, iterations=4)
    def agent() -> None:
        if not workers:
            workers.append(Thread(target=serve))
            workers[0].start()
        done = Event()
        work.put((next(numbers), done))
        done.wait(30)

    metrics = agent()
    work.put(None)
    workers[0].join()
    assert metrics.llm_calls == len(server.requests) == 4
    assert metrics.unattributed_calls == 3
    assert metrics.token_usage[0].prompt_tokens == FIRST
