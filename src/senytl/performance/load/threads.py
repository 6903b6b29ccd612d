"""The engine for sync functions: each user is a thread."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from threading import Event, Lock
from time import sleep
from typing import Any

from senytl.performance.decorated import check_result
from senytl.performance.load.open_threads import run_open
from senytl.performance.load.pacers import Pacer, pacer_of
from senytl.performance.load.rounds import NAP, Round
from senytl.performance.load.running import Load
from senytl.performance.load.turns import Turn
from senytl.performance.load.user_threads import UserThread, run_once
from senytl.performance.load.users import User
from senytl.performance.recording import Recorder, clock

__all__ = ["run_threads"]

_STOP_WAIT = 1.0
"""Seconds that requests in flight are waited for when a load was stopped before its time."""

_WAIT_STEP = 0.5
"""Seconds after which a wait looks up, for platforms where Ctrl-C does not end it."""

_NAP = 0.0002
"""Seconds that who is early in a round leaves to others."""

_LEAST_WAIT = 0.0005
"""Seconds below which nobody is made to wait."""

Call = Callable[[], Any]


def run_threads(load: Load, call: Call, on_leave: Callable[[], None] | None = None) -> None:
    """Run the users of a load, and come back when they have left or were waited for in vain.

    The threads are daemons with the process's own stack size; those that hang are left behind.

    Args:
        load: What to run.
        call: One body.
        on_leave: Called by each user's thread at its end.

    Raises:
        PerformanceError: If not all threads could be started.
        BaseException: What stopped the load, if anything did.
    """
    __tracebackhide__ = True
    over = Event()
    load.on_over = over.set
    try:
        if load.plan.is_open:
            run_open(load, call, over, on_leave)
        else:
            _run_closed(load, call, over, on_leave)
    except BaseException as error:
        load.stop(error)
    if over.is_set():
        _join(load.users)
    hanging = [user for user in load.users if user.close()]
    load.abandoned += filter(None, (user.engine_handle.where_it_hangs() for user in hanging))
    if load.error is not None:
        raise load.error


def _run_closed(load: Load, call: Call, over: Event, on_leave: Callable[[], None] | None) -> None:
    gate, wake = Lock(), Event()
    load.rounds.conduct_soon = wake.set

    def end() -> None:
        over.set()
        wake.set()

    load.on_over = end
    for user in load.users:
        user.engine_handle = UserThread(
            user.number, load.plan.users, _live, user, call, gate, over, on_leave
        )
    with gate:
        for user in load.users:
            user.engine_handle.start()
        load.begin()
    while not over.is_set() and (left := load.cut_off - clock()) > 0:
        # Memory is read by this thread alone: malloc keeps for each thread what it has freed.
        if wake.wait(min(left, _WAIT_STEP)) and not over.is_set():
            wake.clear()
            load.rounds.conduct()


def _join(users: list[User]) -> None:
    end = clock() + _STOP_WAIT
    for user in users:
        thread = user.engine_handle
        if thread is not None and thread.ident is not None:  # it was started
            thread.join(max(0.0, end - clock()))


def _live(
    user: User, call: Call, gate: Lock, over: Event, on_leave: Callable[[], None] | None
) -> None:
    """The life of one user of a closed model, in its own thread and context."""
    end = -math.inf
    try:
        # Handing a lock on from user to user releases a thousand of them in a fifth of the
        # time that a barrier or an event takes.
        with gate:
            pass
        pacer = pacer_of(user.load.plan, user.number)
        present_until = math.inf
        stints = user.load.plan.stints_of(user.number)
        for stint in stints:
            if pacer is not None and stint.start > present_until:
                pacer.begin_anew()
            present_until = stint.end
            while (delay := user.load.seconds_until(stint.start)) > 0 and not over.is_set():
                over.wait(delay)  # pauses may have come meanwhile
            recorder = user.take_up(stint)
            turn = Turn(user, stint, is_last=stint is stints[-1])
            try:
                with recorder.entered():
                    while not turn.over:
                        if pacer is None:
                            last = _work(user, recorder, call, turn.tickets())
                        else:
                            last = _work_by_pace(user, recorder, call, turn.tickets(), pacer, over)
                        if stint.counts:
                            end = max(end, last)
                        if (held := turn.arrive()) is not None:
                            _wait(user.load, turn, held, pacer)
            finally:
                turn.leave()
            if pacer is not None:
                user.give_up_starts(pacer)
            user.active = False
    except BaseException as error:  # not of the body: those are caught where they occur
        user.load.stop(error)
    finally:
        try:
            if on_leave is not None:
                on_leave()
        except BaseException as error:
            user.load.stop(error)
        user.leave(end)


def _wait(load: Load, turn: Turn, held: Round, pacer: Pacer | None) -> None:
    """Wait until a pause is over, and as long again as others had to wait for this user."""
    if held is NAP:
        sleep(_NAP)
        return
    if not held.opened.wait(held.patience if math.isfinite(held.patience) else None):
        load.rounds.give_up(held)
    if pacer is not None:
        pacer.shift(held.shift)
    if not load.stopped and (left := turn.arrived_at + held.shift - clock()) > _LEAST_WAIT:
        sleep(left)


def _work(user: User, recorder: Recorder, call: Call, tickets: Iterator[object]) -> float:
    """Run one body after the other; gives the end of the last one."""
    __tracebackhide__ = True  # a failed request is shown from the body on
    append = recorder.latencies.append
    end = -math.inf
    recorder.body_start = clock()
    if recorder.body_start >= user.until:
        return end
    user.idle = False
    # This loop is what the measuring costs: benchmarks/load_engine.py holds it to account. Where
    # the user goes on at once, one reading of the clock ends a body and starts the next.
    for _ in tickets:
        start = recorder.body_start
        try:
            if (result := call()) is not None:
                check_result(result, "load-tested")
        except BaseException as error:
            end = clock()
            if not user.commit(end, error):
                break
            recorder.body_start = clock()
        else:
            end = clock()
            if recorder.touched or end >= user.until:
                if not user.commit(end):
                    break
                recorder.body_start = clock()
            else:
                append(end - start)
                recorder.body_start = end
    user.idle = True
    return end


def _work_by_pace(
    user: User,
    recorder: Recorder,
    call: Call,
    tickets: Iterator[object],
    pacer: Pacer,
    over: Event,
) -> float:
    """Run a body each time that the pacer says; gives the end of the last one."""
    __tracebackhide__ = True
    end = -math.inf
    moment = clock()
    for _ in tickets:
        dropped = pacer.dropped
        moment = pacer.next(max(moment, end))
        if recorder.counts:
            user.dropped_starts += pacer.dropped - dropped
        if moment >= user.until:
            pacer.put_back(moment)
            break
        while (left := moment - clock()) > 0 and not over.is_set():
            over.wait(left)
        if clock() >= user.until:
            pacer.put_back(moment)
            break
        end, goes_on = run_once(user, recorder, call, moment if pacer.intends else None)
        if not goes_on:
            break
    user.idle = True
    return end
