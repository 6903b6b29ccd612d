from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from senytl import performance
from senytl.models import LLMCallRecord, MisuseError, MockResponse, PerformanceError, TokenUsage
from senytl.performance import PerformanceMetrics, SLAViolationError
from senytl.performance.recording import Recorder
from senytl.performance.request_limits import check_limits
from senytl.performance.run import Run, RunSettings, current_settings
from senytl.performance.sla import SLA, enforce

Rows = list[tuple[float, str | None, list[LLMCallRecord]]]


def stream(ttft: float | None, *, seconds: float = 1.0, **fields: Any) -> LLMCallRecord:
    fields = {"usage": TokenUsage(10, 11), "model": "gpt-4", "streamed": True, **fields}
    model = fields.pop("model")
    return LLMCallRecord(
        "openai", model, {}, MockResponse("hi"), start=0.0, duration_seconds=seconds, ttft=ttft,
        **fields,
    )  # fmt: skip


def judge(limits: dict[str, float], rows: Rows, seconds: float = 10.0) -> PerformanceMetrics:
    token = current_settings.set(RunSettings(request_limits=limits))
    try:
        run = Run("test_it", "load_test")
    finally:
        current_settings.reset(token)
    run.start()
    recorder = run.new_recorder()
    for latency, error, calls in rows:
        recorder.begin_body()
        for call in calls:
            recorder.add_call(call)
        failure = None if error is None else ValueError(error)
        recorder.end_body(recorder.body_start + latency, failure)
    run.stop()
    return run.finish(seconds)


def counts(metrics: PerformanceMetrics) -> tuple[int, int, int]:
    verdicts = metrics.request_verdicts
    return verdicts.good, verdicts.bad, verdicts.undetermined


def test_a_request_is_good_if_it_succeeded_and_keeps_all_limits() -> None:
    metrics = judge(
        {"latency": 2.0, "ttft": 0.5},
        [
            (1.0, None, [stream(0.3)]),
            (2.0, None, [stream(0.5)]),  # a limit itself still holds
            (2.5, None, [stream(0.3)]),
            (1.0, None, [stream(0.3), stream(0.6)]),  # the largest counts
            (1.0, "broken", [stream(0.3)]),
        ],
    )
    assert counts(metrics) == (2, 3, 0)
    assert metrics.goodput == pytest.approx(0.4)
    assert metrics.goodput_rps == pytest.approx(0.2)
    assert metrics.request_verdicts.broken == {"latency": 1, "ttft": 1}
    with pytest.raises(SLAViolationError) as caught:
        enforce(metrics, [SLA("goodput", 0.9)])
    assert str(caught.value) == (
        "goodput >= 90 %: 40 % (50 percentage points short; 95 % confidence: 12 to 77 %); "
        "2 of 5 requests kept all limits: 1 failed, 1 over latency 2.000 s, 1 over ttft 0.500 s"
    )


def test_what_was_not_measured_leaves_a_request_undetermined_unless_it_breaks_another() -> None:
    metrics = judge(
        {"latency": 2.0, "ttft": 0.5},
        [
            (1.0, None, [stream(0.3)]),
            (1.0, None, [stream(None, streamed=False)]),
            (1.0, None, [stream(0.3, timing_valid=False)]),
            (3.0, None, [stream(None, streamed=False)]),
        ],
    )
    assert counts(metrics) == (1, 1, 2)
    assert metrics.goodput == 0.5
    assert "2 of 4 requests are not part of goodput: ttft not measured" in metrics.warnings
    [judgement] = [SLA("goodput", 0.4).judge(metrics)]
    assert judgement.held
    assert judgement.why == (
        "1 of 2 requests kept all limits: 1 over latency 2.000 s, 2 more undetermined"
    )


def test_an_upper_bound_tells_of_a_limit_that_is_kept_and_not_of_one_that_is_broken() -> None:
    metrics = judge(
        {"ttft": 0.5},
        [
            (1.0, None, [stream(0.4, ttft_is_upper_bound=True)]),
            (1.0, None, [stream(0.9, ttft_is_upper_bound=True)]),
            (1.0, None, [stream(0.9, ttft_is_upper_bound=True), stream(0.8)]),
        ],
    )
    assert counts(metrics) == (1, 1, 1)
    assert any("first token of 3 of 4 streams may have come earlier" in n for n in metrics.warnings)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"tpot": 0.05}, (1, 1, 1)),  # 0.04 and 0.09 a token; not streamed
        ({"tokens": 21}, (2, 1, 0)),
        ({"cost": 0.001}, (2, 0, 1)),  # the third model has no price
        ({"llm_calls": 1}, (2, 1, 0)),
    ],
)
def test_every_figure_of_a_request_may_be_limited(
    limits: dict[str, float], expected: tuple[int, int, int]
) -> None:
    rows: Rows = [
        (1.0, None, [stream(0.6)]),
        (1.0, None, [stream(0.1)]),
        (
            1.0,
            None,
            [stream(None, streamed=False, model="nobody-knows"), stream(None, streamed=False)],
        ),
    ]
    assert counts(judge(limits, rows)) == expected


def test_a_run_without_llm_calls_has_no_tokens_to_keep_a_limit_on() -> None:
    metrics = judge({"tokens": 5, "cost": 1.0, "llm_calls": 3}, [(1.0, None, [])] * 2)
    assert counts(metrics) == (0, 0, 2)
    with pytest.raises(PerformanceError) as caught:
        enforce(metrics, [SLA("goodput", 0.9)])
    assert not isinstance(caught.value, SLAViolationError)
    assert str(caught.value) == (
        "goodput >= 90 %: not measured; no request can be judged: not measured were tokens of "
        "2 requests, cost of 2 requests, llm_calls of 2 requests"
    )


def test_without_a_limit_there_is_no_goodput_and_the_message_says_how_to_state_one() -> None:
    metrics = judge({}, [(1.0, None, [stream(0.3)])])
    with pytest.raises(PerformanceError, match=r"@pytest\.mark\.goodput\(latency=2\.0.*perf\.good"):
        enforce(metrics, [SLA("goodput_rps", 1.0)])


def test_latency_can_be_limited_where_no_model_is_called() -> None:
    metrics = judge({"latency": 0.5}, [(0.25, None, []), (0.75, None, []), (0.1, "no", [])])
    assert counts(metrics) == (1, 2, 0)


def test_a_call_of_no_request_is_held_against_none() -> None:
    run = Run("test_it", "load_test")
    run.start()
    recorder = run.new_recorder()
    recorder.begin_body()
    recorder.end_body(recorder.body_start + 1.0)
    run._stray.add_call(stream(9.0))
    run.limit_requests({"latency": 2.0})
    run.stop()
    metrics = run.finish(1.0)
    assert counts(metrics) == (1, 0, 0)
    assert metrics.total_tokens == 21
    assert len(metrics.agent_overheads) == 0
    with pytest.raises(PerformanceError, match="1 LLM call could not be attributed"):
        enforce(metrics, [SLA("avg_agent_overhead", 1.0)])


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"latency": 2.0}, (2, 0, 0)),
        ({"tokens": 30}, (0, 1, 1)),
        ({"cost": 0.0001}, (0, 2, 0)),
        ({"cost": 1.0}, (0, 0, 2)),
        ({"llm_calls": 1}, (0, 1, 1)),
        ({"ttft": 0.5}, (0, 1, 1)),
        ({"tpot": 1.0}, (0, 0, 2)),
    ],
)
def test_where_a_call_may_be_any_ones_only_what_a_request_breaks_by_its_own_calls_is_known(
    limits: dict[str, float], expected: tuple[int, int, int]
) -> None:
    run = Run("test_it", "load_test")
    run.start()
    recorder = run.new_recorder()
    for calls in ([stream(0.1)], [stream(0.1), stream(0.9)]):
        recorder.begin_body()
        for call in calls:
            recorder.add_call(call)
        recorder.end_body(recorder.body_start + 1.0)
    run._stray.add_call(stream(9.0))
    run.limit_requests(limits)
    run.stop()
    metrics = run.finish(1.0)
    assert counts(metrics) == expected
    if expected == (0, 0, 2):
        with pytest.raises(PerformanceError, match="1 LLM call could not be attributed"):
            enforce(metrics, [SLA("goodput", 0.5)])


@pytest.mark.parametrize(
    "metric",
    [
        "max_llm_calls_per_request",
        "max_tool_calls_per_request",
        "max_tokens_per_request",
        "max_cost_per_request",
    ],
)
def test_the_largest_of_requests_is_not_known_where_a_call_may_be_any_ones(metric: str) -> None:
    run = Run("test_it", "load_test")
    run.start()
    recorder = run.new_recorder()
    recorder.begin_body()
    recorder.end_body(recorder.body_start + 1.0)
    for _ in range(3):
        run._stray.add_call(stream(0.1))
    run.stop()
    metrics = run.finish(1.0)
    with pytest.raises(PerformanceError) as caught:
        enforce(metrics, [SLA(metric, 1000)])
    assert str(caught.value).endswith(
        ": not measured; 3 LLM calls could not be attributed to a request"
    )
    assert metrics.avg_llm_calls_per_request == 3
    assert metrics.avg_tokens_per_request == metrics.total_tokens == 63
    assert metrics.avg_cost_per_request == metrics.total_cost > 0


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    run = Run("test_it", "benchmark")
    run.start()
    with run.new_recorder().entered() as recorder:
        recorder.begin_body()
        yield recorder
    run.stop()


def test_limits_are_stated_in_a_body_and_the_last_one_holds(recorder: Recorder) -> None:
    performance.goodput(latency=0.1, llm_calls=3)
    performance.goodput(latency=2.0)
    recorder.add_call(stream(0.1))
    so_far = recorder.run.so_far(recorder, recorder.body_start + 1.0)
    assert so_far.request_verdicts.limits == {"latency": 2.0, "llm_calls": 3}
    assert so_far.goodput == 1.0


def test_limits_where_nothing_runs_say_what_to_do() -> None:
    with pytest.raises(PerformanceError, match="no benchmark or load test is running here"):
        performance.goodput(latency=1.0)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({}, r"no limit is stated; for example goodput\("),
        ({"p95": 1.0}, "no limit named 'p95'; its limits are: latency, ttft, tpot, tokens, cost"),
        ({"latencies": 1.0}, r"'latencies' \(did you mean latency\?\); its limits are: latency, "),
        ({"latency": -1.0}, "latency is -1.0; it must be finite and not negative"),
        ({"latency": float("inf")}, "must be finite"),
        ({"ttft": "1"}, "ttft is '1'; it must be a number"),
        ({"ttft": True}, "must be a number"),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(MisuseError, match=message):
        check_limits(limits)
