"""Who runs how much in each round of a load whose memory is checked, and that nobody waits in vain.

Fewer requests than a leak is told by are enough here.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest

from senytl import performance
from senytl.performance.leaks import proof
from senytl.performance.leaks.check import LeakCheck
from senytl.performance.leaks.limits import ROUNDS
from senytl.performance.load import rounds

from .conftest import Sleep, Way


class Load:
    """What the users of a load did, by the readings of memory in between."""

    def __init__(self) -> None:
        self.started: Counter[int] = Counter()
        self.at_readings: list[Counter[int]] = []
        self.in_flight = 0
        self.busy: list[int] = []
        self._lock = threading.Lock()

    def begin(self) -> int:
        """Note that a body begins; gives the number of its user."""
        number = performance.current_user().number
        with self._lock:
            self.started[number] += 1
            self.in_flight += 1
        return number

    def end(self) -> None:
        """Note that it ends."""
        with self._lock:
            self.in_flight -= 1

    def shares(self) -> list[Counter[int]]:
        """How many bodies each user began before the first reading, between it and the next..."""
        pairs = zip([Counter[int](), *self.at_readings], self.at_readings, strict=False)
        return [after - before for before, after in pairs]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Notes what was done by each reading; memory itself is not read, and garbage not collected."""
    seen = Load()

    def note(check: LeakCheck, requests: float, own: Iterable[object] = ()) -> None:
        seen.at_readings.append(Counter(seen.started))
        seen.busy.append(seen.in_flight)

    monkeypatch.setattr(LeakCheck, "read", note)
    monkeypatch.setattr(rounds, "FEWEST_REQUESTS", 10)
    monkeypatch.setattr(proof, "FEWEST_REQUESTS", math.inf)  # no further rounds
    return seen


def run(way: Way, seen: Load, slow: dict[int, float] | None = None, **settings: Any) -> Any:
    """Run bodies of a millisecond; those of some users take longer."""

    async def body(sleep: Sleep) -> None:
        number = seen.begin()
        try:
            await sleep((slow or {}).get(number, 0.001))
        finally:
            seen.end()

    return way.load(body, leak_check=True, **settings)


def test_every_user_runs_all_of_its_iterations(way: Way, seen: Load) -> None:
    metrics = run(way, seen, concurrent_users=4, iterations=37)
    assert metrics.total_requests == 4 * 37
    assert seen.started == dict.fromkeys(range(4), 37)
    assert len(seen.at_readings) >= 3


def test_users_who_are_slow_run_all_of_theirs_too(way: Way, seen: Load) -> None:
    metrics = run(way, seen, {0: 0.004, 1: 0.002}, concurrent_users=4, iterations=40)
    assert seen.started == dict.fromkeys(range(4), 40)
    assert metrics.total_requests == 160
    assert set(seen.busy) == {0}


def test_each_user_has_its_share_of_each_round(way: Way, seen: Load) -> None:
    run(way, seen, concurrent_users=4, iterations=60)
    first, *_ = seen.shares()
    # 240 bodies in 30 rounds are two for each user; whoever is early may take over one of another.
    assert sum(first.values()) == 8
    assert set(first) == {0, 1, 2, 3}
    assert max(first.values()) <= 3


@pytest.mark.parametrize("total", [11, 97, 160])
def test_no_more_is_run_than_all_users_share(way: Way, seen: Load, total: int) -> None:
    metrics = run(way, seen, concurrent_users=4, total_iterations=total)
    assert metrics.total_requests == total
    assert sum(seen.started.values()) == total
    assert set(seen.busy) == {0}


def test_the_fast_run_more_of_what_all_users_share(way: Way, seen: Load) -> None:
    run(way, seen, {0: 0.01}, concurrent_users=3, total_iterations=180)
    assert sum(seen.started.values()) == 180
    assert seen.started[0] <= 60
    assert seen.started[1] + seen.started[2] >= 120


def test_users_who_start_late_run_all_of_their_iterations(way: Way, seen: Load) -> None:
    metrics = run(way, seen, concurrent_users=4, iterations=60, ramp_up=0.2)
    assert seen.started == dict.fromkeys(range(4), 60)
    assert metrics.total_requests == 240
    assert set(seen.busy) == {0}
    alone = seen.at_readings[0]
    assert alone[3] == 0  # rounds begin with those who are there
    assert alone[0] >= 2


def test_warm_up_iterations_are_in_no_round(way: Way, seen: Load) -> None:
    metrics = run(way, seen, concurrent_users=3, iterations=40, warmup=5)
    assert metrics.total_requests == 120
    assert seen.started == dict.fromkeys(range(3), 45)
    assert min(sum(one.values()) for one in seen.at_readings) > 5


def test_warm_up_iterations_that_all_share_are_in_no_round(way: Way, seen: Load) -> None:
    metrics = run(way, seen, concurrent_users=3, total_iterations=120, warmup=20)
    assert metrics.total_requests == 120
    assert sum(seen.started.values()) == 140


def test_seconds_of_warm_up_are_in_no_round(way: Way, seen: Load) -> None:
    began = time.perf_counter()
    metrics = run(way, seen, concurrent_users=3, duration=0.4, warmup=0.3)
    assert time.perf_counter() - began >= 0.7
    assert seen.at_readings[0].total() > 50  # of the warm-up
    assert metrics.total_requests < seen.started.total()
    assert len(seen.at_readings) >= 5


def test_users_may_come_and_go_by_stages(way: Way, seen: Load) -> None:
    stages = [(0.2, 4), (0.1, 1), (0.2, 4), (0.1, 0)]
    metrics = run(way, seen, stages=stages)
    assert metrics.total_requests == seen.started.total()
    assert set(seen.started) == {0, 1, 2, 3}
    assert set(seen.busy) == {0}
    assert len(seen.at_readings) >= 5


def test_nobody_waits_for_a_user_who_was_there_for_the_warm_up_alone(way: Way, seen: Load) -> None:
    began = time.perf_counter()
    run(way, seen, stages=[(0, 2), (0.2, 2), (0, 1), (0.6, 1)], warmup=0.3, grace=20.0)
    assert time.perf_counter() - began < 10


def test_nobody_waits_for_a_user_whose_first_request_took_as_long_as_all_others(way: Way) -> None:
    first = threading.Lock()

    async def body(sleep: Sleep) -> None:
        is_first = first.acquire(blocking=False)
        performance.assert_no_memory_leaks()
        await sleep(0.8 if is_first else 0.0005)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds, "FEWEST_REQUESTS", 10)
        began = time.perf_counter()
        metrics = way.load(body, concurrent_users=3, total_iterations=40)
    assert metrics.total_requests == 40
    assert time.perf_counter() - began < 20


def test_a_user_who_is_far_behind_keeps_nobody_from_what_all_share(
    way: Way, seen: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_LEAST_PATIENCE", 0.05)
    monkeypatch.setattr(rounds, "_PATIENCE", 0.0)
    began = time.perf_counter()
    metrics = run(way, seen, {0: 0.5}, concurrent_users=3, total_iterations=180)
    # Its share of each round would take it half a second, and one of all of them half a minute.
    assert time.perf_counter() - began < 8
    assert metrics.total_requests == 180
    assert seen.started[0] <= 6


def test_requests_that_time_out_end_their_part_of_a_round(task_way: Way, seen: Load) -> None:
    slow = {0: 5.0}
    metrics = run(
        task_way,
        seen,
        slow,
        concurrent_users=3,
        iterations=12,
        timeout=0.05,
        allow_inconclusive=True,
    )
    assert metrics.timed_out_requests == 12
    assert metrics.total_requests == 36
    assert set(seen.busy) == {0}
    assert len(seen.at_readings) >= 3


def test_requests_that_fail_count_like_others(way: Way, seen: Load) -> None:
    async def body(sleep: Sleep) -> None:
        number = seen.begin()
        await sleep(0.001)
        seen.end()
        if number == 1:
            raise ValueError("no answer")

    metrics = way.load(body, concurrent_users=3, iterations=30, leak_check=True)
    assert (metrics.total_requests, metrics.failed_requests) == (90, 30)
    assert seen.started == dict.fromkeys(range(3), 30)
    assert set(seen.busy) == {0}


def test_users_who_pause_between_requests_do_so_in_rounds_too(way: Way, seen: Load) -> None:
    starts: defaultdict[int, list[float]] = defaultdict(list)

    async def body(sleep: Sleep) -> None:
        starts[seen.begin()].append(time.perf_counter())
        seen.end()
        await sleep(0)

    way.load(body, concurrent_users=2, iterations=20, think_time=0.02, leak_check=True)
    for moments in starts.values():
        assert len(moments) == 20
        gaps = [after - before for before, after in pairwise(moments)]
        assert min(gaps) >= 0.019


def test_a_load_of_one_user_is_cut_into_rounds_as_well(way: Way, seen: Load) -> None:
    metrics = run(way, seen, concurrent_users=1, iterations=100)
    assert metrics.total_requests == 100
    assert len(seen.at_readings) >= 10
    sizes = {share.total() for share in seen.shares()[:-1]}
    assert all(size % min(sizes) == 0 for size in sizes)


def test_an_open_load_pauses_before_its_first_start(main_way: Way, seen: Load) -> None:
    # With this seed the first start comes after the end of the first round.
    ended = run(
        main_way, seen, rate=5.0, duration=1.5, arrivals="poisson", seed=_late_seed(5.0, 1.5)
    )
    assert ended.total_requests == seen.started.total() > 0
    assert len(seen.at_readings) > 2
    assert seen.at_readings[0].total() == 0


def _late_seed(rate: float, seconds: float) -> int:
    from senytl.performance.load.plan import LoadPlan

    for seed in range(100):
        plan = LoadPlan(rate=rate, duration=seconds, arrivals="poisson", seed=seed)
        if seconds / ROUNDS < next(plan.starts()) < seconds / 2:
            return seed
    raise AssertionError("no such seed")


def test_who_waits_for_the_end_is_at_work_no_more(main_way: Way, seen: Load) -> None:
    ended = run(main_way, seen, stages=[(0.0, 6), (0.8, 6), (0.0, 1), (0.8, 1)])
    assert ended.timeline is not None
    later = [row.users for row in ended.timeline.rows() if row.start >= 1.0]
    assert later
    assert max(later) <= 1
