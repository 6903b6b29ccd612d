"""What the hooks on botocore and requests share, since both libraries send through urllib3."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from senytl.capture.begin import Target, begin
from senytl.capture.exchange import Exchange
from senytl.capture.recognition import is_candidate
from senytl.capture.retries import retry_headers
from senytl.capture.scope import is_open
from senytl.capture.streams import inflated

__all__ = ["RecordingBody", "begin_call", "finish", "watch"]


def begin_call(
    method: str | None, url: str | None, body: object, headers: Mapping[str, str]
) -> Exchange | None:
    """Begin a call, if a prepared request is one that is to be seen or answered.

    Args:
        method: The HTTP method.
        url: The full address.
        body: The request's body; one that can be read only once is left to the library.
        headers: Its headers, of which only `retries.RETRY_HEADER` is looked at.
    """
    if method != "POST" or url is None or not is_open():
        return None
    if not is_candidate("POST", url.partition("?")[0]):
        return None
    if not isinstance(body, bytes | bytearray | str):
        return None
    parts = urlsplit(url)
    return begin(Target(parts.hostname or "", parts.path, parts.query, body, headers))


def finish(response: Any, body: bytes, exchange: Exchange) -> None:
    """End the exchange with a response of botocore or requests that was read whole."""
    _note_head(response, exchange)
    exchange.succeed(response.status_code, body, response.headers.get("content-type") or "")


def watch(response: Any, exchange: Exchange) -> None:
    """Go on with the exchange while the caller reads a response of botocore or requests."""
    _note_head(response, exchange)
    headers = response.headers
    exchange.stream(response.status_code, headers.get("content-type") or "")
    response.raw = RecordingBody(response.raw, exchange, headers.get("content-encoding") or "")


def _note_head(response: Any, exchange: Exchange) -> None:
    if exchange.is_observed and response.status_code >= 400:
        exchange.retry_headers = retry_headers(response.headers)


class RecordingBody:
    """A urllib3 response, or a stand-in for one, that tells an exchange what is read from it.

    The exchange ends with the body, or when the response is closed or dropped. Leaving a loop over
    the body ends it only where urllib3 closes the response thereby; else the rest may be read yet.

    Args:
        inner: The response.
        exchange: The call that it answers.
        encoding: Its ``content-encoding``.
    """

    def __init__(self, inner: Any, exchange: Exchange, encoding: str) -> None:
        self._inner = inner
        self._exchange = exchange
        self._encoding = encoding

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __del__(self) -> None:
        self._exchange.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def decode_content(self) -> Any:
        """Whether reads undo a compression where they do not say; may be set."""
        return getattr(self._inner, "decode_content", None)

    @decode_content.setter
    def decode_content(self, value: Any) -> None:
        self._inner.decode_content = value

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        """Iterate over the body as it comes."""
        return self._each(self._inner.stream(*args, **kwargs), args, kwargs)

    def read_chunked(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        """Iterate over the chunks of the HTTP encoding."""
        return self._each(self._inner.read_chunked(*args, **kwargs), args, kwargs)

    def __iter__(self) -> Iterator[bytes]:
        return self._each(iter(self._inner), (), {"decode_content": True})

    def read(self, *args: Any, **kwargs: Any) -> bytes:
        """Read so many bytes, or all."""
        data = self._note(self._inner.read, args, kwargs)
        if (args[0] if args else kwargs.get("amt")) is None:
            self._exchange.times.clear()  # nobody can tell when its parts came
        return data

    def read1(self, *args: Any, **kwargs: Any) -> bytes:
        """Read what is there, at most so many bytes."""
        return self._note(self._inner.read1, args, kwargs)

    def readline(self, *args: Any) -> bytes:
        """Read a line."""
        return self._note(self._inner.readline, args, {})

    def readlines(self, *args: Any) -> list[bytes]:
        """Read the lines of the rest."""
        return list(self._each(iter(self._inner.readlines(*args)), (), {}))

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the response; what was not read by then is not read."""
        try:
            self._inner.close()
        finally:
            self._exchange.abandon()

    def release_conn(self) -> None:
        """Give the connection back to its pool."""
        self._inner.release_conn()

    def _each(
        self, source: Iterator[bytes], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Iterator[bytes]:
        exchange = self._exchange
        self._choose_decoding(args, kwargs)
        try:
            while True:
                asked = time.perf_counter()
                try:
                    piece = next(source)
                except StopIteration:
                    exchange.end()
                    return
                except BaseException as error:
                    exchange.fail(error)
                    raise
                if piece:
                    exchange.received(piece, asked)
                yield piece
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()
            if self._inner.closed:
                exchange.abandon()  # without effect where it has ended

    def _note(
        self, read: Callable[..., bytes], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> bytes:
        self._choose_decoding(args, kwargs)
        asked = time.perf_counter()
        try:
            piece = read(*args, **kwargs)
        except BaseException as error:
            self._exchange.fail(error)
            raise
        if piece:
            self._exchange.received(piece, asked)
        if self._is_finished() or (not piece and args[:1] != (0,)):
            self._exchange.end()
        return piece

    def _is_finished(self) -> bool:
        inner = self._inner
        if getattr(inner, "_decoded_buffer", b""):
            return False  # more was decoded than was asked for
        return bool(inner.closed) or getattr(inner, "length_remaining", None) == 0

    def _choose_decoding(self, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Have a compression undone later that this reading does not undo."""
        if self._encoding not in ("gzip", "deflate") or self._exchange.pieces:
            return
        asked = kwargs.get("decode_content", args[1] if len(args) > 1 else None)
        # vcrpy's responses have no such attribute, and decode nothing.
        usual = getattr(self._inner, "decode_content", None)
        if usual is None or not (usual if asked is None else asked):
            self._exchange.decode = inflated
