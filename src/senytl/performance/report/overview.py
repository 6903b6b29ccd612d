"""The figures of a run as labelled lines, which the text and the Markdown report share.

The labels and the way the figures are written are those of the documentation's example.
"""

from __future__ import annotations

from collections.abc import Iterator

from senytl.performance.metric.units import write_bytes, write_count, write_figure
from senytl.performance.report.figures import (
    dollars,
    percent,
    requests_per_second,
    seconds,
    where_ended,
)
from senytl.performance.report.leaks import memory_trend, write_pauses
from senytl.performance.report.over_time import over_time
from senytl.performance.report.plain import one_line
from senytl.performance.report.schema import MemoryDocument, RunDocument, TotalsDocument

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
    trend = f" ({trend})" if (trend := _memory_trend(memory)) else ""
    if memory["avg_mb"] is None or memory["max_mb"] is None:
        yield "Memory", f"n/a (not sampled){trend}"
    else:
        yield "Memory", f"{memory['avg_mb']:.1f} MB avg{trend}"
        yield "Peak Memory", f"{memory['max_mb']:.1f} MB"
    if memory["leak"] is not None and (pauses := write_pauses(memory["leak"])):
        yield "Pauses", pauses


def _memory_trend(memory: MemoryDocument) -> str:
    if memory["leak"] is not None:
        return memory_trend(memory["leak"])
    if memory["leak_detected"]:
        growth = memory["growth"]
        return "✗ growing" if growth is None else f"✗ growing, +{percent(growth)}"
    return "" if memory["leak_detected"] is None else "✓ stable"


def _success(run: RunDocument) -> Iterator[Line]:
    requests = run["requests"]
    total, rate = requests["total"], requests["success_rate"]
    if total is None or rate is None:
        yield "Success Rate", "n/a (no request recorded)"
        return
    yield "Success Rate", f"{percent(rate)} ({total - (requests['failed'] or 0)}/{total})"


def _streaming(run: RunDocument) -> Iterator[Line]:
    """When the tokens of streamed replies came; nothing where none was streamed."""
    streaming = run["streaming"]
    ttft, tpot, gaps = streaming["ttft"], streaming["tpot"], streaming["inter_chunk"]
    if spread := _spread(("avg", ttft["avg"]), ("p95", ttft["p95"])):
        yield "TTFT", f"{spread} ({write_count(streaming['timed'], 'stream')})"
    first = streaming["time_to_first_output"]["p95"]
    if first is not None and first != ttft["p95"]:
        yield "First Output", _spread(("p95", first))
    if spread := _spread(("avg", tpot["avg"]), ("p95", tpot["p95"])):
        yield "TPOT", spread
    if spread := _spread(("p50", gaps["p50"]), ("p95", gaps["p95"])):
        yield "Chunk Gaps", spread
    if run["tokens"]["output_per_second"] is not None:
        yield "Output Rate", write_figure(run["tokens"]["output_per_second"], "tokens/s")


def _calls(run: RunDocument) -> Iterator[Line]:
    """What requests ask of models beside their tokens, where there is something to say."""
    calls, tokens, overhead = run["llm_calls"], run["tokens"], run["overhead"]
    spread = _spread(("avg", overhead["avg"]), ("p95", overhead["p95"]), ("max", overhead["max"]))
    if spread:
        yield "Agent Overhead", spread
    for label, total, mean, most in (
        ("LLM Calls", calls["total"], calls["avg_per_request"], calls["max_per_request"]),
        (
            "Tool Calls",
            calls["tool_calls"],
            calls["avg_tool_calls_per_request"],
            calls["max_tool_calls_per_request"],
        ),
    ):
        if total and mean is not None and most is not None:
            yield f"{label}/Req", f"{mean:.2f} avg, {most} max"
    if calls["retries"]:
        yield "Retries", str(calls["retries"])
    if calls["rate_limits"]:
        yield "Rate Limits", write_count(calls["rate_limits"], "response")
    if calls["failed"] and calls["error_rate"] is not None:
        kinds = ", ".join(f"{one['count']} {one_line(one['kind'])}" for one in calls["errors"])
        yield "LLM Errors", f"{calls['failed']}, {percent(calls['error_rate'])} of calls ({kinds})"
    if tokens["cached_share"]:
        yield "Cached", f"{percent(tokens['cached_share'])} of prompt tokens"
    if tokens["reasoning_share"]:
        yield "Reasoning", f"{percent(tokens['reasoning_share'])} of completion tokens"


def _starts(run: RunDocument) -> Iterator[Line]:
    """How a load kept to its schedule; nothing where it had none."""
    starts = run["starts"]
    if starts["dropped"] is None:
        return
    made = write_count(starts["made"] or 0, "start")
    yield "Starts", f"{made} made, {starts['dropped']} dropped"
    lag, times = starts["lag"], starts["service_times"]
    if spread := _spread(("p99", lag["p99"]), ("max", lag["max"])):
        yield "Start Lag", spread
    if spread := _spread(("p50", times["p50"]), ("p95", times["p95"]), ("max", times["max"])):
        yield "Service Time", spread


def _generator(run: RunDocument) -> Iterator[Line]:
    """How well the process that made a load kept time; nothing for what is no load."""
    generator = run["generator"]
    if generator is None:
        return
    lag = generator["lag"]
    if spread := _spread(("p50", lag["p50"]), ("p95", lag["p95"]), ("max", lag["max"])):
        yield "Generator Lag", spread
    bottleneck = " (✗ the bottleneck)" if generator["saturated"] else ""
    yield "Generator CPU", f"{percent(generator['cpu_share'])} of a core{bottleneck}"
    if generator["gc_pauses"]:
        longest = seconds(generator["longest_gc"])
        yield "GC", f"{write_count(generator['gc_pauses'], 'pause')}, the longest {longest}"


def _goodput(run: RunDocument) -> Iterator[Line]:
    """Which requests kept the limits that are stated for each; nothing where none is."""
    goodput = run["goodput"]
    if not goodput["limits"]:
        return
    counts = [f"{goodput['good']} good", f"{goodput['bad']} bad"]
    if goodput["undetermined"]:
        counts.append(f"{goodput['undetermined']} undetermined")
    share = "n/a" if goodput["share"] is None else percent(goodput["share"])
    yield "Goodput", f"{share} ({', '.join(counts)})"
    if goodput["rps"] is not None:
        yield "Goodput Rate", requests_per_second(goodput["rps"])
    for one in goodput["limits"]:
        limit = f"{one_line(one['limits'])} <= {write_figure(one['limit'], one['unit'])}"
        notes = [f"{one['broken']} over"] if one["broken"] else []
        notes += [f"{one['not_measured']} not measured"] if one["not_measured"] else []
        yield "Request Limit", f"{limit} ({', '.join(notes)})" if notes else limit


def _over_time(run: RunDocument) -> Iterator[Line]:
    """The course of a load; nothing for what is no load, or a short one."""
    if run["timeline"] is not None:
        yield from over_time(run["timeline"])


def _spread(*figures: tuple[str, float | None]) -> str:
    """Figures of one kind on one line, those that were measured."""
    return ", ".join(f"{seconds(value)} {name}" for name, value in figures if value is not None)


def _circumstances(run: RunDocument) -> Iterator[Line]:
    """What the documentation's example leaves out, where there is something to say."""
    if run["kind"] is not None:
        yield "Kind", _KINDS.get(run["kind"], one_line(run["kind"]))
    if run["kind"] is not None or run["slas"] or run["failure"] is not None:
        yield "Verdict", run["verdict"]
    if run["failure"] is not None:
        where = f" ({ended})" if (ended := where_ended(run)) else ""
        yield "Failure", one_line(run["failure"]) + where
    if run["load"] is not None:
        yield "Load", one_line(run["load"])
    if run["users"] is not None:
        yield "Users", str(run["users"])
    if run["memory"]["per_user_mb"] is not None:
        yield "Memory Per User", write_bytes(run["memory"]["per_user_mb"] * 2**20)
    if run["duration_seconds"] is not None:
        yield "Duration", seconds(run["duration_seconds"])
    if run["started_at"] is not None:
        yield "Started At", run["started_at"]
    failed = run["failed_latencies"]
    if failed["avg"] is not None and failed["max"] is not None:
        yield "Failed Latency", f"{seconds(failed['avg'])} avg, {seconds(failed['max'])} max"
    if run["requests"]["timed_out"]:
        yield "Timed Out", write_count(run["requests"]["timed_out"], "request")
    if run["requests"]["interrupted"]:
        yield "Interrupted", write_count(run["requests"]["interrupted"], "request")
    calls = run["llm_calls"]
    if calls["total"]:
        stray = f" ({calls['unattributed']} unattributed)" if calls["unattributed"] else ""
        yield "LLM Calls", f"{calls['total']}{stray}"


_SECTIONS = (
    *(_latency, _tokens, _cost, _throughput, _memory, _success),
    *(_streaming, _calls, _goodput, _starts, _generator, _over_time),
)


def _session(totals: TotalsDocument) -> Iterator[Line]:
    counts = [f"{totals['passed']} passed", f"{totals['failed']} failed"]
    counts += [f"{totals['inconclusive']} inconclusive"] if totals["inconclusive"] else []
    yield "Tests", f"{totals['tests']} ({', '.join(counts)})"
    yield "Violations", str(totals["violations"])
    yield "Requests", f"{totals['requests']} ({totals['failed_requests']} failed)"
    if totals["interrupted_requests"]:
        yield "Interrupted", write_count(totals["interrupted_requests"], "request")
    tokens, cost = totals["tokens"], totals["cost"]
    yield "Total Tokens", "n/a (no LLM calls seen)" if tokens is None else str(tokens)
    nothing = f"n/a ({_no_cost(totals['unpriced_models'])})"
    yield "Total Cost", nothing if cost is None else dollars(cost)
    yield "Duration", seconds(totals["duration_seconds"])
