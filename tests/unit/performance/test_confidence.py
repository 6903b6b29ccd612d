from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest

from senytl.performance.confidence import (
    fewest_for_upper_end,
    percentile_interval,
    percentile_ranks,
    rate_interval,
)
from senytl.performance.distribution import Distribution


@pytest.mark.parametrize(
    ("count", "ranks"),
    [
        (5, (0, 6)),  # no interval of five values is that sure: 1 - 2 / 2**5 = 93.75 %
        (6, (1, 6)),
        (7, (1, 7)),
        (8, (1, 8)),
        (9, (2, 8)),
        (10, (2, 9)),
        (15, (4, 12)),
        (20, (6, 15)),
        (25, (8, 18)),
    ],
)
def test_a_median_s_interval_is_that_of_the_published_tables(
    count: int, ranks: tuple[int, int]
) -> None:
    # The sign test's intervals, as in Conover, table A3, at 95 %.
    assert percentile_ranks(count, 0.5, 0.95) == ranks


@pytest.mark.parametrize(
    ("quantile", "confidence", "fewest"),
    [
        (0.95, 0.90, 59),  # Wilks' numbers, for 95 % on the upper side alone
        (0.99, 0.90, 299),
        (0.95, 0.98, 90),
        (0.95, 0.95, 72),
        (0.99, 0.95, 368),
        (0.50, 0.95, 6),
    ],
)
def test_an_upper_end_takes_as_many_values_as_is_known(
    quantile: float, confidence: float, fewest: int
) -> None:
    assert fewest_for_upper_end(quantile, confidence) == fewest
    ordered = [float(number) for number in range(fewest)]
    assert percentile_interval(ordered, quantile, confidence)[1] == fewest - 1
    assert percentile_interval(ordered[:-1], quantile, confidence)[1] == math.inf


@pytest.mark.parametrize("count", [1, 2, 3, 10, 59, 60, 72, 200, 301])
@pytest.mark.parametrize("quantile", [Fraction(1, 2), Fraction(9, 10), Fraction(99, 100)])
@pytest.mark.parametrize("confidence", [Fraction(9, 10), Fraction(95, 100), Fraction(999, 1000)])
def test_ranks_are_exact(count: int, quantile: Fraction, confidence: Fraction) -> None:
    low, high = percentile_ranks(count, float(quantile), float(confidence))
    tail = (1 - confidence) / 2
    chances = [
        math.comb(count, below) * quantile**below * (1 - quantile) ** (count - below)
        for below in range(count + 1)
    ]
    assert sum(chances[:low]) <= tail
    assert low == count or sum(chances[: low + 1]) > tail
    assert sum(chances[high:]) <= tail
    assert high == 0 or sum(chances[high - 1 :]) > tail


@pytest.mark.parametrize("count", [10_000, 1_000_000, 10_000_000])
@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.999])
def test_of_many_values_the_ranks_are_those_of_the_normal_distribution(
    count: int, quantile: float
) -> None:
    low, high = percentile_ranks(count, quantile, 0.95)
    middle = count * quantile
    reach = 1.959964 * math.sqrt(count * quantile * (1 - quantile))
    # Where it is skewed, the binomial distribution lies off the normal one by some counts.
    assert abs(low - (middle - reach)) < 3
    assert abs(high - (middle + reach)) < 3


@pytest.mark.parametrize(
    ("quantile", "count"), [(0.5, 12), (0.5, 40), (0.9, 100), (0.95, 200), (0.95, 1000)]
)
def test_intervals_hold_the_true_percentile_as_often_as_they_say(
    quantile: float, count: int
) -> None:
    chance = random.Random(4)
    truth = -math.log(1 - quantile)  # of the exponential distribution
    rounds = 3000
    held = 0
    for _ in range(rounds):
        low, high = percentile_interval(
            sorted(chance.expovariate(1.0) for _ in range(count)), quantile
        )
        held += low <= truth <= high
    noise = 3 * math.sqrt(0.95 * 0.05 / rounds)
    assert held / rounds >= 0.95 - noise
    assert held / rounds <= 0.99


def test_ties_make_no_interval_too_narrow() -> None:
    chance = random.Random(4)
    held = 0
    for _ in range(2000):
        ordered = sorted(chance.choice([1.0, 1.0, 1.0, 2.0]) for _ in range(30))
        low, high = percentile_interval(ordered, 0.5)
        held += low <= 1.0 <= high
    assert held / 2000 >= 0.94


def test_a_higher_confidence_makes_a_wider_interval() -> None:
    ordered = [number / 1000 for number in range(1000)]
    narrow = percentile_interval(ordered, 0.95, 0.5)
    wide = percentile_interval(ordered, 0.95, 0.999)
    assert wide[0] < narrow[0] < 0.95 < narrow[1] < wide[1]


def test_of_no_value_and_of_extremes_nothing_is_known() -> None:
    assert percentile_interval([], 0.5) == (-math.inf, math.inf)
    assert percentile_interval([1.0, 2.0], 1.0) == (-math.inf, math.inf)


def test_values_in_buckets_have_an_interval_too() -> None:
    values = [number / 100_000 for number in range(100_000)]
    exact = percentile_interval(values, 0.95)
    rough = percentile_interval(Distribution(values, most_exact=1000).ordered, 0.95)
    assert rough == pytest.approx(exact, rel=0.001)


@pytest.mark.parametrize(
    ("successes", "count", "interval"),
    [  # R. G. Newcombe, Statistics in Medicine 17, 1998, table I, method 3
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_a_rate_s_interval_is_that_of_the_published_table(
    successes: int, count: int, interval: tuple[float, float]
) -> None:
    assert rate_interval(successes, count) == pytest.approx(interval, abs=5e-5)
    low, high = rate_interval(count - successes, count)
    assert (1 - high, 1 - low) == pytest.approx(interval, abs=5e-5)


def test_a_rate_of_all_or_nothing_has_an_end_that_is_exact() -> None:
    assert rate_interval(0, 7)[0] == 0.0
    assert rate_interval(7, 7)[1] == 1.0


@pytest.mark.parametrize("truth", [0.5, 0.9, 0.98])
def test_rates_intervals_hold_the_true_rate_about_as_often_as_they_say(truth: float) -> None:
    chance = random.Random(4)
    rounds, count = 3000, 200
    held = 0
    for _ in range(rounds):
        low, high = rate_interval(sum(chance.random() < truth for _ in range(count)), count)
        held += low <= truth <= high
    assert 0.93 <= held / rounds <= 0.98
