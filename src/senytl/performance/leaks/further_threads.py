"""Further rounds in threads: each user is one, from the first round to the last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from senytl.performance.leaks.further import Between, FurtherUser, FurtherWork, RoundsDone
from senytl.performance.leaks.quiet import fill_thread_cache
from senytl.performance.load.user_threads import UserThread
from senytl.performance.recording import clock

if TYPE_CHECKING:
    from senytl.performance.run import Run
    from senytl.performance.user import CurrentUser

__all__ = ["further_rounds_in_own_loops", "further_rounds_in_threads"]

_STOP_WAIT = 1.0
"""Seconds that bodies are waited for when the rounds were stopped before their time."""

_LEAVE_WAIT = 5.0
"""Seconds that users may take to leave who run no body; a thousand have event loops to close."""

_WAIT_STEP = 0.5
"""Seconds after which a wait looks up, for platforms where Ctrl-C does not end it."""

Call = Callable[[], Any]


def further_rounds_in_threads(
    run: Run,
    users: Sequence[CurrentUser],
    call: Call,
    *,
    requests: int,
    rounds: int,
    seconds: float,
    between: Between,
    on_leave: Callable[[], None] | None = None,
) -> RoundsDone:
    """Run further rounds, in which each user is a thread, and come back when all have left.

    The threads are daemons with a copy of the caller's context each; those that hang when the time
    is over are left behind.

    Args:
        run: The run that was measured.
        users: Its users, who go on.
        call: One body.
        requests: How many requests to run, or a few more, so that all rounds have as many.
        rounds: In how many rounds.
        seconds: How long that may take; no body begins in the last tenth of it, or last second.
        between: Called with the requests so far by the calling thread, before the first round and
            after each one, while no body runs; it gives whether to go on.
        on_leave: Called by each user's thread at its end.

    Raises:
        PerformanceError: If not all threads could be started.
        BaseException: What stopped the rounds, if anything did: out of a body all that is no
            failure of the agent, and Ctrl-C.
    """
    __tracebackhide__ = True
    work = FurtherWork(
        run, users, requests=requests, rounds=rounds, seconds=seconds, between=between
    )
    return _Threads(work, call, on_leave).run()


async def further_rounds_in_own_loops(
    run: Run,
    users: Sequence[CurrentUser],
    call: Call,
    *,
    requests: int,
    rounds: int,
    seconds: float,
    between: Between,
    on_leave: Callable[[], None],
) -> RoundsDone:
    """The same for users with an event loop each, while the loop of the caller goes on.

    Args:
        run: The run that was measured.
        users: Its users.
        call: One body, in the event loop of the thread that calls it.
        requests: As for threads.
        rounds: As for threads.
        seconds: As for threads.
        between: As for threads, but called by a thread of its own.
        on_leave: Closes the event loop of the thread that calls it.

    Raises:
        BaseException: As for threads; and what ends the caller's task, which stops the rounds.
    """
    __tracebackhide__ = True
    work = FurtherWork(
        run, users, requests=requests, rounds=rounds, seconds=seconds, between=between
    )
    try:
        return await asyncio.to_thread(_Threads(work, call, on_leave).run)
    except BaseException as error:
        work.stop(error)
        raise


class _Hand:
    """A user and its thread.

    Attributes:
        wakes: Released to let it work.
        busy: Whether it has work to do.
    """

    __slots__ = ("busy", "thread", "user", "wakes")

    def __init__(self, user: FurtherUser, users: int, live: Callable[[_Hand], None]) -> None:
        self.user = user
        self.wakes = Lock()
        self.wakes.acquire()
        self.busy = False
        self.thread = UserThread(user.number, users, live, self)


class _Threads:
    """The threads of all users, and the one that waits for them."""

    def __init__(self, work: FurtherWork, call: Call, on_leave: Callable[[], None] | None) -> None:
        self._work = work
        self._call = call
        self._on_leave = on_leave
        self._lock = Lock()
        self._working = 0
        self._quiet = Event()
        self._over = False
        self._hands: list[_Hand] = []

    def run(self) -> RoundsDone:
        """Run all rounds."""
        __tracebackhide__ = True
        work = self._work
        work.on_stop = self._quiet.set
        with work.captured():
            try:
                if work.error is None:  # the caller's task may have ended before this began
                    work.begin()
                    self._start()
                    goes_on = work.may_go_on()
                    while goes_on and work.next_round():
                        goes_on = work.end_round(quiet=self._run_round())
            except BaseException as error:
                work.stop(error)
            left_behind = self._end()
        return work.done(left_behind)

    def _start(self) -> None:
        users = self._work.users
        self._hands = [_Hand(user, len(users), self._live) for user in users]
        for hand in self._hands:
            hand.thread.start()

    def _run_round(self) -> bool:
        """Let the users run their shares; gives whether all of them have."""
        work = self._work
        self._quiet.clear()
        hands = [hand for hand in self._hands if work.share(hand.user)]
        self._working = len(hands)
        for hand in hands:
            hand.busy = True
            hand.wakes.release()
        while not self._quiet.is_set() and (left := work.cut_off - clock()) > 0:
            self._quiet.wait(min(left, _WAIT_STEP))
        return not self._working

    def _live(self, hand: _Hand) -> None:
        """The life of one user, in its own thread and context."""
        fill_thread_cache()
        try:
            with hand.user.recorder.entered():
                while hand.wakes.acquire() and not self._over:
                    self._work.run_share(hand.user, self._call)
                    self._rest(hand)
        except BaseException as error:  # not of a body: those are caught where they occur
            self._work.stop(error)
        finally:
            try:
                if self._on_leave is not None:
                    self._on_leave()
            except BaseException as error:
                self._work.stop(error)

    def _rest(self, hand: _Hand) -> None:
        hand.busy = False
        with self._lock:
            self._working -= 1
            last = not self._working
        if last:
            self._quiet.set()

    def _end(self) -> list[str]:
        """Let all users leave; gives those that do not, and where they are."""
        self._over = True
        for hand in self._hands:
            with suppress(RuntimeError):  # it has not begun the work that it was given
                hand.wakes.release()
        stopped = self._work.error is not None
        started = [hand for hand in self._hands if hand.thread.ident is not None]
        began = clock()
        for hand in started:
            if not hand.busy:
                hand.thread.join(max(0.0, began + _LEAVE_WAIT - clock()))
            elif stopped:
                hand.thread.join(max(0.0, began + _STOP_WAIT - clock()))
        return [line for hand in started if (line := hand.thread.where_it_hangs()) is not None]
