"""Loads of more requests than are kept one by one."""

from __future__ import annotations

import math
import time
from random import Random
from typing import Any

import pytest

from senytl import performance
from senytl.models import LLMCallRecord, TokenUsage
from senytl.performance import PerformanceMetrics
from senytl.performance.distribution import Distribution
from senytl.performance.load.forgotten import MOST_BATCH, batch_of
from senytl.performance.recording import running_recorder
from senytl.performance.series import percentiles

QUANTILES = (0.0, 0.01, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)


@pytest.fixture
def few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let latencies be forgotten from a few hundred on."""
    monkeypatch.setattr("senytl.performance.load.forgotten.MOST_EXACT", 500)
    monkeypatch.setattr("senytl.performance.load.forgotten.MOST_BATCH", 64)
    monkeypatch.setattr("senytl.performance.load.forgotten.LEAST_BATCH", 16)
    monkeypatch.setattr("senytl.performance.load.users.LEAST_BATCH", 16)


class Truth:
    """Latencies that bodies record by hand, so that it is known what they are."""

    def __init__(self, seed: int = 0) -> None:
        self.latencies: list[float] = []
        self.failed: list[float] = []
        self._random = Random(seed)

    def record(self) -> None:
        latency = self._random.lognormvariate(-3, 1.5)
        if self._random.random() < 0.1:
            self.failed.append(latency)
            performance.record_request(latency, error="no answer")
        else:
            self.latencies.append(latency)
            performance.record_request(latency)

    def check(self, run: PerformanceMetrics) -> None:
        assert len(run.latencies) == len(self.latencies)
        assert len(run.failed_latencies) == run.failed_requests == len(self.failed)
        assert run.total_requests == len(self.latencies) + len(self.failed)
        for quantile in QUANTILES:
            (found,) = percentiles(run.latencies, quantile)
            (true,) = percentiles(self.latencies, quantile)
            # Between two neighbours a percentile is a mean of them, so no more than that is off.
            assert found == pytest.approx(true, rel=0.0011), quantile
        assert run.avg_latency == pytest.approx(math.fsum(self.latencies) / len(self.latencies))
        assert (run.min_latency, run.max_latency) == (min(self.latencies), max(self.latencies))
        assert sum(error.count for error in run.errors) == len(self.failed)


def is_forgotten(run: PerformanceMetrics) -> bool:
    return isinstance(run.latencies, Distribution) and not run.latencies.exact


@pytest.mark.usefixtures("few_are_kept")
@pytest.mark.parametrize("shape", [
    {"concurrent_users": 4, "iterations": 1_500},
    {"concurrent_users": 3, "total_iterations": 5_000, "warmup": 700},
    {"concurrent_users": 2, "iterations": 2_000, "timeout": 20},
])  # fmt: skip
def test_figures_of_forgotten_requests_stay_right(main_way: Any, shape: Any) -> None:
    truth = Truth()

    async def body(sleep: Any) -> None:
        if running_recorder().counts:
            truth.record()

    run = main_way.load(body, **shape)
    assert is_forgotten(run)
    truth.check(run)
    rows = run.timeline.rows()
    assert sum(row.requests for row in rows) == run.total_requests
    assert sum(row.failed for row in rows) == run.failed_requests


@pytest.mark.usefixtures("few_are_kept")
def test_figures_of_an_open_load_stay_right(main_way: Any) -> None:
    async def body(sleep: Any) -> None:
        await sleep(0.001)
        if performance.current_user().random.random() < 0.2:
            raise ValueError("no")

    run = main_way.load(body, rate=1_500, duration=0.8, concurrent_users=100)
    assert is_forgotten(run)
    assert run.total_requests + run.dropped_starts == 1_200
    assert len(run.start_lags) == run.total_requests
    assert len(run.service_times) == len(run.latencies) == run.total_requests - run.failed_requests
    assert sum(run.service_times) / len(run.service_times) >= 0.00099
    assert sum(error.count for error in run.errors) == run.failed_requests
    rows = run.timeline.rows()
    assert sum(row.requests for row in rows) == run.total_requests
    assert sum(row.failed for row in rows) == run.failed_requests


@pytest.mark.usefixtures("few_are_kept")
def test_a_load_that_lasts_is_counted_over_time_and_forgotten_meanwhile(main_way: Any) -> None:
    turns = iter(range(100_000_000))

    async def body(sleep: Any) -> None:
        if next(turns) % 7 == 0:
            raise ValueError("no")

    run = main_way.load(body, concurrent_users=3, duration=0.9)
    rows = run.timeline.rows()
    assert is_forgotten(run)
    assert run.total_requests > 2_000
    assert len(rows) >= 3
    assert sum(row.requests for row in rows) == run.total_requests
    assert sum(row.failed for row in rows) == run.failed_requests
    assert run.failed_requests == pytest.approx(run.total_requests / 7, abs=3)
    assert 0 < run.min_latency <= run.p50_latency <= run.p99_latency <= run.max_latency


@pytest.mark.usefixtures("few_are_kept")
def test_users_keep_few_single_latencies(main_way: Any) -> None:
    most = 0

    async def body(sleep: Any) -> None:
        nonlocal most
        most = max(most, len(running_recorder().latencies))

    run = main_way.load(body, concurrent_users=2, iterations=4_000)
    assert run.total_requests == 8_000
    assert most <= 600  # all until there are too many, and a batch more


@pytest.mark.usefixtures("few_are_kept")
def test_requests_with_llm_calls_are_all_kept(main_way: Any) -> None:
    numbers = iter(range(100_000))

    async def body(sleep: Any) -> None:
        number = next(numbers)
        call = LLMCallRecord("openai", "gpt-4", {}, usage=TokenUsage(number, 0))
        running_recorder().add_call(call)
        performance.record_request(number)

    run = main_way.load(body, concurrent_users=4, iterations=500)
    assert not is_forgotten(run)
    assert sorted(run.latencies) == list(range(2_000))
    assert [usage.prompt_tokens for usage in run.token_usage] == list(run.latencies)


@pytest.mark.usefixtures("few_are_kept")
def test_llm_calls_that_come_late_belong_to_their_requests(main_way: Any) -> None:
    async def body(sleep: Any) -> None:
        user = performance.current_user()
        if user.iteration >= 1_000:
            call = LLMCallRecord("openai", "gpt-4", {}, usage=TokenUsage(7, 0))
            running_recorder().add_call(call)

    run = main_way.load(body, concurrent_users=2, iterations=1_010)
    assert run.total_requests == 2_020
    assert is_forgotten(run)
    assert (run.llm_calls, run.total_tokens) == (20, 140)
    calls = [usage.prompt_tokens for usage in run.token_usage]
    assert len(calls) == 2_020
    assert sum(bool(tokens) for tokens in calls) == 20


@pytest.mark.usefixtures("few_are_kept")
def test_requests_with_limits_of_their_own_are_all_kept(main_way: Any) -> None:
    from senytl.performance.run import RunSettings, current_settings

    async def body(sleep: Any) -> None:
        performance.record_request(1.0 if performance.current_user().iteration % 4 else 3.0)

    token = current_settings.set(RunSettings(request_limits={"latency": 2.0}))
    try:
        run = main_way.load(body, concurrent_users=2, iterations=1_000)
    finally:
        current_settings.reset(token)
    assert not is_forgotten(run)
    assert run.goodput == 0.75


@pytest.mark.usefixtures("few_are_kept")
def test_a_user_counts_its_iterations_on_though_they_are_forgotten(main_way: Any) -> None:
    seen: list[int] = []

    async def body(sleep: Any) -> None:
        seen.append(performance.current_user().iteration)

    run = main_way.load(body, concurrent_users=1, iterations=3_000, warmup=5)
    assert is_forgotten(run)
    assert seen == list(range(3_005))


@pytest.mark.usefixtures("few_are_kept")
def test_users_that_share_few_iterations_forget_none(main_way: Any) -> None:
    async def body(sleep: Any) -> None:
        await sleep(0.02)

    # Each of them may take up to 50 at a time, and none gets more than some.
    run = main_way.load(body, concurrent_users=20, total_iterations=100)
    assert run.total_requests == 100
    assert not isinstance(run.latencies, Distribution)


@pytest.mark.usefixtures("few_are_kept")
def test_a_long_warm_up_lets_no_measured_request_be_forgotten(main_way: Any) -> None:
    async def body(sleep: Any) -> None: ...

    run = main_way.load(body, concurrent_users=1, iterations=20, warmup=3_000)
    assert not is_forgotten(run)
    assert len(run.latencies) == 20


@pytest.mark.usefixtures("few_are_kept")
def test_a_user_that_hangs_keeps_what_it_did_before(main_way: Any) -> None:
    truth = Truth()

    async def body(sleep: Any) -> None:
        if performance.current_user().iteration == 900:
            await sleep(0.8)
        truth.record()

    run = main_way.load(body, concurrent_users=1, duration=0.4, grace=0.1)
    assert is_forgotten(run)
    assert run.interrupted_requests == 1
    assert run.total_requests == 900
    time.sleep(0.5 if main_way.is_threaded else 0)  # it comes back, to no effect
    assert run.total_requests == 900


def test_batches_are_small_where_users_are_many() -> None:
    assert batch_of(1) == MOST_BATCH
    assert batch_of(10_000) == 256
    assert batch_of(0) == MOST_BATCH
