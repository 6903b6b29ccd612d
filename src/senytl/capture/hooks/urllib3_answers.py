"""Answers in the provider's place, as responses of urllib3.

The answer is played as HTTP/1.1 to the response of Python's own `http.client`, below which urllib3
reads bytes from a socket; so chunks, timeouts and lost connections are urllib3's own. Connections
and pools are passed over, because mocking libraries put themselves there.
"""

from __future__ import annotations

import http.client
import io
from collections.abc import Iterator
from typing import Any

from senytl.capture.playback import Playback, wait_sync

__all__ = ["open_answer", "read_timeout"]


def read_timeout(timeout: object) -> float | None:
    """The seconds for which a client waits for bytes; None for one that waits forever.

    Args:
        timeout: Seconds, a pair of those to connect and those to read, or urllib3's own object.
    """
    timeout = getattr(timeout, "read_timeout", timeout)
    seconds = timeout[1] if isinstance(timeout, tuple) and len(timeout) == 2 else timeout
    return seconds if isinstance(seconds, int | float) else None


def open_answer(answer: Playback, start: float) -> Any:
    """Wait for the head of an answer, and return the urllib3 response whose body is to be read.

    Args:
        answer: What to play.
        start: When the call began, on the clock of `time.perf_counter`.

    Raises:
        TimeoutError: If the answer times out before it begins.
        http.client.RemoteDisconnected: If its connection is lost before it begins.
    """
    from urllib3 import HTTPHeaderDict, HTTPResponse  # whoever is answered has imported it

    # All that http.client wants of a socket is its file.
    http_response = http.client.HTTPResponse(_Socket(answer, start), method="POST")  # type: ignore[arg-type]
    http_response.begin()
    return HTTPResponse(
        body=http_response,
        headers=HTTPHeaderDict(http_response.headers.items()),
        status=http_response.status,
        version=http_response.version,
        reason=http_response.reason,
        preload_content=False,
        decode_content=False,
        original_response=http_response,
        request_method="POST",
    )


class _Socket:
    def __init__(self, answer: Playback, start: float) -> None:
        self._answer = answer
        self._start = start

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Played(self._answer, self._start))


class _Played(io.RawIOBase):
    """The bytes of an answer; reading blocks until the next ones are due."""

    def __init__(self, answer: Playback, start: float) -> None:
        self._bytes = _http(answer, start)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = next(self._bytes, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _http(answer: Playback, start: float) -> Iterator[bytes]:
    """The answer as HTTP/1.1, a chunk for each piece, each yielded when it is due."""
    if answer.begins:
        wait_sync(start + answer.head_at)
        reason = http.client.responses.get(answer.status, "Answer")
        head = [f"HTTP/1.1 {answer.status} {reason}"]
        head += [f"{name}: {value}" for name, value in answer.headers.items()]
        head += ["transfer-encoding: chunked", "", ""]
        yield "\r\n".join(head).encode("latin-1")
    moments = answer.moments or [answer.head_at] * len(answer.pieces)
    for piece, moment in zip(answer.pieces, moments, strict=True):
        wait_sync(start + moment)
        if piece:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
    wait_sync(start + answer.whole_at)
    if answer.ending == "complete":
        yield b"0\r\n\r\n"
    elif answer.ending == "timeout":
        raise TimeoutError("The read operation timed out (mocked)")
