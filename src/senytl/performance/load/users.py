"""One user of a load: what it is at, and what of that counts."""

from __future__ import annotations

import math
from time import sleep
from typing import TYPE_CHECKING, Any

from senytl.performance.failures import is_failure
from senytl.performance.load.forgotten import LEAST_BATCH
from senytl.performance.recording import Recorder, clock
from senytl.performance.user import CurrentUser

if TYPE_CHECKING:
    from senytl.performance.load.pacers import Pacer
    from senytl.performance.load.plan import Stint
    from senytl.performance.load.running import Load

__all__ = ["RequestTimeoutError", "User"]


class RequestTimeoutError(Exception):
    """A request took longer than the load's ``timeout``, and counts as a failed one."""


class _CutOff(BaseException):
    """Why a request has not ended: the load did not wait for it any longer."""


class User:
    """One user of a load.

    Only the user itself records, until `close`; from then on nothing that it does counts. A
    user that hangs in a body is left behind, so it may come back at any later time.

    Args:
        load: The load that it is part of.
        number: Counted from 0.

    Attributes:
        recorder: Of the requests that it makes now: those that count, or those of the warm-up.
        until: The time by `clock` at which it starts no more requests, for now.
        active: Whether it is at work, between requests too; in an open model, whether it is busy.
        idle: Whether it is between two bodies, or before the first one, or after the last one.
        dropped_starts: Starts of its schedule that it was too busy to make.
        last_end: When its last request that counts ended, once it has left.
        engine_handle: The thread or the task that it is.
    """

    __slots__ = (
        "_closed", "_committing", "_measured", "_warm", "active", "dropped_starts",
        "engine_handle", "idle", "last_end", "load", "number", "recorder", "until",
    )  # fmt: skip

    def __init__(self, load: Load, number: int) -> None:
        self.load = load
        self.number = number
        person = CurrentUser(number, load.plan.seed)
        self._measured = load.run.new_recorder(person)
        self._measured.intends = load.plan.has_intended_starts
        self._warm = (
            Recorder(load.run, counts=False, user=person) if load.plan.warmup else self._measured
        )
        self.recorder = self._warm
        self.until = -math.inf
        self.active = False
        self.idle = True
        self.dropped_starts = 0
        self.last_end = -math.inf
        self.engine_handle: Any = None
        self._committing = False
        self._closed = False

    @property
    def measured(self) -> Recorder:
        """The recorder of its requests that count."""
        return self._measured

    @property
    def closed(self) -> bool:
        """Whether nothing that it does counts any more."""
        return self._closed

    def take_up(self, stint: Stint) -> Recorder:
        """Begin a stint; gives the recorder of its requests."""
        now = clock()
        self.recorder = self._measured if stint.counts else self._warm
        if stint.counts:
            self.load.count_from(max(now, self.load.started + stint.start))
        self.until = min(self.load.deadline, self.load.started + stint.end)
        if self.load.stopped:  # in the moment in which this was set
            self.until = -math.inf
        self.active = True
        return self.recorder

    def recorder_of_start(self, moment: float) -> Recorder:
        """The recorder of a request that is intended to start at a moment of the plan."""
        self.recorder = self._measured if self.load.plan.counts(moment) else self._warm
        return self.recorder

    def commit(
        self, end: float, error: BaseException | None = None, *, expired: bool = False
    ) -> bool:
        """Record a body that has ended, where an append to the recorder's column will not do.

        Args:
            end: When it ended, by `clock`.
            error: What left it. Anything but a failure of the agent stops the load.
            expired: Whether it was cancelled, since it had taken longer than the load's timeout.

        Returns:
            Whether the user may start another one.
        """
        # A flag on each side, in place of a lock: either `close` sees that this is under way and
        # waits, or this sees that the user was closed.
        self._committing = True
        try:
            if self._closed:
                return False
            error = self._timed_out(end, error, expired=expired)
            self.recorder.end_body(end, error)
            stops = error is not None and not is_failure(error)
            self.idle = stops or end >= self.until
        finally:
            self._committing = False
        if stops:
            self.load.stop(error)
        return not self.idle

    def _timed_out(
        self, end: float, error: BaseException | None, *, expired: bool = False
    ) -> BaseException | None:
        """What a body that took too long failed with; else what left it."""
        limit = self.load.plan.timeout
        if limit is None or not (expired or end - self.recorder.body_start >= limit):
            return error
        if error is not None and not (is_failure(error) or isinstance(error, _CutOff)):
            return error
        self.recorder.timed_out += 1
        return RequestTimeoutError(f"took longer than timeout={limit:g} seconds")

    def close(self) -> bool:
        """Let nothing that this user does from now on count.

        Returns:
            Whether a body ran, which is interrupted by that.
        """
        if self._closed:
            return False
        self._closed = True
        while self._committing:
            sleep(0.001)
        if self.idle:
            return False
        # The user's loop may still append to the column that it knows.
        recorder = self.recorder
        recorder.latencies = recorder.latencies[:]
        end = clock()
        recorder.end_body(end, self._timed_out(end, _CutOff()))
        return True

    def forget(self) -> None:
        """Keep the distribution of latencies alone, if there are too many; between two bodies."""
        load, recorder = self.load, self._measured
        if not load.forgotten.wanted or load.run.limits_requests:
            return
        # As in `commit`: the figures are made when it is all in the one place or in the other.
        self._committing = True
        try:
            if self._closed:
                return
            forgotten = recorder.forget()
            if forgotten is not None:
                load.forgotten.take(*forgotten)
        finally:
            self._committing = False

    def forget_when_many(self) -> None:
        """The same, for a user of an open model, after each body."""
        recorder = self._measured
        if recorder.ended - recorder.forgotten >= LEAST_BATCH:
            self.load.forgotten.note_batch(LEAST_BATCH)
            self.forget()

    def give_up_starts(self, pacer: Pacer) -> None:
        """Count the starts of a schedule that it was too busy to make by the end of a stint."""
        dropped = pacer.dropped
        pacer.give_up(self.until)
        if self.recorder.counts:
            self.dropped_starts += pacer.dropped - dropped

    def note_end(self, end: float) -> None:
        """Note that a request that counts has ended."""
        if not self._closed:
            self.last_end = max(self.last_end, end)

    def leave(self, last_end: float) -> None:
        """End this user's work.

        Args:
            last_end: When its last body that counts ended.
        """
        self.note_end(last_end)
        self.idle = True
        self.active = False
        self.load.rounds.user_left(self)
        self.load.user_left()
