"""What the capture tests share: a sink, an open scope, ways to call, answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from senytl.capture import CaptureScope, PendingCall, open_scope
from senytl.capture.captured import llm_calls_of
from senytl.capture.playback import Playback
from senytl.capture.recognition import Recognised
from senytl.models import LLMCallRecord, MockResponse

CHAT_EVENTS = [
    b'data: {"model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n',
    b'data: {"model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"lo"}}]}\n\n',
    b'data: {"model":"gpt-4o-mini","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}\n\n',
    b"data: [DONE]\n\n",
]


@dataclass
class Sink:
    calls: list[LLMCallRecord] = field(default_factory=list)

    def add_call(self, call: LLMCallRecord) -> None:
        self.calls += llm_calls_of([call])

    @property
    def only(self) -> LLMCallRecord:
        assert len(self.calls) == 1, self.calls
        return self.calls[0]


class Way:
    """One library, used one way; whatever the way, a test reads the same."""

    def __init__(self, module: ModuleType, is_async: bool) -> None:
        self.module = module
        self.is_async = is_async

    def __str__(self) -> str:
        return f"{self.module.__name__}-{'async' if self.is_async else 'sync'}"

    def client(self, **options: Any) -> Any:
        kind = self.module.AsyncClient if self.is_async else self.module.Client
        return kind(trust_env=False, **options)

    def post(self, url: str, body: object, client: Any = None) -> Any:
        if not self.is_async:
            with client or self.client() as open_client:
                return open_client.post(url, json=body)

        async def run() -> Any:
            async with client or self.client() as open_client:
                return await open_client.post(url, json=body)

        return asyncio.run(run())

    def stream(self, url: str, body: object, limit: int | None = None, client: Any = None) -> bytes:
        """Read a stream, or only its first `limit` pieces, and close it."""
        read: list[bytes] = []
        if not self.is_async:
            with client or self.client() as open_client:
                with open_client.stream("POST", url, json=body) as response:
                    for piece in response.iter_bytes():
                        read.append(piece)
                        if len(read) == limit:
                            break
                return b"".join(read)

        async def run() -> bytes:
            async with (
                client or self.client() as open_client,
                open_client.stream("POST", url, json=body) as response,
            ):
                async for piece in response.aiter_bytes():
                    read.append(piece)
                    if len(read) == limit:
                        break
            return b"".join(read)

        return asyncio.run(run())


WAYS = [Way(module, is_async) for module in (httpx, httpx2) for is_async in (False, True)]


@dataclass
class Says:
    """An answer: what a model says, or a response to play."""

    what: MockResponse | Playback

    def play(self, recognised: Recognised) -> Playback:
        return recognised.play(self.what) if isinstance(self.what, MockResponse) else self.what


class Answers:
    def __init__(self, answer: MockResponse | Playback | Exception | None) -> None:
        self.answer_ = answer
        self.asked: list[PendingCall] = []

    def answer(self, call: PendingCall) -> Says | None:
        self.asked.append(call)
        if isinstance(self.answer_, Exception):
            raise self.answer_
        return None if self.answer_ is None else Says(self.answer_)


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def scope(sink: Sink) -> Iterator[CaptureScope]:
    with open_scope(unattributed=sink) as scope:
        yield scope


@pytest.fixture
def chat() -> dict[str, Any]:
    """The body of a chat request."""
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def events() -> list[bytes]:
    """The pieces of a streamed chat reply that says Hello."""
    return list(CHAT_EVENTS)


@pytest.fixture(params=WAYS, ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


@pytest.fixture
def plain() -> Way:
    """One way, where the way makes no difference."""
    return Way(httpx2, is_async=False)


@pytest.fixture
def answers() -> Callable[[MockResponse | Playback | Exception | None], Answers]:
    """Make an answerer that always says the same."""
    return Answers
