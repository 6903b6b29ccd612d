"""The rounds that a load is followed by, where its memory leaves doubt: by the engine it had."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from senytl.performance.load.own_loops import Loops
from senytl.performance.load.running import Load
from senytl.performance.user import CurrentUser

__all__ = ["run_further", "run_further_async"]


def run_further(load: Load, call: Callable[[], Any]) -> None:
    """Run what is needed to prove a leak, in threads; nothing in most cases.

    Args:
        load: The load, whose users have left.
        call: One body.

    Raises:
        BaseException: What left a body and was no failure of the agent.
    """
    __tracebackhide__ = True
    for wish in load.prove_leaks():
        from senytl.performance.leaks.further_threads import further_rounds_in_threads

        done = further_rounds_in_threads(
            load.run,
            load.people[:1] if wish.alone else load.people,
            call,
            requests=wish.requests,
            rounds=wish.rounds,
            seconds=wish.seconds,
            between=wish.between,
        )
        load.note_further(wish, done)


async def run_further_async(load: Load, call: Callable[[], Awaitable[Any]]) -> None:
    """The same for an async function: in tasks, or in threads with event loops of their own."""
    __tracebackhide__ = True
    for wish in load.prove_leaks():
        people = load.people[:1] if wish.alone else load.people
        if load.plan.engine == "threads":
            from senytl.performance.leaks.further_threads import further_rounds_in_own_loops

            loops = Loops(call)
            # What a user made in its own event loop is of no use in another one.
            people = [CurrentUser(one.number, load.plan.seed) for one in people]
            done = await further_rounds_in_own_loops(
                load.run,
                people,
                loops.run_body,
                requests=wish.requests,
                rounds=wish.rounds,
                seconds=wish.seconds,
                between=wish.between,
                on_leave=loops.close_here,
            )
        else:
            from senytl.performance.leaks.further_tasks import further_rounds_in_tasks

            done = await further_rounds_in_tasks(
                load.run,
                people,
                call,
                requests=wish.requests,
                rounds=wish.rounds,
                seconds=wish.seconds,
                between=wish.between,
                timeout=load.plan.timeout,
            )
        load.note_further(wish, done)
