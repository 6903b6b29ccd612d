"""One LLM call from its start to its end: what the hooks note of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from senytl.capture.calls import CallSink, PendingCall
from senytl.capture.captured import CapturedCall
from senytl.capture.lending import owner_of
from senytl.capture.outcome import kind_of_exception, outcome_of_exception
from senytl.capture.recognition import recognise
from senytl.capture.retries import next_attempt, note_failure

if TYPE_CHECKING:
    from senytl.capture.playback import Playback
    from senytl.capture.recognition import Recognised
    from senytl.models import ErrorKind, MockResponse, Outcome

__all__ = ["Exchange", "Target", "flush", "open_streams"]

# Exchanges that have not ended. Taking one out is what entitles to deliver its record, so that a
# stream's end, its finalizer and a flush from another thread give one record between them. Single
# dict operations are atomic; a lock could deadlock, since finalizers run anywhere.
_unfinished: dict[int, Exchange] = {}


@dataclass(slots=True)
class Target:
    """Where a call goes, and how its body was given to the HTTP library.

    Args:
        host: The host's name or address.
        path: The URL's path as it was sent, without its query.
        query: The query, without its question mark.
        body: The request's body.
        headers: The request's headers, of which only `retries.RETRY_HEADER` is ever looked at.
    """

    host: str
    path: str
    query: str
    body: Any
    headers: Mapping[str, str] | None = None


class Exchange:
    """A call under way: made when it starts, it hands one record to its sink when it ends.

    It ends by `succeed` (the reply came whole), by `end` (its stream did), by `fail` (an error
    instead of a reply, or in the middle of one), or by `abandon` (nobody reads the rest).

    Args:
        recognised: What the request asks for, in which wire format; None to find out later.
        target: Where it goes.
        sink: Who gets the record; None where nobody wants it.
        observers: Told of the exchange when it has ended.

    Attributes:
        pieces: The body of the reply, as it came over the wire.
        times: When the head and then each piece of a stream was asked for and when it came, in
            turn, on the clock of `time.perf_counter`; empty for a reply that was read whole.
        decode: Undoes a compression; gives as many pieces as it gets.
        response: What a mock says; the reply need not be read then.
        request_bytes: Bytes of the request's body, where that is known.
        retry_headers: What a refusal says of trying again, kept for observers only.
    """

    # What most calls leave as it is stands here once: setting it would cost each of them.
    mocked = False
    response: MockResponse | None = None
    status: int | None = None
    content_type = ""
    outcome: Outcome = "completed"
    error: str | None = None
    error_kind: ErrorKind | None = None
    timing_valid = True
    retry_headers: Mapping[str, str] = MappingProxyType({})
    is_sending = False
    _streaming = False
    decode: Callable[[Sequence[bytes]], Sequence[bytes]] = list

    def __init__(
        self,
        recognised: Recognised | None,
        target: Target,
        sink: CallSink | None,
        observers: Sequence[Callable[[Exchange], None]] = (),
    ) -> None:
        body = target.body
        self.request_bytes = len(body) if isinstance(body, bytes | str) else 0
        self.pieces: list[bytes] = []
        self.times: list[float] = []
        self._recognised = recognised
        self._is_recognised = recognised is not None
        self.target = target
        self._sink = sink
        self._observers = observers
        self.timestamp = time.time()
        self.start = start = time.perf_counter()
        self.attempt = next_attempt(target.body, sink, start, target.headers)
        # Nothing of these is ever kept: keys stand there.
        target.headers = None
        target.query = "alt=sse" if "alt=sse" in target.query else ""
        _unfinished[id(self)] = self

    @property
    def is_llm_call(self) -> bool:
        """Whether the request is an LLM call, and not just sent to where such calls go."""
        if not self._is_recognised:
            target = self.target
            self._recognised = recognise(target.host, target.path, target.query, target.body)
            self._is_recognised = True
        return self._recognised is not None

    @property
    def recognised(self) -> Recognised:
        """What the request asks for, in which wire format; only of an LLM call."""
        if not self.is_llm_call or self._recognised is None:
            raise ValueError(f"this request to {self.target.host} is no LLM call")
        return self._recognised

    @property
    def call(self) -> PendingCall:
        """What is asked for; only of an LLM call."""
        return self.recognised.call

    @property
    def is_observed(self) -> bool:
        """Whether anybody wants to know of more than the record tells."""
        return bool(self._observers)

    def answered(self, playback: Playback) -> None:
        """Note that a mock answers, and with what."""
        self.response = playback.response
        self.mocked = True

    def refused(self, error: BaseException) -> None:
        """End a call that an answerer failed: it never left the process."""
        self.mocked = True
        self._fail(error, getattr(error, "error_kind", "unanswered"))

    def succeed(self, status: int, body: bytes, content_type: str = "") -> None:
        """End with a body that was read whole."""
        self.status = status
        self.content_type = content_type
        self.pieces = [body]
        self._deliver(time.perf_counter())

    def stream(
        self,
        status: int,
        content_type: str,
        decode: Callable[[Sequence[bytes]], Sequence[bytes]] = list,
    ) -> None:
        """Go on with a body that will be read in pieces.

        Args:
            status: The HTTP status.
            content_type: The body's content type.
            decode: Undoes a compression; gives as many pieces as it gets.
        """
        self.status = status
        self.content_type = content_type
        self.decode = decode
        self.pieces = []
        self.times = [self.start, time.perf_counter()]
        self._streaming = True

    def open_lists(self) -> tuple[list[bytes], list[float]]:
        """Where a stream's pieces and times are noted; nowhere, once the call was flushed."""
        return (self.pieces, self.times) if self._streaming else ([], [])

    def received(self, piece: bytes, asked: float) -> None:
        """Note a piece of the body, asked for at `asked` on the clock of `time.perf_counter`."""
        if not self._streaming:
            return
        self.pieces.append(piece)
        self.times += (asked, time.perf_counter())

    def decoded(self) -> Sequence[bytes]:
        """The pieces of the body without compression; as many as came."""
        return self.decode(self.pieces)

    def end(self) -> None:
        """End a stream that came to its end."""
        self._deliver(time.perf_counter())

    def abandon(self) -> None:
        """End a stream of which nobody reads the rest; its last piece is its end."""
        if id(self) in _unfinished:
            self.outcome = "abandoned"
            self._deliver(self.times[-1] if self.times else time.perf_counter())

    def cut(self) -> None:
        """End a stream that may still be read, of which nothing more shall be noted."""
        times = list(self.times)  # first: a piece is noted before its times
        if times:
            self.pieces, self.times = self.pieces[: len(times) // 2 - 1], times
        self._streaming = False
        self.abandon()

    def disown(self) -> None:
        """Take it for no LLM call: another one was made to answer it, so it went to an agent."""
        self._recognised, self._is_recognised = None, True

    def fail(self, error: BaseException) -> None:
        """End with an error, before a reply or in the middle of one."""
        self._fail(error, kind_of_exception(error))

    def _fail(self, error: BaseException, kind: ErrorKind) -> None:
        if id(self) not in _unfinished:
            return
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is None:
            status = getattr(error, "status", None)
        if self.status is None and isinstance(status, int):
            self.status = status
        message = str(error)
        name = type(error).__name__
        self.error = f"{name}: {message}" if message else name
        self.outcome = outcome_of_exception(error)
        self.error_kind = None if self.outcome == "cancelled" else kind
        self._deliver(time.perf_counter())

    def _deliver(self, ended: float) -> None:
        if _unfinished.pop(id(self), None) is None:
            return
        status = self.status
        failed = self.error is not None or (status is not None and status >= 400)
        if failed:  # SDKs that try again close a refusal unread
            note_failure(self.target.body, self._sink, self.attempt, ended)
        if self._observers and self.is_llm_call:
            for observe in self._observers:
                observe(self)
        if self._is_recognised:
            self.target.body = None  # it was read already
        if self._sink is not None:
            self._sink.add_call(CapturedCall(self, ended))


def open_streams(observer: Callable[[Exchange], None]) -> list[Exchange]:
    """The streams that have not ended and of whose end this observer will be told."""
    return [
        exchange
        for exchange in list(_unfinished.values())
        if exchange._streaming and observer in exchange._observers
    ]


def flush(sink: CallSink) -> None:
    """Finish the records of streams that are still open and belong to this sink.

    A consumer that leaves a stream half read may never close it; a run's figures are whole once its
    sinks are flushed. What such a stream yields later is not recorded.
    """
    for exchange in list(_unfinished.values()):
        if exchange._streaming and exchange._sink is not None and owner_of(exchange._sink) is sink:
            exchange.cut()
