"""The object behind the `perf` fixture."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from senytl import performance
from senytl.capture import current_sink
from senytl.models import PerformanceError
from senytl.performance.current import explicit_metrics
from senytl.performance.recording import current_recorder
from senytl.performance.sla import slas_from_limits

if TYPE_CHECKING:
    from senytl.performance.metrics import PerformanceMetrics
    from senytl.performance.recording import Recorder
    from senytl.performance.user import CurrentUser
    from senytl.pytest_plugin.measuring import Attempt

__all__ = ["Perf"]

P = ParamSpec("P")
R = TypeVar("R")


def _as_method(
    function: Callable[P, R],
) -> Callable[[Callable[Concatenate[Perf, P], R]], Callable[Concatenate[Perf, P], R]]:
    """Give a method the name, the docstring and the signature of a function."""
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    signature = inspect.signature(function)

    def dress(method: Callable[Concatenate[Perf, P], R]) -> Callable[Concatenate[Perf, P], R]:
        dressed = functools.wraps(function)(method)
        parameters = [own, *signature.parameters.values()]
        vars(dressed)["__signature__"] = signature.replace(parameters=parameters)
        return dressed

    return dress


def _in_body(function: Callable[P, R]) -> Callable[Concatenate[Perf, P], R]:
    """A method that calls a function of `senytl.performance` for the body of this test."""

    @_as_method(function)
    def method(self: Perf, /, *args: P.args, **kwargs: P.kwargs) -> R:
        __tracebackhide__ = True
        if explicit_metrics.get() is not None:
            return function(*args, **kwargs)
        with self._body():
            return function(*args, **kwargs)

    return method


class Perf:
    """The measurement of one test, as its `perf` fixture.

    Every function of `senytl.performance` that speaks of a running test, bound to this one, so
    that it also works in threads that the test's own code started. The functions that speak of
    no test are here as they are.
    """

    assert_cost_under = _in_body(performance.assert_cost_under)
    assert_latency_under = _in_body(performance.assert_latency_under)
    assert_no_memory_leaks = _in_body(performance.assert_no_memory_leaks)
    assert_p95_latency_under = _in_body(performance.assert_p95_latency_under)
    assert_p99_latency_under = _in_body(performance.assert_p99_latency_under)
    assert_throughput_above = _in_body(performance.assert_throughput_above)
    assert_token_usage_under = _in_body(performance.assert_token_usage_under)
    get_current_metrics = _in_body(performance.get_current_metrics)
    record_request = _in_body(performance.record_request)

    capture_memory_snapshot = staticmethod(performance.capture_memory_snapshot)
    estimate_cost = staticmethod(performance.estimate_cost)
    extract_token_usage = staticmethod(performance.extract_token_usage)
    generate_report = staticmethod(performance.generate_report)
    set_current_metrics = staticmethod(performance.set_current_metrics)

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    @property
    def metrics(self) -> PerformanceMetrics:
        """The test's figures: in its body those so far, afterwards those of the whole run.

        Raises:
            PerformanceError: If the body has not begun.
        """
        if self._attempt.metrics is not None:
            return self._attempt.metrics
        recorder = self._recorder()
        with recorder.stopped_clock() as now:
            return recorder.run.so_far(recorder, now)

    def sla(self, *, confidence: float | None = None, **limits: float) -> None:
        """State limits by metric name, which are checked when the test's run ends.

        Args:
            confidence: Between 0 and 1: the limits must hold for the whole confidence interval of
                their figures, which are percentiles or rates; None asks for the figures alone.
            limits: For example ``p95_latency=2.0``, in the metric's unit.

        Raises:
            ValueError: If no metric has such a name (the message lists them), a limit is
                impossible, or a confidence is asked of a figure that has no interval.
            PerformanceError: If the body has ended.
        """
        if not limits:
            raise ValueError("perf.sla() states no limit: for example perf.sla(p95_latency=2.0)")
        self._attempt.state(slas_from_limits(limits, confidence))

    @property
    def user(self) -> CurrentUser:
        """The user whose body runs: its number, its iteration, its own random generator.

        Raises:
            PerformanceError: If the body does not run.
        """
        return self._recorder().user

    @_as_method(performance.goodput)
    def goodput(self, /, **limits: float) -> None:  # noqa: D102  # it has the function's own
        self._attempt.limit_requests(limits)

    @_as_method(performance.watch_memory)
    def watch_memory(  # noqa: D102  # it has the function's own
        self, /, pid: int | None = None, children: bool = False
    ) -> None:
        if self._attempt.run is None:
            self._attempt.watch_memory(pid, children)
            return
        with self._body():
            performance.watch_memory(pid, children)

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Make a block of the body a request of its own, timed from its start to its end.

        An exception that leaves the block makes it a failed request. A block that records
        requests itself, as runs of wrapped agents do, adds none.

        Raises:
            PerformanceError: If the body does not run.
        """
        with self._body() as recorder, recorder.measured():
            yield

    @contextmanager
    def _body(self) -> Iterator[Recorder]:
        """Enter the test's body from wherever in it this is."""
        recorder = self._recorder()
        if current_recorder.get() is recorder:
            yield recorder
            return
        recorder_token, sink_token = current_recorder.set(recorder), current_sink.set(recorder)
        try:
            yield recorder
        finally:
            current_sink.reset(sink_token)
            current_recorder.reset(recorder_token)

    def _recorder(self) -> Recorder:
        run = self._attempt.run
        if run is None or not run.entered:
            when = "has not begun" if run is None else "has ended"
            raise PerformanceError(
                f"perf speaks of the test's body, which {when}: take it as an argument of the "
                "test, and use it inside (fixtures run before and after the body)"
            )
        recorder = current_recorder.get()
        if recorder is not None and recorder.run is run:
            return recorder
        # A thread that was started without its parent's context.
        entered = list(run.entered)
        if len(entered) == 1:
            return entered[0]
        raise PerformanceError(
            f"perf cannot tell which of {len(entered)} users this thread works for: start it with "
            "contextvars.copy_context().run, or use perf in the test's own function"
        )
