"""The figures of a run as labelled lines, which the text and the Markdown report share.

The labels and the way the figures are written are those of the documentation's example.
"""

from __future__ import annotations

from collections.abc import Iterator

from senytl.performance.metric.units import write_count
from senytl.performance.report.figures import (
    dollars,
    percent,
    requests_per_second,
    seconds,
)
from senytl.performance.report.plain import one_line
from senytl.performance.report.schema import RunDocument, TotalsDocument

__all__ = ["Line", "run_sections", "session_lines"]

Line = tuple[str, str]
"""A label and what stands beside it."""

_KINDS = {"benchmark": "benchmark", "load_test": "load test"}


def run_sections(run: RunDocument, *, titled: bool = False) -> list[list[Line]]:
    """The figures of a run, section by section; a figure that was not measured is left out.

    Where nothing of a section was measured, its first line says so, and why.

    Args:
        run: The run.
        titled: Whether its name stands above already.
    """
    sections = [list(section(run)) for section in _SECTIONS]
    sections.append([("Test", one_line(run["nodeid"]))] if run["nodeid"] and not titled else [])
    sections[-1] += _circumstances(run)
    return [lines for lines in sections if lines]


def session_lines(totals: TotalsDocument) -> list[Line]:
    """The sums over a session's tests."""
    return list(_session(totals))


def _latency(run: RunDocument) -> Iterator[Line]:
    latencies = run["latencies"]
    if latencies["avg"] is None:
        total, failed = run["requests"]["total"], run["requests"]["failed"]
        nothing = "no request succeeded" if total and failed == total else "no latency recorded"
        yield "Avg Latency", f"n/a ({nothing})"
        return
    for label, figure in (
        ("Avg", latencies["avg"]),
        ("P50", latencies["p50"]),
        ("P95", latencies["p95"]),
        ("P99", latencies["p99"]),
        ("Max", latencies["max"]),
    ):
        if figure is not None:
            yield f"{label} Latency", seconds(figure)


def _tokens(run: RunDocument) -> Iterator[Line]:
    tokens = run["tokens"]
    if tokens["avg_per_request"] is None:
        yield "Token Usage", "n/a (no LLM calls seen)"
        return
    yield "Token Usage", f"{tokens['avg_per_request']:.0f} tokens/request"
    yield "Total Tokens", f"{tokens['total']}"


def _cost(run: RunDocument) -> Iterator[Line]:
    cost = run["cost"]
    if cost["avg_per_request"] is None or cost["total"] is None:
        yield "Cost", f"n/a ({_no_cost(cost['unpriced_models'])})"
        return
    yield "Cost", f"{dollars(cost['avg_per_request'])}/request"
    yield "Total Cost", dollars(cost["total"])


def _no_cost(unpriced_models: list[str]) -> str:
    if not unpriced_models:
        return "no LLM calls seen"
    return "no price for " + ", ".join(one_line(model) for model in unpriced_models)


def _throughput(run: RunDocument) -> Iterator[Line]:
    rate = run["throughput_rps"]
    yield "Throughput", "n/a (not measured)" if rate is None else requests_per_second(rate)


def _memory(run: RunDocument) -> Iterator[Line]:
    memory = run["memory"]
    if memory["avg_mb"] is None or memory["max_mb"] is None:
        yield "Memory", "n/a (not sampled)"
        return
    trend = ""
    if memory["leak_detected"]:
        growth = memory["growth"]
        trend = " (✗ growing)" if growth is None else f" (✗ growing, +{percent(growth)})"
    elif memory["leak_detected"] is not None:
        trend = " (✓ stable)"
    yield "Memory", f"{memory['avg_mb']:.1f} MB avg{trend}"
    yield "Peak Memory", f"{memory['max_mb']:.1f} MB"


def _success(run: RunDocument) -> Iterator[Line]:
    requests = run["requests"]
    total, rate = requests["total"], requests["success_rate"]
    if total is None or rate is None:
        yield "Success Rate", "n/a (no request recorded)"
        return
    yield "Success Rate", f"{percent(rate)} ({total - (requests['failed'] or 0)}/{total})"


def _circumstances(run: RunDocument) -> Iterator[Line]:
    """What the documentation's example leaves out, where there is something to say."""
    if run["kind"] is not None:
        yield "Kind", _KINDS.get(run["kind"], one_line(run["kind"]))
    if run["kind"] is not None or run["slas"] or run["failure"] is not None:
        yield "Verdict", run["verdict"]
    if run["failure"] is not None:
        yield "Failure", one_line(run["failure"])
    if run["users"] is not None:
        yield "Users", str(run["users"])
    if run["duration_seconds"] is not None:
        yield "Duration", seconds(run["duration_seconds"])
    if run["started_at"] is not None:
        yield "Started At", run["started_at"]
    failed = run["failed_latencies"]
    if failed["avg"] is not None and failed["max"] is not None:
        yield "Failed Latency", f"{seconds(failed['avg'])} avg, {seconds(failed['max'])} max"
    if run["requests"]["interrupted"]:
        yield "Interrupted", write_count(run["requests"]["interrupted"], "request")
    calls = run["llm_calls"]
    if calls["total"]:
        stray = f" ({calls['unattributed']} unattributed)" if calls["unattributed"] else ""
        yield "LLM Calls", f"{calls['total']}{stray}"


_SECTIONS = (_latency, _tokens, _cost, _throughput, _memory, _success)


def _session(totals: TotalsDocument) -> Iterator[Line]:
    yield "Tests", f"{totals['tests']} ({totals['passed']} passed, {totals['failed']} failed)"
    yield "Violations", str(totals["violations"])
    yield "Requests", f"{totals['requests']} ({totals['failed_requests']} failed)"
    if totals["interrupted_requests"]:
        yield "Interrupted", write_count(totals["interrupted_requests"], "request")
    tokens, cost = totals["tokens"], totals["cost"]
    yield "Total Tokens", "n/a (no LLM calls seen)" if tokens is None else str(tokens)
    nothing = f"n/a ({_no_cost(totals['unpriced_models'])})"
    yield "Total Cost", nothing if cost is None else dollars(cost)
    yield "Duration", seconds(totals["duration_seconds"])
