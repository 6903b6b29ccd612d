"""Further rounds in tasks: each user is one on the caller's own loop, of asyncio or of trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from senytl.performance.leaks.further import Between, FurtherUser, FurtherWork, RoundsDone
from senytl.performance.leaks.quiet import take_turns
from senytl.performance.load.crews import Crew, Event, crew_here
from senytl.performance.recording import clock

if TYPE_CHECKING:
    from senytl.performance.run import Run
    from senytl.performance.user import CurrentUser

__all__ = ["further_rounds_in_tasks"]

_TURN = 0.0005
"""Seconds after which a user that was not suspended lets the others have the loop."""

Call = Callable[[], Awaitable[Any]]


async def further_rounds_in_tasks(
    run: Run,
    users: Sequence[CurrentUser],
    call: Call,
    *,
    requests: int,
    rounds: int,
    seconds: float,
    between: Between,
    timeout: float | None = None,
) -> RoundsDone:
    """Run further rounds, in which each user is a task, and come back when all have ended.

    Bodies that run when the time is over are cancelled, and left behind if they do not heed that.
    Before memory is read the loop runs what is ready, so that tasks and callbacks that only have
    to end do.

    Args:
        run: The run that was measured.
        users: Its users, who go on.
        call: Makes one body.
        requests: How many requests to run, or a few more, so that all rounds have as many.
        rounds: In how many rounds.
        seconds: How long that may take; no body begins in the last tenth of it, or last second.
        between: Called with the requests so far before the first round and after each one, while
            no body runs; it gives whether to go on.
        timeout: Seconds after which a body is cancelled, and has failed.

    Raises:
        BaseException: What stopped the rounds, if anything did: out of a body all that is no
            failure of the agent, and a cancellation of the caller.
    """
    __tracebackhide__ = True
    work = FurtherWork(
        run, users, requests=requests, rounds=rounds, seconds=seconds, between=between
    )
    with work.captured():
        async with crew_here() as crew:
            try:
                await _Tasks(work, call, crew, timeout).run()
            except BaseException as error:  # this test was cancelled from outside
                work.stop(error)
                if isinstance(error, crew.cancelled):
                    raise
    return work.done(crew.left_behind)


class _Tasks:
    """The tasks of all users, and the one that waits for them."""

    def __init__(self, work: FurtherWork, call: Call, crew: Crew, timeout: float | None) -> None:
        self._work = work
        self._call = call
        self._crew = crew
        self._timeout = timeout
        self._working = 0
        self._over = False
        self._quiet: Event = crew.event()
        self._gates: list[Event] = [crew.event() for _ in range(work.rounds + 1)]

    async def run(self) -> None:
        """Run all rounds."""
        __tracebackhide__ = True
        work = self._work
        work.on_stop = self._wake
        work.begin()
        for user in work.users:
            self._crew.start(self._live, user, name=f"senytl-user-{user.number}")
        try:
            await take_turns(self._crew.sleep)
            goes_on = work.may_go_on()
            while goes_on and work.next_round():
                goes_on = work.end_round(quiet=await self._run_round())
        finally:
            self._over = True

    async def _run_round(self) -> bool:
        """Let the users run their shares; gives whether all of them have."""
        work = self._work
        self._quiet = self._crew.event()
        self._working = len(work.users)
        self._gates[work.number].set()
        await self._crew.wait(self._quiet, work.cut_off - clock())
        if not self._working and work.error is None:
            await take_turns(self._crew.sleep)
        return not self._working

    def _wake(self) -> None:
        self._quiet.set()

    async def _live(self, user: FurtherUser) -> None:
        """The life of one user, in its own task and context."""
        try:
            with user.recorder.entered():
                # The last one stays shut, for who left would free memory before it is read.
                for gate in self._gates:
                    await gate.wait()
                    await self._run_share(user)
                    self._working -= 1
                    if not self._working:
                        self._quiet.set()
        except self._crew.cancelled:
            raise
        except BaseException as error:  # not of a body: those are caught where they occur
            self._work.stop(error)

    async def _run_share(self, user: FurtherUser) -> None:
        __tracebackhide__ = True
        work, crew, call = self._work, self._crew, self._call
        turn_ends = clock() + _TURN
        for _ in range(work.share(user)):
            now = clock()
            if now >= turn_ends:
                await crew.sleep(0)
                now = clock()
                turn_ends = now + _TURN
            if now >= work.until:
                work.in_time = False
                return
            user.recorder.body_start = now
            try:
                if self._timeout is None:
                    await call()
                else:
                    async with crew.limit(self._timeout):
                        await call()
            except BaseException as error:
                if self._over or not work.goes_on_after(user, crew.meaning(error)):
                    if isinstance(error, crew.cancelled):
                        raise
                    return
            else:
                user.end_body()
