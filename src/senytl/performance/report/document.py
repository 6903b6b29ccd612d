"""From figures to plain data: the one document that every report is made of."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import senytl
from senytl.performance.metric import find_metric
from senytl.performance.report.built_in import as_float, as_int, as_moment, as_text
from senytl.performance.report.memory import describe_memory
from senytl.performance.report.over_time import describe_timeline
from senytl.performance.report.schema import (
    SCHEMA,
    EnvironmentDocument,
    GeneratorDocument,
    GoodputDocument,
    LLMCallsDocument,
    OverheadDocument,
    RunDocument,
    SessionDocument,
    SLADocument,
    StartsDocument,
    StreamingDocument,
    TotalsDocument,
    Verdict,
)
from senytl.performance.request_limits import LIMITS
from senytl.performance.series import values

if TYPE_CHECKING:
    from senytl.performance.load.health import GeneratorHealth
    from senytl.performance.metrics import PerformanceMetrics
    from senytl.performance.sla import Judgement

__all__ = ["describe_run", "describe_session"]


def describe_run(metrics: PerformanceMetrics) -> RunDocument:
    """The figures of one test as plain data; see `senytl.performance.report.schema`."""
    figure, count = _readers(metrics)
    cached, cache_write, reasoning = _token_parts(metrics)
    return {
        "nodeid": as_text(metrics.name),
        "kind": as_text(metrics.kind) or None,
        "verdict": _verdict(metrics),
        "failure": None if metrics.failure is None else as_text(metrics.failure),
        "iterations": as_int(metrics.iterations) or None,
        "ended_in_iteration": as_int(metrics.ended_in_iteration),
        "started_at": as_moment(metrics.started_at),
        "duration_seconds": as_float(metrics.duration_seconds) or None,
        "users": as_int(metrics.concurrent_users) or None,
        "load": as_text(metrics.plan) or None,
        "ended_early": None if metrics.ended_early is None else as_text(metrics.ended_early),
        "abandoned_users": [as_text(user) for user in metrics.abandoned_users],
        "requests": {
            "total": count("total_requests"),
            "failed": count("failed_requests"),
            "interrupted": int(metrics.interrupted_requests),
            "timed_out": int(metrics.timed_out_requests),
            "success_rate": figure("success_rate"),
        },
        "starts": _describe_starts(metrics),
        "latencies": {
            "avg": figure("avg_latency"),
            "p50": figure("p50_latency"),
            "p75": figure("p75_latency"),
            "p90": figure("p90_latency"),
            "p95": figure("p95_latency"),
            "p99": figure("p99_latency"),
            "min": figure("min_latency"),
            "max": figure("max_latency"),
        },
        "failed_latencies": {
            "avg": figure("avg_failed_latency"),
            "max": figure("max_failed_latency"),
        },
        "throughput_rps": figure("throughput_rps"),
        "goodput": _describe_goodput(metrics),
        "overhead": _describe_overhead(metrics),
        "llm_calls": _describe_calls(metrics),
        "streaming": _describe_streams(metrics),
        "tokens": {
            "total": count("total_tokens"),
            "prompt": count("total_prompt_tokens"),
            "completion": count("total_completion_tokens"),
            "cached": cached,
            "cache_write": cache_write,
            "reasoning": reasoning,
            "avg_per_request": figure("avg_tokens_per_request"),
            "max_per_request": count("max_tokens_per_request"),
            "sources": {as_text(by): int(calls) for by, calls in metrics.token_sources.items()},
            "output_per_second": figure("output_tokens_per_second"),
            "cached_share": figure("cached_token_share"),
            "reasoning_share": figure("reasoning_token_share"),
        },
        "cost": {
            "total": figure("total_cost"),
            "avg_per_request": figure("avg_cost_per_request"),
            "max_per_request": figure("max_cost_per_request"),
            "unpriced_models": [as_text(model) for model in metrics.unpriced_models],
        },
        "memory": describe_memory(metrics),
        "generator": None if metrics.generator is None else _describe_generator(metrics.generator),
        "timeline": None if metrics.timeline is None else describe_timeline(metrics.timeline),
        "slas": [_describe_sla(judgement) for judgement in metrics.judgements],
        "errors": [
            {
                "type": as_text(error.type),
                "message": as_text(error.message),
                "count": int(error.count),
            }
            for error in metrics.errors
        ],
        "warnings": [as_text(note) for note in metrics.warnings],
    }


def describe_session(
    tests: Sequence[RunDocument], environment: EnvironmentDocument | None = None
) -> SessionDocument:
    """The document of a session, from those of its tests.

    Args:
        tests: What `describe_run` gave for each, in the order in which to report them.
        environment: Where they ran; this process where it is not given.
    """
    return {
        "schema": SCHEMA,
        "tests": list(tests),
        "totals": _totals(tests),
        "environment": environment or _environment(tests),
    }


def _describe_sla(judgement: Judgement) -> SLADocument:
    metric = find_metric(judgement.sla.metric)
    return {
        "metric": metric.name,
        "limit": float(judgement.sla.limit),
        "actual": as_float(judgement.actual),
        "held": bool(judgement.held),
        "why": as_text(judgement.why),
        "unit": metric.unit,
        "direction": metric.direction.value,
        "confidence": as_float(judgement.sla.confidence),
        "interval": None if judgement.interval is None else [*map(as_float, judgement.interval)],
        "doubt": as_text(judgement.doubt) or None,
        "outcome": as_text(judgement.outcome) or None,
    }


def _verdict(metrics: PerformanceMetrics) -> Verdict:
    match metrics.verdict:
        case "passed" | "inconclusive" as verdict:
            return verdict
        case _:
            return "failed"


def _describe_starts(metrics: PerformanceMetrics) -> StartsDocument:
    figure, count = _readers(metrics)
    dropped = count("dropped_starts")
    return {
        "made": None if dropped is None else len(metrics.start_lags),
        "dropped": dropped,
        "lag": {"p99": figure("p99_start_lag"), "max": figure("max_start_lag")},
        "service_times": {
            "p50": figure("p50_service_time"),
            "p95": figure("p95_service_time"),
            "p99": figure("p99_service_time"),
            "max": figure("max_service_time"),
        },
    }


def _describe_goodput(metrics: PerformanceMetrics) -> GoodputDocument:
    figure, _ = _readers(metrics)
    verdicts = metrics.request_verdicts
    return {
        "share": figure("goodput"),
        "rps": figure("goodput_rps"),
        "good": int(verdicts.good),
        "bad": int(verdicts.bad),
        "undetermined": int(verdicts.undetermined),
        "limits": [
            {
                "limits": name,
                "limit": float(limit),
                "unit": LIMITS[name],
                "broken": int(verdicts.broken.get(name, 0)),
                "not_measured": int(verdicts.unmeasured.get(name, 0)),
            }
            for name, limit in verdicts.limits.items()
        ],
    }


def _describe_overhead(metrics: PerformanceMetrics) -> OverheadDocument:
    figure, _ = _readers(metrics)
    return {
        "avg": figure("avg_agent_overhead"),
        "p50": figure("p50_agent_overhead"),
        "p95": figure("p95_agent_overhead"),
        "p99": figure("p99_agent_overhead"),
        "max": figure("max_agent_overhead"),
    }


def _describe_generator(health: GeneratorHealth) -> GeneratorDocument:
    def lag(quantile: float | None) -> float | None:
        return as_float(health.lag_at(quantile)) if len(health.lags) else None

    return {
        "kind": health.kind,
        "lag": {
            "avg": lag(None),
            "p50": lag(0.5),
            "p95": lag(0.95),
            "p99": lag(0.99),
            "max": lag(1.0),
        },
        "cpu_share": float(health.cpu_share),
        "saturated": bool(health.saturated),
        "gc_pauses": int(health.gc_pauses),
        "gc_seconds": float(health.gc_seconds),
        "longest_gc": float(health.longest_gc),
    }


def _describe_calls(metrics: PerformanceMetrics) -> LLMCallsDocument:
    figure, count = _readers(metrics)
    return {
        "total": int(metrics.llm_calls),
        "unattributed": int(metrics.unattributed_calls),
        "avg_per_request": figure("avg_llm_calls_per_request"),
        "max_per_request": count("max_llm_calls_per_request"),
        "tool_calls": int(metrics.tool_calls),
        "avg_tool_calls_per_request": figure("avg_tool_calls_per_request"),
        "max_tool_calls_per_request": count("max_tool_calls_per_request"),
        "retries": count("llm_retries"),
        "rate_limits": count("rate_limit_responses"),
        "failed": count("llm_errors"),
        "error_rate": figure("llm_error_rate"),
        "errors": [
            {"kind": as_text(kind), "count": int(calls)}
            for kind, calls in metrics.llm_errors_by_kind.items()
        ],
    }


def _describe_streams(metrics: PerformanceMetrics) -> StreamingDocument:
    figure, _ = _readers(metrics)
    return {
        "streams": int(metrics.streamed_calls),
        "timed": len(metrics.ttfts),
        "upper_bounds": int(metrics.late_first_tokens),
        "untimed": int(metrics.untimed_streams),
        "ttft": {
            "avg": figure("avg_ttft"),
            "p50": figure("p50_ttft"),
            "p95": figure("p95_ttft"),
            "p99": figure("p99_ttft"),
        },
        "time_to_first_output": {"p95": figure("p95_time_to_first_output")},
        "tpot": {
            "avg": figure("avg_tpot"),
            "p50": figure("p50_tpot"),
            "p95": figure("p95_tpot"),
        },
        "inter_chunk": {
            "p50": figure("p50_inter_chunk_latency"),
            "p95": figure("p95_inter_chunk_latency"),
        },
    }


def _readers(
    metrics: PerformanceMetrics,
) -> tuple[Callable[[str], float | None], Callable[[str], int | None]]:
    """Give a run's figures by the metric's name: as a float, and as an integer."""
    return (
        lambda name: as_float(find_metric(name).measure(metrics)),
        lambda name: as_int(find_metric(name).measure(metrics)),
    )


def _token_parts(metrics: PerformanceMetrics) -> tuple[int, int, int] | tuple[None, None, None]:
    """Tokens read from a cache, written to one, and spent on reasoning."""
    if not len(metrics.token_usage):
        return None, None, None
    cached, cache_write, reasoning = (
        int(sum(values(metrics.token_usage, name)))
        for name in ("cached_tokens", "cache_write_tokens", "reasoning_tokens")
    )
    return cached, cache_write, reasoning


def _totals(tests: Sequence[RunDocument]) -> TotalsDocument:
    unpriced = [test for test in tests if test["cost"]["unpriced_models"]]
    cost = _sum(test["cost"]["total"] for test in tests)
    tokens = [total for test in tests if (total := test["tokens"]["total"]) is not None]
    verdicts = Counter(test["verdict"] for test in tests)
    slas = [sla for test in tests for sla in test["slas"]]
    return {
        "tests": len(tests),
        "passed": verdicts["passed"],
        "failed": verdicts["failed"],
        "inconclusive": verdicts["inconclusive"],
        "violations": sum(not sla["held"] and sla["doubt"] is None for sla in slas),
        "requests": sum(test["requests"]["total"] or 0 for test in tests),
        "failed_requests": sum(test["requests"]["failed"] or 0 for test in tests),
        "interrupted_requests": sum(test["requests"]["interrupted"] for test in tests),
        "llm_calls": sum(test["llm_calls"]["total"] for test in tests),
        "tokens": sum(tokens) if tokens else None,
        # A sum that leaves out what could not be priced would be a guess.
        "cost": None if unpriced else cost,
        "unpriced_models": sorted(
            {model for test in unpriced for model in test["cost"]["unpriced_models"]}
        ),
        "unpriced_tests": [test["nodeid"] for test in unpriced],
        "duration_seconds": _sum(test["duration_seconds"] for test in tests) or 0.0,
    }


def _environment(tests: Sequence[RunDocument]) -> EnvironmentDocument:
    pytest = sys.modules.get("pytest")
    starts = [start for test in tests if (start := test["started_at"]) is not None]
    return {
        "senytl": senytl.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "pytest": None if pytest is None else str(pytest.__version__),
        "cpu_count": os.cpu_count(),
        "started_at": min(starts, default=None),
    }


def _sum(figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return math.fsum(known) if known else None
