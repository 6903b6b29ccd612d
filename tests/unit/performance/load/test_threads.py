from __future__ import annotations

import gc
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from senytl import performance
from senytl.capture import scope
from senytl.models import LLMCallRecord, TokenUsage
from senytl.performance import PerformanceError, PerformanceMetrics, SLAViolationError
from senytl.performance.load.watch import Watch
from senytl.performance.recording import current_recorder


def figures(function: Any) -> list[PerformanceMetrics]:
    return function._performance_metrics  # type: ignore[no-any-return]


@contextmanager
def hanging() -> Iterator[threading.Event]:
    """An event to hang on, that lets go at the end."""
    release = threading.Event()
    try:
        yield release
    finally:
        release.set()


def press_ctrl_c() -> None:
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)


def user_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith("senytl-user-")]


def test_all_users_are_in_their_bodies_at_the_same_time() -> None:
    together = threading.Barrier(50, timeout=20)

    @performance.load_test(concurrent_users=50, iterations=2)
    def work() -> None:
        together.wait()

    run = work()
    assert (run.total_requests, run.failed_requests) == (100, 0)


def test_a_thousand_users_can_start() -> None:
    @performance.load_test(concurrent_users=1_000, iterations=2)
    def work() -> None:
        time.sleep(0.01)

    assert work().total_requests == 2_000


def test_no_thread_of_a_finished_load_is_left() -> None:
    @performance.load_test(concurrent_users=20, iterations=2)
    def work() -> None:
        time.sleep(0.01)

    before = threading.stack_size()
    work()
    assert user_threads() == []
    assert threading.stack_size() == before


def test_users_see_the_context_of_the_caller_and_not_that_of_each_other() -> None:
    name: ContextVar[str] = ContextVar("name", default="nobody")
    seen: list[str] = []

    @performance.load_test(concurrent_users=5)
    def work() -> None:
        seen.append(name.get())
        name.set("a user")

    name.set("the caller")
    work()
    assert seen == ["the caller"] * 5
    assert name.get() == "the caller"


def test_users_start_over_the_ramp_up_in_order() -> None:
    starts: dict[str, float] = {}

    @performance.load_test(concurrent_users=5, ramp_up=0.5)
    def work() -> None:
        starts[threading.current_thread().name] = time.perf_counter()

    run = work()
    assert list(starts) == [f"senytl-user-{number}" for number in range(5)]
    times = list(starts.values())
    assert times[-1] - times[0] >= 0.35  # planned: 0.4
    assert run.duration_seconds >= 0.4


def test_users_stop_at_the_end_of_the_duration() -> None:
    @performance.load_test(concurrent_users=5, duration=0.3)
    def work() -> None:
        time.sleep(0.01)

    run = work()
    assert run.duration_seconds >= 0.3
    assert 5 <= run.total_requests <= 5 * 31
    assert run.interrupted_requests == 0
    assert run.throughput_rps == run.total_requests / run.duration_seconds


def test_requests_in_flight_at_the_deadline_are_waited_for() -> None:
    @performance.load_test(concurrent_users=3, duration=0.05, grace=20)
    def work() -> None:
        time.sleep(0.3)

    run = work()
    assert (run.total_requests, run.interrupted_requests) == (3, 0)
    assert run.duration_seconds >= 0.3


def test_a_user_that_hangs_is_left_behind_after_the_grace_period() -> None:
    turns = iter(range(100))

    with hanging() as release:

        @performance.load_test(concurrent_users=4, duration=0.1, grace=0.2)
        def work() -> None:
            if next(turns) == 2:
                release.wait()
            time.sleep(0.05)

        started = time.perf_counter()
        run = work()
        took = time.perf_counter() - started
        hung = user_threads()
    assert 0.3 <= took < 5
    assert len(hung) == 1
    assert hung[0].daemon
    assert run.interrupted_requests == 1
    assert run.failed_requests == 0
    assert 3 <= run.total_requests <= 9
    assert 0.1 <= run.duration_seconds < 0.3  # the time waited in vain is no time of requests
    latencies = list(run.latencies)
    hung[0].join(10)
    assert not hung[0].is_alive()
    assert (run.interrupted_requests, list(run.latencies)) == (1, latencies)


def test_a_hung_user_counts_for_the_whole_duration() -> None:
    with hanging() as release:
        turns = iter(range(100))

        @performance.load_test(concurrent_users=1, duration=0.4, grace=0)
        def work() -> None:
            if next(turns) > 0:
                release.wait()

        run = work()
    assert (run.total_requests, run.interrupted_requests) == (1, 1)
    assert run.duration_seconds == pytest.approx(0.4)
    assert run.throughput_rps == pytest.approx(1 / 0.4)


def test_requests_that_a_hung_body_recorded_before_count() -> None:
    with hanging() as release:

        @performance.load_test(concurrent_users=2, duration=0.1, grace=0.1)
        def work() -> None:
            performance.record_request(0.25)
            release.wait()

        run = work()
    assert run.latencies == [0.25, 0.25]


def test_what_a_user_records_after_it_was_left_behind_counts_nowhere() -> None:
    ended = threading.Event()
    with hanging() as release:

        @performance.load_test(concurrent_users=1, duration=0.05, grace=0)
        def work() -> None:
            release.wait()
            performance.record_request(0.25)
            ended.set()

        run = work()
        release.set()
        assert ended.wait(10)
        for thread in user_threads():
            thread.join(10)
    assert (run.total_requests, run.interrupted_requests, list(run.latencies)) == (0, 1, [])
    assert figures(work) == [run]


def test_an_exception_is_a_failed_request_and_its_user_goes_on() -> None:
    turns = iter(range(100))

    @performance.load_test(concurrent_users=4, iterations=5)
    def work() -> None:
        turn = next(turns)
        if turn % 4 == 0:
            raise ValueError("no answer")
        if turn % 10 == 1:
            raise TimeoutError("too slow")

    run = work()
    assert (run.total_requests, run.failed_requests) == (20, 7)
    assert [(e.type, e.message, e.count) for e in run.errors] == [
        ("ValueError", "no answer", 5),
        ("TimeoutError", "too slow", 2),
    ]
    assert (len(run.latencies), len(run.failed_latencies)) == (13, 7)
    assert run.failure is None


def test_llm_calls_belong_to_the_requests_of_their_users() -> None:
    numbers = iter(range(100))

    @performance.load_test(concurrent_users=5, iterations=4)
    def work() -> None:
        recorder = current_recorder.get()
        assert recorder is not None
        tokens = next(numbers)
        recorder.add_call(LLMCallRecord("openai", "gpt-4", {}, usage=TokenUsage(tokens, 0)))
        performance.record_request(tokens)

    run = work()
    assert sorted(run.latencies) == list(range(20))
    assert [usage.prompt_tokens for usage in run.token_usage] == run.latencies
    assert run.total_tokens == sum(range(20))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), pytest.skip.Exception("no")])
def test_what_is_no_failure_stops_all_users_and_is_raised(error: BaseException) -> None:
    turns = iter(range(1_000_000))

    @performance.load_test(concurrent_users=4, duration=60)
    def work() -> None:
        if next(turns) == 10:
            raise error
        time.sleep(0.01)

    started = time.perf_counter()
    with pytest.raises(type(error)) as caught:
        work()
    assert caught.value is error
    assert time.perf_counter() - started < 10
    (run,) = figures(work)
    assert run.interrupted_requests == 1
    assert 10 <= run.total_requests <= 14
    assert run.failed_requests == 0
    assert run.duration_seconds < 10
    assert user_threads() == []


def test_an_error_of_the_test_itself_stops_the_load() -> None:
    finished = performance.PerformanceMetrics(latencies=[3.0])

    @performance.load_test(concurrent_users=4, duration=60)
    def work() -> None:
        performance.assert_latency_under(seconds=5)
        performance.set_current_metrics(finished)
        performance.assert_latency_under(seconds=1)

    with pytest.raises(SLAViolationError, match=r"avg_latency <= 1\.000 s: 3\.000 s"):
        work()
    (run,) = figures(work)
    assert run.failed_requests == 0
    assert 1 <= run.total_requests <= 4
    assert [one.sla.limit for one in run.judgements] == [5]


def test_users_that_hang_do_not_delay_a_stop() -> None:
    entered = threading.Semaphore(0)

    with hanging() as release:

        @performance.load_test(concurrent_users=3, iterations=1)
        def work() -> None:
            if threading.current_thread().name != "senytl-user-1":
                entered.release()
                release.wait()
                return
            entered.acquire()
            entered.acquire()
            raise KeyboardInterrupt

        started = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):
            work()
        assert time.perf_counter() - started < 10
    (run,) = figures(work)
    assert (run.total_requests, run.interrupted_requests) == (0, 3)


def test_users_that_wait_for_their_start_do_not_delay_a_stop() -> None:
    @performance.load_test(concurrent_users=2, ramp_up=60)
    def work() -> None:
        raise KeyboardInterrupt

    started = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        work()
    assert time.perf_counter() - started < 10
    (run,) = figures(work)
    assert (run.total_requests, run.interrupted_requests) == (0, 1)
    assert user_threads() == []


def test_ctrl_c_stops_the_load_and_keeps_its_figures() -> None:
    turns = iter(range(1_000_000))

    @performance.load_test(concurrent_users=3, duration=60)
    def work() -> None:
        if next(turns) == 10:
            press_ctrl_c()
        time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt):
        work()
    (run,) = figures(work)
    assert run.total_requests >= 11  # those in flight were waited for
    assert (run.failed_requests, run.interrupted_requests) == (0, 0)
    assert run.failure == "KeyboardInterrupt"
    assert run.duration_seconds < 10
    assert user_threads() == []


def test_a_second_ctrl_c_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("senytl.performance.load.threads._STOP_WAIT", 30.0)
    with hanging() as release:

        def press_twice() -> None:
            press_ctrl_c()
            time.sleep(0.2)
            press_ctrl_c()

        keys = threading.Thread(target=press_twice)

        @performance.load_test(concurrent_users=1, duration=60)
        def work() -> None:
            keys.start()
            release.wait()

        started = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):
            work()
        assert time.perf_counter() - started < 15  # of the 30 s that a stopped load would wait
        keys.join()
    (run,) = figures(work)
    assert (run.total_requests, run.interrupted_requests) == (0, 1)


def test_threads_that_cannot_start_are_an_error_that_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[int] = []

    @performance.load_test(concurrent_users=3)
    def work() -> None:
        ran.append(1)

    start = Watch.start

    def start_and_ask_for_too_much(watch: Watch) -> None:
        start(watch)
        threading.stack_size(2**46)  # the threads of the users come after those of the watch

    monkeypatch.setattr(Watch, "start", start_and_ask_for_too_much)
    before = threading.stack_size()
    try:
        with pytest.raises(PerformanceError, match="only 0 of 3 users could be started"):
            work()
    finally:
        threading.stack_size(before)
    assert ran == []
    assert figures(work)[0].duration_seconds == 0


def test_users_whose_requests_end_in_time_are_not_said_to_be_left_behind() -> None:
    @performance.load_test(concurrent_users=8, duration=0.2, grace=0)
    def busy() -> None:
        time.sleep(0.015)

    run = busy()
    # Those who were still busy when nobody waited any longer, each with one request.
    assert len(run.abandoned_users) <= run.interrupted_requests <= 8


@pytest.mark.parametrize("name", ["senytl-health", "senytl-watch"])
def test_a_load_that_cannot_be_watched_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)

    @performance.load_test(concurrent_users=2, iterations=1)
    def body() -> None: ...

    callbacks, threads = list(gc.callbacks), set(threading.enumerate())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="new thread"):
        body()
    monkeypatch.undo()
    assert gc.callbacks == callbacks
    assert not scope.is_open()
    assert {one.name for one in set(threading.enumerate()) - threads} == set()
    assert body().total_requests == 2


@pytest.mark.parametrize("end", [{"duration": 0.3, "warmup": 0.6}, {"iterations": 6, "warmup": 12}])
def test_the_throughput_so_far_is_that_without_the_warm_up(end: Any) -> None:
    seen: list[float] = []

    @performance.load_test(concurrent_users=1, **end)
    def body() -> None:
        time.sleep(0.05)
        so_far = performance.get_current_metrics()
        assert so_far is not None
        seen.append(so_far.throughput_rps)

    run = body()
    assert seen[-1] == pytest.approx(run.throughput_rps, rel=0.4)
