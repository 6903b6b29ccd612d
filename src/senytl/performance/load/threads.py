"""The engine for sync functions: each user is a thread."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextvars import copy_context
from itertools import repeat
from threading import Event, Lock, Thread
from typing import Any

from senytl.models import PerformanceError
from senytl.performance.decorated import check_result
from senytl.performance.load.users import Load, User
from senytl.performance.recording import clock

__all__ = ["run_threads"]

_STOP_WAIT = 1.0
"""Seconds that requests in flight are waited for when a load was stopped before its time."""

_WAIT_STEP = 0.5
"""Seconds after which a wait looks up, for platforms where Ctrl-C does not end it."""


def run_threads(load: Load, call: Callable[[], Any]) -> None:
    """Run the users of a load, and come back when they have left or were waited for in vain.

    The threads are daemons with the process's own stack size; those that hang are left behind.

    Args:
        load: What to run.
        call: One body.

    Raises:
        PerformanceError: If not all threads could be started.
        BaseException: What stopped the load, if anything did.
    """
    __tracebackhide__ = True
    over = Event()
    load.on_over = over.set
    gate = Lock()
    threads = [
        Thread(
            target=copy_context().run,
            args=(_live, user, call, gate, over),
            name=f"senytl-user-{user.number}",
            daemon=True,
        )
        for user in load.users
    ]
    try:
        with gate:
            _start(threads)
            load.begin()
        while not over.is_set() and (left := load.seconds_until(load.plan.cut_off)) > 0:
            over.wait(min(left, _WAIT_STEP))
    except BaseException as error:
        load.stop(error)
    if over.is_set():
        _join(threads)
    if load.error is not None:
        raise load.error


def _start(threads: list[Thread]) -> None:
    for started, thread in enumerate(threads):
        try:
            thread.start()
        except RuntimeError as error:
            raise PerformanceError(
                f"only {started:,} of {len(threads):,} users could be started, since each is a "
                f"thread ({error}); use fewer users, or an async function"
            ) from error


def _join(threads: list[Thread]) -> None:
    end = clock() + _STOP_WAIT
    for thread in threads:
        if thread.ident is not None:  # it was started
            thread.join(max(0.0, end - clock()))


def _live(user: User, call: Callable[[], Any], gate: Lock, over: Event) -> None:
    """The life of one user, in its own thread and context."""
    end = -math.inf
    try:
        with user.recorder.entered():
            # Handing a lock on from user to user releases a thousand of them in a fifth of the
            # time that a barrier or an event takes.
            with gate:
                pass
            delay = user.load.seconds_until(user.load.plan.start_of(user.number))
            if delay > 0:
                over.wait(delay)
            end = _work(user, call)
    except BaseException as error:  # not of the body: those are caught where they occur
        user.load.stop(error)
    finally:
        user.leave(end)


def _work(user: User, call: Callable[[], Any]) -> float:
    """Run one body after the other; gives the end of the last one."""
    __tracebackhide__ = True  # a failed request is shown from the body on
    load, recorder = user.load, user.recorder
    append = recorder.latencies.append
    iterations = load.plan.iterations
    end = -math.inf
    if clock() >= load.deadline:
        return end
    user.idle = False
    # This loop is what the measuring costs: benchmarks/recording_cost.py holds it to account.
    for _ in repeat(None) if iterations is None else repeat(None, iterations):
        recorder.body_start = start = clock()
        try:
            if (result := call()) is not None:
                check_result(result, "load-tested")
        except BaseException as error:
            end = clock()
            if not user.commit(end, error):
                break
        else:
            end = clock()
            if recorder.touched or end >= load.deadline:
                if not user.commit(end):
                    break
            else:
                append(end - start)
    return end
