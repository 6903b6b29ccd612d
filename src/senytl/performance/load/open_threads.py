"""The open model in threads: each start is handed to a user who is free."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Event, Lock
from typing import Any

from senytl.performance.leaks.quiet import fill_thread_cache
from senytl.performance.load.running import Load
from senytl.performance.load.user_threads import UserThread, run_once
from senytl.performance.load.users import User
from senytl.performance.recording import Recorder, clock

__all__ = ["run_open"]

_WAIT_STEP = 0.5
"""Seconds after which a wait looks up, for platforms where Ctrl-C does not end it."""

_LOOK = 0.002
"""Seconds between two looks at whether the last requests have ended."""

Call = Callable[[], Any]


def run_open(load: Load, call: Call, over: Event, on_leave: Callable[[], None] | None) -> None:
    """Make every start of a load at its time, and wait for the last ones.

    The user who became free last is asked first, so that no more threads run than are needed; and
    who becomes free while starts are overdue takes one of them without being asked. A start for
    which nobody is free and no more users may be made is dropped, and counted.

    Args:
        load: What to run.
        call: One body.
        over: Set when the load is stopped.
        on_leave: Called by each user's thread at its end.
    """
    plan = load.plan
    free: list[_Worker] = []  # appends and pops are safe in any thread
    workers = 0
    load.begin()
    starts = _Starts(load)
    try:
        while (at := starts.next_at) < math.inf:
            pause_at = load.rounds.next_pause_at
            while not over.is_set() and (left := min(at, pause_at) - clock()) > 0:
                over.wait(min(left, _WAIT_STEP))
            if over.is_set():
                break
            if pause_at <= at:
                _pause(load, starts, over, free, workers)
                continue
            moment = starts.take_due()
            if moment is None:  # somebody was faster
                continue
            if free:
                free.pop().assign(moment)
            elif workers < plan.users:
                workers += 1
                worker = _Worker(load.new_user(), call, starts, free, on_leave)
                worker.thread.start()
                worker.assign(moment)
            elif plan.counts(moment):
                load.dropped_starts += 1
        while not load.stopped and len(free) < workers and clock() < load.cut_off:
            over.wait(_LOOK)
        if len(free) == workers:
            load.rounds.read_last()
            over.set()
    finally:  # Ctrl-C too
        for user in load.users:
            user.until = -math.inf
        # Whoever becomes free from now on leaves by itself.
        while free:
            free.pop().assign(None)


def _pause(load: Load, starts: _Starts, over: Event, free: list[_Worker], workers: int) -> None:
    """Hold the starts until no request is in flight and memory was read."""
    held = load.rounds.current
    due = load.rounds.next_pause_at
    starts.hold()
    waits_until = clock() + held.patience
    while len(free) < workers and not over.is_set() and clock() < waits_until:
        over.wait(_LOOK)
    if over.is_set():
        return
    if len(free) == workers:
        load.rounds.hold(due)
    else:
        held.first_arrival = due
        load.rounds.give_up(held)
    starts.go_on(held.shift)


class _Starts:
    """The starts of a load that nobody has taken yet; any thread may take one that is due.

    Attributes:
        next_at: When the next one is due, by `clock`; infinite where there is none.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._moments = load.plan.starts()
        self._lock = Lock()
        self._next = next(self._moments, math.inf)
        self.next_at = load.started + self._next
        self._held = False

    def hold(self) -> None:
        """Let nobody take one."""
        with self._lock:
            self._held = True

    def go_on(self, seconds: float) -> None:
        """Let them be taken again, each so much later."""
        with self._lock:
            self._held = False
            self.next_at += seconds

    def take_due(self) -> float | None:
        """The next start, in seconds from the release, if it is due; None if not."""
        if clock() < self.next_at:
            return None
        with self._lock:
            if self._held or clock() < self.next_at or self._load.stopped:
                return None
            moment, self._next = self._next, next(self._moments, math.inf)
            self.next_at = self._load.started + self._next
            return moment


class _Worker:
    """A user of an open model: runs the starts that are assigned to it, one at a time."""

    def __init__(
        self,
        user: User,
        call: Call,
        starts: _Starts,
        free: list[_Worker],
        on_leave: Callable[[], None] | None,
    ) -> None:
        self._user = user
        self._call = call
        self._starts = starts
        self._free = free
        self._on_leave = on_leave
        self._moment: float | None = None
        self._assigned = Lock()
        self._assigned.acquire()
        user.until = math.inf
        user.engine_handle = self.thread = UserThread(user.number, user.load.plan.users, self._live)

    def assign(self, moment: float | None) -> None:
        """Let the user, who is free, run a body that is to start at a moment of the plan.

        Args:
            moment: In seconds from the release; None to end its work.
        """
        self._moment = moment
        self._user.active = moment is not None
        self._assigned.release()

    def _live(self) -> None:
        user = self._user
        try:
            if user.load.rounds.wanted:
                fill_thread_cache()
            self._assigned.acquire()
            while self._moment is not None:
                recorder = user.recorder_of_start(self._moment)
                with recorder.entered():
                    self._serve(recorder)
        except BaseException as error:  # not of the body: those are caught where they occur
            user.load.stop(error)
        finally:
            try:
                if self._on_leave is not None:
                    self._on_leave()
            except BaseException as error:
                user.load.stop(error)
            user.leave(user.last_end)

    def _serve(self, recorder: Recorder) -> None:
        """Run starts as long as they are recorded by the same."""
        __tracebackhide__ = True
        user = self._user
        while self._moment is not None and user.recorder_of_start(self._moment) is recorder:
            intended = user.load.started + self._moment
            end, goes_on = run_once(user, recorder, self._call, intended)
            if recorder.counts:
                user.note_end(end)
                user.forget_when_many()
            user.idle = True
            self._moment = self._starts.take_due() if goes_on else None
            if self._moment is not None:
                continue
            user.active = False
            if not goes_on:
                break
            self._free.append(self)
            if user.until == -math.inf:  # there are no more starts
                try:
                    self._free.remove(self)
                except ValueError:  # it is told so just now
                    pass
                else:
                    break
            self._assigned.acquire()
