"""Response streams of httpx and httpx2 that tell an exchange what passes through them."""

from __future__ import annotations

import functools
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from time import perf_counter
from types import ModuleType
from typing import Any

from senytl.capture.exchange import Exchange

__all__ = ["async_recording", "decoder", "inflated", "sync_recording"]


def decoder(module: ModuleType, encoding: str) -> Callable[[Sequence[bytes]], Sequence[bytes]]:
    """Make what undoes the compression of a body that came in pieces.

    Args:
        module: httpx or httpx2, whose own decoders are used.
        encoding: The response's ``content-encoding``.

    Returns:
        A function that gives a piece for each that it gets: what could be decoded with it.
    """

    def decode(pieces: Sequence[bytes]) -> Sequence[bytes]:
        decoded = [b""] * len(pieces)
        given = 0

        def give() -> Iterator[bytes]:
            nonlocal given
            for piece in pieces:
                given += 1
                yield piece

        replay = module.Response(200, headers={"content-encoding": encoding}, content=give())
        with suppress(module.DecodingError):  # cut off: what came before it counts
            for part in replay.iter_bytes():
                decoded[given - 1] += part
        return decoded

    return decode


def inflated(pieces: Sequence[bytes]) -> Sequence[bytes]:
    """Undo gzip or deflate: for each piece what could be decoded with it."""
    inflater = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)
    return [inflater.decompress(piece) for piece in pieces]


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
        pieces, times = exchange.open_lists()
        note_piece, note_time, clock = pieces.append, times.append, perf_counter
        source = iter(self._inner)
        try:
            while True:
                asked = clock()
                try:
                    chunk = next(source)
                except StopIteration:
                    exchange.end()
                    return
                except BaseException as error:
                    exchange.fail(error)
                    raise
                # As `Exchange.received` does; a call of it would double what a chunk costs.
                note_piece(chunk)
                note_time(asked)
                note_time(clock())
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
        pieces, times = exchange.open_lists()
        note_piece, note_time, clock = pieces.append, times.append, perf_counter
        source = self._inner.__aiter__()
        try:
            while True:
                asked = clock()
                try:
                    chunk = await source.__anext__()
                except StopAsyncIteration:
                    exchange.end()
                    return
                except BaseException as error:
                    exchange.fail(error)
                    raise
                # As `Exchange.received` does; a call of it would double what a chunk costs.
                note_piece(chunk)
                note_time(asked)
                note_time(clock())
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
