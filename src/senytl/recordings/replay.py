"""Replaying: a recording answers calls, with the times that it holds."""

from __future__ import annotations

import itertools
import math
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from senytl.capture import Answer, CaptureScope, PendingCall, open_scope
from senytl.capture.playback import Ending, Playback
from senytl.capture.retries import attempt_under_way
from senytl.recordings.document import Attempt, RecordedCall, Request, load
from senytl.recordings.errors import RecordingError, UnrecordedCallError
from senytl.recordings.matching import Matcher
from senytl.recordings.naming import shown
from senytl.recordings.nearest import describe_difference, nearest
from senytl.recordings.scrubbing import Scrubber

if TYPE_CHECKING:
    from senytl.capture.recognition import Recognised

__all__ = ["Replay", "check_speed", "is_replaying", "played_speeds"]

_PATIENCE = 5.0
"""Seconds that a call waits in a replay after the moment at which it was cancelled when it was
recorded, so that the code under test can cancel it again."""
_SHORTEST_PAUSE = 0.001  # seconds of a retry-after; the SDKs pass over a zero
_OPEN_RETRIES = 1000  # sequences of a request kept for retries that come from elsewhere
_KEPT_MESSAGES = 100

_replaying: tuple[Replay, ...] = ()  # replaced, never changed
_lock = threading.Lock()
_played: Counter[float] = Counter()


@dataclass(frozen=True, slots=True)
class _Played:
    """An attempt that is ready to be played."""

    playback: Playback

    def play(self, recognised: Recognised) -> Playback:
        """The recorded response, in the format in which it came."""
        return self.playback

    @property
    def may_be_retried(self) -> bool:
        return self.playback.status >= 400 or self.playback.ending != "complete"


_Sequence = Sequence[_Played]


class _Group:
    """The recordings of one request, given in turn."""

    def __init__(self) -> None:
        self.sequences: list[_Sequence] = []
        self._turns = itertools.count()
        self._lock = threading.Lock()
        self._open: deque[tuple[_Sequence, int]] = deque(maxlen=_OPEN_RETRIES)

    def next(self) -> _Sequence:
        return self.sequences[next(self._turns) % len(self.sequences)]

    def leave_open(self, sequence: _Sequence, place: int) -> None:
        with self._lock:
            self._open.append((sequence, place))

    def continued(self, place: int) -> _Sequence | None:
        """The oldest sequence that waits for this place of it to be given."""
        with self._lock:
            for number, entry in enumerate(self._open):
                if entry[1] == place:
                    del self._open[number]
                    return entry[0]
        return None


@dataclass(frozen=True, slots=True)
class _Given:
    """What was given last in a context, for the retry that may follow."""

    group: _Group
    sequence: _Sequence
    place: int


_given: ContextVar[_Given | None] = ContextVar("senytl_given_recording", default=None)


class Replay:
    """Answers LLM calls from a recording; an answerer, and a context manager.

    Several recordings of the same request are given in their order, and then again from the first:
    under load the mix of replies and times stays as it was recorded. The attempts at one call are
    given to the retries of one call. A request that is not recorded is an error.

    Args:
        path: The recording's file.
        speed: How fast it is played: 2 is twice as fast; None is without waiting.
        ignore: Regular expressions of what may differ in a request's texts.
        mocks: Asked before the recording is; None for nobody.

    Attributes:
        advice: What is said at the end of an error about a call that was not recorded.
        lacked: Whether there was such a call.

    Raises:
        RecordingError: If there is no such recording, or it cannot be read.
        ValueError: If the speed or a regular expression makes no sense.
    """

    def __init__(
        self,
        path: Path,
        *,
        speed: float | None = 1.0,
        ignore: Sequence[str] = (),
        mocks: Callable[[PendingCall], Answer | None] | None = None,
    ) -> None:
        self.path = path
        factor = check_speed(speed)
        self.advice = (
            "Record it anew (--senytl-record=all, or senytl.record), or name what may differ in "
            'texts: ignore=[r"..."].'
        )
        self.lacked = False
        self._speed = math.inf if speed is None else float(speed)
        self._matcher = Matcher(ignore)
        self._mocks = mocks
        self._scrubber = Scrubber()
        self._scope: CaptureScope | None = None
        self._messages: dict[str, str] = {}
        try:
            calls = load(path)
        except FileNotFoundError:
            raise RecordingError(
                f"there is no recording {shown(path)}. Record it: run the code once under "
                "senytl.record(...), or the test with --senytl-record=once; then review the file "
                "and commit it"
            ) from None
        self._requests = [call.request for call in calls]
        self._groups: tuple[dict[str, _Group], ...] = ({}, {}, {})
        for call in calls:
            sequence = _play_all(call, factor)
            for groups, key in zip(self._groups, self._matcher.keys(call.request), strict=True):
                groups.setdefault(key(), _Group()).sequences.append(sequence)

    def answer(self, call: PendingCall) -> Answer:
        """What was recorded for this call.

        Raises:
            UnrecordedCallError: If nothing was; it tells what is nearest.
        """
        __tracebackhide__ = True
        if self._mocks is not None and (stated := self._mocks(call)) is not None:
            return stated
        group = self._find(call)
        attempt = attempt_under_way()
        place = 0
        sequence: _Sequence | None = None
        if attempt is not None and attempt.number > 1:
            given = _given.get()
            if given is not None and given.group is group:
                sequence, place = given.sequence, given.place + 1
            else:
                place = attempt.number - 1
                sequence = group.continued(place)
        if sequence is None:
            sequence, place = group.next(), 0
        # More attempts than were recorded end as those did.
        played = sequence[min(place, len(sequence) - 1)]
        _played[self._speed] += 1  # a race may lose some, never all
        if played.may_be_retried:
            _given.set(_Given(group, sequence, place))
            group.leave_open(sequence, place + 1)
        return played

    def start(self) -> None:
        """Begin to answer; once is enough."""
        global _replaying
        with _lock:
            if self._scope is None:
                self._scope = open_scope(answerer=self)
                _replaying = (*_replaying, self)

    def stop(self) -> None:
        """Answer no more."""
        global _replaying
        with _lock:
            if self._scope is not None:
                self._scope.close()
                self._scope = None
                _replaying = tuple(one for one in _replaying if one is not self)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _find(self, call: PendingCall) -> _Group:
        __tracebackhide__ = True
        request = Request(
            api=call.api,
            provider=call.provider,
            model=self._scrubber.text(call.model),
            streamed=call.streamed,
            host="",
            path="",
            body=self._scrubber.request(call.request),
        )
        key = ""
        for groups, write in zip(self._groups, self._matcher.keys(request), strict=True):
            key = write()
            group = groups.get(key)
            if group is not None:
                return group
        self.lacked = True
        raise UnrecordedCallError(self._message(request, key), call.model)

    def _message(self, request: Request, key: str) -> str:
        """What to say of a call that was not recorded; the same call may come a thousand times."""
        known = self._messages.get(key)
        if known is not None:
            return known
        closest = nearest(request, self._requests)
        message = f"this call of {request.model!r} is not in the recording {shown(self.path)}"
        if closest is None:
            message += ", which is empty."
        else:
            number = self._requests.index(closest) + 1
            message += (
                f". Nearest is its call {number} of {len(self._requests)}, which differs in:\n"
                f"{describe_difference(closest, request)}"
            )
        message += f"\n{self.advice}"
        if len(self._messages) < _KEPT_MESSAGES:
            self._messages[key] = message
        return message


def check_speed(speed: float | None) -> float:
    """The factor of a recording's times that a speed stands for.

    Raises:
        ValueError: If it is no number above 0, nor None.
    """
    if speed is None:
        return 0.0
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not speed > 0:
        raise ValueError(
            f"speed is {speed!r}; it is a number above 0 (2 is twice as fast), or None to replay "
            "without waiting"
        )
    return 1 / speed


def is_replaying() -> bool:
    """Whether a replay answers calls, which fails those that it does not know."""
    return bool(_replaying)


def played_speeds() -> Mapping[float, int]:
    """How often recordings answered at each speed, infinity being without waiting.

    The figures are those of the whole process: subtract an earlier reading.
    """
    return dict(_played)


def _play_all(call: RecordedCall, factor: float) -> _Sequence:
    return [_Played(_playback(one, factor, call.request.streamed)) for one in call.attempts]


def _playback(attempt: Attempt, factor: float, streamed: bool) -> Playback:
    scale = factor / 1000  # from milliseconds as recorded to seconds as played
    headers = _scaled_advice(attempt.headers, factor)
    lost = attempt.ending in ("cancelled", "disconnect", "timeout") or attempt.status is None
    ends_at = attempt.ends_at * scale
    if attempt.ending == "cancelled" and factor:
        ends_at += _PATIENCE
    if streamed and (attempt.status or 0) < 400:
        return Playback(
            status=attempt.status or 200,
            headers=headers,
            pieces=[chunk.data for chunk in attempt.chunks],
            moments=[chunk.moment * scale for chunk in attempt.chunks] if factor else [],
            head_at=attempt.head_at * scale,
            ending=_ending(attempt) if lost else "complete",
            ends_at=ends_at,
        )
    return Playback(
        status=attempt.status or 200,
        headers=headers,
        pieces=() if lost else [b"".join(chunk.data for chunk in attempt.chunks)],
        head_at=attempt.ends_at * scale,
        ending=_ending(attempt) if lost else "complete",
        ends_at=ends_at,
    )


def _ending(attempt: Attempt) -> Ending:
    return "disconnect" if attempt.ending == "disconnect" else "timeout"


def _scaled_advice(headers: Mapping[str, str], factor: float) -> dict[str, str]:
    """The headers with the pause before a retry as much shorter as everything is."""
    scaled = dict(headers)
    for name, unit in (("retry-after", 1.0), ("retry-after-ms", 1000.0)):
        if name not in scaled or factor == 1:
            continue
        try:
            seconds = float(scaled[name]) / unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds > 0:
            pause = max(seconds * factor, _SHORTEST_PAUSE) * unit
            scaled[name] = f"{pause:.6f}".rstrip("0").rstrip(".")
    return scaled
