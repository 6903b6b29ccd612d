"""The closed model, the same on every engine."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from typing import Any

import pytest

from senytl import performance
from senytl.models import LLMCallRecord, TokenUsage
from senytl.performance import PerformanceMetrics
from senytl.performance.recording import running_recorder


def test_shared_iterations_are_run_exactly_so_often(every_way: Any) -> None:
    ran: Counter[int] = Counter()

    async def body(sleep: Any) -> None:
        user = performance.current_user()
        ran[user.number] += 1
        await sleep(0.001 * (1 + user.number))  # the first users are faster, and do more

    run = every_way.load(body, concurrent_users=5, total_iterations=203)
    assert (run.total_requests, sum(ran.values())) == (203, 203)
    assert len(ran) == 5
    assert ran[0] > ran[4]


def test_shared_warm_up_iterations_are_left_out(way: Any) -> None:
    ran: list[int] = []

    async def body(sleep: Any) -> None:
        ran.append(1)
        await sleep(0.001)

    run = way.load(body, concurrent_users=3, total_iterations=20, warmup=11)
    assert (run.total_requests, len(ran)) == (20, 31)


def test_warm_up_iterations_of_each_user_are_left_out(way: Any) -> None:
    def add_call() -> None:
        call = LLMCallRecord("openai", "gpt-4", {}, usage=TokenUsage(10, 1))
        running_recorder().add_call(call)

    async def body(sleep: Any) -> None:
        add_call()
        is_warm_up = performance.current_user().iteration < 2
        await sleep(0.1 if is_warm_up else 0.01)
        if is_warm_up:
            raise ValueError("cold")

    run = way.load(body, concurrent_users=4, iterations=3, warmup=2)
    assert (run.total_requests, run.failed_requests) == (12, 0)
    assert (run.llm_calls, run.total_tokens) == (12, 132)
    assert run.max_latency < 0.09
    assert 0.03 <= run.duration_seconds < 0.15  # the 0.2 s of the warm-up are no part of it
    assert run.errors == []


def test_seconds_of_warm_up_are_left_out_and_so_is_what_started_in_them(main_way: Any) -> None:
    started: list[float] = []

    async def body(sleep: Any) -> None:
        started.append(time.perf_counter())
        await sleep(0.03)

    run = main_way.load(body, concurrent_users=2, duration=0.3, warmup=0.2)
    since = sorted(moment - started[0] for moment in started)
    assert run.duration_seconds == pytest.approx(0.3, abs=0.1)
    assert run.total_requests < len(started)
    counted = sum(moment >= 0.2 for moment in since)
    assert run.total_requests == pytest.approx(counted, abs=2)
    assert run.throughput_rps == pytest.approx(run.total_requests / run.duration_seconds)


def test_users_come_and_go_as_the_stages_say(main_way: Any) -> None:
    seen: list[tuple[float, int]] = []

    async def body(sleep: Any) -> None:
        seen.append((time.perf_counter(), performance.current_user().number))
        await sleep(0.01)

    began = time.perf_counter()
    run = main_way.load(body, stages=[(0.32, 8), (0.2, 8), (0.32, 0)])
    assert run.concurrent_users == 8
    assert {number for _, number in seen} == set(range(8))
    at = {n: [moment - began for moment, number in seen if number == n] for n in range(8)}
    # The last one comes at 0.28 s and leaves at 0.56 s, the first one is there all the time.
    assert min(at[7]) - min(at[0]) == pytest.approx(0.28, abs=0.14)
    assert max(at[0]) - max(at[7]) == pytest.approx(0.28, abs=0.14)
    assert run.duration_seconds == pytest.approx(0.84, abs=0.15)
    users = [row.users for row in run.timeline.rows()]
    assert max(users) == 8
    assert users[0] < 8
    assert users[-1] < 8


def test_a_user_who_leaves_comes_back_when_the_stages_say_so(main_way: Any) -> None:
    seen: list[float] = []

    async def body(sleep: Any) -> None:
        if performance.current_user().number == 1:
            seen.append(time.perf_counter())
        await sleep(0.01)

    main_way.load(body, stages=[(0, 2), (0.2, 2), (0, 1), (0.4, 1), (0, 2), (0.2, 2)])
    gaps = [later - earlier for earlier, later in itertools.pairwise(seen)]
    assert max(gaps) >= 0.35
    assert sorted(gaps)[-2] < 0.2


def test_users_leave_over_the_ramp_down(main_way: Any) -> None:
    last: dict[int, float] = {}

    async def body(sleep: Any) -> None:
        await sleep(0.01)
        last[performance.current_user().number] = time.perf_counter()

    run = main_way.load(body, concurrent_users=4, duration=0.6, ramp_down=0.4)
    assert sorted(last, key=last.__getitem__) == [3, 2, 1, 0]
    assert last[0] - last[3] == pytest.approx(0.3, abs=0.1)
    assert run.duration_seconds == pytest.approx(0.6, abs=0.1)


def test_users_think_between_requests_and_not_before_the_first(main_way: Any) -> None:
    starts: list[float] = []

    async def body(sleep: Any) -> None:
        starts.append(time.perf_counter())

    began = time.perf_counter()
    run = main_way.load(body, concurrent_users=1, iterations=4, think_time=0.1)
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert starts[0] - began < 0.1
    assert all(0.095 <= gap < 0.2 for gap in gaps)
    assert run.max_latency < 0.09  # a pause is no part of a latency
    assert 0.29 <= run.duration_seconds < 0.6


def test_think_times_vary_between_their_bounds_and_repeat_by_the_seed(main_way: Any) -> None:
    def gaps(**settings: Any) -> list[float]:
        starts: list[float] = []

        async def body(sleep: Any) -> None:
            starts.append(time.perf_counter())

        main_way.load(body, concurrent_users=1, iterations=6, think_time=(0.01, 0.08), **settings)
        return [later - earlier for earlier, later in itertools.pairwise(starts)]

    first, again, other = gaps(seed=1), gaps(seed=1), gaps(seed=2)
    assert min(first) >= 0.0095
    assert max(first) - min(first) > 0.01
    assert again == pytest.approx(first, abs=0.01)
    assert max(abs(a - b) for a, b in zip(first, other, strict=True)) > 0.01


def test_paced_users_keep_an_absolute_schedule(main_way: Any) -> None:
    starts: list[float] = []

    async def body(sleep: Any) -> None:
        starts.append(time.perf_counter())
        await sleep(0.01 if len(starts) % 2 else 0.04)

    run = main_way.load(body, concurrent_users=1, duration=0.68, pacing=0.05)
    # Of pauses after each body the errors and the bodies' own times would add up.
    assert len(starts) == pytest.approx(14, abs=1)
    assert run.total_requests + run.dropped_starts == 14
    assert starts[-1] - starts[0] == pytest.approx(0.65, abs=0.045)


def test_a_paced_user_who_is_late_counts_from_the_intended_start(every_way: Any) -> None:
    turns = iter(range(100))

    async def body(sleep: Any) -> None:
        await sleep(0.25 if next(turns) == 0 else 0.005)

    run = every_way.load(body, concurrent_users=1, iterations=4, pacing=0.1)
    # The second start, due at 0.1 s, is dropped: at 0.25 s that of 0.2 s is made, 0.05 s late.
    assert run.dropped_starts == 1
    assert run.total_requests == 4
    first, second, *others = run.latencies
    assert first == pytest.approx(0.25, abs=0.04)
    assert second == pytest.approx(0.055, abs=0.04)
    assert run.start_lags[1] == pytest.approx(0.05, abs=0.04)
    assert run.service_times[1] < second - 0.01
    assert max(others) < 0.09
    assert [lag + service for lag, service in zip(run.start_lags, run.service_times, strict=True)] \
        == pytest.approx(list(run.latencies))  # fmt: skip


def test_starts_that_a_slow_user_never_made_are_dropped_to_the_last(main_way: Any) -> None:
    async def body(sleep: Any) -> None:
        await sleep(0.6)

    run = main_way.load(body, concurrent_users=2, duration=0.55, pacing=0.1)
    assert run.total_requests == 2
    assert run.dropped_starts == 2 * 5  # due at 0.1, 0.2, ... 0.5 s


def test_the_schedule_goes_on_from_the_warm_up(main_way: Any) -> None:
    starts: list[float] = []

    async def body(sleep: Any) -> None:
        starts.append(time.perf_counter())

    run = main_way.load(body, concurrent_users=1, duration=0.4, warmup=0.25, pacing=0.1)
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert len(starts) == 7
    assert max(gaps) < 0.16
    assert (run.total_requests, run.dropped_starts) == (4, 0)


def test_a_schedule_begins_anew_after_an_absence(main_way: Any) -> None:
    async def body(sleep: Any) -> None: ...

    stages = [(0, 2), (0.25, 2), (0, 1), (0.4, 1), (0, 2), (0.25, 2)]
    run = main_way.load(body, stages=stages, pacing=0.1)
    assert run.dropped_starts == 0
    assert run.total_requests == 9 + 3 + 3
    assert max(run.start_lags) < 0.09


def test_requests_that_take_longer_than_the_timeout_have_failed(every_way: Any) -> None:
    turns = iter(range(100))

    async def body(sleep: Any) -> None:
        turn = next(turns)
        if turn == 2:
            raise ValueError("no answer")
        if turn == 3:
            raise TimeoutError("the agent's own")
        await sleep(0.5 if turn == 1 else 0.001)

    run = every_way.load(body, concurrent_users=1, iterations=6, timeout=0.15)
    assert (run.total_requests, run.failed_requests, run.timed_out_requests) == (6, 3, 1)
    assert run.interrupted_requests == 0
    assert sorted((error.type, error.count) for error in run.errors) == [
        ("RequestTimeoutError", 1),
        ("TimeoutError", 1),
        ("ValueError", 1),
    ]
    assert "took longer than timeout=0.15 seconds" in {error.message for error in run.errors}
    longest = max(run.failed_latencies)
    if every_way.is_threaded:
        assert longest >= 0.45  # a thread cannot be interrupted
    else:
        assert 0.14 <= longest < 0.4


def test_every_request_that_times_out_is_counted_as_one(task_way: Any) -> None:
    async def body(sleep: Any) -> None:
        await sleep(30)

    run = task_way.load(body, concurrent_users=20, iterations=5, timeout=0.015)
    assert (run.failed_requests, run.timed_out_requests) == (100, 100)
    assert {error.type for error in run.errors} == {"RequestTimeoutError"}


def test_a_body_that_swallows_its_timeout_has_timed_out_all_the_same(task_way: Any) -> None:
    async def body(sleep: Any) -> None:
        try:
            await sleep(30)
        except BaseException as error:
            raise KeyError("hidden") from error

    run = task_way.load(body, concurrent_users=2, iterations=2, timeout=0.05)
    assert (run.total_requests, run.timed_out_requests) == (4, 4)


def test_failed_interrupted_and_timed_out_requests_are_kept_apart(task_way: Any) -> None:
    async def body(sleep: Any) -> None:
        user = performance.current_user()
        if user.number == 0:
            await sleep(0.02)
            raise ValueError("no")
        if user.number == 1:
            await sleep(30)  # until its timeout, or the end of the load
        await sleep(0.02)

    settings: dict[str, Any] = {"concurrent_users": 3, "duration": 0.25, "timeout": 0.1}
    run = task_way.load(body, grace=0, **settings)
    assert run.timed_out_requests == 2
    assert run.interrupted_requests >= 1
    kinds = {error.type: error.count for error in run.errors}
    assert set(kinds) == {"ValueError", "RequestTimeoutError"}
    assert kinds["RequestTimeoutError"] == 2
    assert run.failed_requests == sum(kinds.values())
    assert run.total_requests == len(run.latencies) + run.failed_requests
    rows = run.timeline.rows()
    assert sum(row.failed for row in rows) == run.failed_requests
    assert sum(row.timed_out for row in rows) == 2


def test_fifty_users_start_together(main_way: Any) -> None:
    def spread() -> float:
        starts: list[float] = []

        async def body(sleep: Any) -> None:
            starts.append(time.perf_counter())
            if main_way.is_threaded:
                await sleep(0.1)

        run: PerformanceMetrics = main_way.load(body, concurrent_users=50)
        assert run.total_requests == 50
        return max(starts) - min(starts)

    # About a millisecond on an idle machine; the best of some tries, since it may not be idle.
    assert min(spread() for _ in range(5)) < 0.01


def test_the_timeline_has_all_requests_and_failures(main_way: Any) -> None:
    turns = iter(range(1_000_000))

    async def body(sleep: Any) -> None:
        await sleep(0.002)
        if next(turns) % 5 == 0:
            raise ValueError("no")

    run = main_way.load(body, concurrent_users=3, duration=0.8)
    rows = run.timeline.rows()
    assert sum(row.requests for row in rows) == run.total_requests
    assert sum(row.failed for row in rows) == run.failed_requests
    assert len(rows) >= 2
    assert rows[0].users == 3
