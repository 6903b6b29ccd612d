"""The thread of one user, and one body in it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from threading import Thread
from typing import Any

from senytl.models import PerformanceError
from senytl.performance.decorated import check_result
from senytl.performance.load.hanging import line_of_coroutine, line_of_thread
from senytl.performance.load.users import User
from senytl.performance.recording import Recorder, clock

__all__ = ["UserThread", "run_once"]


class UserThread(Thread):
    """A daemon with a copy of the context in which it was made.

    Args:
        number: Of the user whose it is.
        users: How many users there are to be.
        live: What it runs.
        args: The arguments of that.

    Attributes:
        body: The coroutine that it runs, where it has an event loop of its own.
    """

    def __init__(self, number: int, users: int, live: Callable[..., None], *args: object) -> None:
        super().__init__(
            target=copy_context().run,
            args=(live, *args),
            name=f"senytl-user-{number}",
            daemon=True,
        )
        self._number = number
        self._users = users
        self.body: Any = None

    def start(self) -> None:
        """Start it.

        Raises:
            PerformanceError: If the machine gives no more threads.
        """
        try:
            super().start()
        except RuntimeError as error:
            raise PerformanceError(
                f"only {self._number:,} of {self._users:,} users could be started, since each is a "
                f"thread ({error}); use fewer users, or an async function"
            ) from error

    def where_it_hangs(self) -> str | None:
        """Which user it is and which line of which file it runs; None if it has ended."""
        if not self.is_alive():
            return None
        line = None
        if self.body is not None and not self.body.cr_running:  # its loop waits
            line = line_of_coroutine(self.body)
        line = line or line_of_thread(self.ident or 0)
        return None if line is None else f"user {self._number} at {line}"


def run_once(
    user: User, recorder: Recorder, call: Callable[[], Any], intended: float | None
) -> tuple[float, bool]:
    """Run one body; gives its end, and whether the user may go on.

    Args:
        user: Who runs it.
        recorder: What records it.
        call: The body.
        intended: When it was to start, by `clock`; None where that was up to the user.
    """
    __tracebackhide__ = True
    user.idle = False
    recorder.body_start = start = clock()
    recorder.lag = 0.0 if intended is None else max(0.0, start - intended)
    try:
        if (result := call()) is not None:
            check_result(result, "load-tested")
    except BaseException as error:
        end = clock()
        return end, user.commit(end, error)
    end = clock()
    return end, user.commit(end)
