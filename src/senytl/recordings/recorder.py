"""Recording: keep the real calls of a block, and write them when it has ended well."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from senytl.capture import CaptureScope, open_scope
from senytl.capture.exchange import open_streams
from senytl.capture.framing import framing_of
from senytl.recordings.document import Attempt, Chunk, Ending, RecordedCall, Request, render
from senytl.recordings.errors import RecordingError
from senytl.recordings.naming import shown
from senytl.recordings.scrubbing import Scrubber

if TYPE_CHECKING:
    from senytl.capture.exchange import Exchange

__all__ = ["Recorder"]


class Recorder:
    """Keeps the real LLM calls of this process in a file, as a context manager or by hand.

    Its life: `start` begins to listen; `stop` writes the file, whole or not at all; `discard` ends
    without writing. As a context manager it writes where nothing was raised in the block; an
    earlier recording stays as it is otherwise. Calls that mocks or a replay answered are left out,
    and so is a call that has brought nothing yet when the recording ends.

    Args:
        path: The file.
        what: What messages call that which is recorded.

    Attributes:
        written: How many calls were written; 0 before that.
    """

    def __init__(self, path: Path, *, what: str = "this block") -> None:
        self.path = path
        self.written = 0
        self._what = what
        self._ended: list[tuple[Exchange, float, str | None]] = []
        self._scope: CaptureScope | None = None

    def start(self) -> None:
        """Begin to keep calls, of what was started from now on.

        Raises:
            RecordingError: If it has begun already.
        """
        if self._scope is not None:
            raise RecordingError(f"the recording {shown(self.path)} has begun already")
        self._ended = []
        self._scope = open_scope(observer=self._observe)

    def stop(self) -> None:
        """End, and write what was kept.

        Raises:
            RecordingError: If there was no call to keep; an earlier recording stays.
            OSError: If the file cannot be written; an earlier recording stays.
        """
        left_open = [] if self._scope is None else open_streams(self._observe)
        self.discard()
        now = time.perf_counter()
        kept = [*self._ended, *((stream, now, None) for stream in left_open if not stream.mocked)]
        self._ended = []
        if not kept:
            raise RecordingError(
                f"there is nothing to record in {shown(self.path)}: no LLM call went to a real "
                f"API in {self._what}. Calls that a mock answers are not recorded"
            )
        left = {id(stream) for stream in left_open}
        calls = _calls(kept, left, Scrubber())
        from senytl.performance.report.writing import write_whole

        write_whole(self.path, render(calls))
        self.written = len(calls)

    def discard(self) -> None:
        """End without writing."""
        if self._scope is not None:
            self._scope.close()
            self._scope = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        if error is None:
            self.stop()
            return
        self.discard()
        error.add_note(self.left_as_it_is("the block ended with this error"))

    def left_as_it_is(self, reason: str) -> str:
        """Say why nothing was written."""
        earlier = "the earlier one stays" if self.path.exists() else "there is none yet"
        where = shown(self.path)
        return f"senytl: the recording {where} was not written, since {reason}; {earlier}"

    def _observe(self, exchange: Exchange) -> None:
        """Note a call that has ended; quick, on any thread, and without an error."""
        if exchange.mocked:
            return
        given = exchange.target.body
        # A body that was given as an object may change after the call.
        body = None
        if isinstance(given, Mapping):
            with suppress(TypeError, ValueError):
                body = json.dumps(given, default=str)
        self._ended.append((exchange, time.perf_counter(), body))


def _calls(
    kept: Sequence[tuple[Exchange, float, str | None]], left_open: set[int], scrubber: Scrubber
) -> list[RecordedCall]:
    """The logical calls in the order in which they started."""
    logical: dict[int, list[tuple[Exchange, float, str | None]]] = {}
    for entry in sorted(kept, key=lambda entry: entry[0].start):
        logical.setdefault(entry[0].attempt.logical_id, []).append(entry)
    return [
        RecordedCall(
            _request(attempts[0][0], attempts[0][2], scrubber),
            [
                _attempt(exchange, ended, scrubber, is_open=id(exchange) in left_open)
                for exchange, ended, _ in attempts
            ],
        )
        for attempts in logical.values()
    ]


def _request(exchange: Exchange, body: str | None, scrubber: Scrubber) -> Request:
    call = exchange.call
    return Request(
        api=call.api,
        provider=call.provider,
        model=scrubber.text(call.model),
        streamed=call.streamed,
        host=exchange.target.host,
        path=scrubber.text(exchange.target.path),
        body=scrubber.request(call.request if body is None else json.loads(body)),
    )


def _attempt(exchange: Exchange, ended: float, scrubber: Scrubber, *, is_open: bool) -> Attempt:
    pieces, times = list(exchange.pieces), list(exchange.times)
    if times:  # a stream that goes on notes a piece before its times
        pieces = pieces[: len(times) // 2 - 1]
    decoded = list(exchange.decode(pieces))
    start = exchange.start
    timed = times[3::2] if len(times) == 2 * len(pieces) + 2 else [ended] * len(pieces)
    if exchange.call.streamed and (exchange.status or 0) < 400:
        clean = scrubber.stream(decoded, exchange.recognised.framing)
        chunks = _whole_letters(
            [
                Chunk(_milliseconds(moment - start), data)
                for moment, data in zip(timed, clean, strict=True)
            ]
        )
    else:
        body = scrubber.whole(b"".join(decoded))
        chunks = [Chunk(_milliseconds(ended - start), body)] if body else []
    ending = _ending(exchange, is_open=is_open)
    if ending == "abandoned":
        ended = times[-1] if times else ended
        if _has_its_end(exchange, b"".join(decoded)):
            ending = "complete"
    headers = {"content-type": exchange.content_type} if exchange.content_type else {}
    return Attempt(
        status=exchange.status,
        headers=headers | _advice(exchange.retry_headers),
        head_at=_milliseconds((times[1] if times else ended) - start),
        chunks=chunks,
        ends_at=_milliseconds(ended - start),
        ending=ending,
    )


def _ending(exchange: Exchange, *, is_open: bool) -> Ending:
    if is_open or exchange.outcome == "abandoned":
        return "abandoned"
    if exchange.outcome == "cancelled":
        return "cancelled"
    if exchange.error is None:
        return "complete"
    return "timeout" if exchange.error_kind == "timeout" else "disconnect"


def _has_its_end(exchange: Exchange, body: bytes) -> bool:
    """Whether a stream came to the end that its format has; SDKs need not read further."""
    recognised = exchange.recognised
    try:
        framing = framing_of(body, recognised.framing)
        return recognised.wire.read_events([event for _, event in framing.read(body)]).complete
    except Exception:  # a reply of a form that nobody foresaw
        return False


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _whole_letters(chunks: Sequence[Chunk]) -> list[Chunk]:
    """The chunks with no letter cut in two, if they are text: its parts come with its last one."""
    whole: list[Chunk] = []
    carried = b""
    for chunk in chunks:
        data = carried + chunk.data
        carried = b""
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data" and chunk is not chunks[-1]:
                data, carried = data[: error.start], data[error.start :]
        if data:
            whole.append(Chunk(chunk.moment, data))
    return whole


def _advice(headers: Mapping[str, str]) -> dict[str, str]:
    """What a refusal says of trying again, with seconds in the place of a date."""
    advice = dict(headers)
    after: Any = advice.get("retry-after")
    if after is not None and not after.replace(".", "", 1).isdecimal():
        try:
            seconds = parsedate_to_datetime(after).timestamp() - time.time()
        except (TypeError, ValueError):
            del advice["retry-after"]
        else:
            advice["retry-after"] = str(max(1, math.ceil(seconds)))
    return advice
