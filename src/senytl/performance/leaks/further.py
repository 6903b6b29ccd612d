"""Further rounds of a run's work, after it was measured: what they are in threads and in tasks.

Users go on where the run left them, each with what it keeps for itself, and do the same in each
round: they run their share of its bodies one after the other, as fast as they can. Between rounds
no body runs, and whoever asked for them reads memory. Nothing of it is in any figure.

See `further_threads` and `further_tasks` for those of a load; a benchmark runs its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from senytl.capture import flush, open_scope
from senytl.performance.decorated import check_result
from senytl.performance.failures import is_failure
from senytl.performance.recording import Recorder, clock

if TYPE_CHECKING:
    from senytl.models import LLMCallRecord
    from senytl.performance.run import Run
    from senytl.performance.user import CurrentUser

__all__ = ["Between", "FurtherUser", "FurtherWork", "RoundsDone", "share_of"]

_MOST_GRACE = 1.0
_GRACE = 0.1
"""Seconds, or a share of the time where that is less, at the end of the time in which no body
begins: those that run then should end by themselves."""

Between = Callable[[int], bool]
"""Called with the requests so far while no body runs; gives whether to go on."""


@dataclass(frozen=True, slots=True)
class RoundsDone:
    """What came of further rounds.

    Args:
        requests: How many ended, those of a round that was broken off included.
        failed: How many of them failed.
        rounds: How many rounds were run to their end.
        in_time: Whether they ended before the time was over.
        left_behind: Users that hung when it was, and where they did.
    """

    requests: int
    failed: int
    rounds: int
    in_time: bool
    left_behind: tuple[str, ...] = ()


class FurtherUser:
    """One user of further rounds.

    Args:
        run: The run that it was part of.
        user: Who it is.
        place: Its place among the users, from 0.

    Attributes:
        number: The user's own number.
        recorder: Its recorder, which keeps nothing of a request that has ended.
        failed: How many of its requests failed.
    """

    __slots__ = ("failed", "number", "place", "recorder")

    def __init__(self, run: Run, user: CurrentUser, place: int) -> None:
        self.number = user.number
        self.place = place
        self.recorder = Recorder(run, counts=False, user=user)
        self.failed = 0

    def end_body(self, error: BaseException | None = None) -> None:
        """Count a body that has ended; nothing else of it is kept."""
        recorder = self.recorder
        if error is None and not recorder.touched:
            recorder.forgotten += 1
            return
        recorder.end_body(clock(), error)
        self.failed += len(recorder.failed_latencies)
        recorder.discard()


class FurtherWork:
    """Further rounds while they run: what their users share.

    Their life: inside `captured`, `begin`; then, as long as `may_go_on`, each round: `next_round`,
    in which every user runs its `share`, and `end_round`.

    Args:
        run: The run that was measured.
        users: Its users.
        requests: How many requests to run in all, or a few more, since all rounds have as many.
        rounds: In how many rounds.
        seconds: How long that may take.
        between: Called before the first round, and after each one.

    Attributes:
        run: The run.
        users: Those that take part.
        rounds: How many rounds there are to be.
        number: The round that runs, from 0.
        until: The time by `clock` from which no body begins.
        cut_off: When those that run are not waited for any longer.
        in_time: Whether no body had to be left out, since the time was over.
        error: What stopped the rounds, if anything did.
        on_stop: Called when they are stopped; by any thread.
    """

    def __init__(
        self,
        run: Run,
        users: Sequence[CurrentUser],
        *,
        requests: int,
        rounds: int,
        seconds: float,
        between: Between,
    ) -> None:
        self.run = run
        self.rounds = rounds
        self.number = -1
        self.until = self.cut_off = -math.inf
        self.in_time = True
        self.error: BaseException | None = None
        self.on_stop: Callable[[], object] = bool
        self._seconds = seconds
        self._between = between
        self._ended_rounds = 0
        self._bodies = _bodies_of_a_round(users, requests, rounds)
        self.users = [FurtherUser(run, user, place) for place, user in enumerate(users)]

    @contextmanager
    def captured(self) -> Iterator[None]:
        """See LLM calls, whether or not the run still does, and keep all out of its figures."""
        stray = _Nobody()
        with open_scope(unattributed=stray, carry_context=self.run.settings.carry_context):
            try:
                yield
            finally:
                for user in self.users:
                    flush(user.recorder)
                flush(stray)

    def begin(self) -> None:
        """Start the clock."""
        self.cut_off = clock() + self._seconds
        self.until = self.cut_off - min(_MOST_GRACE, _GRACE * self._seconds)
        if self.error is not None:  # it was stopped in the moment in which these were set
            self.until = self.cut_off = -math.inf

    def stop(self, error: BaseException) -> None:
        """Let no further body begin.

        Args:
            error: Why; the first one is kept.
        """
        if self.error is None:
            self.error = error
        self.until = self.cut_off = -math.inf
        self.on_stop()

    def next_round(self) -> bool:
        """Come to the next round; gives whether there is one, and time for it."""
        if not self.users or self._ended_rounds >= self.rounds:
            return False
        if clock() >= self.until:
            self.in_time = False
            return False
        self.number += 1
        return True

    def end_round(self, *, quiet: bool) -> bool:
        """End a round; gives whether to go on.

        Args:
            quiet: Whether no body runs any longer.
        """
        self.in_time &= quiet or self.error is not None
        if not (self.in_time and self.error is None):
            return False
        self._ended_rounds += 1
        return self.may_go_on()

    def may_go_on(self) -> bool:
        """Let memory be read, while no body runs; gives whether to go on."""
        for user in self.users:
            user.recorder.discard()  # calls that came after their bodies
        return self._between(self._requests)

    def share(self, user: FurtherUser) -> int:
        """How many bodies a user runs in this round."""
        return share_of(user.place, len(self.users), self._bodies, self.number)

    def run_share(self, user: FurtherUser, call: Callable[[], Any]) -> None:
        """Run a user's bodies of this round, in its thread."""
        __tracebackhide__ = True
        recorder = user.recorder
        for _ in range(self.share(user)):
            recorder.body_start = now = clock()
            if now >= self.until:
                self.in_time = False
                return
            try:
                if (result := call()) is not None:
                    check_result(result, "load-tested")
            except BaseException as error:
                if not self.goes_on_after(user, error):
                    return
            else:
                user.end_body()

    def goes_on_after(self, user: FurtherUser, error: BaseException) -> bool:
        """Count a body that an error left; gives whether that says no more than that it failed."""
        user.end_body(error)
        if is_failure(error):
            return True
        self.stop(error)
        return False

    def done(self, left_behind: Sequence[str] = ()) -> RoundsDone:
        """What came of it.

        Raises:
            BaseException: What stopped it, if anything did.
        """
        __tracebackhide__ = True
        if self.error is not None:
            raise self.error
        failed = sum(user.failed for user in self.users)
        return RoundsDone(
            self._requests, failed, self._ended_rounds, self.in_time, tuple(left_behind)
        )

    @property
    def _requests(self) -> int:
        return sum(user.recorder.ended for user in self.users)


class _Nobody:
    """Takes the LLM calls of which nobody knows whose they are."""

    def add_call(self, call: LLMCallRecord) -> None:
        """Keep nothing of it."""


def share_of(place: int, users: int, bodies: int, number: int) -> int:
    """How many bodies of a round one user runs; what cannot be shared evenly goes round.

    Args:
        place: The user's place, from 0.
        users: How many there are.
        bodies: How many bodies each round has.
        number: The round's number, from 0.
    """
    # As if all bodies of all rounds were dealt out to the users in turn.
    first = number * bodies
    return (first + bodies + users - 1 - place) // users - (first + users - 1 - place) // users


def _bodies_of_a_round(users: Sequence[CurrentUser], requests: int, rounds: int) -> int:
    """How many bodies a round has, if a body makes as many requests as it has made so far."""
    bodies = sum(user.iteration for user in users)
    ended = sum(recorder.ended for user in users for recorder in user.recorders)
    if not 0 < bodies < ended:
        bodies = ended = 1
    return max(1, math.ceil(requests * bodies / (rounds * ended)))
