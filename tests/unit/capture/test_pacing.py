from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from senytl.capture.pacing import Pace

seconds = st.floats(0, 1000)
speeds = st.floats(0.01, 1e6)


@st.composite
def paces(draw: st.DrawFn) -> Pace:
    ttft = draw(st.none() | seconds)
    if draw(st.booleans()):
        return Pace(ttft=ttft, tokens_per_second=draw(st.none() | speeds))
    return Pace(ttft=ttft, latency=draw(seconds) + (ttft or 0.0))


pieces = st.lists(st.booleans(), max_size=50)
tokens = st.integers(0, 10_000)


@given(pace=paces(), pieces=pieces, tokens=tokens)
def test_every_piece_has_its_moment_in_ascending_order(
    pace: Pace, pieces: list[bool], tokens: int
) -> None:
    moments = pace.moments(pieces, tokens)
    assert len(moments) == len(pieces)
    assert moments == sorted(moments)
    assert all(0 <= moment <= pace.whole(tokens) for moment in moments)


@given(pace=paces(), pieces=pieces, tokens=tokens)
def test_the_first_chunk_comes_at_ttft_and_the_last_one_at_the_end(
    pace: Pace, pieces: list[bool], tokens: int
) -> None:
    at = [m for m, is_chunk in zip(pace.moments(pieces, tokens), pieces, strict=True) if is_chunk]
    if at and pace.ttft is not None:
        assert at[0] == (pace.ttft if len(at) == 1 or pace.whole(tokens) > pace.ttft else at[-1])
    if len(at) > 1:
        assert at[-1] == pace.whole(tokens)
        gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
        assert max(gaps) - min(gaps) <= 1e-9 * max(1.0, at[-1])


@given(pace=paces(), pieces=pieces, tokens=tokens)
def test_what_comes_around_the_chunks_comes_at_once_or_at_the_end(
    pace: Pace, pieces: list[bool], tokens: int
) -> None:
    moments = pace.moments([False, *pieces, False], tokens)
    assert moments[-1] == pace.whole(tokens)
    assert moments[0] == (0.0 if any(pieces) else pace.whole(tokens))


@given(pace=paces(), tokens=tokens)
def test_more_tokens_never_take_less_time(pace: Pace, tokens: int) -> None:
    assert pace.whole(tokens + 1) >= pace.whole(tokens) >= 0
    if pace.tokens_per_second is not None and tokens:
        longer = pace.whole(tokens + 1) - pace.whole(tokens)
        assert longer == pytest.approx(1 / pace.tokens_per_second, rel=1e-3, abs=1e-6)


def test_tokens_after_the_first_one_take_their_time() -> None:
    pace = Pace(ttft=0.5, tokens_per_second=10)
    assert pace.whole(11) == pytest.approx(1.5)
    assert pace.moments([False, True, True, True, False], 11) == pytest.approx(
        [0.0, 0.5, 1.0, 1.5, 1.5]
    )


def test_without_ttft_the_first_token_takes_as_long_as_the_others() -> None:
    assert Pace(tokens_per_second=10).whole(10) == pytest.approx(1.0)
    assert Pace(tokens_per_second=10).moments([True] * 10, 10) == pytest.approx(
        [0.1 * n for n in range(1, 11)]
    )


def test_a_latency_is_spread_over_the_chunks() -> None:
    assert Pace(latency=1.0).moments([True] * 4, 99) == pytest.approx([0.25, 0.5, 0.75, 1.0])
    spread = Pace(latency=1.0, ttft=0.4).moments([True] * 4, 99)
    assert spread == pytest.approx([0.4, 0.6, 0.8, 1.0])


def test_a_piece_between_chunks_comes_with_the_one_before() -> None:
    assert Pace(latency=1.0).moments([True, False, True], 2) == pytest.approx([0.5, 0.5, 1.0])


def test_a_stream_of_one_chunk_has_it_at_ttft_and_ends_when_the_reply_is_whole() -> None:
    assert Pace(latency=1.0, ttft=0.2).moments([False, True, False], 9) == [0.0, 0.2, 1.0]


def test_no_pace_is_no_time() -> None:
    assert Pace().whole(99) == 0.0
    assert Pace().moments([True, False, True], 99) == [0.0, 0.0, 0.0]


@given(
    pace=paces(), latency=st.floats(0, 2), ttft=st.floats(0, 2), token=st.floats(0, 2),
    count=tokens,
)  # fmt: skip
def test_factors_change_each_time_by_itself(
    pace: Pace, latency: float, ttft: float, token: float, count: int
) -> None:
    scaled = pace.scaled(latency=latency, ttft=ttft, token=token)
    assert math.isfinite(scaled.whole(count))
    if pace.latency is not None:
        assert scaled.latency == pytest.approx(pace.latency * latency)
    if pace.ttft is not None:
        assert scaled.ttft is not None
        assert scaled.ttft <= pace.ttft * ttft
    if pace.tokens_per_second is not None:
        assert scaled.tokens_per_second is not None
        one = 1 / scaled.tokens_per_second
        assert one == pytest.approx(token / pace.tokens_per_second, abs=1e-9)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"latency": -0.1}, "latency is -0.1; it must be a finite number of seconds, 0 or more"),
        ({"latency": float("inf")}, "latency is inf"),
        ({"ttft": float("nan")}, "ttft is nan"),
        ({"ttft": True}, "ttft is True"),
        ({"ttft": "1"}, "ttft is '1'"),
        ({"tokens_per_second": 0}, "tokens_per_second is 0; it must be a finite number above 0"),
        ({"tokens_per_second": -5}, "tokens_per_second is -5"),
        ({"latency": 1.0, "tokens_per_second": 5.0}, "give one of them, with ttft or without"),
        ({"latency": 1.0, "ttft": 1.5}, "ttft is 1.5 and latency is 1.0; the first token comes"),
    ],
)
def test_what_makes_no_sense_is_refused(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Pace(**values)
