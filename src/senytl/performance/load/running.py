"""A load while it runs: what its users share."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from itertools import chain, islice, repeat
from operator import length_hint
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Self

from senytl.performance.leaks.quiet import SetAside
from senytl.performance.load.figures import LoadFigures
from senytl.performance.load.forgotten import Forgotten, batch_of
from senytl.performance.load.plan import LoadPlan, Stint
from senytl.performance.load.rounds import Rounds
from senytl.performance.load.users import User
from senytl.performance.load.watch import Watch
from senytl.performance.metrics import PerformanceMetrics
from senytl.performance.recording import clock
from senytl.performance.run import Run
from senytl.performance.runlog import RunLog

if TYPE_CHECKING:
    from senytl.performance.leaks.further import RoundsDone
    from senytl.performance.leaks.proof import FurtherRounds
    from senytl.performance.load.health import GeneratorHealth
    from senytl.performance.user import CurrentUser

__all__ = ["Load"]


class Load:
    """One run of a plan; a context manager around the engine that runs its users.

    Its life: entering it starts the run; the engine makes all users ready, calls `begin`, and
    waits until `on_over` is called or until `cut_off`; leaving it closes every user, makes the
    figures, and raises the SLAs that do not hold.

    How long it lasted, which throughput is counted by: from the moment at which requests begin to
    count (the release of the users, or the end of the warm-up) to the end of the last request that
    ended, and in no case less than the time in which users started requests (the plan's duration,
    or up to the moment at which the load was stopped). The ramps are part of that, and so is the
    time after the deadline in which requests that were in flight ended. Pauses in which memory is
    read are none.

    Args:
        name: The test's name.
        plan: What to run.
        log: Takes the figures.

    Attributes:
        run: What is measured.
        users: Those of the plan, in the order in which they start; those of an open model come as
            they are needed.
        rounds: Between which users are held, where its memory is checked.
        forgotten: Of requests that are too many to keep each of their latencies.
        watch: Looks at the load while it runs.
        started: When the users were released, by `clock`; NaN before.
        deadline: The time by `clock` at which no user starts another request; in the past until
            the load has begun, and again once it was stopped.
        cut_off: When requests in flight are not waited for any longer.
        error: What stopped the load before its time.
        dropped_starts: Starts of an open model that were due while no user was free.
        abandoned: Users that hung when the load was over, and where.
        on_over: Called when the last user has left, or when the load is stopped; by any thread,
            and more than once.
        metrics: The figures, once it is over.
    """

    def __init__(self, name: str, plan: LoadPlan, log: RunLog) -> None:
        self.plan = plan
        self.run = Run(name, "load_test", concurrent_users=plan.users)
        self.users: list[User] = []
        self.started = self.counts_from = math.nan
        self.deadline = self.cut_off = -math.inf
        self.error: BaseException | None = None
        self.dropped_starts = 0
        self.abandoned: list[str] = []
        self.on_over: Callable[[], object] = bool
        self.metrics: PerformanceMetrics
        self._log = log
        self._stopped_at = math.nan
        self._measured_seconds = 0.0
        self._generator: GeneratorHealth | None = None
        self._over = False
        self._lock = Lock()
        self._left = 0
        self._batch = batch_of(plan.users)
        self._shared: dict[bool, Iterator[object]] = {}
        if plan.total_iterations is not None:
            # The next one of a range is one step of the interpreter: no two users get the same.
            self._shared[True] = iter(range(plan.total_iterations))
            self._shared[False] = iter(range(int(plan.warmup)))
        self.run.state_limits(dict(plan.abort_on))
        self.forgotten = Forgotten()
        self.watch = Watch(self)
        self.rounds = Rounds(self)

    def new_user(self) -> User:
        """One more user."""
        user = User(self, len(self.users))
        self.users.append(user)
        return user

    def __enter__(self) -> Self:
        with ExitStack() as undo:  # the machine may give no more threads
            self._heap = SetAside()
            undo.callback(self._heap.close)
            self.run.start()
            undo.callback(self.run.stop)
            if not self.plan.is_open:
                for _ in range(self.plan.users):
                    self.new_user()
            self.watch.start()
            undo.pop_all()
        return self

    def begin(self) -> None:
        """Start the clock: the users are released."""
        self._heap.extend()
        self.rounds.begin()
        self.started = self.run.counts_from = clock()
        if not self.plan.warmup:
            self.count_from(self.started)
        elif self.plan.is_timed:
            self.counts_from = self.run.counts_from = self.started + self.plan.warmup_seconds
        if self.error is not None or self._over:
            return
        self.deadline = self.started + self.plan.deadline
        self.cut_off = self.started + self.plan.cut_off

    def count_from(self, moment: float) -> None:
        """Note that requests count from now on; where users differ, from the first of them on."""
        if not self.counts_from <= moment:  # NaN where there was none
            self.counts_from = self.run.counts_from = moment
            self.watch.begin_to_count()

    def seconds_until(self, moment: float) -> float:
        """How long it is until a moment of the plan; negative once it has passed."""
        return self.started + moment - clock()

    def tickets(self, user: User, stint: Stint, most: float) -> Iterator[object]:
        """One item for each body that a user may run in a stint.

        In between, every so many bodies, the user forgets single latencies where there are too
        many. That costs nothing in the loop over the bodies.

        Args:
            user: Who runs them.
            stint: When.
            most: How many there are at the most; infinite where time ends it, or a number of
                iterations that all users share.
        """
        return chain.from_iterable(self._batches(user, stint, most))

    def batch(self, user: User, stint: Stint, items: Iterable[object]) -> Iterator[object]:
        """The same for some bodies, after which the user forgets what is too much."""
        return chain.from_iterable(self._batch_of(user, stint, items))

    def _batches(self, user: User, stint: Stint, most: float) -> Iterator[Iterable[object]]:
        left = most
        shared = None if stint.iterations is not None else self._shared.get(stint.counts)
        while (size := int(min(self._batch, left))) > 0:
            left -= size
            if shared is None:
                items: Iterable[object] = repeat(None, size)
            elif not (size := min(size, length_hint(shared))):
                return
            else:
                items = islice(shared, size)  # which others may have taken some of by then
            yield from self._batch_of(user, stint, items)

    def _batch_of(
        self, user: User, stint: Stint, items: Iterable[object]
    ) -> Iterator[Iterable[object]]:
        before = user.measured.ended
        yield items
        if stint.counts:
            self.forgotten.note_batch(user.measured.ended - before)
            user.forget()
            user.measured.body_start = clock()  # what that took is no part of a request

    @property
    def shared_iterations(self) -> Iterator[object] | None:
        """What is left of the iterations that all users share, where they do."""
        return self._shared.get(True)

    def shift(self, seconds: float) -> None:
        """Let the plan's clock stand still for so long: everything that it has is due later."""
        self.started += seconds
        self.deadline += seconds
        self.cut_off += seconds

    def stop(self, error: BaseException | None = None) -> None:
        """End the load before its time: no user starts another request.

        Args:
            error: Why, if that is to be raised; the first one is kept.
        """
        if not self._over:
            self._over = True
            self._stopped_at = min(clock(), self.deadline)
        if self.error is None:
            self.error = error
        self.deadline = self.cut_off = -math.inf
        for user in self.users:
            user.until = -math.inf
        self.rounds.open_all()
        self.on_over()

    @property
    def dropped(self) -> int:
        """Starts that were due while requests count, and that nobody was free to make."""
        return self.dropped_starts + sum(user.dropped_starts for user in self.users)

    @property
    def stopped(self) -> bool:
        """Whether it was ended before its time."""
        return self._over

    def user_left(self) -> None:
        """Count a user whose work is over."""
        with self._lock:
            self._left += 1
            last = self._left >= len(self.users) and not self.plan.is_open
        if last:
            self.on_over()

    def note_further(self, wish: FurtherRounds, done: RoundsDone) -> None:
        """Note what came of rounds that were run to prove a leak."""
        self.abandoned += done.left_behind
        if wish.traces:
            return
        ended = sum(user.measured.ended for user in self.users)
        failed = sum(len(user.measured.failed_latencies) for user in self.users)
        if failed <= ended / 2:
            self.run.leaks.note_failures(done.failed, done.requests)

    @property
    def people(self) -> list[CurrentUser]:
        """The users as their bodies see them."""
        return [user.measured.user for user in self.users]

    @property
    def duration_seconds(self) -> float:
        """How long it measured; 0 where it never came to that."""
        if math.isnan(self.started) or math.isnan(self.counts_from):
            return 0.0
        ends = [user.last_end for user in self.users]
        last_start = self._stopped_at if self._over else self.deadline
        if math.isfinite(last_start):
            ends.append(last_start)
        return max(0.0, max(ends, default=0.0) - self.counts_from - self.rounds.paused)

    def settle(self) -> GeneratorHealth:
        """End the measuring: what comes from now on is in no figure. Once is enough.

        Returns:
            How well the load generator kept time.
        """
        if self._generator is None:
            self._measured_seconds = self.duration_seconds
            self.rounds.open_all()
            generator = self.watch.stop()
            for user in self.users:
                user.close()
            self.run.stop_sampling()
            self.watch.conclude()
            self._generator = generator
        return self._generator

    def prove_leaks(self) -> Generator[FurtherRounds, None, None]:
        """What to run after the load, where its memory leaves doubt; nothing in most cases."""
        self.settle()
        if not self.rounds.wanted:
            return
        if self.stopped:  # no further rounds either
            self.run.leaks.evidence.note = "the load was ended before its time"
            return
        from senytl.performance.leaks.proof import prove

        requests = sum(user.measured.ended for user in self.users)
        if self.abandoned:
            self.run.leaks.evidence.note = "requests were still in flight when the load was over"
        elif not self.rounds.has_read_last:
            self.rounds.read()
        yield from prove(self.run.leaks, requests, self._measured_seconds, len(self.users))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        if error is not None:
            self.stop(error)
        try:
            generator = self.settle()
        finally:  # Ctrl-C once more
            self._heap.close()
            self.run.stop()
        self.metrics = self.run.finish(
            self._measured_seconds,
            error,
            LoadFigures(
                timeline=self.watch.timeline,
                forgotten=self.forgotten.columns,
                counts_from=self.counts_from,
                plan=str(self.plan),
                users=len(self.users),
                dropped_starts=self.dropped,
                abandoned=self.abandoned,
                generator=generator,
                ended_early=self.watch.ended_early,
                allow_inconclusive=self.plan.allow_inconclusive,
            ),
        )
        self._log.append(self.metrics)
        self.users.clear()  # their columns are in the figures now
        self.run.conclude(self.metrics, error)
