"""The record of a call that was seen, whose reply is read when somebody first asks for it.

Reading a reply costs more than carrying its bytes: a load test whose users wait for nothing but
their model would measure senytl. So what the hooks do during the call is to note bytes and times.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import fields
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from senytl.capture.calls import warn
from senytl.capture.framing import SSE, framing_of, starts_like_events
from senytl.capture.outcome import kind_of_status
from senytl.capture.providers.base import error_of
from senytl.models import LLMCallRecord, MockResponse
from senytl.redaction import redact

if TYPE_CHECKING:
    from senytl.capture.exchange import Exchange
    from senytl.capture.framing import Event
    from senytl.capture.providers.base import Reply

__all__ = ["CapturedCall", "llm_calls_of"]

_ERROR_LENGTH = 500  # characters of an error message that are kept
_AWAY = 0.001
"""Seconds that a reader may be busy elsewhere before it came late for a chunk."""
_WAITED = 0.0005
"""Seconds of waiting that show that a chunk was not there yet."""
_CHEAP = frozenset(
    (
        *("provider", "model", "request", "api", "timestamp", "start", "duration_seconds"),
        *("streamed", "status", "mocked", "timing_valid"),
        *("attempt", "logical_id", "retry_wait_seconds"),
    )
)
"""What is known of a call without reading its reply."""
_FIELDS = frozenset(field.name for field in fields(LLMCallRecord))
_warned_formats: set[str] = set()


class CapturedCall(LLMCallRecord):
    """An `LLMCallRecord` that is read when it is first asked for what takes reading.

    Its request may turn out to be no LLM call then: see `llm_calls_of`.

    Args:
        exchange: The call, which has ended.
        ended: When it ended, on the clock of `time.perf_counter`.
    """

    __slots__ = ("_ended", "_exchange")

    _exchange: Exchange | None

    def __init__(self, exchange: Exchange, ended: float) -> None:
        self._exchange = exchange
        self._ended = ended

    @property
    def is_llm_call(self) -> bool:
        """Whether the request was one of an LLM call, and not just sent to where such calls go."""
        return self._exchange is None or self._exchange.is_llm_call

    @property
    def unread_bytes(self) -> int:
        """Bytes of request and reply that are kept because nobody has read them; then 0."""
        exchange = self._exchange
        return 0 if exchange is None else exchange.request_bytes + sum(map(len, exchange.pieces))

    def __getattr__(self, name: str) -> Any:
        # Only what was not set yet comes here.
        if name not in _FIELDS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        exchange = self._exchange
        if exchange is not None and name in _CHEAP:
            _describe(exchange, self, self._ended)
        elif exchange is not None:
            # Apart, and then all at once: another thread may read it too.
            whole = object.__new__(LLMCallRecord)
            _describe(exchange, whole, self._ended)
            _read(exchange, whole)
            for field in _FIELDS:
                setattr(self, field, getattr(whole, field))
            self._exchange = None
        return object.__getattribute__(self, name)

    def __reduce__(self) -> tuple[type[LLMCallRecord], tuple[Any, ...]]:
        return LLMCallRecord, tuple(getattr(self, field.name) for field in fields(LLMCallRecord))


def llm_calls_of(calls: Iterable[LLMCallRecord]) -> list[LLMCallRecord]:
    """The records that are of LLM calls.

    Others went to where such calls go (``/api/chat``), and nobody looked into their bodies during
    the call.
    """
    return [call for call in calls if getattr(call, "is_llm_call", True)]


def _describe(exchange: Exchange, record: LLMCallRecord, ended: float) -> None:
    """What is known of a call without reading its reply."""
    call = exchange.call
    record.provider = call.provider
    record.model = call.model
    record.request = call.request
    record.api = call.api
    record.timestamp = exchange.timestamp
    record.start = exchange.start
    record.duration_seconds = ended - exchange.start
    record.streamed = call.streamed
    record.status = exchange.status
    record.mocked = exchange.mocked
    record.timing_valid = exchange.timing_valid
    attempt = exchange.attempt
    record.attempt, record.logical_id = attempt.number, attempt.logical_id
    record.retry_wait_seconds = attempt.waited


def _read(exchange: Exchange, record: LLMCallRecord) -> None:
    """Read what came over the wire into the record; never raises."""
    record.response, record.usage = MockResponse(), None
    record.response_model = record.service_tier = record.error_kind = None
    record.ttft = record.time_to_first_output = None
    record.ttft_is_upper_bound, record.chunks, record.chunk_gaps = False, 0, ()
    record.outcome = exchange.outcome
    error, record.error_kind = exchange.error, exchange.error_kind
    # What a mock meant to say counts only where it could.
    said = exchange.response if exchange.error is None else None
    if said is not None or any(exchange.pieces):
        try:
            problem = _read_body(exchange, record, said)
            error = error or problem
        except Exception as failure:
            _warn_unreadable(exchange.call.api, failure)
    status = exchange.status
    if status is not None and status >= 400:
        record.outcome = "failed" if record.outcome == "completed" else record.outcome
        record.error_kind = record.error_kind or kind_of_status(status)
        error = error or f"HTTP {status}"
    record.error = redact(error)[:_ERROR_LENGTH] if error else None


def _read_body(exchange: Exchange, record: LLMCallRecord, said: MockResponse | None) -> str | None:
    """Read the body into the record, and return the error that it tells of."""
    parts = exchange.decoded()
    body = b"".join(parts)
    if exchange.status is not None and exchange.status >= 400:
        return _error_of_body(body, exchange.status)
    recognised = exchange.recognised
    framing = framing_of(body, recognised.framing)
    # A server may ignore that a stream is asked for, or stream where none is.
    is_document = framing is SSE and not starts_like_events(body)
    streamed = bool(body) and not is_document and (exchange.call.streamed or framing is SSE)
    reply: Reply | None = None
    if streamed:
        events = list(framing.read(body))
        if len(exchange.times) == 2 * len(parts) + 2:
            _read_times(exchange, record, parts, events)
        if said is None or record.outcome == "abandoned":
            reply = recognised.wire.read_events([event for _, event in events])
            # SDKs stop at the last event, which may be short of the stream's end.
            if reply.complete and record.outcome == "abandoned":
                record.outcome = "completed"
    elif said is None:
        reply = recognised.read_document(body)
    if said is not None and reply is not None and not reply.complete:
        said = None  # nobody read all of it
    if said is not None:
        record.response = said
        record.usage = said.usage
        record.response_model = exchange.call.model
        return None
    if reply is None:
        return None
    record.response = reply.response
    record.usage = reply.response.usage
    record.response_model = reply.response_model
    record.service_tier = reply.service_tier
    if reply.error is not None:
        record.outcome, record.error_kind = "failed", "stream_error"
        return reply.error
    if streamed and not reply.complete and record.outcome == "completed":
        record.outcome, record.error_kind = "failed", "truncated"
        return "truncated: the stream ended without the event that ends it"
    return None


def _read_times(
    exchange: Exchange,
    record: LLMCallRecord,
    parts: Sequence[bytes],
    events: Sequence[tuple[int, Event]],
) -> None:
    """When the chunks came: an event has come with the piece that brought its last byte."""
    kind_of = exchange.recognised.wire.chunk_kind
    ends = list(accumulate(map(len, parts)))
    times = exchange.times  # asked for and received, of the head and then of each piece
    came: list[float] = []
    for offset, event in events:
        kind = kind_of(event)
        if kind is None:
            continue
        place = bisect_left(ends, offset)
        moment = times[2 * place + 3]
        if not came:
            record.ttft = moment - exchange.start
            record.ttft_is_upper_bound = _came_late(times[: 2 * place + 4])
        if kind == "output" and record.time_to_first_output is None:
            record.time_to_first_output = moment - exchange.start
        came.append(moment)
    record.chunks = len(came)
    record.chunk_gaps = [later - earlier for earlier, later in pairwise(came)]


def _came_late(times: Sequence[float]) -> bool:
    """Whether the reader was away when the last of these pieces came, or may have been.

    One that was away is behind until it has to wait for a piece: what it then gets at once may have
    been there for long. On a busy machine a read takes long by itself, so a wait that is short
    beside the time away proves nothing.
    """
    away = 0.0
    for place in range(1, len(times) - 2, 2):
        before, asked, came = times[place : place + 3]
        away += asked - before
        if came - asked >= max(_WAITED, away / 20):
            away = 0.0
    return away > _AWAY


def _error_of_body(body: bytes, status: int) -> str:
    """The error in a body of status 400 or above."""
    import json

    text = body.decode("utf-8", "replace").strip()
    try:
        document = json.loads(text)
    except ValueError:
        document = None
        if starts_like_events(body):
            document = next((event.document for _, event in SSE.read(body)), None)
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
