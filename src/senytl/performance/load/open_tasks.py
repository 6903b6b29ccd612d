"""The open model in tasks: each start is handed to a user who is free."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

from senytl.performance.leaks.quiet import take_turns
from senytl.performance.load.crews import Crew, Event
from senytl.performance.load.running import Load
from senytl.performance.load.user_tasks import run_once
from senytl.performance.load.users import User
from senytl.performance.recording import Recorder, clock

__all__ = ["run_open"]

_TURN = 0.0005
"""Seconds for which starts that are overdue are made in one go, before others get the loop."""

_LOOK = 0.002
"""Seconds between two looks at whether the last requests have ended."""

_LONG = 0.2
"""Seconds from which on a wait for the next start ends when the load is stopped."""

Call = Callable[[], Awaitable[Any]]


async def run_open(load: Load, call: Call, crew: Crew, over: Event) -> None:
    """Make every start of a load at its time, and wait for the last ones.

    The user who became free last is asked first. A start for which nobody is free and no more
    users may be made is dropped, and counted.

    Args:
        load: What to run.
        call: Makes one body.
        crew: Runs the users' tasks.
        over: Set when the load is stopped.
    """
    plan = load.plan
    free: list[_Worker] = []
    workers = 0
    crew.start(load.watch.probe.watch_loop, crew.sleep, name="senytl-health")
    load.begin()
    turn_ends = clock() + _TURN
    for moment in plan.starts():
        while load.rounds.next_pause_at <= load.started + moment and not load.stopped:
            await _pause(load, crew, over, free, workers)
        now = clock()
        left = load.started + moment - now
        if left > 0 or now >= turn_ends:
            if left > _LONG:
                await crew.wait(over, left - _LONG / 2)
                left = -math.inf if load.stopped else load.started + moment - clock()
            await crew.sleep(max(0.0, left))
            turn_ends = clock() + _TURN
        if load.stopped:
            break
        if free:
            free.pop().assign(moment)
        elif workers < plan.users:
            workers += 1
            user = load.new_user()
            worker = _Worker(user, call, crew, free)
            crew.start(worker.live, name=f"senytl-user-{user.number}")
            worker.assign(moment)
        elif plan.counts(moment):
            load.dropped_starts += 1
    while not load.stopped and len(free) < workers and clock() < load.cut_off:
        await crew.wait(over, _LOOK)
    if len(free) == workers:
        load.rounds.read_last()


async def _pause(load: Load, crew: Crew, over: Event, free: list[_Worker], workers: int) -> None:
    """Hold the starts until no request is in flight and memory was read."""
    held = load.rounds.current
    due = load.rounds.next_pause_at
    await crew.wait(over, due - clock())
    waits_until = clock() + held.patience
    while len(free) < workers and not load.stopped and clock() < waits_until:
        await crew.sleep(_LOOK)
    if load.stopped:
        return
    if len(free) == workers:
        await take_turns(crew.sleep)
        load.rounds.hold(due)
    else:
        held.first_arrival = due
        load.rounds.give_up(held)


class _Worker:
    """A user of an open model: runs the starts that are assigned to it, one at a time."""

    def __init__(self, user: User, call: Call, crew: Crew, free: list[_Worker]) -> None:
        self._user = user
        self._call = call
        self._crew = crew
        self._free = free
        self._assigned = crew.event()
        self._moment = math.nan
        user.until = math.inf

    def assign(self, moment: float) -> None:
        """Let the user, who is free, run a body that is to start at a moment of the plan."""
        self._moment = moment
        self._user.active = True
        self._assigned.set()

    async def live(self) -> None:
        """Run what is assigned until this is cancelled, or the load stopped."""
        user = self._user
        try:
            await self._next()
            goes_on = True
            while goes_on and not user.load.stopped:
                recorder = user.recorder_of_start(self._moment)
                with recorder.entered():
                    goes_on = await self._serve(recorder)
        except self._crew.cancelled:
            raise
        except BaseException as error:  # not of the body: those are caught where they occur
            user.load.stop(error)
        finally:
            user.active = False

    async def _next(self) -> None:
        await self._assigned.wait()
        self._assigned = self._crew.event()

    async def _serve(self, recorder: Recorder) -> bool:
        """Run starts as long as they are recorded by the same; gives whether there may be more."""
        __tracebackhide__ = True
        user = self._user
        while user.recorder_of_start(self._moment) is recorder:
            intended = user.load.started + self._moment
            end, goes_on = await run_once(user, recorder, self._call, self._crew, intended)
            user.idle = True
            user.active = False
            if recorder.counts:
                user.note_end(end)
                user.forget_when_many()
            if not goes_on:
                return False
            self._free.append(self)
            await self._next()
        return True
