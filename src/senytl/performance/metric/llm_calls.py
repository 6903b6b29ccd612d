"""How many LLM and tool calls requests take, what becomes of them, and what tokens they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from senytl.performance.metric import Direction, Metric
from senytl.performance.metric.attribution import calls_without_request
from senytl.performance.metric.streaming import no_llm_call
from senytl.performance.metric.units import write_count
from senytl.performance.series import values

__all__ = ["LLMCallMetrics"]


def _per_request_missing(run: Any) -> str:
    if not run.llm_calls:
        return no_llm_call(run)
    return calls_without_request(run) if run.total_requests else "no request ended"


def _per_request_why(run: Any) -> str:
    requests = write_count(run.total_requests, "request")
    tools = write_count(run.tool_calls, "tool call")
    return f"{write_count(run.llm_calls, 'LLM call')} and {tools} in {requests}"


def _calls(doc: str, formula: Callable[[Any], Any], absent: Any) -> Any:
    return Metric(
        unit="calls",
        direction=Direction.LOWER,
        formula=lambda run: formula(run) if run.llm_calls and run.total_requests else None,
        absent=absent,
        missing=_per_request_missing,
        why=_per_request_why,
        doc=doc,
    )


def _largest(run: Any, counts: Any) -> int | None:
    # A call of no request may have been any one's.
    return max(counts) if len(counts) and not run.unattributed_calls else None


def _failed(run: Any) -> int:
    return sum(run.llm_errors_by_kind.values())


def _outcome_why(run: Any) -> str:
    calls = write_count(run.llm_calls, "LLM call")
    retried = "was a retry" if run.retried_calls == 1 else "were retries"
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in run.llm_errors_by_kind.items())
    return (
        f"{_failed(run):,} of {calls} failed{f' ({kinds})' if kinds else ''}, "
        f"{write_count(run.retried_calls, 'call')} {retried}"
    )


def _outcomes(doc: str, formula: Callable[[Any], int]) -> Metric[int]:
    return Metric(
        unit="calls",
        direction=Direction.LOWER,
        formula=lambda run: formula(run) if run.llm_calls else None,
        absent=0,
        missing=no_llm_call,
        why=_outcome_why,
        doc=doc,
    )


def _share(part: str, whole: str, direction: Direction, doc: str) -> Metric[float]:
    def share(run: Any) -> float | None:
        of = sum(values(run.token_usage, f"{whole}_tokens"))
        return sum(values(run.token_usage, f"{part}_tokens")) / of if of else None

    def why(run: Any) -> str:
        tokens = sum(values(run.token_usage, f"{part}_tokens"))
        return f"{tokens:,} of {sum(values(run.token_usage, f'{whole}_tokens')):,} {whole} tokens"

    return Metric(
        unit="ratio",
        direction=direction,
        formula=share,
        absent=math.nan,
        missing=lambda run: (
            f"the LLM calls had no {whole} tokens" if len(run.token_usage) else no_llm_call(run)
        ),
        why=why,
        at_most=1.0,
        doc=doc,
    )


def _output_rate(run: Any) -> float | None:
    if not len(run.token_usage) or not run.duration_seconds:
        return None
    return float(sum(values(run.token_usage, "completion_tokens"))) / float(run.duration_seconds)


class LLMCallMetrics:
    """Counts of calls, a retried call being one of its own, and shares of their tokens."""

    output_tokens_per_second = Metric[float](
        unit="tokens/s",
        direction=Direction.HIGHER,
        formula=_output_rate,
        absent=math.nan,
        missing=lambda run: "the run has no duration" if len(run.token_usage) else no_llm_call(run),
        why=lambda run: (
            f"{sum(values(run.token_usage, 'completion_tokens')):,} completion tokens in "
            f"{run.duration_seconds:.2f} s"
        ),
        doc="Completion tokens of all requests by the seconds that the run lasted.",
    )
    avg_llm_calls_per_request: Metric[float] = _calls(
        "LLM calls, each retry one of its own, by the number of requests.",
        lambda run: run.llm_calls / run.total_requests,
        math.nan,
    )
    max_llm_calls_per_request: Metric[int] = _calls(
        "LLM calls of the request that made the most.",
        lambda run: _largest(run, run.calls_per_request),
        0,
    )
    avg_tool_calls_per_request: Metric[float] = _calls(
        "Tool calls that models asked for, by the number of requests.",
        lambda run: run.tool_calls / run.total_requests,
        math.nan,
    )
    max_tool_calls_per_request: Metric[int] = _calls(
        "Tool calls of the request whose models asked for the most.",
        lambda run: _largest(run, run.tool_calls_per_request),
        0,
    )
    llm_retries = _outcomes(
        "LLM calls that repeat one that failed.", lambda run: int(run.retried_calls)
    )
    rate_limit_responses = _outcomes(
        "LLM calls that the provider refused because they were too many (HTTP 429).",
        lambda run: int(run.rate_limited_calls),
    )
    llm_errors = _outcomes("LLM calls that failed, those that were retried included.", _failed)
    llm_error_rate = Metric[float](
        unit="ratio",
        direction=Direction.LOWER,
        formula=lambda run: _failed(run) / run.llm_calls if run.llm_calls else None,
        absent=math.nan,
        missing=no_llm_call,
        why=_outcome_why,
        trials=lambda run: (_failed(run), run.llm_calls),
        at_most=1.0,
        doc="The share of LLM calls that failed.",
    )
    cached_token_share = _share(
        "cached",
        "prompt",
        Direction.HIGHER,
        "The share of prompt tokens that were read from the provider's cache.",
    )
    reasoning_token_share = _share(
        "reasoning",
        "completion",
        Direction.LOWER,
        "The share of completion tokens that were reasoning.",
    )
