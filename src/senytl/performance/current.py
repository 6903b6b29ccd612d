"""Which figures an assertion speaks of: those of the body that runs, or those set by hand."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from senytl.performance.recording import current_recorder, running_recorder

if TYPE_CHECKING:
    from senytl.performance.metrics import PerformanceMetrics

__all__ = ["get_current_metrics", "record_request", "set_current_metrics"]

explicit_metrics: ContextVar[PerformanceMetrics | None] = ContextVar(
    "senytl_explicit_metrics", default=None
)


def set_current_metrics(metrics: PerformanceMetrics | None) -> None:
    """Let the assertions that follow in this context speak of a finished run.

    Args:
        metrics: The run's figures, or None to end that.

    Raises:
        TypeError: If `metrics` is neither.
    """
    from senytl.performance.metrics import PerformanceMetrics

    if metrics is not None and not isinstance(metrics, PerformanceMetrics):
        raise TypeError(
            f"set_current_metrics takes PerformanceMetrics or None, not {type(metrics).__name__}"
        )
    explicit_metrics.set(metrics)


def get_current_metrics() -> PerformanceMetrics | None:
    """The figures that assertions speak of here.

    Returns:
        Those given to `set_current_metrics`; else, inside the body of a benchmark or a load
        test, the figures of its user so far, with the running body as a request that ends now;
        else None.
    """
    explicit = explicit_metrics.get()
    if explicit is not None:
        return explicit
    recorder = current_recorder.get()
    if recorder is None:
        return None
    with recorder.stopped_clock() as now:
        return recorder.run.so_far(recorder, now)


def record_request(
    latency: float, response: object = None, error: BaseException | str | None = None
) -> None:
    """Record a request of the body that runs, in place of the body as a whole.

    LLM calls seen since the request before it belong to this one. The response of a wrapped
    agent, whose run is recorded already, corrects that record: its latency becomes `latency`.

    Args:
        latency: How long the request took, in seconds.
        response: What the agent gave; the ``llm_calls`` that it carries count as this
            request's, where none were seen.
        error: What went wrong, which makes this a failed request.

    Raises:
        PerformanceError: If no benchmark or load test is running here.
        MisuseError: If `latency` is not a finite number of 0 or more.
    """
    running_recorder().record(latency, response, error)
