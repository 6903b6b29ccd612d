"""One body in the task of its user."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from senytl.performance.load.crews import Crew, Limit
from senytl.performance.load.users import User
from senytl.performance.recording import Recorder, clock

__all__ = ["run_once"]


async def run_once(
    user: User,
    recorder: Recorder,
    call: Callable[[], Awaitable[Any]],
    crew: Crew,
    intended: float | None,
) -> tuple[float, bool]:
    """Run one body; gives its end, and whether the user may go on.

    Args:
        user: Who runs it.
        recorder: What records it.
        call: Makes the body.
        crew: Whose task this is.
        intended: When it was to start, by `clock`; None where that was up to the user.
    """
    __tracebackhide__ = True
    seconds = user.load.plan.timeout
    limit: Limit | None = None
    user.idle = False
    recorder.body_start = start = clock()
    recorder.lag = 0.0 if intended is None else max(0.0, start - intended)
    try:
        if seconds is None:
            await call()
        else:
            async with crew.limit(seconds) as limit:
                await call()
    except BaseException as error:
        end = clock()
        # A loop's timers may be coarse, and ring some time too early.
        expired = limit is not None and limit.expired()
        goes_on = user.commit(end, crew.meaning(error), expired=expired)
        if not goes_on and isinstance(error, crew.cancelled):
            raise
        return end, goes_on
    end = clock()
    return end, user.commit(end)
