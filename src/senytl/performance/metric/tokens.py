"""Tokens of the run's LLM calls."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from senytl.performance.metric import Direction, Metric
from senytl.performance.metric.attribution import calls_without_request
from senytl.performance.metric.units import write_count
from senytl.performance.series import values

__all__ = ["TokenMetrics"]


def _why(run: Any) -> str:
    prompt = sum(values(run.token_usage, "prompt_tokens"))
    completion = sum(values(run.token_usage, "completion_tokens"))
    requests = write_count(len(run.token_usage), "request")
    return f"{prompt:,} prompt and {completion:,} completion tokens over {requests}"


def _missing(run: Any) -> str:
    if len(run.token_usage):
        return calls_without_request(run)
    ways = run.unseen_ways or "the calls of an agent in another process, or over gRPC or WebSockets"
    verb = "went unseen" if run.unseen_ways else "cannot be seen"
    return f"no LLM call was seen, so no tokens were counted ({ways} {verb})"


def _tokens(doc: str, formula: Callable[[Any], Any], absent: Any, *, of_one: bool = False) -> Any:
    def tokens(run: Any) -> Any:
        # Of single requests nothing is known where a call may have been any one's.
        unknown = of_one and run.unattributed_calls
        return formula(run.token_usage) if len(run.token_usage) and not unknown else None

    return Metric(
        unit="tokens",
        direction=Direction.LOWER,
        formula=tokens,
        absent=absent,
        missing=_missing,
        why=_why,
        doc=doc,
    )


def _total(usages: Any) -> int:
    return sum(values(usages, "total_tokens"))


class TokenMetrics:
    """Token usage in all and per request; reads 0 or NaN where no LLM call was seen."""

    total_tokens: Metric[int] = _tokens("Tokens of all requests.", _total, 0)
    total_prompt_tokens: Metric[int] = _tokens(
        "Prompt tokens of all requests, cached ones included.",
        lambda usages: sum(values(usages, "prompt_tokens")),
        0,
    )
    total_completion_tokens: Metric[int] = _tokens(
        "Completion tokens of all requests, reasoning included.",
        lambda usages: sum(values(usages, "completion_tokens")),
        0,
    )
    avg_tokens_per_request: Metric[float] = _tokens(
        "Tokens of all requests by the number of requests.",
        lambda usages: _total(usages) / len(usages),
        math.nan,
    )
    max_tokens_per_request: Metric[int] = _tokens(
        "Tokens of the request that used the most.",
        lambda usages: max(values(usages, "total_tokens")),
        0,
        of_one=True,
    )
