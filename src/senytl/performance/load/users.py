"""A load while it runs: what its users share, and what each of them keeps."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Lock
from time import sleep
from types import TracebackType
from typing import Self

from senytl.performance.failures import is_failure
from senytl.performance.load.plan import LoadPlan
from senytl.performance.metrics import PerformanceMetrics
from senytl.performance.recording import clock
from senytl.performance.run import Run
from senytl.performance.runlog import RunLog

__all__ = ["Load", "User"]


class _CutOff(BaseException):
    """Why a request has not ended: the load did not wait for it any longer."""


class Load:
    """One run of a plan; a context manager around the engine that runs its users.

    Its life: entering it starts the run; the engine makes all users ready, calls `begin`, and
    waits until `on_over` is called or until the plan's cut-off; leaving it closes every user,
    makes the figures, and raises the SLAs that do not hold.

    How long it lasted, which throughput is counted by: from `begin` to the end of the last
    request that ended, and in no case less than the time in which users started requests (the
    plan's duration, or up to the moment at which the load was stopped). The ramp-up is part of
    that, and so is the time after the deadline in which requests that were in flight ended.

    Args:
        name: The test's name.
        plan: What to run.
        log: Takes the figures.

    Attributes:
        users: Those of the plan, in the order in which they start.
        deadline: The time by `clock` at which no user starts another request; in the past until
            the load has begun, and again once it was stopped.
        error: What stopped the load before its time.
        on_over: Called when the last user has left, or when the load is stopped; by any thread,
            and more than once.
        metrics: The figures, once it is over.
    """

    __slots__ = (
        "_last_start",
        "_lock",
        "_log",
        "_run",
        "_running",
        "_start",
        "deadline",
        "error",
        "metrics",
        "on_over",
        "plan",
        "users",
    )

    def __init__(self, name: str, plan: LoadPlan, log: RunLog) -> None:
        self.plan = plan
        self.deadline = -math.inf
        self.error: BaseException | None = None
        self.on_over: Callable[[], object] = bool
        self.metrics: PerformanceMetrics
        self._log = log
        self._run = Run(name, "load_test", concurrent_users=plan.concurrent_users)
        self._start = self._last_start = math.nan
        self._lock = Lock()
        self._running = plan.concurrent_users
        self.users = [User(self, number) for number in range(plan.concurrent_users)]

    def __enter__(self) -> Self:
        self._run.start()
        return self

    def begin(self) -> None:
        """Start the clock: the users are released."""
        self._start = self._run.released_at = clock()
        if self.error is None:
            self.deadline = self._start + self.plan.deadline
            self._last_start = self.deadline

    def seconds_until(self, moment: float) -> float:
        """How long it is until a moment of the plan; negative once it has passed."""
        return self._start + moment - clock()

    def stop(self, error: BaseException) -> None:
        """End the load before its time: no user starts another request.

        Args:
            error: Why; the first one is kept.
        """
        if self.error is None:
            self.error = error
            self._last_start = min(clock(), self.deadline)
        self.deadline = -math.inf
        self.on_over()

    def user_left(self) -> None:
        """Count a user whose work is over."""
        with self._lock:
            self._running -= 1
            last = not self._running
        if last:
            self.on_over()

    @property
    def duration_seconds(self) -> float:
        """How long the load lasted; 0 where it never began."""
        if math.isnan(self._start):
            return 0.0
        ends = [user.last_end for user in self.users]
        if math.isfinite(self._last_start):
            ends.append(self._last_start)
        return max(0.0, max(ends) - self._start)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        if error is not None:
            self.stop(error)
        for user in self.users:
            user.close()
        self._run.stop()
        self.metrics = self._run.finish(self.duration_seconds, error)
        self._log.append(self.metrics)
        self.users.clear()  # their columns are in the figures now
        self._run.conclude(self.metrics, error)


class User:
    """One user of a load.

    Only the user itself records, until `close`; from then on nothing that it does counts. A
    user that hangs in a body is left behind, so it may come back at any later time.

    Args:
        load: The load that it is part of.
        number: Counted from 0.

    Attributes:
        recorder: Its requests.
        idle: Whether it is between two bodies, or before the first one, or after the last one.
        last_end: When its last request ended, once it has left.
    """

    __slots__ = ("_closed", "_committing", "idle", "last_end", "load", "number", "recorder")

    def __init__(self, load: Load, number: int) -> None:
        self.load = load
        self.number = number
        self.recorder = load._run.new_recorder()
        self.idle = True
        self.last_end = -math.inf
        self._committing = False
        self._closed = False

    def commit(self, end: float, error: BaseException | None = None) -> bool:
        """Record a body that has ended, where an append to the recorder's column will not do.

        Args:
            end: When it ended, by `clock`.
            error: What left it. Anything but a failure of the agent stops the load.

        Returns:
            Whether the user may start another one.
        """
        # A flag on each side, in place of a lock: either `close` sees that this is under way and
        # waits, or this sees that the user was closed.
        self._committing = True
        try:
            if self._closed:
                return False
            self.recorder.end_body(end, error)
            stops = error is not None and not is_failure(error)
            self.idle = stops or end >= self.load.deadline
        finally:
            self._committing = False
        if error is not None and stops:
            self.load.stop(error)
        return not self.idle

    def close(self) -> None:
        """Let nothing that this user does from now on count; a body that runs is interrupted."""
        if self._closed:
            return
        self._closed = True
        while self._committing:
            sleep(0.001)
        if self.idle:
            return
        # The user's loop may still append to the column that it knows.
        self.recorder.latencies = self.recorder.latencies[:]
        self.recorder.end_body(clock(), _CutOff())

    def leave(self, last_end: float) -> None:
        """End this user's work.

        Args:
            last_end: When its last body ended.
        """
        if not self._closed:
            self.last_end = last_end
        self.idle = True
        self.load.user_left()
