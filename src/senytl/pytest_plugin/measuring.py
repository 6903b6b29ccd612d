"""Running a measured test: its function as a run, with the settings that surround it."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import TestCase

import pytest

from senytl.models import PerformanceError
from senytl.performance.blame import Place
from senytl.performance.metric import find_metric
from senytl.performance.request_limits import check_limits
from senytl.performance.run import RunSettings, current_settings
from senytl.pytest_plugin.markers import ATTEMPT, TEST_PLAN, functions_of
from senytl.pytest_plugin.options import CONFIG
from senytl.pytest_plugin.planning import BadMarkError, TestPlan
from senytl.pytest_plugin.session import FIGURES, SessionReport

if TYPE_CHECKING:
    from senytl.performance.metrics import PerformanceMetrics
    from senytl.performance.run import Kind, Run
    from senytl.performance.sla import SLA
    from senytl.pytest_plugin.progress import Told

__all__ = ["Attempt", "attach_figures", "measured_call", "run_unclaimed_coroutine"]

_PROPERTIES = (
    "total_requests",
    "failed_requests",
    "avg_latency",
    "p50_latency",
    "p95_latency",
    "p99_latency",
    "throughput_rps",
    "total_tokens",
    "total_cost",
    "max_memory_mb",
)
"""The metrics that other reporters, such as JUnit's, see as properties of the test."""


class Attempt:
    """One attempt at a measured test.

    Its life: made when the test's fixtures or its call first need it; `settings` surround the
    run, which brings `run` when it starts and `metrics` when it has ended; `told` are those who
    want to know how a load goes; a rerun of the test is another attempt.

    Args:
        item: The test.
        plan: How it is measured.
    """

    def __init__(self, item: pytest.Function, plan: TestPlan) -> None:
        self.run: Run | None = None
        self.metrics: PerformanceMetrics | None = None
        self.told: Told | None = None
        self._item = item
        self._plan = plan
        self._stated: list[SLA] = []
        self._request_limits = dict(plan.request_limits)
        self._memory_of: tuple[int | None, bool] | None = None

    @classmethod
    def at(cls, item: pytest.Function) -> Attempt:
        """The attempt at a test that is being made.

        Raises:
            pytest.UsageError: If the test cannot be measured.
        """
        if ATTEMPT not in item.stash:
            try:
                plan = item.stash.get(TEST_PLAN, None) or TestPlan.from_pytest_item(item)
            except BadMarkError as problem:
                raise pytest.UsageError(f"senytl cannot measure {item.nodeid}: {problem}") from None
            item.stash[ATTEMPT] = cls(item, plan)
        return item.stash[ATTEMPT]

    @property
    def kind(self) -> Kind:
        """What kind of test it is."""
        return self._plan.kind

    def state(self, slas: Iterable[SLA]) -> None:
        """State limits that are checked when the run ends.

        Raises:
            PerformanceError: If it has ended.
        """
        self._refuse_limits_afterwards()
        for sla in slas:
            if self.run is None:
                self._stated.append(sla)
            else:
                self.run.state(sla)

    def limit_requests(self, limits: Mapping[str, float]) -> None:
        """State limits that each request must keep for goodput.

        Raises:
            MisuseError: If one makes no sense, or there is none.
            PerformanceError: If the run has ended.
        """
        self._refuse_limits_afterwards()
        if self.run is None:
            self._request_limits.update(check_limits(limits))
        else:
            self.run.limit_requests(limits)

    def watch_memory(self, pid: int | None, children: bool) -> None:
        """Say before the run whose memory it samples and judges.

        Raises:
            MisuseError: If there is no such process, or its memory may not be read.
        """
        from senytl.performance.process_memory import ProcessMemory

        ProcessMemory(pid, children)  # a mistake is told where it is made
        self._memory_of = (pid, children)

    def _refuse_limits_afterwards(self) -> None:
        if self.metrics is not None:
            raise PerformanceError(
                "the body of this test has ended: state its SLAs inside it, or in a fixture's setup"
            )

    def measured(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The test's function as one that runs measured, and gives None as a test does."""
        measured = function if self._plan.decorate is None else self._plan.decorate(function)
        settings = RunSettings(
            name=self._item.nodeid,
            slas=(*self._stated, *self._plan.slas),
            request_limits=self._request_limits,
            requires_success=self._plan.kind == "load_test",
            carry_context=self._item.config.stash[CONFIG].carry_context,
            allow_inconclusive=self._item.config.stash[CONFIG].allow_inconclusive,
            place=_place_of(self._item),
            memory_of=self._memory_of,
            on_start=self._note_run,
            on_finish=self._note_metrics,
            on_progress=None if self.told is None else self.told.of_progress,
            on_progress_end=None if self.told is None else self.told.of_end,
        )
        if inspect.iscoroutinefunction(measured):

            @functools.wraps(function)
            async def call_async(*args: Any, **kwargs: Any) -> None:
                __tracebackhide__ = True
                with _settings(settings):
                    await measured(*args, **kwargs)

            return call_async

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> None:
            __tracebackhide__ = True
            with _settings(settings):
                measured(*args, **kwargs)

        return call

    def _note_run(self, run: Run) -> None:
        self.run = run

    def _note_metrics(self, metrics: PerformanceMetrics) -> None:
        self.metrics = metrics
        # They are noted during the call, so that reporters that look at once see them too.
        properties = self._item.user_properties
        names = {f"senytl_{name}" for name in _PROPERTIES}
        properties[:] = [entry for entry in properties if entry[0] not in names]
        for name in _PROPERTIES:
            value = find_metric(name).measure(metrics)
            if value is not None:
                properties.append((f"senytl_{name}", value))


def _place_of(item: pytest.Function) -> Place | None:
    """The first line of the test, where its marks are."""
    *_, innermost = functions_of(item)
    code = getattr(innermost, "__code__", None)
    return None if code is None else Place.top_of(code)


@contextmanager
def _settings(settings: RunSettings) -> Iterator[None]:
    token = current_settings.set(settings)
    try:
        yield
    finally:
        current_settings.reset(token)


@contextmanager
def measured_call(item: pytest.Function) -> Iterator[None]:
    """Let the call of a test run its function measured, and a load be seen while it runs."""
    __tracebackhide__ = True
    attempt = Attempt.at(item)
    if attempt.kind == "load_test":
        from senytl.pytest_plugin.progress import shown_progress

        with shown_progress(item) as attempt.told, _measured_function(item, attempt):
            yield
    else:
        with _measured_function(item, attempt):
            yield


@contextmanager
def _measured_function(item: pytest.Function, attempt: Attempt) -> Iterator[None]:
    __tracebackhide__ = True
    function = item.obj
    item.obj = measured = attempt.measured(function)
    # unittest takes an async method from the instance, and pytest leaves it to that.
    case = item.instance if isinstance(item.instance, TestCase) else None
    if case is not None:
        setattr(case, item.name, measured)
    try:
        yield
    except (KeyboardInterrupt, pytest.exit.Exception):
        # An interrupted test gets no report; what it measured is shown all the same.
        reporter = item.config.pluginmanager.get_plugin("senytl-report")
        if attempt.metrics is not None and isinstance(reporter, SessionReport):
            reporter.add(_write_figures(item, attempt.metrics))
        raise
    finally:
        item.obj = function
        if case is not None:
            vars(case).pop(item.name, None)


def run_unclaimed_coroutine(item: pytest.Function) -> bool | None:
    """Run an `async def` test on an event loop of its own, where no plugin has made it sync.

    Returns:
        True if it was one, as `pytest_pyfunc_call` wants it.
    """
    __tracebackhide__ = True
    if not inspect.iscoroutinefunction(item.obj):
        return None
    import asyncio

    arguments = {
        parameter.name: item.funcargs[parameter.name]
        for parameter in inspect.signature(item.obj).parameters.values()
        if parameter.default is parameter.empty and parameter.name in item.funcargs
    }
    asyncio.run(item.obj(**arguments))
    return True


def attach_figures(item: pytest.Function, report: pytest.TestReport) -> None:
    """Put the figures of a test's run on the report of its call, as one JSON string."""
    attempt = Attempt.at(item)
    was_skipped = report.skipped and not hasattr(report, "wasxfail")
    if attempt.metrics is not None and not was_skipped:
        setattr(report, FIGURES, _write_figures(item, attempt.metrics))


def _write_figures(item: pytest.Function, metrics: PerformanceMetrics) -> str:
    from senytl.performance.report.document import describe_run

    return json.dumps([item.session.items.index(item), describe_run(metrics)])
