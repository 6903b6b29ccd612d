"""Tokens of the run's LLM calls."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from senytl.performance.metric import Direction, Metric
from senytl.performance.metric.units import write_count
from senytl.performance.series import values

__all__ = ["TokenMetrics"]


def _why(run: Any) -> str:
    prompt = sum(values(run.token_usage, "prompt_tokens"))
    completion = sum(values(run.token_usage, "completion_tokens"))
    requests = write_count(len(run.token_usage), "request")
    return f"{prompt:,} prompt and {completion:,} completion tokens over {requests}"


def _tokens(doc: str, formula: Callable[[Any], Any], absent: Any) -> Any:
    return Metric(
        unit="tokens",
        direction=Direction.LOWER,
        formula=lambda run: formula(run.token_usage) if len(run.token_usage) else None,
        absent=absent,
        missing=(
            "no LLM call was seen, so no tokens were counted (the calls of an agent in another "
            "process, or over gRPC or WebSockets, cannot be seen)"
        ),
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
    )
