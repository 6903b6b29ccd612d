"""The engine for async functions: each user is a task on the caller's own loop."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from senytl.performance.load.conductor import Conductor
from senytl.performance.load.crews import Crew, Event, crew_here
from senytl.performance.load.open_tasks import run_open
from senytl.performance.load.pacers import Pacer, pacer_of
from senytl.performance.load.rounds import NAP, Round
from senytl.performance.load.running import Load
from senytl.performance.load.turns import Turn
from senytl.performance.load.user_tasks import run_once
from senytl.performance.load.users import User
from senytl.performance.recording import Recorder, clock

__all__ = ["run_tasks"]

_TURN = 0.0005
"""Seconds after which a user that was not suspended lets the others have the loop.

A body that never really waits would keep the loop to itself. Giving it up after each body costs
ten times such a body (measured: 0.26 us the body, 1.9 to 3.5 us the ``sleep(0)``), this one
hundredth.
"""

_LEAST_WAIT = 0.0005
"""Seconds below which nobody is made to wait: about the grain of a loop's timers."""

Call = Callable[[], Awaitable[Any]]


async def run_tasks(load: Load, call: Call) -> None:
    """Run the users of a load, and come back when they have left or were cancelled.

    Works on asyncio, whatever its loop, and on trio.

    Args:
        load: What to run.
        call: Makes one body.

    Raises:
        BaseException: What stopped the load, if anything did.
    """
    __tracebackhide__ = True
    async with crew_here() as crew:
        over = crew.event()
        load.on_over = crew.from_any_thread(over.set)
        try:
            if load.plan.is_open:
                await run_open(load, call, crew, over)
            else:
                await _run_closed(load, call, crew, over)
        except BaseException as error:  # this test was cancelled from outside
            load.stop(error)
            if isinstance(error, crew.cancelled):
                raise
        finally:
            for user in load.users:
                user.close()
    load.abandoned += crew.left_behind
    if load.error is not None:
        raise load.error


async def _run_closed(load: Load, call: Call, crew: Crew, over: Event) -> None:
    gate = crew.event()
    for user in load.users:
        crew.start(_live, user, call, crew, gate, name=f"senytl-user-{user.number}")
    crew.start(load.watch.probe.watch_loop, crew.sleep, name="senytl-health")
    conductor = Conductor(load, crew)
    crew.start(conductor.conduct, name="senytl-rounds")
    crew.start(conductor.be_patient, name="senytl-patience")
    load.begin()
    gate.set()
    while not over.is_set() and (left := load.cut_off - clock()) > 0:
        await crew.wait(over, left)


async def _live(user: User, call: Call, crew: Crew, gate: Event) -> None:
    """The life of one user of a closed model, in its own task and context."""
    end = -math.inf
    try:
        await gate.wait()
        pacer = pacer_of(user.load.plan, user.number)
        present_until = math.inf
        stints = user.load.plan.stints_of(user.number)
        for stint in stints:
            if pacer is not None and stint.start > present_until:
                pacer.begin_anew()
            present_until = stint.end
            while (delay := user.load.seconds_until(stint.start)) > 0:
                await crew.sleep(delay)  # pauses may have come meanwhile
            recorder = user.take_up(stint)
            turn = Turn(user, stint, is_last=stint is stints[-1])
            try:
                with recorder.entered():
                    while not turn.over:
                        tickets = turn.tickets()
                        if pacer is None:
                            last = await _work(user, recorder, call, tickets, crew)
                        else:
                            last = await _work_by_pace(user, recorder, call, tickets, crew, pacer)
                        if stint.counts:
                            end = max(end, last)
                        if (held := turn.arrive()) is not None:
                            await _wait(user.load, turn, held, crew, pacer)
            finally:
                turn.leave()
            if pacer is not None:
                user.give_up_starts(pacer)
            user.active = False
    except crew.cancelled:
        raise
    except BaseException as error:  # not of the body: those are caught where they occur
        user.load.stop(error)
    finally:
        user.leave(end)


async def _wait(load: Load, turn: Turn, held: Round, crew: Crew, pacer: Pacer | None) -> None:
    """Wait until a pause is over, and as long again as others had to wait for this user."""
    if held is NAP:
        await crew.sleep(0)
        return
    await held.opened.wait()
    if pacer is not None:
        pacer.shift(held.shift)
    if not load.stopped and (left := turn.arrived_at + held.shift - clock()) > _LEAST_WAIT:
        await crew.sleep(left)


async def _work(
    user: User, recorder: Recorder, call: Call, tickets: Iterator[object], crew: Crew
) -> float:
    """Run one body after the other; gives the end of the last one."""
    __tracebackhide__ = True  # a failed request is shown from the body on
    append = recorder.latencies.append
    end = -math.inf
    recorder.body_start = now = clock()
    if now >= user.until:
        return end
    turn_ends = now + _TURN
    user.idle = False
    # As in the engine of threads, one reading of the clock ends a body and starts the next.
    for _ in tickets:
        start = recorder.body_start
        try:
            await call()
        except BaseException as error:
            end = clock()
            if not user.commit(end, crew.meaning(error)):
                if isinstance(error, crew.cancelled):
                    raise
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
        if end >= turn_ends:
            user.idle = True
            await crew.sleep(0)
            recorder.body_start = now = clock()
            if now >= user.until:
                break
            turn_ends = now + _TURN
            user.idle = False
    user.idle = True
    return end


async def _work_by_pace(
    user: User,
    recorder: Recorder,
    call: Call,
    tickets: Iterator[object],
    crew: Crew,
    pacer: Pacer,
) -> float:
    """Run a body each time that the pacer says; gives the end of the last one."""
    __tracebackhide__ = True
    end = -math.inf
    moment = turn_began = clock()
    for _ in tickets:
        dropped = pacer.dropped
        moment = pacer.next(max(moment, end))
        if recorder.counts:
            user.dropped_starts += pacer.dropped - dropped
        if moment >= user.until:
            pacer.put_back(moment)
            break
        if (left := moment - clock()) > 0:
            await crew.sleep(left)
        elif end - turn_began >= _TURN:
            await crew.sleep(0)
            turn_began = clock()
        if clock() >= user.until:
            pacer.put_back(moment)
            break
        intended = moment if pacer.intends else None
        end, goes_on = await run_once(user, recorder, call, crew, intended)
        if not goes_on:
            break
    user.idle = True
    return end
