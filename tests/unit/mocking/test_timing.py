from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from senytl.capture.pacing import Pace
from senytl.mocking.timing import Timing, make_timing, read_seconds


def test_no_time_is_no_timing() -> None:
    assert make_timing() is None
    assert make_timing(seed=3, jitter=0) is None
    assert make_timing(latency=0.0) == Timing(Pace(latency=0.0))


def test_without_jitter_every_call_has_the_stated_pace() -> None:
    pace = Pace(ttft=0.2, tokens_per_second=50)
    assert {Timing(pace).pace_of(0, "rule", number) for number in range(9)} == {pace}


@given(jitter=st.floats(0, 1), number=st.integers(0, 10**6), seed=st.integers())
def test_each_time_stays_within_the_share(jitter: float, number: int, seed: int) -> None:
    low, high = 1 - jitter - 1e-9, 1 + jitter + 1e-9
    speed = Timing(Pace(ttft=0.2, tokens_per_second=50), jitter).pace_of(seed, "r", number)
    assert speed.ttft is not None
    assert speed.tokens_per_second is not None
    assert 0.2 * low <= speed.ttft <= 0.2 * high
    assert 0.02 * low <= 1 / speed.tokens_per_second <= 0.02 * high
    whole = Timing(Pace(ttft=1.0, latency=1.0), jitter).pace_of(seed, "r", number)
    assert whole.latency is not None
    assert whole.ttft is not None
    assert low <= whole.latency <= high
    assert whole.ttft <= whole.latency


def test_the_times_vary_independently_over_the_whole_share() -> None:
    timing = Timing(Pace(ttft=1.0, tokens_per_second=1.0), 0.5)
    paces = [timing.pace_of(0, "rule", number) for number in range(400)]
    firsts = [pace.ttft or 0.0 for pace in paces]
    tokens = [1 / (pace.tokens_per_second or 1.0) for pace in paces]
    for times in (firsts, tokens):
        assert min(times) < 0.52
        assert max(times) > 1.48
        assert sum(times) / len(times) == pytest.approx(1.0, abs=0.06)
    both_low = sum(a < 1 and b < 1 for a, b in zip(firsts, tokens, strict=True))
    assert 60 < both_low < 140


def test_the_same_call_has_the_same_times_again() -> None:
    timing = Timing(Pace(latency=1.0), 0.3)
    assert timing.pace_of(0, "rule", 4) == timing.pace_of(0, "rule", 4)
    assert timing.pace_of(0, "rule", 4) != timing.pace_of(0, "rule", 5)
    assert timing.pace_of(0, "rule", 4) != timing.pace_of(1, "rule", 4)
    own = Timing(Pace(latency=1.0), 0.3, seed=9)
    assert own.pace_of(0, "rule", 4) == own.pace_of(1, "rule", 4) == timing.pace_of(9, "rule", 4)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"latency": -1}, "latency is -1; it must be a finite number of seconds, 0 or more"),
        ({"ttft": float("nan")}, "ttft is nan"),
        ({"ttft": "1"}, "ttft is '1'"),
        ({"tokens_per_second": 0}, "tokens_per_second is 0; it must be a finite number above 0"),
        ({"tokens_per_second": True}, "tokens_per_second is True"),
        ({"latency": 1, "tokens_per_second": 9}, "both say how long the reply takes"),
        ({"latency": 1, "ttft": 2}, "the first token comes before the whole reply"),
        ({"latency": 1, "jitter": 1.1}, "jitter is 1.1; it must be a share from 0 to 1"),
        ({"latency": 1, "jitter": -0.1}, "jitter is -0.1"),
        ({"latency": 1, "jitter": float("nan")}, "jitter is nan"),
        ({"latency": 1, "jitter": "10%"}, "jitter is '10%'"),
        ({"jitter": 0.1}, "there is no time that it could vary; give latency"),
        ({"latency": 1, "seed": 1.5}, "seed is 1.5; it must be a whole number"),
    ],
)
def test_what_makes_no_sense_is_refused(keywords: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_timing(**keywords)


def test_seconds_are_finite_and_not_below_zero() -> None:
    assert read_seconds("after", 2) == 2.0
    for value in (-1, float("inf"), "2", None, True):
        with pytest.raises(ValueError, match=r"after is .*finite number of seconds, 0 or more"):
            read_seconds("after", value)
