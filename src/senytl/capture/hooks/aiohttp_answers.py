"""Answers in the provider's place through aiohttp.

An answer takes aiohttp's own way from a connection to a response: a connector, the point at which
aiohttp's TCP and Unix connectors differ from each other, connects to nothing and plays the answer
back as HTTP. So the response, its streams and its tracing are aiohttp's own.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from senytl.models import SenytlError

__all__ = ["answering_session"]


def answering_session(
    module: ModuleType, session: Any, content_type: str, pieces: list[bytes]
) -> Any:
    """A session that answers one call in the place of `session`; detach it once it has.

    Args:
        module: aiohttp.
        session: The user's session; its tracing is kept.
        content_type: The answer's content type.
        pieces: The answer's body, as it shall be streamed.

    Raises:
        SenytlError: If this version of aiohttp has no such connectors.
    """
    connector = _connector_type(module)(pieces=_http(content_type, pieces))
    return module.ClientSession(
        connector=connector,
        cookie_jar=module.DummyCookieJar(),
        trace_configs=session.trace_configs,
        trust_env=False,
    )


def _http(content_type: str, pieces: list[bytes]) -> Iterator[bytes]:
    """The answer as HTTP/1.1, a chunk for each piece."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield head.encode()
    for piece in pieces:
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


class _Playback(asyncio.Transport):
    """A connection to nobody: it plays the answer once a request is written."""

    def __init__(self, protocol: asyncio.Protocol, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._protocol = protocol
        self._pieces = pieces
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.Handle | None = None
        self._paused = False
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self._schedule()

    def _schedule(self) -> None:
        if self._next is None and not self._paused and not self._closing:
            self._next = self._loop.call_soon(self._play)

    def _play(self) -> None:
        self._next = None
        piece = next(self._pieces, None)
        if piece is not None and not self._closing:
            self._protocol.data_received(piece)
            self._schedule()

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

    def init(self: Any, *, pieces: Iterator[bytes]) -> None:
        base.__init__(self, force_close=True)
        self._senytl_pieces = pieces

    async def create_connection(self: Any, request: Any, traces: Any, timeout: Any) -> Any:
        from aiohttp.client_proto import ResponseHandler

        protocol = ResponseHandler(loop=asyncio.get_running_loop())
        protocol.connection_made(_Playback(protocol, self._senytl_pieces))
        return protocol

    members = {"__init__": init, "_create_connection": create_connection}
    return type("AnsweringConnector", (base,), members)
