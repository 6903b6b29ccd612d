"""The metrics that are made of LLM calls, from records made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from senytl.models import LLMCallRecord, MockResponse, PerformanceError, TokenUsage, ToolCall
from senytl.performance import PerformanceMetrics, SLAViolationError
from senytl.performance.run import Run
from senytl.performance.sla import SLA, enforce


def call(**fields: Any) -> LLMCallRecord:
    fields = {"response": MockResponse("hi"), "usage": TokenUsage(10, 11), **fields}
    return LLMCallRecord("openai", "gpt-4", {}, **fields)


def stream(ttft: float | None, seconds: float = 1.0, **fields: Any) -> LLMCallRecord:
    return call(streamed=True, ttft=ttft, duration_seconds=seconds, start=0.0, **fields)


def measure(*bodies: list[LLMCallRecord], seconds: float = 10.0) -> PerformanceMetrics:
    run = Run("test_it", "benchmark")
    run.start()
    recorder = run.new_recorder()
    for calls in bodies:
        recorder.begin_body()
        for one in calls:
            recorder.add_call(one)
        recorder.end_body(recorder.body_start + 1.0)
    run.stop()
    return run.finish(seconds)


def missing(metrics: PerformanceMetrics, metric: str) -> str:
    with pytest.raises(PerformanceError) as caught:
        enforce(metrics, [SLA(metric, 1.0)])
    assert not isinstance(caught.value, SLAViolationError)
    return str(caught.value)


def test_times_of_streams() -> None:
    metrics = measure(
        [
            stream(0.1, time_to_first_output=0.3, chunk_gaps=(0.1, 0.2)),
            stream(0.2, seconds=1.2, time_to_first_output=0.2, chunk_gaps=(0.3,)),
        ],
        [call(duration_seconds=3.0), stream(None)],
    )
    assert metrics.avg_ttft == pytest.approx(0.15)
    assert metrics.p50_ttft == pytest.approx(0.15)
    assert metrics.p95_ttft == pytest.approx(0.195)
    assert metrics.p95_time_to_first_output == pytest.approx(0.295)
    assert metrics.avg_tpot == pytest.approx((0.09 + 0.1) / 2)
    assert metrics.p95_tpot == pytest.approx(0.0995)
    assert metrics.p50_inter_chunk_latency == pytest.approx(0.2)
    assert metrics.p95_inter_chunk_latency == pytest.approx(0.29)
    assert metrics.streamed_calls == 3
    assert metrics.output_tokens_per_second == pytest.approx(4.4)


def test_a_first_token_counts_whatever_became_of_the_stream_and_tpot_only_of_whole_ones() -> None:
    metrics = measure(
        [
            stream(0.1, outcome="abandoned"),
            stream(0.2, outcome="failed", error="cut", error_kind="truncated"),
            stream(0.3, outcome="cancelled"),
        ]
    )
    assert metrics.ttfts == pytest.approx([0.1, 0.2, 0.3])
    assert len(metrics.tpots) == 0
    assert metrics.llm_errors_by_kind == {"truncated": 1}
    assert "no stream was read whole" in missing(metrics, "p95_tpot")


def test_a_stream_of_one_token_has_no_time_between_tokens() -> None:
    metrics = measure([stream(0.1, usage=TokenUsage(5, 1)), stream(0.1, usage=TokenUsage(5, 3))])
    assert metrics.tpots == pytest.approx([0.45])


def test_invalid_timings_are_left_out_and_said() -> None:
    metrics = measure([stream(0.1, timing_valid=False, chunk_gaps=(0.0,)), stream(0.4)])
    assert metrics.ttfts == [0.4]
    assert len(metrics.chunk_gaps) == 0
    [note] = [note for note in metrics.warnings if "timing" in note]
    assert note == (
        "the timing of 1 stream is invalid and left out: another library read the replies before "
        "the agent got them"
    )
    alone = measure([stream(0.1, timing_valid=False)])
    assert "the timing of all 1 stream is invalid" in missing(alone, "avg_ttft")


def test_figures_of_streams_say_what_is_missing() -> None:
    assert "no LLM call was seen" in missing(measure([]), "p95_ttft")
    assert "none of 2 LLM calls was streamed" in missing(measure([call(), call()]), "p95_ttft")
    assert "no first token came in 1 stream" in missing(measure([stream(None)]), "p95_ttft")


def test_a_percentile_needs_enough_of_what_it_is_taken_over() -> None:
    metrics = measure(*[[stream(0.1)] for _ in range(20)])
    enforce(metrics, [SLA("p95_ttft", 1.0), SLA("p50_ttft", 1.0)])
    assert metrics.warnings == [
        "p95_ttft over 20 streams is little more than the maximum; it takes 200 to mean something"
    ]
    several = measure([stream(0.1) for _ in range(200)])
    enforce(several, [SLA("p95_ttft", 1.0)])
    assert several.warnings == []


def test_counts_of_calls_and_their_outcomes() -> None:
    tool = MockResponse("", tool_calls=[ToolCall("look_up"), ToolCall("look_up")])
    metrics = measure(
        [
            call(status=429, outcome="failed", error_kind="rate_limit", error="slow down"),
            call(attempt=2, status=500, outcome="failed", error_kind="server_error", error="no"),
            call(attempt=3, response=tool, status=200),
        ],
        [call(error="by hand"), call(outcome="cancelled", error="CancelledError")],
    )
    assert metrics.avg_llm_calls_per_request == 2.5
    assert metrics.max_llm_calls_per_request == 3
    assert metrics.avg_tool_calls_per_request == 1.0
    assert metrics.max_tool_calls_per_request == 2
    assert metrics.llm_retries == 2
    assert metrics.rate_limit_responses == 1
    assert metrics.llm_errors == 3
    assert metrics.llm_error_rate == pytest.approx(0.6)
    assert metrics.llm_errors_by_kind == {"rate_limit": 1, "server_error": 1, "other": 1}
    with pytest.raises(SLAViolationError, match=r"llm_retries <= 1 call: 2 calls \(1 call over"):
        enforce(metrics, [SLA("llm_retries", 1)])


def test_shares_of_tokens() -> None:
    metrics = measure(
        [call(usage=TokenUsage(100, 50, cached_tokens=60, reasoning_tokens=20))],
        [call(usage=TokenUsage(300, 50))],
    )
    assert metrics.cached_token_share == pytest.approx(0.15)
    assert metrics.reasoning_token_share == pytest.approx(0.2)
    nothing = measure([call(usage=TokenUsage(0, 5))])
    assert "the LLM calls had no prompt tokens" in missing(nothing, "cached_token_share")


def test_overhead_needs_calls_with_times() -> None:
    assert "the LLM calls have no times" in missing(measure([call()]), "avg_agent_overhead")
    assert "no LLM call was seen" in missing(measure([]), "avg_agent_overhead")


def test_overhead_of_requests_with_and_without_calls() -> None:
    run = Run("test_it", "benchmark")
    run.start()
    recorder = run.new_recorder()
    for covered in (0.75, 0.25, None):
        start = recorder.begin_body()
        if covered is not None:
            recorder.add_call(call(start=start, duration_seconds=covered))
        recorder.end_body(start + 1.0)
    run.stop()
    metrics = run.finish(3.0)
    assert metrics.agent_overheads == pytest.approx([0.25, 0.75, 1.0])
    assert metrics.avg_agent_overhead == pytest.approx(2 / 3)
    assert metrics.p50_agent_overhead == pytest.approx(0.75)
    assert metrics.max_agent_overhead == pytest.approx(1.0)
    with pytest.raises(SLAViolationError) as caught:
        enforce(metrics, [SLA("avg_agent_overhead", 0.1)])
    assert str(caught.value).endswith(
        "0.667 s of 1.000 s on average without an LLM call in flight, over 3 successful requests"
    )
