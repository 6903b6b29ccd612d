"""Whose an LLM call is that ends long after it began, as a stream does that is dropped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from senytl.capture import CallSink, current_sink
from senytl.models import LLMCallRecord, MockResponse, TokenUsage
from senytl.performance import record_request
from senytl.performance.recording import Recorder, clock
from senytl.performance.run import Run


@pytest.fixture
def run() -> Iterator[Run]:
    run = Run("test_it", "load_test")
    run.start()
    yield run
    run.stop()


@pytest.fixture
def recorder(run: Run) -> Iterator[Recorder]:
    with run.new_recorder().entered() as recorder:
        yield recorder


def call(tokens: int) -> LLMCallRecord:
    return LLMCallRecord("openai", "gpt-4", {}, MockResponse("hi"), TokenUsage(tokens, 0))


def begin() -> CallSink:
    """Begin a call as the capture does."""
    sink = current_sink.get()
    assert sink is not None
    slot: CallSink = sink.slot_of_new_call()  # type: ignore[attr-defined]
    return slot


def end_body(recorder: Recorder, error: BaseException | None = None) -> None:
    recorder.end_body(recorder.body_start + 1.0, error)


def tokens(run: Run) -> list[int]:
    return [usage.total_tokens for usage in run.finish(1.0).token_usage]


def test_a_call_that_ends_in_its_body_belongs_to_the_next_request(
    run: Run, recorder: Recorder
) -> None:
    recorder.begin_body()
    slot = begin()
    record_request(0.1)
    slot.add_call(call(5))
    record_request(0.1)
    end_body(recorder)
    assert tokens(run) == [0, 5]


def test_a_call_that_ends_later_belongs_to_the_request_in_which_it_began(
    run: Run, recorder: Recorder
) -> None:
    slots = []
    for _ in range(3):
        recorder.begin_body()
        slots.append(begin())
        end_body(recorder)
    for slot, size in zip(slots, (1, 10, 100), strict=True):
        slot.add_call(call(size))
    metrics = run.finish(1.0)
    assert [usage.total_tokens for usage in metrics.token_usage] == [1, 10, 100]
    assert list(metrics.calls_per_request) == [1, 1, 1]


def test_of_several_requests_of_a_body_it_is_the_one_recorded_next(
    run: Run, recorder: Recorder
) -> None:
    recorder.begin_body()
    first = begin()
    record_request(0.1)
    second, third = begin(), begin()
    record_request(0.1)
    after = begin()
    end_body(recorder)
    recorder.begin_body()
    end_body(recorder)
    for slot, size in ((first, 1), (second, 10), (third, 100), (after, 1000)):
        slot.add_call(call(size))
    assert tokens(run) == [1, 1110, 0]  # after the last one of a body it is the last one


def test_a_call_of_a_body_that_was_interrupted_stands_with_the_last_request(
    run: Run, recorder: Recorder
) -> None:
    recorder.begin_body()
    end_body(recorder)
    recorder.begin_body()
    slot = begin()
    end_body(recorder, KeyboardInterrupt())
    slot.add_call(call(7))
    metrics = run.finish(1.0)
    assert [usage.total_tokens for usage in metrics.token_usage] == [7]
    assert list(metrics.calls_per_request) == [0]


def test_a_call_of_a_block_belongs_to_the_block_whenever_it_ends(
    run: Run, recorder: Recorder
) -> None:
    recorder.begin_body()
    with recorder.measured():
        early, late = begin(), begin()
        early.add_call(call(1))
    with recorder.measured():
        other = begin()
    late.add_call(call(10))
    so_far = run.so_far(recorder, clock())
    assert [usage.total_tokens for usage in so_far.token_usage] == [11, 0]
    end_body(recorder)
    other.add_call(call(100))
    assert tokens(run) == [11, 100]


def test_figures_so_far_have_the_late_calls_and_leave_them_where_they_are(
    run: Run, recorder: Recorder
) -> None:
    recorder.begin_body()
    slot = begin()
    end_body(recorder)
    recorder.begin_body()
    slot.add_call(call(3))
    for _ in range(2):
        so_far = run.so_far(recorder, clock())
        assert [usage.total_tokens for usage in so_far.token_usage] == [3, 0]
    end_body(recorder)
    assert tokens(run) == [3, 0]


def test_slots_of_one_moment_are_equal(run: Run, recorder: Recorder) -> None:
    recorder.begin_body()
    first, second = begin(), begin()
    assert first == second
    assert hash(first) == hash(second)
    assert first.owner is recorder  # type: ignore[attr-defined]
    with recorder.measured():
        assert begin() != first
    end_body(recorder)
    recorder.begin_body()
    assert begin() != first
    assert first != recorder


def test_overhead_counts_a_call_that_ends_after_its_request_up_to_its_end(
    run: Run, recorder: Recorder
) -> None:
    start = recorder.begin_body()
    slot = begin()
    recorder.end_body(start + 1.0)
    late = call(1)
    late.start, late.duration_seconds = start + 0.25, 100.0
    slot.add_call(late)
    assert run.finish(1.0).agent_overheads == pytest.approx([0.25])


def test_the_time_of_judging_is_no_overhead(run: Run, recorder: Recorder) -> None:
    start = recorder.begin_body()
    one = call(1)
    one.start, one.duration_seconds = start, 1.0
    recorder.add_call(one)
    with recorder.stopped_clock():
        recorder.body_start += 0.5  # as if it had taken so long
        recorder._stopped_seconds += 0.5
    recorder.end_body(start + 1.75)
    metrics = run.finish(1.0)
    assert metrics.latencies == pytest.approx([1.25], abs=0.01)
    assert metrics.agent_overheads == pytest.approx([0.25], abs=0.01)
