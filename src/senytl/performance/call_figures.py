"""From the columns of a run's LLM calls to the figures that are made of single calls."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING

from senytl.performance.call_columns import Flag
from senytl.performance.series import Series

if TYPE_CHECKING:
    from senytl.performance.call_columns import CallColumns
    from senytl.performance.metrics import PerformanceMetrics

__all__ = ["note_calls"]


def note_calls(metrics: PerformanceMetrics, requests: int, calls: CallColumns) -> None:
    """Put on a run's figures what its calls say: times of streams, counts, errors.

    Args:
        metrics: The run's figures.
        requests: How many requests ended.
        calls: The calls, which belong to requests numbered from 0.
    """
    metrics.ttfts = _known(calls.ttft)
    metrics.first_outputs = _known(calls.first_output)
    metrics.tpots = _known(calls.tpot(place) for place in range(len(calls)))
    metrics.chunk_gaps = calls.gaps
    metrics.streamed_calls = calls.count(Flag.STREAMED)
    metrics.late_first_tokens = calls.count(Flag.LATE_READER)
    metrics.untimed_streams = calls.count(Flag.UNTIMED)
    metrics.retried_calls = calls.count(Flag.RETRY)
    metrics.rate_limited_calls = calls.count(Flag.RATE_LIMITED)
    metrics.llm_errors_by_kind = calls.errors()
    metrics.tool_calls = sum(calls.tools)
    of_calls, of_tools = array("q", bytes(8 * requests)), array("q", bytes(8 * requests))
    for request, flags, tools in zip(calls.request, calls.flags, calls.tools, strict=True):
        if requests and not flags & Flag.LEFT_OVER:
            of_calls[request] += 1
            of_tools[request] += tools
    if len(calls):
        metrics.calls_per_request, metrics.tool_calls_per_request = of_calls, of_tools


def _known(figures: Iterable[float]) -> Series:
    return Series(array("d", (figure for figure in figures if not math.isnan(figure))))
