"""A run: everything measured for one test, from its start to its metrics."""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Literal

from senytl.models import PerformanceError
from senytl.performance.blame import Place, place_of_caller, raise_at
from senytl.performance.failures import describe_error, fold_errors, is_interruption
from senytl.performance.leaks.limits import LEAK_METRIC
from senytl.performance.ledger import CallLedger, Totals
from senytl.performance.metrics import SUCCESS_METRICS, PerformanceMetrics, RequestError
from senytl.performance.recording import Recorder
from senytl.performance.request_columns import COLUMNS
from senytl.performance.series import Series
from senytl.performance.sla import SLA, SLAViolationError, enforce, judge, slas_from_limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from senytl.models import LLMCallRecord
    from senytl.performance.leaks.check import LeakCheck
    from senytl.performance.load.figures import LoadFigures
    from senytl.performance.load.progress import LoadProgress
    from senytl.performance.user import CurrentUser

__all__ = ["Kind", "Run", "RunSettings", "current_settings"]

Kind = Literal["benchmark", "load_test"]


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What surrounds a run and is not stated in its body; pytest's plugin gives it.

    Args:
        name: The test's name in reports; the function's own name where this is empty.
        slas: Limits from marks and options, checked when the run ends.
        request_limits: Limits from marks and options that each request must keep for goodput.
        requires_success: Whether failed requests break the run where no SLA says how many
            may fail.
        carry_context: Whether an agent's own threads get the context of what starts them.
        place: Where a limit that does not hold is blamed on, if its own place is not known.
        memory_of: Whose memory is sampled and judged: a process, and whether its descendants are
            added; this process where it is None.
        allow_inconclusive: Whether a verdict that the load generator makes doubtful is no failure.
        on_progress: Told how a load test goes, some times a second, by a thread of its own.
        on_progress_end: Called when there is no more to tell, by the thread of the test.
        on_start: Called with the run when it has started.
        on_finish: Called with the figures when they are known, before any SLA is judged.
    """

    name: str = ""
    slas: Sequence[SLA] = ()
    request_limits: Mapping[str, float] = field(default_factory=dict)
    requires_success: bool = False
    carry_context: bool = True
    place: Place | None = None
    memory_of: tuple[int | None, bool] | None = None
    allow_inconclusive: bool = False
    on_progress: Callable[[LoadProgress], None] | None = None
    on_progress_end: Callable[[], None] | None = None
    on_start: Callable[[Run], None] | None = None
    on_finish: Callable[[PerformanceMetrics], None] | None = None


current_settings: ContextVar[RunSettings | None] = ContextVar("senytl_settings", default=None)
"""The settings of the next run that starts in this context."""


def _played_speeds() -> Mapping[float, int]:
    """How often recordings answered at each speed, since the process began."""
    replay = sys.modules.get("senytl.recordings.replay")
    speeds: Mapping[float, int] = {} if replay is None else replay.played_speeds()
    return speeds


def _replay_speed(before: Mapping[float, int]) -> float | None:
    """The speed other than 1 at which a recording has answered since."""
    since = [speed for speed, count in _played_speeds().items() if count > before.get(speed, 0)]
    return max((speed for speed in since if speed != 1), default=None)


class _StrayCalls:
    """The LLM calls of a load test that could be attributed to no user.

    They come from any thread, and from the garbage collector where a stream was dropped, so
    nobody waits for the lock: who gets it takes all calls that have come.
    """

    def __init__(self) -> None:
        self._arrived: deque[LLMCallRecord] = deque()
        self._lock = Lock()
        self._ledger = CallLedger()

    def add_call(self, call: LLMCallRecord) -> None:
        self._arrived.append(call)
        if self._lock.acquire(blocking=False):
            try:
                self._take()
            finally:
                self._lock.release()

    def ledger(self) -> CallLedger:
        """The calls so far, all of request 0; a copy, since more may come at any time."""
        so_far = CallLedger()
        with self._lock:
            self._take()
            so_far.extend(self._ledger, 0)
        return so_far

    def _take(self) -> None:
        while self._arrived:
            self._ledger.add(0, self._arrived.popleft(), left_over=True)


class Run:
    """Everything measured for one test, while it is measured.

    Its life: `start` opens the capture of LLM calls and the sampling of memory; the users'
    recorders come from `new_recorder`; `stop` closes what was opened; `finish` makes the
    figures; `conclude` judges them.

    Args:
        name: The test's name, unless the settings have one.
        kind: What kind of test it is.
        concurrent_users: Users of a load test.

    Attributes:
        settings: What surrounds it.
        entered: The recorders whose bodies run now.
        counts_from: When requests of a load test began to count, by `clock`.
        first_failure: What the first request that failed raised.
        watched: Whose memory is sampled and judged, as `watch_memory` takes it.
    """

    def __init__(self, name: str, kind: Kind, *, concurrent_users: int = 0) -> None:
        self.settings = current_settings.get() or RunSettings()
        self.name = self.settings.name or name
        self.kind: Kind = kind
        self.concurrent_users = concurrent_users
        self.entered: set[Recorder] = set()
        self.counts_from = 0.0
        self.first_failure: BaseException | None = None
        self._recorders: list[Recorder] = []
        self._stray = _StrayCalls()
        self._stated: dict[SLA, Place | None] = {}
        self._request_limits = dict(self.settings.request_limits)
        self._so_far: PerformanceMetrics | None = None
        self._started_at = 0.0
        self._leaks: LeakCheck | None = None
        self.watched: tuple[int | None, bool] = self.settings.memory_of or (None, False)

    def start(self) -> None:
        """Open the capture of LLM calls and the sampling of memory."""
        from senytl.capture import open_scope
        from senytl.capture.unseen import unseen_calls
        from senytl.performance.memory import MemorySampler

        pid, children = self.watched
        self._sampler = MemorySampler(pid=pid, children=children)
        self._sampler.start()
        self._scope = open_scope(
            unattributed=self._stray, carry_context=self.settings.carry_context
        )
        self._unseen_before = unseen_calls()
        self._played_before = _played_speeds()
        self._started_at = time.time()
        if self.settings.on_start is not None:
            self.settings.on_start(self)

    def stop(self) -> None:
        """Close both; streams that the body left open are ended and recorded."""
        from senytl.capture import flush

        for recorder in self._recorders:
            flush(recorder)
        flush(self._stray)
        self.stop_sampling()
        self._scope.close()

    def watch_memory(self, pid: int | None, children: bool) -> None:
        """Sample and judge the memory of another process from now on.

        Once memory is sampled no longer, nothing changes.

        Args:
            pid: The process; None for this one.
            children: Whether its descendants are added.

        Raises:
            MisuseError: If there is no such process, or its memory may not be read.
        """
        if self._sampler.watch(pid, children):
            self.watched = (pid, children)
            self._leaks = None  # what it read was of another process

    def stop_sampling(self) -> None:
        """Sample memory no longer; once is enough."""
        self._sampler.stop()

    @property
    def wants_leak_check(self) -> bool:
        """Whether a limit on the growth of memory was stated by now."""
        return any(sla.metric == LEAK_METRIC for sla in (*self._stated, *self.settings.slas))

    @property
    def leaks(self) -> LeakCheck:
        """The leak check of this run, which begins when it is first asked for."""
        if self._leaks is None:
            from senytl.performance.leaks.check import LeakCheck

            self._leaks = LeakCheck(self)
        return self._leaks

    def read_calls(self) -> None:
        """Read the LLM calls that wait to be read, while no body runs."""
        for recorder in self._recorders:
            recorder.read_calls()

    def own_records(self) -> Iterator[object]:
        """What is kept of this run by now, which is not the agent's doing."""
        for recorder in self._recorders:
            yield from recorder.own_records()

    def new_recorder(self, user: CurrentUser | None = None) -> Recorder:
        """A recorder for one user of this run."""
        recorder = Recorder(self, user=user)
        self._recorders.append(recorder)
        return recorder

    def state(self, sla: SLA) -> None:
        """State a limit that is checked when the run ends."""
        if sla not in self._stated:
            self._stated[sla] = place_of_caller()

    def state_limits(self, limits: Mapping[str, float]) -> None:
        """State limits that its own settings hold, by metric name; no line of a body does."""
        self._stated.update(dict.fromkeys(slas_from_limits(limits)))

    @property
    def limits_requests(self) -> bool:
        """Whether each single request must keep limits."""
        return bool(self._request_limits)

    def limit_requests(self, limits: Mapping[str, float]) -> None:
        """State limits that each request must keep for goodput.

        Raises:
            MisuseError: If one makes no sense, or there is none.
        """
        from senytl.performance.request_limits import check_limits

        self._request_limits.update(check_limits(limits))

    @property
    def slas(self) -> list[SLA]:
        """The limits to check when the run ends: those stated in it, and those around it."""
        slas = [*self._stated, *self.settings.slas]
        if self.settings.requires_success and not any(s.metric in SUCCESS_METRICS for s in slas):
            slas.append(SLA("success_rate", 1.0, implied=True))
        return slas

    def so_far(self, recorder: Recorder, now: float) -> PerformanceMetrics:
        """One user's figures up to `now`, by `clock`, the body that still runs included."""
        self._sampler.sample()
        copy = recorder.so_far(now)
        load = self.kind == "load_test"
        metrics = self._metrics([copy], now - self.counts_from if load else copy.body_seconds)
        if self._so_far is not None:
            metrics.judgements = self._so_far.judgements
        self._so_far = metrics
        return metrics

    def finish(
        self,
        duration: float,
        error: BaseException | None = None,
        load: LoadFigures | None = None,
    ) -> PerformanceMetrics:
        """The figures of the whole run.

        Args:
            duration: How long it measured, in seconds.
            error: What ended the test, if anything did.
            load: What a load test adds.
        """
        metrics = self._metrics(self._recorders, duration, load)
        self._recorders.clear()  # their columns would stay as long as the run
        if error is not None and not isinstance(error, SLAViolationError):
            metrics.failure = ": ".join(part for part in describe_error(error) if part)
        if self._so_far is not None:
            metrics.judgements = self._so_far.judgements
        if self.settings.on_finish is not None:
            self.settings.on_finish(metrics)
        return metrics

    def conclude(self, metrics: PerformanceMetrics, error: BaseException | None = None) -> None:
        """Judge the run's SLAs, and raise those that do not hold.

        Args:
            metrics: The figures of the run.
            error: What ended the test, if anything did; then nothing more is raised.

        Raises:
            SLAViolationError: If limits do not hold, or cannot be judged (`InconclusiveError`).
            PerformanceError: If a figure with a limit was not measured.
        """
        __tracebackhide__ = True
        if error is None:
            try:
                enforce(metrics, self.slas)
            except PerformanceError as broken:
                if any(
                    one.actual is None or one.sla.metric in SUCCESS_METRICS
                    for one in metrics.judgements
                    if not one.held
                ):
                    broken.__cause__ = self.first_failure
                place = self._place_of(metrics) or self.settings.place
                if place is None:
                    raise
                raise_at(broken, place)
        elif isinstance(error, Exception) and not is_interruption(error):
            judge(metrics, self.slas, ended_early=True)

    def _place_of(self, metrics: PerformanceMetrics) -> Place | None:
        """Where the body states the first limit that does not hold."""
        broken = (
            self._stated.get(one.sla) for one in metrics.judgements if not one.held or one.doubt
        )
        return next(filter(None, broken), None)

    def _metrics(
        self,
        recorders: Sequence[Recorder],
        duration: float,
        load: LoadFigures | None = None,
    ) -> PerformanceMetrics:
        from senytl.capture.unseen import describe_unseen, unseen_calls
        from senytl.performance.pricing import current_pricing

        errors: Counter[tuple[str, str]] = Counter()
        ledger = CallLedger()
        ended = interrupted = 0
        for recorder in recorders:
            recorder.merge_into(ledger, ended)
            ended += recorder.ended
            errors.update(recorder.errors)
            interrupted += recorder.interrupted
        stray = self._stray.ledger()
        if ended:
            ledger.extend(stray, ended - 1)
        totals = ledger.total(ended, current_pricing())
        kinds = fold_errors(errors).most_common()
        metrics = PerformanceMetrics(
            token_usage=totals.token_usage,
            costs=totals.costs,
            memory_snapshots=self._sampler.snapshots,
            errors=[RequestError(*kind, count) for kind, count in kinds],
            interrupted_requests=interrupted,
            timed_out_requests=sum(one.timed_out for one in recorders),
            unended_runs=sum(one.unended_runs for one in recorders),
            duration_seconds=duration,
            concurrent_users=self.concurrent_users,
            llm_calls=len(ledger),
            unattributed_calls=len(stray),
            unseen_ways=describe_unseen(unseen_calls() - self._unseen_before),
            replay_speed=_replay_speed(self._played_before),
            token_sources=totals.sources,
            guessed_calls=totals.guessed,
            unpriced_models=totals.unpriced_models,
            name=self.name,
            kind=self.kind,
            started_at=self._started_at,
        )
        if duration > 0:
            metrics.throughput_rps = ended / duration
        for name in COLUMNS:
            setattr(metrics, name, Series.join([getattr(one, name) for one in recorders]))
        if self._leaks is not None:
            metrics.leak_evidence = self._leaks.conclude()
        if load is not None:
            load.add_to(metrics, ledger.columns(), totals.call_costs)
            metrics.allow_inconclusive |= self.settings.allow_inconclusive
        if self._request_limits or len(ledger):
            self._look_into_requests(metrics, recorders, ledger, totals)
        return metrics

    def _look_into_requests(
        self,
        metrics: PerformanceMetrics,
        recorders: Sequence[Recorder],
        ledger: CallLedger,
        totals: Totals,
    ) -> None:
        """Add what must be known of each request and each call by itself."""
        from senytl.performance.call_figures import note_calls
        from senytl.performance.in_flight import agent_overheads
        from senytl.performance.request import EndedRequests
        from senytl.performance.request_limits import judge_requests

        requests, calls = EndedRequests(), ledger.columns()
        for recorder in recorders:
            recorder.add_requests_to(requests)
        note_calls(metrics, len(requests), calls)
        if len(calls) and not metrics.unattributed_calls:
            metrics.agent_overheads = Series(agent_overheads(requests, calls))
        if self._request_limits:
            limits = dict(self._request_limits)
            metrics.request_verdicts = judge_requests(
                limits, requests, calls, totals, all_attributed=not metrics.unattributed_calls
            )
