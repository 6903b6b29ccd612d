"""Performance and SLA testing of LLM agents: latency, tokens, cost, throughput, memory, errors.

The public names load on first use; see `benchmark`, `load_test` and the ``assert_*`` functions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from senytl.models import PerformanceError, TokenUsage
    from senytl.performance.assertions import (
        assert_cost_under,
        assert_latency_under,
        assert_no_memory_leaks,
        assert_p95_latency_under,
        assert_p99_latency_under,
        assert_throughput_above,
        assert_token_usage_under,
    )
    from senytl.performance.benchmarking import benchmark
    from senytl.performance.current import (
        get_current_metrics,
        record_request,
        set_current_metrics,
    )
    from senytl.performance.load import load_test
    from senytl.performance.memory import MemorySnapshot, capture_memory_snapshot
    from senytl.performance.metrics import PerformanceMetrics
    from senytl.performance.pricing import CostEstimate, UnknownModelError, estimate_cost
    from senytl.performance.report import generate_report
    from senytl.performance.request_limits import goodput
    from senytl.performance.sla import SLA, InconclusiveError, SLAViolationError
    from senytl.performance.tokens import extract_token_usage
    from senytl.performance.user import CurrentUser, current_user
    from senytl.performance.watching import watch_memory

_HOMES = {
    "PerformanceError": "senytl.models",
    "TokenUsage": "senytl.models",
    "assert_cost_under": "senytl.performance.assertions",
    "assert_latency_under": "senytl.performance.assertions",
    "assert_no_memory_leaks": "senytl.performance.assertions",
    "assert_p95_latency_under": "senytl.performance.assertions",
    "assert_p99_latency_under": "senytl.performance.assertions",
    "assert_throughput_above": "senytl.performance.assertions",
    "assert_token_usage_under": "senytl.performance.assertions",
    "get_current_metrics": "senytl.performance.current",
    "record_request": "senytl.performance.current",
    "set_current_metrics": "senytl.performance.current",
    "benchmark": "senytl.performance.benchmarking",
    "load_test": "senytl.performance.load",
    "MemorySnapshot": "senytl.performance.memory",
    "capture_memory_snapshot": "senytl.performance.memory",
    "PerformanceMetrics": "senytl.performance.metrics",
    "CostEstimate": "senytl.performance.pricing",
    "UnknownModelError": "senytl.performance.pricing",
    "estimate_cost": "senytl.performance.pricing",
    "goodput": "senytl.performance.request_limits",
    "generate_report": "senytl.performance.report",
    "SLA": "senytl.performance.sla",
    "InconclusiveError": "senytl.performance.sla",
    "SLAViolationError": "senytl.performance.sla",
    "extract_token_usage": "senytl.performance.tokens",
    "CurrentUser": "senytl.performance.user",
    "current_user": "senytl.performance.user",
    "watch_memory": "senytl.performance.watching",
}

__all__ = [
    "SLA",
    "CostEstimate",
    "CurrentUser",
    "InconclusiveError",
    "MemorySnapshot",
    "PerformanceError",
    "PerformanceMetrics",
    "SLAViolationError",
    "TokenUsage",
    "UnknownModelError",
    "assert_cost_under",
    "assert_latency_under",
    "assert_no_memory_leaks",
    "assert_p95_latency_under",
    "assert_p99_latency_under",
    "assert_throughput_above",
    "assert_token_usage_under",
    "benchmark",
    "capture_memory_snapshot",
    "current_user",
    "estimate_cost",
    "extract_token_usage",
    "generate_report",
    "get_current_metrics",
    "goodput",
    "load_test",
    "record_request",
    "set_current_metrics",
    "watch_memory",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
