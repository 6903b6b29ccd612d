"""Response streams of httpx and httpx2 that tell an exchange what passes through them."""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any

from senytl.capture.exchange import Exchange

__all__ = ["async_recording", "decoder", "sync_recording"]


def decoder(module: ModuleType, encoding: str) -> Callable[[Sequence[bytes]], bytes]:
    """Make what joins the pieces of a body as they came over the wire.

    Args:
        module: httpx or httpx2, whose own decoders are used.
        encoding: The response's ``content-encoding``; empty for none.
    """
    if not encoding:
        return b"".join

    def decode(pieces: Sequence[bytes]) -> bytes:
        replay = module.Response(200, headers={"content-encoding": encoding}, content=iter(pieces))
        decoded: list[bytes] = []
        with suppress(module.DecodingError):  # cut off: what came before it counts
            decoded.extend(replay.iter_bytes())
        return b"".join(decoded)

    return decode


class _Recording:
    """A stream around another one. Whoever drops it unread ends its exchange."""

    def __init__(self, inner: Any, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)  # httpx2 and SDKs keep things on the stream: `elapsed`

    def __del__(self) -> None:
        self._exchange.abandon()


class _SyncRecording(_Recording):
    def __iter__(self) -> Iterator[bytes]:
        exchange = self._exchange
        source = iter(self._inner)
        try:
            while True:
                asked = time.perf_counter()
                try:
                    chunk = next(source)
                except StopIteration:
                    exchange.end()
                    return
                except BaseException as error:
                    exchange.fail(error)
                    raise
                exchange.received(chunk, asked)
                yield chunk
        finally:
            exchange.abandon()  # without effect where it has ended

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._exchange.abandon()


class _AsyncRecording(_Recording):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        exchange = self._exchange
        source = self._inner.__aiter__()
        try:
            while True:
                asked = time.perf_counter()
                try:
                    chunk = await source.__anext__()
                except StopAsyncIteration:
                    exchange.end()
                    return
                except BaseException as error:
                    exchange.fail(error)
                    raise
                exchange.received(chunk, asked)
                yield chunk
        finally:
            exchange.abandon()  # without effect where it has ended
            if hasattr(source, "aclose"):
                await source.aclose()

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._exchange.abandon()


@functools.cache
def sync_recording(module: ModuleType) -> type[_SyncRecording]:
    """The recording stream that this module's sync client accepts."""
    return type("RecordingStream", (_SyncRecording, module.SyncByteStream), {})


@functools.cache
def async_recording(module: ModuleType) -> type[_AsyncRecording]:
    """The recording stream that this module's async client accepts."""
    return type("AsyncRecordingStream", (_AsyncRecording, module.AsyncByteStream), {})
