from __future__ import annotations

import asyncio
import functools
import threading
import time

import pytest

from senytl import performance
from senytl.performance import PerformanceError, current_user
from senytl.performance.user import CurrentUser


class Thing:
    def __init__(self, number: int) -> None:
        self.number = number


def test_there_is_no_user_outside_of_a_body() -> None:
    with pytest.raises(PerformanceError, match="no benchmark or load test is running here"):
        current_user()


def test_a_benchmark_has_one_user() -> None:
    seen: list[tuple[int, int]] = []

    @performance.benchmark(iterations=3, warmup=2)
    def work() -> None:
        seen.append((current_user().number, current_user().iteration))

    work()
    assert seen == [(0, number) for number in range(5)]


def test_users_know_their_number_and_iteration() -> None:
    seen: set[tuple[int, int]] = set()

    @performance.load_test(concurrent_users=3, iterations=4, warmup=2)
    def work() -> None:
        user = current_user()
        seen.add((user.number, user.iteration))
        assert repr(user) == f"<user {user.number}, iteration {user.iteration}>"
        if user.iteration % 3 == 1:
            raise ValueError("a failed one counts as well")
        performance.record_request(1.0)
        performance.record_request(1.0)  # two requests are one iteration

    run = work()
    assert run.failed_requests == 3
    assert seen == {(user, iteration) for user in range(3) for iteration in range(6)}


def test_users_in_tasks_know_their_number_and_iteration() -> None:
    seen: set[tuple[int, int]] = set()

    @performance.load_test(concurrent_users=3, iterations=4)
    async def work() -> None:
        user = current_user()
        before = (user.number, user.iteration)
        await asyncio.sleep(0.001)
        assert (current_user().number, current_user().iteration) == before
        seen.add(before)

    assert asyncio.run(work()).failed_requests == 0
    assert seen == {(user, iteration) for user in range(3) for iteration in range(4)}


def test_a_user_that_has_done_nothing_is_at_its_first_iteration() -> None:
    assert repr(CurrentUser(3)) == "<user 3, iteration 0>"


def test_the_random_numbers_of_users_repeat_by_the_seed_and_differ_from_each_other() -> None:
    def draw(seed: int) -> dict[int, list[float]]:
        drawn: dict[int, list[float]] = {}

        @performance.load_test(concurrent_users=3, iterations=5, seed=seed)
        def work() -> None:
            user = current_user()
            drawn.setdefault(user.number, []).append(user.random.random())

        work()
        return drawn

    first = draw(1)
    assert draw(1) == first
    assert draw(2) != first
    assert len({tuple(numbers) for numbers in first.values()}) == 3


def test_what_a_user_keeps_stays_from_iteration_to_iteration_and_is_its_own() -> None:
    kept: list[tuple[int, list[int]]] = []

    @performance.load_test(concurrent_users=3, iterations=4, warmup=1)
    def work() -> None:
        user = current_user()
        if not hasattr(user.scratch, "turns"):
            user.scratch.turns = []
        user.scratch.turns.append(user.iteration)
        if user.iteration == 4:
            kept.append((user.number, user.scratch.turns))

    work()
    assert sorted(kept) == [(number, [0, 1, 2, 3, 4]) for number in range(3)]


def test_what_one_load_keeps_another_does_not_see() -> None:
    @performance.load_test(concurrent_users=2)
    def work() -> None:
        assert vars(current_user().scratch) == {}
        current_user().scratch.name = "x"

    assert work().failed_requests == 0
    assert work().failed_requests == 0


def test_a_user_makes_a_thing_once_and_its_time_is_not_counted() -> None:
    made: list[int] = []

    def make() -> Thing:
        time.sleep(0.15)
        made.append(current_user().number)
        return Thing(current_user().number)

    @performance.load_test(concurrent_users=3, iterations=4)
    def work() -> None:
        thing = current_user().setup(make)
        assert thing.number == current_user().number
        assert current_user().setup(make) is thing
        time.sleep(0.005)

    run = work()
    assert run.failed_requests == 0
    assert sorted(made) == [0, 1, 2]
    assert run.min_latency >= 0.0045
    assert run.max_latency < 0.12
    assert run.timed_out_requests == 0


def test_a_thing_that_is_made_by_an_async_function_is_awaited() -> None:
    made: list[int] = []

    async def make() -> Thing:
        await asyncio.sleep(0.15)
        made.append(current_user().number)
        return Thing(current_user().number)

    @performance.load_test(concurrent_users=3, iterations=4)
    async def work() -> None:
        thing = await current_user().setup(make)
        assert thing.number == current_user().number
        assert await current_user().setup(make) is thing
        await asyncio.sleep(0.005)

    run = asyncio.run(work())
    assert run.failed_requests == 0
    assert sorted(made) == [0, 1, 2]
    assert 0.0045 <= run.min_latency <= run.max_latency < 0.12


def test_a_lambda_that_calls_an_async_function_is_awaited_each_time_and_called_once() -> None:
    made: list[str] = []

    async def connect(name: str) -> str:
        await asyncio.sleep(0.1)
        made.append(name)
        return name

    @performance.load_test(concurrent_users=2, iterations=3)
    async def work() -> None:
        assert await current_user().setup(lambda: connect("a")) == "a"
        await asyncio.sleep(0.001)

    run = asyncio.run(work())
    assert run.failed_requests == 0
    assert made == ["a", "a"]
    assert run.max_latency < 0.09


def test_where_a_lambda_is_written_tells_one_thing_from_another() -> None:
    @performance.load_test(concurrent_users=2, iterations=3)
    def work() -> None:
        user = current_user()
        one: list[int] = user.setup(lambda: [])
        other: list[int] = user.setup(lambda: [])
        one.append(user.iteration)
        assert len(one) == user.iteration + 1
        assert other == []
        assert user.setup(threading.Lock) is user.setup(threading.Lock)

    assert work().failed_requests == 0


class Pool:
    def make(self) -> list[int]:
        return []


def test_partials_and_methods_are_told_apart_by_what_they_hold() -> None:
    pools = Pool(), Pool()

    @performance.benchmark(iterations=3)
    def work() -> None:
        user = current_user()
        ones: list[list[str]] = [
            user.setup(functools.partial(list, value)) for value in ("ab", "ab", "cd")
        ]
        ones[0].append(str(user.iteration))
        assert ones[0] is ones[1]
        assert len(ones[0]) == 3 + user.iteration
        assert ones[2] == ["c", "d"]
        methods = [user.setup(pool.make) for pool in (*pools, *pools)]
        assert methods[0] is methods[2]
        assert methods[0] is not methods[1]

    work()


def test_what_could_not_be_made_fails_the_request_and_is_tried_again() -> None:
    tries: list[int] = []

    def make() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("not yet")
        return "made"

    @performance.load_test(concurrent_users=1, iterations=5)
    def work() -> None:
        assert current_user().setup(make) == "made"

    run = work()
    assert (run.failed_requests, len(tries)) == (2, 3)
    assert [error.type for error in run.errors] == ["ConnectionError"]


def test_users_of_an_open_model_are_numbered_as_they_come() -> None:
    seen: dict[int, list[int]] = {}

    @performance.load_test(rate=50, duration=0.3, concurrent_users=5)
    def work() -> None:
        user = current_user()
        seen.setdefault(user.number, []).append(user.iteration)
        time.sleep(0.03)

    run = work()
    assert sorted(seen) == list(range(len(seen)))
    assert sum(map(len, seen.values())) == run.total_requests == 15
    assert all(iterations == list(range(len(iterations))) for iterations in seen.values())
