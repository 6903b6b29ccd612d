"""Further rounds of a run's work, on every engine: in this thread, in threads, and in tasks."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
import time
import unittest
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import anyio
import httpx
import pytest
import trio

from senytl import performance
from senytl.capture import current_sink
from senytl.models import LLMCallRecord, MisuseError, MockResponse, PerformanceError
from senytl.performance.leaks.further import RoundsDone, share_of
from senytl.performance.leaks.further_tasks import further_rounds_in_tasks
from senytl.performance.leaks.further_threads import (
    further_rounds_in_own_loops,
    further_rounds_in_threads,
)
from senytl.performance.load.own_loops import Loops
from senytl.performance.recording import Recorder, current_recorder
from senytl.performance.run import Run
from senytl.performance.user import CurrentUser, current_user

Sleep = Callable[[float], Awaitable[object]]
Body = Callable[[Sleep], Coroutine[Any, Any, object]]


async def block(seconds: float) -> None:
    time.sleep(seconds)


def drive(body: Coroutine[Any, Any, object]) -> None:
    """Run an async function that never waits but by blocking its thread."""
    with pytest.raises(StopIteration):
        body.send(None)


class Way:
    """A way to run further rounds; a body is an async function that gets the sleep of that way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_threaded = name in {"threads", "own-loops"}

    def rounds(
        self,
        body: Body,
        *,
        users: int | list[CurrentUser] = 1,
        run: Run | None = None,
        requests: int = 10,
        rounds: int = 5,
        seconds: float = 30,
        between: Callable[[int], bool] = lambda requests: True,
        **settings: Any,
    ) -> RoundsDone:
        if isinstance(users, int):
            users = [CurrentUser(number) for number in range(users)]
        run = run or Run("work", "load_test", concurrent_users=len(users))
        settings |= {
            "requests": requests, "rounds": rounds, "seconds": seconds, "between": between,
        }  # fmt: skip

        async def wait() -> None:
            await body(anyio.sleep)

        def act() -> None:
            drive(body(block))

        if self.name == "threads":
            return further_rounds_in_threads(run, users, act, **settings)
        if self.name == "own-loops":
            loops = Loops(wait)
            return asyncio.run(
                further_rounds_in_own_loops(
                    run, users, loops.run_body, on_leave=loops.close_here, **settings
                )
            )

        async def main() -> RoundsDone:
            return await further_rounds_in_tasks(run, users, wait, **settings)

        return trio.run(main) if self.name == "trio" else asyncio.run(main())


@pytest.fixture(params=["threads", "own-loops", "asyncio", "trio"])
def way(request: pytest.FixtureRequest) -> Way:
    """Every way that runs many users."""
    return Way(request.param)


@pytest.fixture(params=["asyncio", "trio"])
def task_way(request: pytest.FixtureRequest) -> Way:
    """Those that run them as tasks."""
    return Way(request.param)


@pytest.fixture(params=["threads", "own-loops"])
def thread_way(request: pytest.FixtureRequest) -> Way:
    """Those that run them as threads."""
    return Way(request.param)


@contextmanager
def hanging() -> Iterator[threading.Event]:
    """An event to hang on, that lets go at the end."""
    release = threading.Event()
    try:
        yield release
    finally:
        release.set()
        for thread in user_threads():
            thread.join(5)


@contextmanager
def no_context() -> Iterator[None]:
    """Calls that nobody knows the user of."""
    token = current_sink.set(None)
    try:
        yield
    finally:
        current_sink.reset(token)


def user_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith("senytl-user-")]


# Shares of a round


@pytest.mark.parametrize(("users", "bodies"), [(1, 1), (4, 12), (4, 10), (7, 3), (1000, 34)])
def test_each_round_has_all_its_bodies_and_no_user_gets_more_than_one_more_than_another(
    users: int, bodies: int
) -> None:
    totals = [0] * users
    for number in range(30):
        shares = [share_of(place, users, bodies, number) for place in range(users)]
        assert sum(shares) == bodies
        assert max(shares) - min(shares) <= (1 if bodies % users else 0)
        totals = [total + share for total, share in zip(totals, shares, strict=True)]
        assert max(totals) - min(totals) <= 1


def test_every_user_runs_its_share_in_each_round(way: Way) -> None:
    shares: Counter[int] = Counter()
    seen: list[dict[int, int]] = []

    async def body(sleep: Sleep) -> None:
        shares[current_user().number] += 1
        await sleep(0.001)

    def between(requests: int) -> bool:
        seen.append(dict(shares))
        assert sum(shares.values()) == requests
        return True

    done = way.rounds(body, users=4, requests=60, rounds=5, between=between)
    assert done == RoundsDone(requests=60, failed=0, rounds=5, in_time=True)
    assert seen == [{}] + [dict.fromkeys(range(4), 3 * number) for number in range(1, 6)]


def test_with_fewer_bodies_than_users_others_sit_out_each_time(way: Way) -> None:
    rounds: list[set[int]] = [set()]

    async def body(sleep: Sleep) -> None:
        rounds[-1].add(current_user().number)

    def between(requests: int) -> bool:
        rounds.append(set())
        return True

    way.rounds(body, users=6, requests=6, rounds=3, between=between)
    assert rounds == [set(), {0, 1}, {2, 3}, {4, 5}, set()]


def test_a_thousand_users_each_take_part(way: Way) -> None:
    users = 200 if way.name == "own-loops" else 1000  # each loop takes three of a process's files
    seen: Counter[int] = Counter()
    counts: list[int] = []

    async def body(sleep: Sleep) -> None:
        seen[current_user().number] += 1
        await sleep(0)

    def between(requests: int) -> bool:
        counts.append(requests)
        return True

    done = way.rounds(body, users=users, requests=3 * users, rounds=3, between=between)
    assert counts == [0, users, 2 * users, 3 * users]
    assert set(seen.values()) == {3}
    assert len(seen) == users
    assert done.in_time
    assert user_threads() == []


def test_rounds_have_fewer_bodies_where_each_is_several_requests(way: Way) -> None:
    run = Run("work", "load_test", concurrent_users=2)
    users = [CurrentUser(0), CurrentUser(1)]
    for user in users:  # what the run measured: one body of each, with three requests
        recorder = run.new_recorder(user)
        with recorder.entered():
            recorder.begin_body()
            for _ in range(3):
                performance.record_request(0.1)
            recorder.end_body(recorder.body_start + 0.3)
    counts: list[int] = []

    async def body(sleep: Sleep) -> None:
        for _ in range(3):
            performance.record_request(0.1)

    def between(requests: int) -> bool:
        counts.append(requests)
        return True

    way.rounds(body, users=users, run=run, requests=60, rounds=5, between=between)
    assert counts == [0, 12, 24, 36, 48, 60]


# Quiet moments


def test_no_body_runs_in_between_and_all_users_run_at_once_otherwise(way: Way) -> None:
    inside = most = 0
    lock = threading.Lock()
    moments: list[int] = []

    async def body(sleep: Sleep) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        await sleep(0.01)
        with lock:
            inside -= 1

    def between(requests: int) -> bool:
        moments.append(inside)
        time.sleep(0.02)
        moments.append(inside)
        return True

    way.rounds(body, users=8, requests=80, rounds=5, between=between)
    assert moments == [0] * 12
    assert most == 8


def test_tasks_and_callbacks_that_only_have_to_end_do_before_memory_is_read() -> None:
    open_tasks: list[int] = []
    started = ended = 0

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def clean_up() -> None:
            nonlocal ended
            await asyncio.sleep(0)
            ended += 1

        async def body() -> None:
            nonlocal started
            started += 1
            loop.call_soon(lambda: tasks.append(loop.create_task(clean_up())))

        def between(requests: int) -> bool:
            open_tasks.append(started - ended)
            return True

        tasks: list[asyncio.Task[None]] = []
        await further_rounds_in_tasks(
            Run("work", "load_test"), [CurrentUser(0), CurrentUser(1)], body,
            requests=40, rounds=4, seconds=10, between=between,
        )  # fmt: skip

    asyncio.run(main())
    assert started == 40
    assert open_tasks == [0] * 5


@pytest.mark.parametrize("name", ["threads", "own-loops", "asyncio"])
def test_all_users_stay_until_memory_was_read_for_the_last_time(name: str) -> None:
    way = Way(name)
    users: list[int] = []

    async def body(sleep: Sleep) -> None: ...

    def between(requests: int) -> bool:
        names = [thread.name for thread in threading.enumerate()]
        if not way.is_threaded:
            names = [task.get_name() for task in asyncio.all_tasks()]
        users.append(sum(name.startswith("senytl-user-") for name in names))
        return True

    way.rounds(body, users=7, requests=70, rounds=5, between=between)
    assert users == [7] * 6


@pytest.mark.parametrize("goes_on", [0, 1, 3])
def test_who_asked_for_the_rounds_may_end_them(way: Way, goes_on: int) -> None:
    calls: list[int] = []

    async def body(sleep: Sleep) -> None: ...

    def between(requests: int) -> bool:
        calls.append(requests)
        return len(calls) <= goes_on

    done = way.rounds(body, users=3, requests=60, rounds=10, between=between)
    assert done == RoundsDone(requests=6 * goes_on, failed=0, rounds=goes_on, in_time=True)
    assert len(calls) == goes_on + 1


def test_what_goes_wrong_in_between_is_raised(way: Way) -> None:
    async def body(sleep: Sleep) -> None: ...

    def between(requests: int) -> bool:
        if requests:
            raise OSError("no memory figures")
        return True

    with pytest.raises(OSError, match="no memory figures"):
        way.rounds(body, users=3, between=between)
    assert user_threads() == []


def test_threads_let_the_caller_read_memory(thread_way: Way) -> None:
    seen: set[threading.Thread] = set()

    async def body(sleep: Sleep) -> None: ...

    def between(requests: int) -> bool:
        seen.add(threading.current_thread())
        return True

    thread_way.rounds(body, users=3, between=between)
    assert len(seen) == 1
    assert not seen.pop().name.startswith("senytl-user-")


# Users go on


def test_users_keep_what_they_have_and_go_on_counting(way: Way) -> None:
    run = Run("work", "load_test", concurrent_users=2)
    users = [CurrentUser(0), CurrentUser(1)]
    for user in users:
        user.scratch.name = f"user {user.number}"
        recorder = run.new_recorder(user)
        for _ in range(3):
            recorder.latencies.append(0.1)
    seen: dict[int, list[tuple[str, int]]] = {0: [], 1: []}

    async def body(sleep: Sleep) -> None:
        user = current_user()
        seen[user.number].append((user.scratch.name, user.iteration))
        if user.iteration == 4:
            raise ValueError("one that fails counts too")
        if user.iteration == 5:
            performance.record_request(0.1)

    for _ in range(2):
        way.rounds(body, users=users, run=run, requests=4, rounds=2)
    assert seen == {
        number: [(f"user {number}", iteration) for iteration in (3, 4, 5, 6)] for number in (0, 1)
    }


def test_each_user_has_one_thread_and_one_loop_for_all_rounds() -> None:
    places: dict[int, set[tuple[int, int]]] = {}
    loops: set[asyncio.AbstractEventLoop] = set()

    async def body(sleep: Sleep) -> None:
        loop = asyncio.get_running_loop()
        loops.add(loop)
        places.setdefault(current_user().number, set()).add((threading.get_ident(), id(loop)))
        await sleep(0.002)

    Way("own-loops").rounds(body, users=3, requests=30, rounds=5)
    assert sorted(places) == [0, 1, 2]
    assert all(len(place) == 1 for place in places.values())
    assert len(loops) == 3
    assert all(loop.is_closed() for loop in loops)
    assert user_threads() == []


def test_bodies_see_the_context_of_the_caller(way: Way) -> None:
    name: ContextVar[str] = ContextVar("name", default="nobody")
    seen: set[str] = set()

    async def body(sleep: Sleep) -> None:
        seen.add(name.get())

    token = name.set("the caller")
    try:
        way.rounds(body, users=3)
    finally:
        name.reset(token)
    assert seen == {"the caller"}
    assert current_recorder.get() is None


# What bodies raise


def test_failures_of_the_agent_are_counted_and_the_rounds_go_on(way: Way) -> None:
    async def body(sleep: Sleep) -> None:
        if current_user().iteration % 2:
            raise ValueError("no answer")
        if current_user().number:
            performance.record_request(0.1, error="refused")

    done = way.rounds(body, users=2, requests=40, rounds=5)
    assert done == RoundsDone(requests=40, failed=30, rounds=5, in_time=True)


@pytest.mark.parametrize(
    "error",
    [
        PerformanceError("not measured"),
        MisuseError("no such limit"),
        pytest.skip.Exception("not today"),
        unittest.SkipTest("nor tomorrow"),
        pytest.exit.Exception("the end"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_says_nothing_of_the_agent_stops_all_and_is_raised(
    way: Way, error: BaseException
) -> None:
    bodies = 0
    calls: list[int] = []

    async def body(sleep: Sleep) -> None:
        nonlocal bodies
        bodies += 1
        if current_user().number == 1 and current_user().iteration == 2:
            raise error
        await sleep(0.005)

    def between(requests: int) -> bool:
        calls.append(requests)
        return True

    with pytest.raises(type(error)) as caught:
        way.rounds(body, users=3, requests=300, rounds=30, between=between)
    if way.name != "asyncio" or not isinstance(error, KeyboardInterrupt):  # asyncio raises its own
        assert caught.value is error
    assert bodies < 30
    assert len(calls) == 1
    assert user_threads() == []


def test_a_body_that_nobody_awaits_is_refused() -> None:
    async def body() -> None: ...

    users = [CurrentUser(0)]
    with pytest.raises(PerformanceError, match="the load-tested function returned coroutine"):
        further_rounds_in_threads(
            Run("work", "load_test"), users, body,
            requests=4, rounds=2, seconds=5, between=lambda requests: True,
        )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent to a thread")
@pytest.mark.parametrize("in_between", [False, True])
def test_ctrl_c_ends_them(way: Way, in_between: bool) -> None:
    def press() -> None:
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)

    pressed = threading.Event()

    async def body(sleep: Sleep) -> None:
        if current_user().iteration == 1 and not in_between and not pressed.is_set():
            pressed.set()
            press()
        await sleep(0.01)

    def between(requests: int) -> bool:
        if requests and in_between:
            press()
            time.sleep(0.1)
        return True

    requests = 30 if in_between else 3000

    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        way.rounds(body, users=3, requests=requests, rounds=3, between=between)
    assert time.perf_counter() - began < 5
    for thread in user_threads():
        thread.join(5)
    assert user_threads() == []


@pytest.mark.parametrize("name", ["own-loops", "asyncio", "trio"])
def test_a_cancelled_caller_ends_them(name: str) -> None:
    way = Way(name)
    bodies = 0

    async def body(sleep: Sleep) -> None:
        nonlocal bodies
        bodies += 1
        await sleep(0.01)

    async def wait() -> None:
        await body(anyio.sleep)

    run, users = Run("work", "load_test"), [CurrentUser(number) for number in range(3)]
    loops = Loops(wait)

    async def main() -> None:
        with anyio.move_on_after(0.2) as scope:
            if way.is_threaded:
                await further_rounds_in_own_loops(
                    run, users, loops.run_body, on_leave=loops.close_here,
                    requests=9000, rounds=3, seconds=30, between=lambda requests: True,
                )  # fmt: skip
            else:
                await further_rounds_in_tasks(
                    run, users, wait,
                    requests=9000, rounds=3, seconds=30, between=lambda requests: True,
                )  # fmt: skip
        assert scope.cancelled_caught

    began = time.perf_counter()
    trio.run(main) if way.name == "trio" else asyncio.run(main())
    assert time.perf_counter() - began < 5
    assert 3 <= bodies < 200
    for thread in user_threads():
        thread.join(5)
    assert user_threads() == []


# The end of the time


def test_no_body_begins_when_the_time_is_over(way: Way) -> None:
    counts: list[int] = []

    async def body(sleep: Sleep) -> None:
        await sleep(0.02)

    def between(requests: int) -> bool:
        counts.append(requests)
        return True

    began = time.perf_counter()
    done = way.rounds(body, users=2, requests=100_000, rounds=25_000, seconds=0.5, between=between)
    assert time.perf_counter() - began < 5
    assert not done.in_time
    assert done.rounds == len(counts) - 1 >= 1
    assert counts[-1] <= done.requests < counts[-1] + 4
    assert done.left_behind == ()


def test_a_round_that_is_broken_off_is_not_read(way: Way) -> None:
    counts: list[int] = []

    async def body(sleep: Sleep) -> None:
        await sleep(0.02)

    def between(requests: int) -> bool:
        counts.append(requests)
        return True

    done = way.rounds(body, users=2, requests=2000, rounds=2, seconds=0.5, between=between)
    assert counts == [0]
    assert (done.rounds, done.in_time) == (0, False)
    assert 2 <= done.requests < 100


def test_bodies_that_never_wait_end_in_time_too(way: Way) -> None:
    seen: set[int] = set()

    async def body(sleep: Sleep) -> None:
        seen.add(current_user().number)

    began = time.perf_counter()
    done = way.rounds(body, users=3, requests=10**9, rounds=2, seconds=0.5)
    assert time.perf_counter() - began < 5
    assert not done.in_time
    assert seen == {0, 1, 2}
    assert done.requests > 100


def test_threads_that_hang_are_left_behind_and_named(thread_way: Way) -> None:
    with hanging() as release:
        counts: list[int] = []

        async def body(sleep: Sleep) -> None:
            if current_user().number == 1 and len(counts) == 2:
                release.wait()

        def between(requests: int) -> bool:
            counts.append(requests)
            return True

        began = time.perf_counter()
        done = thread_way.rounds(body, users=3, requests=30, rounds=5, seconds=1, between=between)
        assert 0.8 < time.perf_counter() - began < 5
        assert counts == [0, 6]
        assert (done.rounds, done.in_time) == (1, False)
        assert len(done.left_behind) == 1
        assert done.left_behind[0].startswith("user 1 at ")
        assert "test_further.py" in done.left_behind[0]
        assert [one.name for one in user_threads()] == ["senytl-user-1"]


def test_tasks_in_flight_are_cancelled_when_the_time_is_over(task_way: Way) -> None:
    cancelled: list[int] = []

    async def body(sleep: Sleep) -> None:
        if current_user().number == 1:
            try:
                await sleep(60)
            except BaseException:
                cancelled.append(current_user().number)
                raise

    began = time.perf_counter()
    done = task_way.rounds(body, users=3, requests=30, rounds=5, seconds=0.5)
    assert time.perf_counter() - began < 5
    assert (done.rounds, done.in_time, done.left_behind) == (0, False, ())
    assert done.requests == 4
    assert cancelled == [1]


def test_tasks_that_do_not_heed_their_cancellation_are_left_behind_and_named() -> None:
    released = False

    async def body(sleep: Sleep) -> None:
        while current_user().number == 1 and not released:
            try:
                await sleep(0.05)
            except asyncio.CancelledError:
                await asyncio.sleep(1.5)

    done = Way("asyncio").rounds(body, users=3, requests=30, rounds=5, seconds=0.5)
    assert not done.in_time
    assert len(done.left_behind) == 1
    assert done.left_behind[0].startswith("user 1 at ")


def test_a_request_that_takes_too_long_has_failed(task_way: Way) -> None:
    async def body(sleep: Sleep) -> None:
        await sleep(60 if current_user().iteration == 1 else 0)

    done = task_way.rounds(body, users=3, requests=12, rounds=4, timeout=0.05)
    assert done == RoundsDone(requests=12, failed=3, rounds=4, in_time=True)


# Figures and memory


def test_nothing_of_them_is_in_the_figures_and_their_calls_are_seen(way: Way, server: Any) -> None:
    run = Run("work", "load_test", concurrent_users=2)
    run.start()
    users = [CurrentUser(0), CurrentUser(1)]
    for user in users:
        run.new_recorder(user).latencies.append(0.1)
    question = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
    calls: list[int] = []

    def ask() -> None:
        answer = httpx.post(server.url(), json=question)
        assert answer.status_code == 200

    async def body(sleep: Sleep) -> None:
        ask()
        recorder = current_recorder.get()
        assert recorder is not None
        calls.append(len(recorder._pending))
        if current_user().number:
            thread = threading.Thread(target=ask, name="without a context")
            with no_context():
                thread.start()
            thread.join()
            raise ValueError("no answer")

    done = way.rounds(body, users=users, run=run, requests=12, rounds=3)
    run.stop()
    metrics = run.finish(1.0)
    assert done == RoundsDone(requests=12, failed=6, rounds=3, in_time=True)
    assert calls == [1] * 12
    assert len(server.requests) == 18
    assert metrics.total_requests == 2
    assert metrics.failed_requests == 0
    assert metrics.llm_calls == 0
    assert metrics.unattributed_calls == 0
    assert metrics.errors == []
    assert run.first_failure is None


def test_they_keep_nothing_that_grows_with_requests(way: Way) -> None:
    blocks: list[int] = []

    async def body(sleep: Sleep) -> None:
        number = current_user().iteration
        sink = current_sink.get()
        assert sink is not None
        if number % 2 == 0:  # as the capture does
            sink.add_call(LLMCallRecord("openai", "gpt-4", {}, MockResponse(f"answer {number}")))
        if number % 3 == 0:
            performance.record_request(0.1)
        if number % 5 == 0:
            raise ValueError(f"no answer to {number}")

    def between(requests: int) -> bool:
        gc.collect()
        blocks.append(sys.getallocatedblocks())
        return True

    done = way.rounds(body, users=4, requests=8000, rounds=8, between=between)
    assert done.requests == 8000
    assert abs(blocks[-1] - blocks[4]) < 0.02 * 4000


def test_a_recorder_that_discards_keeps_the_number_of_requests_alone() -> None:
    run = Run("work", "load_test")
    user = CurrentUser(0)
    recorder = Recorder(run, counts=False, user=user)
    with recorder.entered():
        for number in range(4):
            recorder.begin_body()
            performance.record_request(0.1)
            performance.record_request(0.2)
            error = ValueError("no answer") if number % 2 else None
            recorder.end_body(recorder.body_start + 0.3, error)
    recorder.discard()
    assert (recorder.ended, recorder.bodies, user.iteration) == (8, 4, 4)
    assert (len(recorder.latencies), len(recorder.failed_latencies)) == (0, 0)
    assert not recorder.errors
    assert recorder.calls == 0
