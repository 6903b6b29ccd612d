"""The hook on aiohttp's sessions, which google-genai's async client uses where it can."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from types import ModuleType
from typing import Any

from senytl.capture.begin import Sending, Target, ask_for, begin
from senytl.capture.calls import warn
from senytl.capture.exchange import Exchange
from senytl.capture.hooks.aiohttp_answers import answering_session
from senytl.capture.hooks.patching import Seat
from senytl.capture.recognition import is_candidate
from senytl.capture.retries import retry_headers
from senytl.capture.scope import is_open
from senytl.capture.streams import inflated

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
    _note_own_request(module)
    yield Seat(module.ClientSession, "_request", lambda request: _wrap(module, request))


# aiohttp's own method, below what other libraries put on it, who would answer in a mock's place.
_own_requests: dict[ModuleType, Callable[..., Any]] = {}


def _note_own_request(module: ModuleType) -> None:
    request = inspect.unwrap(module.ClientSession._request)
    code = getattr(request, "__code__", None)
    if code is not None and code.co_filename == module.client.__file__:
        _own_requests[module] = request


def _wrap(module: ModuleType, original: Callable[..., Any]) -> Callable[..., Any]:
    async def _request(self: Any, method: str, url: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _begin(self, method, url, kwargs)
        if exchange is None:
            return await original(self, method, url, *args, **kwargs)
        playback = ask_for(exchange)
        try:
            with Sending(exchange):
                if playback is None or self.closed:
                    response = await original(self, method, url, *args, **kwargs)
                else:
                    seen = {key: kwargs.get(key) for key in ("headers", "trace_request_ctx")}
                    seen["timeout"] = kwargs.get("timeout", self.timeout)
                    seen["raise_for_status"] = kwargs.get("raise_for_status", self.raise_for_status)
                    full = _full_url(self, url, kwargs)
                    session = answering_session(module, self, playback, exchange.start)
                    try:
                        request = _own_requests.get(module, original)
                        response = await request(session, method, full, **seen)
                    finally:
                        session.detach()
        except BaseException as error:
            exchange.fail(error)
            raise
        if exchange.is_observed and response.status >= 400:
            exchange.retry_headers = retry_headers(response.headers)
        if isinstance(response._body, bytes):  # read already, by a middleware or by vcrpy
            content_type = response.headers.get("content-type", "")
            exchange.succeed(response.status, response._body, content_type)
            return response
        exchange.stream(response.status, response.headers.get("content-type", ""))
        is_raw = not kwargs.get("auto_decompress", self.auto_decompress)
        if is_raw and response.headers.get("content-encoding") in ("gzip", "deflate"):
            exchange.decode = inflated
        response.content = _RecordingReader(response.content, exchange)
        return response

    return _request


def _begin(session: Any, method: str, url: Any, kwargs: dict[str, Any]) -> Exchange | None:
    if method.upper() != "POST" or not is_open():
        return None
    if not is_candidate("POST", str(url).partition("?")[0]):
        return None
    body = kwargs.get("json") if kwargs.get("data") is None else kwargs["data"]
    if isinstance(body, dict):
        with suppress(TypeError, ValueError):  # left to the session's own way to write JSON
            body = json.dumps(body).encode()  # the agent may go on to change it
    if not isinstance(body, bytes | str | dict):
        return None
    try:
        full = _full_url(session, url, kwargs)
    except (AssertionError, TypeError, ValueError):
        return None  # aiohttp will say what is wrong with it
    headers = dict(kwargs.get("headers") or ())
    return begin(Target(full.host or "", full.raw_path, full.query_string, body, headers))


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
        # Other libraries have readers of their own, which know less.
        if n >= 0 or type(self._inner).__name__ != "StreamReader":
            return await self._note(self._inner.read(n))
        pieces = []  # piece by piece, as aiohttp does it, so that each has its time
        while piece := await self.readany():
            pieces.append(piece)
        return b"".join(pieces)

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
