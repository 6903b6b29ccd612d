"""When the first and the other tokens of streamed replies came."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from senytl.performance.metric import Direction, Metric
from senytl.performance.metric.units import write_count, write_figure
from senytl.performance.series import mean, percentiles

__all__ = ["StreamingMetrics"]

Formula = Callable[[Sequence[float]], float]


def no_llm_call(run: Any) -> str:
    """Why there is no figure of LLM calls, where none was seen."""
    return (
        "no LLM call was seen (the calls of an agent in another process, or over gRPC or "
        "WebSockets, cannot be seen)"
    )


def _missing(nothing: str) -> Callable[[Any], str]:
    def missing(run: Any) -> str:
        if not run.llm_calls:
            return no_llm_call(run)
        if not run.streamed_calls:
            calls = write_count(run.llm_calls, "LLM call")
            return f"none of {calls} was streamed; a reply that comes whole has no first token"
        if run.untimed_streams == run.streamed_calls:
            return (
                f"the timing of all {write_count(run.streamed_calls, 'stream')} is invalid: "
                "another library read the replies before the agent got them"
            )
        return f"{nothing} in {write_count(run.streamed_calls, 'stream')}"

    return missing


def _times(
    values: Callable[[Any], Sequence[float]], noun: str, nothing: str
) -> Callable[..., Metric[float]]:
    """Makes metrics of one kind of times."""

    def why(run: Any) -> str:
        p50, p95, top = percentiles(values(run), 0.5, 0.95, 1.0)
        spread = ", ".join(
            f"{name} {write_figure(value, 's')}"
            for name, value in (("p50", p50), ("p95", p95), ("max", top))
        )
        return f"{spread} over {write_count(len(values(run)), noun)}"

    def make(doc: str, formula: Formula, quantile: float | None = None) -> Metric[float]:
        return Metric(
            unit="s",
            direction=Direction.LOWER,
            formula=lambda run: formula(values(run)) if len(values(run)) else None,
            absent=math.nan,
            missing=_missing(nothing),
            why=why,
            quantile=quantile,
            population=lambda run: (len(values(run)), noun),
            sample=values,
            doc=doc,
        )

    return make


def _at(quantile: float, make: Callable[..., Metric[float]], what: str) -> Metric[float]:
    return make(
        f"The {quantile * 100:g}th percentile of {what}.",
        lambda values: percentiles(values, quantile)[0],
        quantile,
    )


_TTFT = "the times from a streamed call's start to its first chunk of text, reasoning or tool call"
_OUTPUT = "the times from a streamed call's start to its first chunk that is not reasoning"
_TPOT = "the times per output token after the first, of streams that were read whole"
_GAP = "the gaps between the chunks of streams"

_ttft = _times(lambda run: run.ttfts, "stream", "no first token came")
_output = _times(lambda run: run.first_outputs, "stream", "nothing but reasoning came")
_tpot = _times(
    lambda run: run.tpots, "stream", "no stream was read whole and had two tokens or more"
)
_gap = _times(lambda run: run.chunk_gaps, "gap", "no second chunk came")


class StreamingMetrics:
    """Times of streamed replies; calls that were not streamed have none."""

    avg_ttft = _ttft(f"The mean of {_TTFT}.", mean)
    p50_ttft = _at(0.50, _ttft, _TTFT)
    p95_ttft = _at(0.95, _ttft, _TTFT)
    p99_ttft = _at(0.99, _ttft, _TTFT)
    p95_time_to_first_output = _at(0.95, _output, _OUTPUT)
    avg_tpot = _tpot(f"The mean of {_TPOT}.", mean)
    p50_tpot = _at(0.50, _tpot, _TPOT)
    p95_tpot = _at(0.95, _tpot, _TPOT)
    p50_inter_chunk_latency = _at(0.50, _gap, _GAP)
    p95_inter_chunk_latency = _at(0.95, _gap, _GAP)
