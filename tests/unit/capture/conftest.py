"""What the capture tests share: a sink, a server on 127.0.0.1, a clean state."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from senytl.capture import CaptureScope, PendingCall, open_scope
from senytl.models import LLMCallRecord, MockResponse

CHAT_REPLY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello!"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}


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
        self.calls.append(call)

    @property
    def only(self) -> LLMCallRecord:
        assert len(self.calls) == 1, self.calls
        return self.calls[0]


class Server(ThreadingHTTPServer):
    """Answers every POST with the reply that was set last."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.headers: dict[str, str] = {"content-type": "application/json"}
        self.pieces: list[bytes] = [json.dumps(CHAT_REPLY).encode()]
        self.pause = 0.0
        self.cut_off = False
        self.requests: list[tuple[str, Any]] = []

    def reply(self, *pieces: bytes, status: int = 200, pause: float = 0.0, **headers: str) -> None:
        self.pieces, self.status, self.pause = list(pieces), status, pause
        self.headers = {key.replace("_", "-"): value for key, value in headers.items()}

    def url(self, path: str = "/v1/chat/completions") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        server = self.server
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        server.requests.append((self.path, json.loads(body) if body else None))
        self.send_response(server.status)
        for name, value in server.headers.items():
            self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for piece in server.pieces:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.flush()
                time.sleep(server.pause)
            if server.cut_off:
                self.close_connection = True
                return
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    def log_message(self, *args: Any) -> None:
        pass


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


class Answers:
    def __init__(self, answer: MockResponse | Exception | None) -> None:
        self.answer_ = answer
        self.asked: list[PendingCall] = []

    def answer(self, call: PendingCall) -> MockResponse | None:
        self.asked.append(call)
        if isinstance(self.answer_, Exception):
            raise self.answer_
        return self.answer_


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def scope(sink: Sink) -> Iterator[CaptureScope]:
    with open_scope(unattributed=sink) as scope:
        yield scope


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


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
def answers() -> Callable[[MockResponse | Exception | None], Answers]:
    """Make an answerer that always says the same."""
    return Answers
