"""The assertions of the specification: thin names for SLAs on the current figures."""

from __future__ import annotations

from senytl.models import MisuseError, PerformanceError
from senytl.performance.current import explicit_metrics
from senytl.performance.leaks.limits import DEFAULT_MIN_LEAK, LEAK_THRESHOLD
from senytl.performance.recording import current_recorder
from senytl.performance.sla import SLA, enforce

__all__ = [
    "assert_cost_under",
    "assert_latency_under",
    "assert_no_memory_leaks",
    "assert_p95_latency_under",
    "assert_p99_latency_under",
    "assert_throughput_above",
    "assert_token_usage_under",
    "check",
]

_LATENCIES = ("avg", "p50", "p75", "p90", "p95", "p99", "min", "max")


def check(sla: SLA) -> None:
    """Check a limit where it stands.

    In the body of a benchmark, and on figures given to `set_current_metrics`, at once; in the
    body of a load test it is stated, and checked on the merged run when the load ends.

    Raises:
        SLAViolationError: If it does not hold.
        PerformanceError: If its figure was not measured, or there is no run here.
    """
    __tracebackhide__ = True
    recorder = current_recorder.get()
    explicit = explicit_metrics.get()
    if explicit is not None:
        enforce(explicit, [sla])
    elif recorder is None:
        raise PerformanceError(
            f"there is nothing to hold {sla} against: assert inside a benchmark or a load test, "
            "or give the figures of a finished run to performance.set_current_metrics first"
        )
    elif recorder.run.kind == "load_test":
        recorder.run.state(sla)
    elif recorder.counts:
        with recorder.stopped_clock() as now:
            enforce(recorder.run.so_far(recorder, now), [sla])


def assert_latency_under(seconds: float, percentile: str = "avg") -> None:
    """Assert that the latency of successful requests is at most `seconds`.

    Args:
        seconds: The limit.
        percentile: ``"avg"``, ``"p50"``, ``"p75"``, ``"p90"``, ``"p95"``, ``"p99"``, ``"min"``
            or ``"max"``.

    Raises:
        SLAViolationError: If it is more. In a load test, when the load ends.
        PerformanceError: If no request succeeded, or nothing is measured here.
        MisuseError: If `percentile` is none of these, or the limit is impossible.
    """
    __tracebackhide__ = True
    if percentile not in _LATENCIES:
        names = ", ".join(_LATENCIES)
        raise MisuseError(f"percentile is {percentile!r}; it must be one of {names}")
    check(SLA(f"{percentile}_latency", seconds))


def assert_p95_latency_under(seconds: float) -> None:
    """Assert that the 95th percentile of latency is at most `seconds`.

    Raises:
        The same as `assert_latency_under`.
    """
    __tracebackhide__ = True
    check(SLA("p95_latency", seconds))


def assert_p99_latency_under(seconds: float) -> None:
    """Assert that the 99th percentile of latency is at most `seconds`.

    Raises:
        The same as `assert_latency_under`.
    """
    __tracebackhide__ = True
    check(SLA("p99_latency", seconds))


def assert_token_usage_under(tokens: float, per_request: bool = True) -> None:
    """Assert that token usage is at most `tokens`.

    Args:
        tokens: The limit.
        per_request: Whether it is for the mean of all requests, or for their sum.

    Raises:
        SLAViolationError: If it is more. In a load test, when the load ends.
        PerformanceError: If no LLM call was seen, or nothing is measured here.
    """
    __tracebackhide__ = True
    check(SLA("avg_tokens_per_request" if per_request else "total_tokens", tokens))


def assert_cost_under(cents: float, per_request: bool = True) -> None:
    """Assert that the cost is at most `cents`, hundredths of a dollar.

    Args:
        cents: The limit.
        per_request: Whether it is for the mean of all requests, or for their sum.

    Raises:
        SLAViolationError: If it is more. In a load test, when the load ends.
        PerformanceError: If a called model has no price, no LLM call was seen, or nothing is
            measured here.
    """
    __tracebackhide__ = True
    metric = "avg_cost_per_request" if per_request else "total_cost"
    is_number = isinstance(cents, int | float) and not isinstance(cents, bool)
    check(SLA(metric, cents / 100 if is_number else cents))


def assert_throughput_above(requests_per_second: float) -> None:
    """Assert that at least so many requests ended in a second.

    Raises:
        SLAViolationError: If they are fewer. In a load test, when the load ends.
        PerformanceError: If nothing is measured here.
    """
    __tracebackhide__ = True
    check(SLA("throughput_rps", requests_per_second))


def assert_no_memory_leaks(
    threshold: float = LEAK_THRESHOLD, min_leak: float = DEFAULT_MIN_LEAK
) -> None:
    """Assert that requests leave no memory behind, once the agent has warmed up.

    In the body of a benchmark or a load test this states a limit, which is judged when the run
    ends, since only many requests tell a leak from warm-up. From about 1,000 requests on memory
    is read between rounds of equal work, see docs/explanation/memory.md. With fewer, or where
    it stays unclear, the outcome is inconclusive: a warning, not a failure.

    Args:
        threshold: The share by which memory may grow after the warm-up; 0.2 is 20 %.
        min_leak: Bytes that each request may leave behind. More of them, steadily, are a leak
            however small the share is by now.

    Raises:
        SLAViolationError: When the run ends, if memory leaks; on figures given to
            `set_current_metrics`, at once.
        PerformanceError: If memory was not sampled, or nothing is measured here.
        MisuseError: If a limit is impossible.
    """
    __tracebackhide__ = True
    sla = SLA("memory_growth", threshold, min_leak=min_leak)
    recorder = current_recorder.get()
    if explicit_metrics.get() is None and recorder is not None:
        recorder.run.state(sla)
    else:
        check(sla)
