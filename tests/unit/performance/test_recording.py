"""What counts as a request, and whose LLM calls are whose."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from senytl.capture import current_sink
from senytl.models import LLMCallRecord, MockResponse, PerformanceError, SenytlResponse, TokenUsage
from senytl.performance import PerformanceMetrics, record_request
from senytl.performance.recording import (
    Recorder,
    clock,
    record_wrapped_run,
)
from senytl.performance.run import Run


@pytest.fixture
def run() -> Iterator[Run]:
    run = Run("test_it", "benchmark")
    run.start()
    yield run
    run.stop()


@pytest.fixture
def recorder(run: Run) -> Iterator[Recorder]:
    with run.new_recorder().entered() as recorder:
        recorder.begin_body()
        yield recorder


def call(tokens: int, model: str = "gpt-4") -> LLMCallRecord:
    return LLMCallRecord("openai", model, {}, MockResponse("hi"), TokenUsage(tokens, 0))


def response(seconds: float, *calls: LLMCallRecord) -> SenytlResponse:
    return SenytlResponse("answer", None, seconds, list(calls))


def end(run: Run, recorder: Recorder, seconds: float = 9.0) -> PerformanceMetrics:
    recorder.end_body(recorder.body_start + seconds)
    return run.finish(seconds)


def seen(call: LLMCallRecord) -> None:
    """Deliver a call as the capture does: to the sink of the context."""
    sink = current_sink.get()
    assert sink is not None
    sink.add_call(call)


def tokens(metrics: PerformanceMetrics) -> list[int]:
    return [usage.total_tokens for usage in metrics.token_usage]


def test_a_body_that_records_nothing_is_the_request(run: Run, recorder: Recorder) -> None:
    recorder.add_call(call(100))
    recorder.add_call(call(20))
    metrics = end(run, recorder, 0.5)
    assert metrics.latencies == pytest.approx([0.5])
    assert tokens(metrics) == [120]
    assert metrics.llm_calls == 2


def test_requests_recorded_by_hand_stand_for_the_body(run: Run, recorder: Recorder) -> None:
    record_request(0.25)
    record_request(0.75)
    assert end(run, recorder).latencies == [0.25, 0.75]


def test_a_wrapped_run_records_a_request_by_itself(run: Run, recorder: Recorder) -> None:
    record_wrapped_run(response(0.25, call(10)))
    metrics = end(run, recorder)
    assert metrics.latencies == [0.25]
    assert tokens(metrics) == [10]


def test_recording_a_wrapped_response_corrects_its_record(run: Run, recorder: Recorder) -> None:
    first, second = response(0.25, call(10)), response(0.5, call(20))
    record_wrapped_run(first)
    record_wrapped_run(second)
    record_request(0.2, first)
    metrics = end(run, recorder)
    assert metrics.latencies == [0.2, 0.5]
    assert tokens(metrics) == [10, 20]


def test_an_answer_given_again_is_a_request_each_time(run: Run, recorder: Recorder) -> None:
    for latency in (0.1, 0.2, 0.3):
        record_request(latency, "the same object, as an agent that is not wrapped may give")
    assert end(run, recorder).latencies == [0.1, 0.2, 0.3]


def test_a_correction_may_make_the_request_a_failed_one(run: Run, recorder: Recorder) -> None:
    answer = response(0.25)
    record_wrapped_run(answer)
    record_request(0.25, answer, error="the answer was empty")
    metrics = end(run, recorder)
    assert metrics.latencies == []
    assert metrics.failed_latencies == [0.25]
    assert [(e.type, e.message, e.count) for e in metrics.errors] == [
        ("error", "the answer was empty", 1)
    ]


def test_calls_belong_to_the_next_request_and_late_ones_to_the_last(
    run: Run, recorder: Recorder
) -> None:
    recorder.add_call(call(1))
    record_request(0.1)
    recorder.add_call(call(2))
    recorder.add_call(call(4))
    record_request(0.2)
    recorder.add_call(call(8))
    assert tokens(end(run, recorder)) == [1, 14]


def test_calls_before_a_wrapped_run_belong_to_it(run: Run, recorder: Recorder) -> None:
    recorder.add_call(call(1))
    record_wrapped_run(response(0.1, call(2)))
    assert tokens(end(run, recorder)) == [3]


def test_a_call_after_the_last_body_belongs_to_the_last_request(
    run: Run, recorder: Recorder
) -> None:
    record_request(0.1)
    recorder.end_body(recorder.body_start + 1)
    recorder.add_call(call(5))
    assert tokens(run.finish(1.0)) == [5]


def test_a_response_brings_the_calls_it_carries_where_none_were_seen(
    run: Run, recorder: Recorder
) -> None:
    record_request(0.1, response(0.1, call(30)))
    assert tokens(end(run, recorder)) == [30]


def test_a_request_without_a_call_counts_as_no_tokens_among_those_with_one(
    run: Run, recorder: Recorder
) -> None:
    recorder.add_call(call(30))
    record_request(0.1)
    record_request(0.1)
    metrics = end(run, recorder)
    assert tokens(metrics) == [30, 0]
    assert metrics.avg_tokens_per_request == 15.0


def test_an_exception_makes_the_last_request_a_failed_one(run: Run, recorder: Recorder) -> None:
    record_request(0.1)
    record_request(0.2)
    recorder.end_body(recorder.body_start + 1, ValueError("no answer"))
    metrics = run.finish(1.0)
    assert metrics.latencies == [0.1]
    assert metrics.failed_latencies == [0.2]
    assert metrics.errors[0].type == "ValueError"


def test_an_exception_in_a_body_that_recorded_nothing(run: Run, recorder: Recorder) -> None:
    recorder.add_call(call(3))
    recorder.end_body(recorder.body_start + 0.5, ValueError("no answer"))
    metrics = run.finish(1.0)
    assert metrics.failed_latencies == pytest.approx([0.5])
    assert metrics.total_requests == metrics.failed_requests == 1
    assert tokens(metrics) == [3]


def test_an_interruption_ends_no_request(run: Run, recorder: Recorder) -> None:
    recorder.end_body(recorder.body_start + 0.5, KeyboardInterrupt())
    metrics = run.finish(1.0)
    assert (metrics.total_requests, metrics.interrupted_requests) == (0, 1)


def test_an_interruption_after_a_request_is_another_one(run: Run, recorder: Recorder) -> None:
    record_request(0.1)
    recorder.end_body(recorder.body_start + 0.5, KeyboardInterrupt())
    metrics = run.finish(1.0)
    assert (metrics.total_requests, metrics.interrupted_requests) == (1, 1)


def test_a_broken_sla_is_no_failure_of_the_request(run: Run, recorder: Recorder) -> None:
    recorder.end_body(recorder.body_start + 0.5, PerformanceError("over the limit"))
    metrics = run.finish(1.0)
    assert (metrics.total_requests, metrics.failed_requests) == (1, 0)


def test_a_measured_block_is_a_request_of_its_own(run: Run, recorder: Recorder) -> None:
    with recorder.measured():
        seen(call(3))
    with recorder.measured():
        pass
    metrics = end(run, recorder)
    assert metrics.total_requests == 2
    assert max(metrics.latencies) < 9.0
    assert tokens(metrics) == [3, 0]


def test_blocks_of_tasks_at_the_same_time_keep_their_calls_apart(
    run: Run, recorder: Recorder
) -> None:
    async def ask(tokens: int, seconds: float) -> None:
        with recorder.measured():
            await asyncio.sleep(seconds)
            seen(call(tokens))
            await asyncio.sleep(seconds)

    async def ask_both() -> None:
        await asyncio.gather(ask(1, 0.02), ask(2, 0.03))

    asyncio.run(ask_both())
    seen(call(4))
    assert tokens(end(run, recorder)) == [1, 2 + 4]


def test_what_a_block_records_itself_takes_its_calls(run: Run, recorder: Recorder) -> None:
    with recorder.measured():
        seen(call(1))
        record_request(0.1)
        seen(call(2))
    assert tokens(end(run, recorder)) == [3]


def test_judging_takes_no_time_of_a_block(run: Run, recorder: Recorder) -> None:
    with recorder.measured(), recorder.stopped_clock():
        time.sleep(0.2)
    assert end(run, recorder).max_latency < 0.15


def test_a_run_inside_a_block_is_none_of_its_requests(run: Run, recorder: Recorder) -> None:
    inner = run.new_recorder()
    with recorder.measured():
        seen(call(1))
        with inner.entered():
            inner.begin_body()
            seen(call(2))
            inner.record(0.5)
            inner.end_body(inner.body_start + 1)
    assert inner.latencies[0] == 0.5
    recorder.end_body(recorder.body_start + 1)
    assert (recorder.ended, inner.ended) == (1, 1)
    assert sorted(tokens(run.finish(1.0))) == [1, 2]


def test_a_measured_block_in_which_an_agent_ran_adds_none(run: Run, recorder: Recorder) -> None:
    with recorder.measured():
        record_wrapped_run(response(0.25))
    assert end(run, recorder).latencies == [0.25]


def test_of_measured_blocks_in_each_other_the_inner_ones_are_the_requests(
    run: Run, recorder: Recorder
) -> None:
    with recorder.measured():
        with recorder.measured():
            record_wrapped_run(response(0.25, call(1)))
        with recorder.measured():
            seen(call(2))
        seen(call(4))
    metrics = end(run, recorder)
    assert metrics.latencies[0] == 0.25
    assert tokens(metrics) == [1, 2 + 4]


def test_the_run_so_far_has_the_calls_of_the_blocks_that_still_run(
    run: Run, recorder: Recorder
) -> None:
    with recorder.measured():
        seen(call(1))
        with recorder.measured():
            seen(call(2))
            assert run.so_far(recorder, clock()).total_tokens == 3
    assert tokens(end(run, recorder)) == [2 + 1]


def test_a_measured_block_that_raises_is_a_failed_request(run: Run, recorder: Recorder) -> None:
    with pytest.raises(ValueError, match="no answer"), recorder.measured():
        raise ValueError("no answer")
    metrics = end(run, recorder)
    assert (metrics.total_requests, metrics.failed_requests) == (1, 1)


@pytest.mark.parametrize("latency", [-0.1, float("nan"), float("inf"), True, "1"])
def test_an_impossible_latency_is_refused(recorder: Recorder, latency: float) -> None:
    with pytest.raises(ValueError, match="latency is"):
        record_request(latency)


def test_recording_where_nothing_runs_says_what_to_do() -> None:
    with pytest.raises(PerformanceError, match=r"@performance\.benchmark.*perf fixture"):
        record_request(0.1)
    record_wrapped_run(response(0.1))  # an agent may run anywhere


def test_errors_are_counted_by_type_and_message_without_secrets(
    run: Run, recorder: Recorder
) -> None:
    for _ in range(3):
        record_request(0.1, error=RuntimeError("bad key sk-abcdefghijkl\n  twice " + "x" * 500))
    for number in range(150):
        record_request(0.1, error=ValueError(f"number {number}"))
    metrics = end(run, recorder)
    assert metrics.failed_requests == 153
    assert sum(error.count for error in metrics.errors) == 153
    assert len(metrics.errors) == 101
    assert ("ValueError", "(more messages)", 51) in [
        (error.type, error.message, error.count) for error in metrics.errors
    ]
    (message,) = [e.message for e in metrics.errors if e.type == "RuntimeError"]
    assert "abcdef" not in message
    assert "\n" not in message
    assert len(message) == 300


def test_the_first_failure_of_a_run_is_kept(run: Run, recorder: Recorder) -> None:
    first = ValueError("first")
    record_request(0.1, error="no exception")
    record_request(0.1, error=first)
    record_request(0.1, error=ValueError("second"))
    end(run, recorder)
    assert run.first_failure is first


def test_the_run_so_far_holds_the_body_that_still_runs(run: Run, recorder: Recorder) -> None:
    recorder.add_call(call(3))
    so_far = run.so_far(recorder, clock())
    assert so_far.total_requests == 1
    assert tokens(so_far) == [3]
    record_request(0.5)
    assert run.so_far(recorder, clock()).latencies == [0.5]
    metrics = end(run, recorder)
    assert metrics.latencies == [0.5]  # asking changed nothing
    assert tokens(metrics) == [3]


def test_what_interrupted_users_spent_stays_in_the_sums(run: Run) -> None:
    for ended in (False, True, False):
        recorder = run.new_recorder()
        recorder.begin_body()
        recorder.add_call(call(10))
        recorder.end_body(recorder.body_start + 1, None if ended else KeyboardInterrupt())
    metrics = run.finish(1.0)
    assert (metrics.total_requests, metrics.interrupted_requests) == (1, 2)
    assert tokens(metrics) == [30]


def test_a_run_of_which_nothing_ended_has_no_usage(run: Run, recorder: Recorder) -> None:
    recorder.add_call(call(10))
    recorder.end_body(recorder.body_start + 1, KeyboardInterrupt())
    metrics = run.finish(1.0)
    assert tokens(metrics) == []
    assert metrics.llm_calls == 1
