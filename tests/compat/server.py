"""A model server on 127.0.0.1 that speaks the providers' formats, and notes what it served.

Each reply reports token counts that no other reply does, so that a record shows whose it is.
Streams wait before each piece of output.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

from tests.compat import anthropic_wire, cloud_wires, openai_wires
from tests.compat.reply import Event, Reply

__all__ = ["PAUSE", "ModelServer", "Served", "running_server"]

PAUSE = 0.04  # seconds before each piece of output in a stream


@dataclass
class Served:
    """A request that was answered.

    Args:
        path: Its path, without the query.
        request: Its body.
        reply: What was replied.
        streamed: Whether the reply was a stream.
        cached_tokens: Tokens that were reported as cached ones.
        came: When the request was read, on the clock of `time.perf_counter`.
        first_output: When the first piece of output was sent.
        last_output: When the last one was sent.
    """

    path: str
    request: dict[str, Any]
    reply: Reply
    streamed: bool
    cached_tokens: int
    came: float
    first_output: float = 0.0
    last_output: float = 0.0


@dataclass
class ModelServer:
    """Where the server is, and what it has served."""

    url: str = ""
    served: list[Served] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def answer(self, path: str, query: str, request: dict[str, Any]) -> _Answer | None:
        came = time.perf_counter()
        reply = Reply.to(request, next(self._numbers))
        for protocol in _PROTOCOLS:
            if not protocol.speaks(path):
                continue
            streamed = protocol.wants_stream(path, request)
            served = Served(path, request, reply, streamed, protocol.cached_tokens, came)
            self.served.append(served)
            if not streamed:
                return _Answer(
                    served, "application/json", body=protocol.whole(path, request, reply)
                )
            content_type, events = protocol.stream(path, query, request, reply)
            return _Answer(served, content_type, events=events)
        return None


@dataclass
class _Answer:
    served: Served
    content_type: str
    body: bytes = b""
    events: Sequence[Event] = ()


_PROTOCOLS = (*openai_wires.PROTOCOLS, *anthropic_wire.PROTOCOLS, *cloud_wires.PROTOCOLS)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model_server: ModelServer

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length) if length else self._read_chunks()
        path, _, query = self.path.partition("?")
        answer = self.model_server.answer(path, query, json.loads(body or b"{}"))
        if answer is None:
            self._send(404, "application/json", json.dumps({"error": f"no {path}"}).encode())
        elif answer.served.streamed:
            self._stream(answer)
        else:
            self._send(200, answer.content_type, answer.body)

    def do_GET(self) -> None:
        self._send(404, "application/json", b'{"error": "nothing to get"}')

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the tests read `served`."""

    def _read_chunks(self) -> bytes:
        pieces: list[bytes] = []
        if "chunked" in self.headers.get("transfer-encoding", ""):
            while size := int(self.rfile.readline().strip() or b"0", 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        return b"".join(pieces)

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, answer: _Answer) -> None:
        self.send_response(200)
        self.send_header("content-type", answer.content_type)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in answer.events:
            if event.is_output:
                time.sleep(PAUSE)
                now = time.perf_counter()
                answer.served.first_output = answer.served.first_output or now
                answer.served.last_output = now
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event.frame), event.frame))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Leave out clients that hung up: the tests see what came of it."""


@contextmanager
def running_server() -> Iterator[ModelServer]:
    """Run a server, on a free port, for as long as the block."""
    model_server = ModelServer()
    handler = type("Handler", (_Handler,), {"model_server": model_server})
    with _Server(("127.0.0.1", 0), handler) as server:
        model_server.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield model_server
        finally:
            server.shutdown()
            thread.join()
