"""Answers in the provider's place through aiohttp.

An answer takes aiohttp's own way from a connection to a response: a connector, the point at which
aiohttp's TCP and Unix connectors differ from each other, connects to nothing and plays the answer
back as HTTP. So the response, its streams and its tracing are aiohttp's own.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Iterator, Sequence
from http.client import responses
from types import ModuleType
from typing import Any

from senytl.capture.playback import Ending, Playback
from senytl.models import SenytlError

__all__ = ["answering_session"]


def answering_session(module: ModuleType, session: Any, answer: Playback, start: float) -> Any:
    """A session that answers one call in the place of `session`; detach it once it has.

    Args:
        module: aiohttp.
        session: The user's session; its tracing is kept.
        answer: What to play.
        start: When the call began, on the clock of `time.perf_counter`.

    Raises:
        SenytlError: If this version of aiohttp has no such connectors.
    """
    connector = _connector_type(module)(steps=list(_http(answer, start)))
    return module.ClientSession(
        connector=connector,
        cookie_jar=module.DummyCookieJar(),
        trace_configs=session.trace_configs,
        trust_env=False,
    )


_Step = tuple[float, "bytes | Ending"]
"""What to do when, on the clock of `time.perf_counter`: send bytes, or end the connection."""


def _http(answer: Playback, start: float) -> Iterator[_Step]:
    """The answer as HTTP/1.1, a chunk for each piece."""
    if answer.begins:
        head = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, 'Answer')}"]
        head += [f"{name}: {value}" for name, value in answer.headers.items()]
        head += ["transfer-encoding: chunked", "", ""]
        yield start + answer.head_at, "\r\n".join(head).encode()
    moments = answer.moments or [answer.head_at] * len(answer.pieces)
    for piece, moment in zip(answer.pieces, moments, strict=True):
        yield start + moment, b"%x\r\n%b\r\n" % (len(piece), piece)
    end = start + answer.whole_at
    if answer.ending == "complete":
        yield end, b"0\r\n\r\n"
    else:
        yield end, answer.ending


class _Playback(asyncio.Transport):
    """A connection to nobody: it plays the answer once a request is written."""

    def __init__(self, protocol: Any, steps: Sequence[_Step]) -> None:
        super().__init__()
        self._protocol = protocol
        self._steps = iter(steps)
        self._loop = asyncio.get_running_loop()
        self._due: _Step | None = None
        self._next: asyncio.Handle | None = None
        self._paused = False
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self._schedule()

    def _schedule(self) -> None:
        if self._next is not None or self._paused or self._closing:
            return
        self._due = self._due or next(self._steps, None)
        if self._due is None:
            return
        wait = self._due[0] - time.perf_counter()
        if wait > 0:
            self._next = self._loop.call_later(wait, self._play)
        else:
            self._next = self._loop.call_soon(self._play)

    def _play(self) -> None:
        self._next = None
        step, self._due = self._due, None
        if step is None or self._closing:
            return
        if isinstance(step[1], bytes):
            self._protocol.data_received(step[1])
            self._schedule()
        elif step[1] == "timeout":
            self._protocol._on_read_timeout()
        else:
            self._closing = True
            self._protocol.connection_lost(None)

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self._schedule()

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()


@functools.cache
def _connector_type(module: ModuleType) -> type[Any]:
    base = module.BaseConnector
    if not hasattr(base, "_create_connection"):
        raise SenytlError(
            f"senytl cannot answer calls made through aiohttp {module.__version__}: its connectors "
            "have changed. Use an older aiohttp, or give the SDK an httpx2 client (google-genai: "
            "http_options=HttpOptions(httpx_async_client=...))."
        )

    def init(self: Any, *, steps: Sequence[_Step]) -> None:
        base.__init__(self, force_close=True)
        self._senytl_steps = steps

    async def create_connection(self: Any, request: Any, traces: Any, timeout: Any) -> Any:
        from aiohttp.client_proto import ResponseHandler

        protocol = ResponseHandler(loop=asyncio.get_running_loop())
        protocol.connection_made(_Playback(protocol, self._senytl_steps))
        return protocol

    members = {"__init__": init, "_create_connection": create_connection}
    return type("AnsweringConnector", (base,), members)
