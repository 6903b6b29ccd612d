"""The hook on aiohttp's sessions, which google-genai's async client uses where it can."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

from senytl.capture.begin import Sending, begin
from senytl.capture.calls import warn
from senytl.capture.exchange import Exchange
from senytl.capture.hooks.aiohttp_answers import answering_session
from senytl.capture.hooks.patching import Seat
from senytl.capture.recognition import is_candidate
from senytl.capture.scope import ask, is_open

__all__ = ["seats"]


def seats(module: ModuleType) -> Iterator[Seat]:
    """The method of aiohttp to wrap: not a public one, but the one below all that are."""
    if not all(hasattr(module.ClientSession, name) for name in ("_request", "_build_url")):
        warn(
            f"senytl cannot see LLM calls made through aiohttp {module.__version__}: its sessions "
            "have changed. Calls of SDKs that use it (google-genai's async client) are missing "
            "from every figure; use an older aiohttp, or give the SDK an httpx2 client."
        )
        return
    yield Seat(module.ClientSession, "_request", lambda request: _wrap(module, request))


def _wrap(module: ModuleType, original: Callable[..., Any]) -> Callable[..., Any]:
    async def _request(self: Any, method: str, url: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _begin(self, method, url, kwargs)
        if exchange is None:
            return await original(self, method, url, *args, **kwargs)
        try:
            answer = ask(exchange.call)
        except BaseException as error:
            exchange.refused(error)
            raise
        try:
            with Sending(exchange):
                if answer is None or self.closed:
                    response = await original(self, method, url, *args, **kwargs)
                else:
                    exchange.answered(answer)
                    seen = {key: kwargs.get(key) for key in ("headers", "trace_request_ctx")}
                    full = _full_url(self, url, kwargs)
                    session = answering_session(module, self, *exchange.recognised.write(answer))
                    try:
                        response = await original(session, method, full, **seen)
                    finally:
                        session.detach()
        except BaseException as error:
            exchange.fail(error)
            raise
        exchange.stream(response.status, b"".join)  # aiohttp decompresses by itself
        response.content = _RecordingReader(response.content, exchange)
        return response

    return _request


def _begin(session: Any, method: str, url: Any, kwargs: dict[str, Any]) -> Exchange | None:
    if method.upper() != "POST" or not is_open():
        return None
    if not is_candidate("POST", str(url).partition("?")[0]):
        return None
    body = kwargs.get("json") if kwargs.get("data") is None else kwargs["data"]
    if not isinstance(body, bytes | str | dict):
        return None
    try:
        full = _full_url(session, url, kwargs)
    except (AssertionError, TypeError, ValueError):
        return None  # aiohttp will say what is wrong with it
    return begin(full.host or "", full.raw_path, full.query_string, body)


def _full_url(session: Any, url: Any, kwargs: dict[str, Any]) -> Any:
    """The address that the session would call."""
    full = session._build_url(url)
    return full.update_query(kwargs["params"]) if kwargs.get("params") else full


class _RecordingReader:
    """The body of a response, telling an exchange what is read from it.

    It stands in front of aiohttp's StreamReader, into which aiohttp goes on feeding the body.
    """

    def __init__(self, inner: Any, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __del__(self) -> None:
        self._exchange.abandon()

    async def read(self, n: int = -1) -> bytes:
        return await self._note(self._inner.read(n))

    async def readany(self) -> bytes:
        return await self._note(self._inner.readany())

    async def readline(self, **limits: Any) -> bytes:
        return await self._note(self._inner.readline(**limits))

    async def readuntil(self, separator: bytes = b"\n", **limits: Any) -> bytes:
        return await self._note(self._inner.readuntil(separator, **limits))

    async def readexactly(self, n: int) -> bytes:
        return await self._note(self._inner.readexactly(n))

    async def readchunk(self) -> tuple[bytes, bool]:
        asked = time.perf_counter()
        try:
            chunk, ends = await self._inner.readchunk()
        except BaseException as error:
            self._exchange.fail(error)
            raise
        self._received(chunk, asked)
        return chunk, ends

    def read_nowait(self, n: int = -1) -> bytes:
        asked = time.perf_counter()
        chunk: bytes = self._inner.read_nowait(n)
        self._received(chunk, asked)
        return chunk

    def iter_any(self) -> AsyncIterator[bytes]:
        return self._iterate(self.readany)

    def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        return self._iterate(lambda: self.read(n))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._iterate(self.readline)

    async def iter_chunks(self) -> AsyncIterator[tuple[bytes, bool]]:
        while True:
            chunk, ends = await self.readchunk()
            if not chunk and not ends:
                return
            yield chunk, ends

    def set_exception(self, *args: Any) -> None:
        """Pass on how aiohttp says that the response is closed."""
        self._inner.set_exception(*args)
        self._exchange.abandon()

    async def _iterate(self, read: Callable[[], Any]) -> AsyncIterator[bytes]:
        while chunk := await read():
            yield chunk

    async def _note(self, reading: Any) -> bytes:
        asked = time.perf_counter()
        try:
            chunk: bytes = await reading
        except BaseException as error:
            self._exchange.fail(error)
            raise
        self._received(chunk, asked)
        return chunk

    def _received(self, chunk: bytes, asked: float) -> None:
        if chunk:
            self._exchange.received(chunk, asked)
        if self._inner.at_eof():
            self._exchange.end()
