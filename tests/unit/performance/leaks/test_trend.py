from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from senytl.performance.leaks.trend import trend_of

AT = [40.0 * number for number in range(1, 31)]


def test_a_straight_climb_has_its_rate_everywhere_and_no_error() -> None:
    trend = trend_of([(at, 5_000 + 80 * at) for at in AT])

    assert trend is not None
    assert trend.rate == trend.early == trend.late == 80
    assert min(trend.peaks, trend.troughs) == pytest.approx(80, rel=0.1)
    assert trend.error == pytest.approx(0, abs=1e-9)
    assert trend.sureness > 1e6
    assert trend.slowing == 0
    assert trend.requests == 29 * 40
    assert trend.points == 30
    assert (trend.start, trend.end) == (8_200, 101_000)
    assert sum(trend.stretches) == trend.total == 92_800
    assert trend.stretch == 232


def test_a_flat_line_is_surely_no_climb() -> None:
    trend = trend_of([(at, 7.0) for at in AT])

    assert trend is not None
    assert trend.rate == trend.total == trend.sureness == trend.slowing == 0


@given(
    rate=st.floats(-1e4, 1e4),
    level=st.floats(0, 1e9),
    gaps=st.lists(st.integers(1, 500), min_size=6, max_size=60),
)
def test_any_straight_line_is_found_whatever_the_rounds(
    rate: float, level: float, gaps: list[int]
) -> None:
    at, points = 0, []
    for gap in gaps:
        at += gap
        points.append((float(at), level + rate * at))

    trend = trend_of(points)

    assert trend is not None
    assert trend.rate == pytest.approx(rate, rel=1e-6, abs=1e-4)
    assert sum(trend.stretches) == pytest.approx(trend.total, abs=1e-3)


@given(place=st.integers(0, 29), height=st.floats(-1e9, 1e9))
def test_one_reading_that_stands_out_changes_nothing(place: int, height: float) -> None:
    points = [(at, 80 * at) for at in AT]
    points[place] = (points[place][0], height)

    trend = trend_of(points)

    assert trend is not None
    assert trend.rate == pytest.approx(80, rel=0.05)
    assert trend.sureness > 10


def test_a_table_that_doubles_is_no_part_of_the_rate_but_of_the_total() -> None:
    trend = trend_of([(at, 500 * at + (300_000 if at > 900 else 0)) for at in AT])

    assert trend is not None
    assert trend.rate == trend.early == trend.late == 500
    assert trend.total == 500 * 29 * 40 + 300_000


def test_a_fall_counts_so_that_the_climb_around_it_is_not_sure() -> None:
    trend = trend_of([(at, 500 * (at % 900)) for at in AT])

    assert trend is not None
    assert min(trend.stretches) == -310_000
    assert trend.sureness < 1.5


def test_noise_gives_an_error_of_the_size_of_the_mistake() -> None:
    mistakes, errors = [], []
    for seed in range(40):
        noise = random.Random(seed)
        trend = trend_of([(at, 80 * at + noise.uniform(-10_000, 10_000)) for at in AT])
        assert trend is not None
        mistakes.append(abs(trend.rate - 80))
        errors.append(trend.error)

    typical = sorted(mistakes)[20]
    assert 0.5 < typical < 8
    assert typical < sorted(errors)[20] < 30


def test_a_climb_that_ends_is_slowing() -> None:
    noise = random.Random(1)
    trend = trend_of([(at, 500 * min(at, 800) + noise.uniform(-2000, 2000)) for at in AT])

    assert trend is not None
    assert trend.early == pytest.approx(500, rel=0.1)
    assert abs(trend.late) < 50
    assert trend.slowing > 2.5
    assert trend.slower_than(500) > 2.5
    assert trend.slower_than(0) < 1


def test_points_of_which_the_figure_is_not_known_are_left_out() -> None:
    points = [(at, math.nan if number % 2 else 3 * at) for number, at in enumerate(AT)]

    trend = trend_of(points)

    assert trend is not None
    assert trend.points == 15
    assert trend.rate == 3


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(at, 1.0) for at in AT[:5]],
        [(at, math.nan) for at in AT],
        [(10.0, float(figure)) for figure in range(10)],
    ],
    ids=["none", "five", "unknown", "no requests between"],
)
def test_too_few_points_have_no_trend(points: list[tuple[float, float]]) -> None:
    assert trend_of(points) is None
