"""One LLM call from its start to its record."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from senytl.capture.calls import CallSink, PendingCall, warn
from senytl.models import LLMCallRecord, MockResponse
from senytl.redaction import redact

if TYPE_CHECKING:
    from senytl.capture.providers.base import Reply
    from senytl.capture.recognition import Recognised

__all__ = ["Exchange", "flush"]

_ERROR_LENGTH = 500  # characters of an error message that are kept

# Exchanges that have not ended. Taking one out is what entitles to deliver its record, so that a
# stream's end, its finalizer and a flush from another thread give one record between them. Single
# dict operations are atomic; a lock could deadlock, since finalizers run anywhere.
_unfinished: dict[int, Exchange] = {}
_warned_formats: set[str] = set()


class Exchange:
    """A call under way: made when it starts, it hands one record to its sink when it ends.

    It ends by `succeed` (the reply came whole), by `fail` (an error instead of a reply, or in the
    middle of one), or by `abandon` (nobody reads the rest of the stream).

    Args:
        recognised: What the request asks for, in which wire format.
        sink: Who gets the record; None where nobody wants it.
    """

    __slots__ = (
        "_answer",
        "_came",
        "_chunks",
        "_decode",
        "_mocked",
        "_sink",
        "_start",
        "_status",
        "_streaming",
        "_timestamp",
        "call",
        "is_sending",
        "recognised",
    )

    def __init__(self, recognised: Recognised, sink: CallSink | None) -> None:
        self.recognised = recognised
        self.call: PendingCall = recognised.call
        self.is_sending = False
        self._sink = sink
        self._answer: MockResponse | None = None
        self._mocked = False
        self._status: int | None = None
        self._streaming = False
        self._chunks: list[bytes] = []
        self._came: list[tuple[float, float]] = []
        self._decode: Callable[[Sequence[bytes]], bytes] = b"".join
        self._timestamp = time.time()
        self._start = time.perf_counter()
        _unfinished[id(self)] = self

    def answered(self, response: MockResponse) -> None:
        """Note that a mock answers, and with what."""
        self._answer = response
        self._mocked = True

    def refused(self, error: BaseException) -> None:
        """End a call that an answerer failed: it never left the process."""
        self._mocked = True
        self.fail(error)

    def succeed(self, status: int, body: bytes) -> None:
        """End with a body that was read whole."""
        self._status = status
        self._chunks = [body]
        self._deliver(time.perf_counter(), None)

    def stream(self, status: int, decode: Callable[[Sequence[bytes]], bytes]) -> None:
        """Go on with a body that will be read in pieces.

        Args:
            status: The HTTP status.
            decode: Joins the pieces as they came, and undoes a compression.
        """
        self._status = status
        self._decode = decode
        opened = time.perf_counter()
        self._came.append((opened, opened))
        self._streaming = True

    def received(self, chunk: bytes, asked: float) -> None:
        """Note a piece of the body, asked for at `asked` on the clock of `time.perf_counter`."""
        self._chunks.append(chunk)
        self._came.append((asked, time.perf_counter()))

    def end(self) -> None:
        """End a stream that came to its end."""
        self._deliver(time.perf_counter(), None)

    def abandon(self) -> None:
        """End a stream of which nobody reads the rest; its last piece is its end."""
        self._deliver(self._came[-1][1], None)

    def fail(self, error: BaseException) -> None:
        """End with an error, before a reply or in the middle of one."""
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is None:
            status = getattr(error, "status", None)
        if self._status is None and isinstance(status, int):
            self._status = status
        message = str(error)
        name = type(error).__name__
        self._deliver(time.perf_counter(), f"{name}: {message}" if message else name)

    def _deliver(self, ended: float, error: str | None) -> None:
        if _unfinished.pop(id(self), None) is None or self._sink is None:
            return
        record = LLMCallRecord(
            provider=self.call.provider,
            model=self.call.model,
            request=self.call.request,
            api=self.call.api,
            timestamp=self._timestamp,
            start=self._start,
            duration_seconds=ended - self._start,
            streamed=self.call.streamed,
            status=self._status,
            mocked=self._mocked,
        )
        if self._answer is not None:
            record.response = self._answer
            record.usage = self._answer.usage
            record.response_model = self.call.model
        elif any(self._chunks):
            try:
                problem = self._read_body(record)
                error = error or problem
            except Exception as failure:
                _warn_unreadable(self.call.api, failure)
        if error is None and self._status is not None and self._status >= 400:
            error = f"HTTP {self._status}"
        record.error = redact(error)[:_ERROR_LENGTH] if error else None
        self._chunks.clear()
        self._sink.add_call(record)

    def _read_body(self, record: LLMCallRecord) -> str | None:
        """Read the body into the record, and return the error that it tells of."""
        body = self._decode(self._chunks)
        if self._status is not None and self._status >= 400:
            return _error_of_body(body, self._status)
        reply: Reply = self.recognised.read(body)
        record.response = reply.response
        record.usage = reply.response.usage
        record.response_model = reply.response_model
        record.service_tier = reply.service_tier
        return reply.error


def flush(sink: CallSink) -> None:
    """Finish the records of streams that are still open and belong to this sink.

    A consumer that leaves a stream half read may never close it; a run's figures are whole once its
    sinks are flushed. What such a stream yields later is not recorded.
    """
    for exchange in list(_unfinished.values()):
        if exchange._sink is sink and exchange._streaming:
            exchange.abandon()


def _error_of_body(body: bytes, status: int) -> str:
    from senytl.capture.providers.base import error_of

    text = body.decode("utf-8", "replace").strip()
    document: Any = None
    try:
        document = json.loads(text)
    except ValueError:
        if text.startswith(("data:", "event:")):
            from senytl.capture.sse import read_events

            document = next((event.document for event in read_events(body)), None)
    return error_of(document) or (f"HTTP {status}: {text}" if text else f"HTTP {status}")


def _warn_unreadable(api: str, failure: Exception) -> None:
    """Say once per format that replies of it are not understood."""
    if api in _warned_formats:
        return
    _warned_formats.add(api)
    warn(
        f"senytl could not read a reply of the format {api} ({type(failure).__name__}: "
        f"{redact(str(failure))[:_ERROR_LENGTH]}). The call itself was not disturbed; its text and "
        "tokens are missing from the record. This warning is given once per format."
    )
