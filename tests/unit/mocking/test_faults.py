from __future__ import annotations

import threading
from typing import Any

import pytest

from senytl.mocking.answers import Loss, Refusal, Said, Silence
from senytl.mocking.faults import Disconnect, Fail, Limit, Timeout
from senytl.models import MockResponse, TokenUsage

SAID = Said(MockResponse("a b c", usage=TokenUsage(1, 3)))


def struck(limit: Limit, count: int, *, seed: int = 0, rule: str = "rule") -> list[int]:
    return [number for number in range(count) if limit.strikes(seed, rule) is not None]


def test_without_limit_every_call_is_struck() -> None:
    assert struck(Limit(), 5) == [0, 1, 2, 3, 4]


def test_so_many_times_and_no_more() -> None:
    assert struck(Limit(times=2), 5) == [0, 1]


def test_a_rate_strikes_the_same_calls_in_each_run_and_about_so_many() -> None:
    first = struck(Limit(rate=0.1), 1000)
    assert struck(Limit(rate=0.1), 1000) == first
    assert 70 <= len(first) <= 130
    assert struck(Limit(rate=0.1), 1000, seed=1) != first
    assert struck(Limit(rate=0.1), 1000, rule="another") != first
    assert struck(Limit(rate=0.0), 1000) == []
    assert len(struck(Limit(rate=1.0), 1000)) == 1000


def test_times_count_the_calls_that_a_rate_strikes() -> None:
    assert struck(Limit(rate=0.1, times=3), 1000) == struck(Limit(rate=0.1), 1000)[:3]


def test_threads_share_one_count() -> None:
    limit, rated = Limit(times=100), Limit(rate=0.5)
    numbers: list[int | None] = []
    numbers_of_rate: list[int | None] = []

    def ask() -> None:
        for _ in range(250):
            numbers.append(limit.strikes(0, "rule"))
            numbers_of_rate.append(rated.strikes(0, "rule"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one for one in numbers if one is not None) == list(range(100))
    assert sorted(one for one in numbers_of_rate if one is not None) == struck(
        Limit(rate=0.5), 2000
    )


def test_what_comes_instead_of_the_reply() -> None:
    def reply() -> Said:
        return SAID

    assert Fail(429, 1.5, 0.2).strike(reply) == Refusal(429, 1.5, 0.2)
    assert Fail(500).strike(reply) == Refusal(500)
    assert Timeout(0.5).strike(reply) == Silence(0.5)
    assert Disconnect(2).strike(reply) == Loss(SAID.response, None, 2)


def test_a_connection_is_lost_in_the_middle_even_where_no_reply_is_stated() -> None:
    loss = Disconnect(3).strike(lambda: None)
    assert isinstance(loss, Loss)
    assert len(loss.response.text.split()) > 3
    assert loss.response.usage is not None


@pytest.mark.parametrize(
    ("make", "values", "message"),
    [
        (Fail, {"status": 200}, "status is 200; it must be the HTTP status of an error, 400 to"),
        (Fail, {"status": 600}, "status is 600"),
        (Fail, {"status": "429"}, "status is '429'"),
        (Fail, {"status": 429, "retry_after": -1}, "retry_after is -1"),
        (Fail, {"status": 429, "latency": float("inf")}, "latency is inf"),
        (Timeout, {"after": None}, "after is None; it must be a finite number"),
        (Disconnect, {"after_chunks": -1}, "after_chunks is -1; it must be a whole number, 0 or"),
        (Disconnect, {"after_chunks": 1.5}, "after_chunks is 1.5"),
        (Limit, {"rate": 10}, "rate is 10; it must be a share of the calls from 0 to 1"),
        (Limit, {"rate": float("nan")}, "rate is nan"),
        (Limit, {"rate": True}, "rate is True"),
        (Limit, {"times": 0}, "times is 0; it must be a whole number, 1 or more"),
        (Limit, {"times": 1.5}, "times is 1.5"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**values)
