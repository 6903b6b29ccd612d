"""A run: everything measured for one test, from its start to its metrics."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Literal

from senytl.performance.ledger import CallLedger
from senytl.performance.metrics import PerformanceMetrics, RequestError
from senytl.performance.recording import Recorder, describe_error, is_interruption
from senytl.performance.series import Series
from senytl.performance.sla import SLA, SLAViolationError, enforce, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from senytl.models import LLMCallRecord

__all__ = ["Kind", "Run", "RunSettings", "current_settings"]

Kind = Literal["benchmark", "load_test"]


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What surrounds a run and is not stated in its body; pytest's plugin gives it.

    Args:
        name: The test's name in reports; the function's own name where this is empty.
        slas: Limits from marks and options, checked when the run ends.
        custom_pricing: The project's prices, as `estimate_cost` takes them.
        requires_success: Whether failed requests break the run where no SLA says how many
            may fail.
        on_finish: Called with the figures when they are known, before any SLA is judged.
    """

    name: str = ""
    slas: Sequence[SLA] = ()
    custom_pricing: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    requires_success: bool = False
    on_finish: Callable[[PerformanceMetrics], None] | None = None


current_settings: ContextVar[RunSettings | None] = ContextVar("senytl_settings", default=None)
"""The settings of the next run that starts in this context."""

_SUCCESS_METRICS = {"success_rate", "error_rate", "failed_requests"}


class _StrayCalls:
    """The LLM calls of a load test that could be attributed to no user."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.ledger = CallLedger()

    def add_call(self, call: LLMCallRecord) -> None:
        with self._lock:
            self.ledger.add(0, call)


class Run:
    """Everything measured for one test, while it is measured.

    Its life: `start` opens the capture of LLM calls and the sampling of memory; the users'
    recorders come from `new_recorder`; `stop` closes what was opened; `finish` makes the
    figures; `conclude` judges them.

    Args:
        name: The test's name, unless the settings have one.
        kind: What kind of test it is.
        concurrent_users: Users of a load test.
    """

    def __init__(self, name: str, kind: Kind, *, concurrent_users: int = 0) -> None:
        self._settings = current_settings.get() or RunSettings()
        self.name = self._settings.name or name
        self.kind: Kind = kind
        self.concurrent_users = concurrent_users
        self._recorders: list[Recorder] = []
        self._stray = _StrayCalls()
        self._stated: dict[SLA, None] = {}
        self._so_far: PerformanceMetrics | None = None
        self._started_at = 0.0

    def start(self) -> None:
        """Open the capture of LLM calls and the sampling of memory."""
        from senytl.capture import open_scope
        from senytl.performance.memory import MemorySampler

        self._scope = open_scope(unattributed=self._stray)
        self._sampler = MemorySampler()
        self._sampler.start()
        self._started_at = time.time()

    def stop(self) -> None:
        """Close both; streams that the body left open are ended and recorded."""
        from senytl.capture import flush

        for recorder in self._recorders:
            flush(recorder)
        flush(self._stray)
        self._sampler.stop()
        self._scope.close()

    def new_recorder(self) -> Recorder:
        """A recorder for one user of this run."""
        recorder = Recorder(self)
        self._recorders.append(recorder)
        return recorder

    def state(self, sla: SLA) -> None:
        """State a limit that is checked when the run ends."""
        self._stated[sla] = None

    @property
    def slas(self) -> list[SLA]:
        """The limits to check when the run ends: those stated in it, and those around it."""
        slas = [*self._stated, *self._settings.slas]
        if self._settings.requires_success and not any(s.metric in _SUCCESS_METRICS for s in slas):
            slas.append(SLA("success_rate", 1.0))
        return slas

    def so_far(self, recorder: Recorder) -> PerformanceMetrics:
        """One user's figures up to now, the body that still runs included."""
        self._sampler.sample()
        copy = recorder.so_far()
        metrics = self._metrics([copy], copy.body_seconds)
        if self._so_far is not None:
            metrics.judgements = self._so_far.judgements
        self._so_far = metrics
        return metrics

    def finish(
        self, duration: float, error: BaseException | None = None, *, interrupted: int = 0
    ) -> PerformanceMetrics:
        """The figures of the whole run.

        Args:
            duration: How long it measured, in seconds.
            error: What ended the test, if anything did.
            interrupted: Requests that had not ended when it was over.
        """
        metrics = self._metrics(self._recorders, duration)
        metrics.interrupted_requests += interrupted
        if error is not None and not isinstance(error, SLAViolationError):
            metrics.failure = ": ".join(part for part in describe_error(error) if part)
        if self._so_far is not None:
            metrics.judgements = self._so_far.judgements
        if self._settings.on_finish is not None:
            self._settings.on_finish(metrics)
        return metrics

    def conclude(self, metrics: PerformanceMetrics, error: BaseException | None = None) -> None:
        """Judge the run's SLAs, and raise those that do not hold.

        Args:
            metrics: The figures of the run.
            error: What ended the test, if anything did; then nothing more is raised.

        Raises:
            SLAViolationError: If limits do not hold.
            PerformanceError: If a figure with a limit was not measured.
        """
        __tracebackhide__ = True
        if error is None:
            enforce(metrics, self.slas)
        elif isinstance(error, Exception) and not is_interruption(error):
            judge(metrics, self.slas)

    def _metrics(self, recorders: Sequence[Recorder], duration: float) -> PerformanceMetrics:
        latencies, failed = array("d"), array("d")
        errors: Counter[tuple[str, str]] = Counter()
        ledger = CallLedger()
        ended = interrupted = 0
        for recorder in recorders:
            recorder.merge_into(ledger, ended)
            ended += recorder.ended
            latencies.extend(recorder.latencies)
            failed.extend(recorder.failed_latencies)
            errors.update(recorder.errors)
            interrupted += recorder.interrupted
        unattributed = len(self._stray.ledger)
        if ended:
            ledger.extend(self._stray.ledger, ended - 1)
        totals = ledger.total(ended, self._settings.custom_pricing)
        metrics = PerformanceMetrics(
            latencies=Series(latencies),
            failed_latencies=Series(failed),
            token_usage=totals.token_usage,
            costs=totals.costs,
            memory_snapshots=self._sampler.snapshots,
            errors=[RequestError(*kind, count) for kind, count in errors.most_common()],
            interrupted_requests=interrupted,
            duration_seconds=duration,
            concurrent_users=self.concurrent_users,
            llm_calls=len(ledger),
            unattributed_calls=unattributed,
            token_sources=totals.sources,
            unpriced_models=totals.unpriced_models,
            name=self.name,
            kind=self.kind,
            started_at=self._started_at,
        )
        if duration > 0:
            metrics.throughput_rps = ended / duration
        return metrics
