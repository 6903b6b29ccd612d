from __future__ import annotations

import math
import pickle
import random
import statistics
import sys
from array import array
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from senytl.performance.distribution import MOST_EXACT, RELATIVE_ERROR, Distribution
from senytl.performance.series import Series, largest, mean, percentiles, smallest

times = st.lists(st.floats(0.0, 1e6), min_size=1, max_size=60)
quantiles = st.floats(0.0, 1.0)


def close(value: float) -> object:
    return pytest.approx(value, rel=RELATIVE_ERROR, abs=1e-300)


@given(times)
def test_few_values_are_kept_as_they_are(values: list[float]) -> None:
    kept = Distribution(values)
    assert kept.exact
    assert kept == values
    assert list(kept.ordered) == sorted(values)
    assert percentiles(kept, 0.0, 0.95, 1.0) == percentiles(values, 0.0, 0.95, 1.0)
    assert mean(kept) == mean(values)
    assert (kept.smallest, kept.largest) == (min(values), max(values))
    assert kept.buckets == {}


@given(times, times, st.integers(0, 130))
def test_values_in_buckets_are_within_the_error_that_is_documented(
    first: list[float], second: list[float], most_exact: int
) -> None:
    kept = Distribution(first, most_exact=most_exact)
    kept.extend(second)
    whole = sorted(first + second)
    assert len(kept) == len(whole)
    assert kept.exact == (len(whole) <= most_exact)
    for at, value in zip(kept.ordered, whole, strict=True):
        assert at == close(value)
    assert sorted(kept) == list(kept.ordered)
    assert [kept[place] for place in range(len(kept))] == list(kept)


@given(times, quantiles)
def test_every_percentile_of_buckets_is_within_a_tenth_of_a_percent(
    values: list[float], quantile: float
) -> None:
    kept = Distribution(values, most_exact=0)
    assert percentiles(kept, quantile) == [close(percentiles(values, quantile)[0])]


@given(times, times)
def test_mean_sum_and_ends_are_exact_also_over_buckets(
    first: list[float], second: list[float]
) -> None:
    kept = Distribution(first, most_exact=0)
    kept.extend(second)
    whole = first + second
    assert kept.total == pytest.approx(math.fsum(whole), rel=1e-12)
    assert mean(kept) == pytest.approx(statistics.fmean(whole), rel=1e-12)
    assert smallest(kept) == kept[0] == min(whole)
    assert largest(kept) == kept[-1] == max(whole)


@given(times, times, st.integers(0, 70), st.integers(0, 70))
def test_distributions_are_put_together_whatever_either_keeps(
    first: list[float], second: list[float], mine: int, theirs: int
) -> None:
    kept, other = Distribution(first, most_exact=mine), Distribution(second, most_exact=theirs)
    kept.extend(other)
    whole = sorted(first + second)
    assert kept.exact == (len(whole) <= mine and len(second) <= theirs)
    for at, value in zip(kept.ordered, whole, strict=True):
        assert at == close(value)
    assert kept.total == pytest.approx(math.fsum(whole), rel=1e-12)
    assert (kept.smallest, kept.largest) == (whole[0], whole[-1])
    assert list(other.ordered) == list(Distribution(second, most_exact=theirs).ordered)


def test_a_distribution_that_is_exact_looks_like_a_series() -> None:
    kept = Distribution([3.0, 1.0, 2.0])
    assert kept == Series([3.0, 1.0, 2.0])
    assert kept != [1.0, 2.0, 3.0]
    assert (kept == "abc") is False
    assert kept[0] == 3.0
    assert kept[-1] == 2.0
    assert kept[1:] == [1.0, 2.0]
    assert isinstance(kept[1:], Series)
    assert repr(Distribution([0.5] * 1000)) == "Distribution([0.5, 0.5, 0.5, ... (1000 in all)])"
    percentiles(kept, 0.5)
    assert kept == [3.0, 1.0, 2.0]
    with pytest.raises(IndexError):
        kept[3]


def test_values_in_buckets_stand_in_ascending_order() -> None:
    kept = Distribution([3.0, 1.0, 2.0, 2.0], most_exact=3)
    assert kept[0] == 1.0
    assert kept[-1] == kept[3] == 3.0
    assert kept[1:3] == [close(2.0), close(2.0)]
    assert kept[::-1] == list(kept)[::-1]
    assert repr(Distribution([0.5] * 9, most_exact=0)) == (
        "Distribution([0.5, 0.5, 0.5, ... (9 in all)])"
    )
    with pytest.raises(IndexError, match="no number 4, of 4"):
        kept[4]
    with pytest.raises(IndexError):
        kept[-5]


def test_an_empty_distribution_has_no_values() -> None:
    for kept in (Distribution(), Distribution(most_exact=0)):
        assert not kept
        assert list(kept) == list(kept.ordered) == []
        assert kept.total == 0.0
        with pytest.raises(IndexError):
            kept[0]


def test_zero_negative_and_tiny_values_go_into_buckets() -> None:
    values = [-2.0, 0.0, -0.0, 5e-324, 1e-310, 1e-12, 1.0]
    kept = Distribution(values, most_exact=0)
    assert len(kept) == len(values)
    assert kept.smallest == -2.0
    assert kept.total == pytest.approx(-1.0)
    assert list(kept)[1:3] == [0.0, 0.0]
    assert kept[-2] == close(1e-12)
    assert Distribution([-2.0, -3.0], most_exact=0) == [-3.0, -2.0]


@pytest.mark.parametrize("most_exact", [0, 10])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_and_nothing_is_taken(most_exact: int, bad: float) -> None:
    kept = Distribution([1.0], most_exact=most_exact)
    with pytest.raises(ValueError, match="finite"):
        kept.extend([2.0, bad])
    assert kept == [1.0]


def test_any_iterable_is_taken() -> None:
    kept = Distribution(value / 2 for value in range(3))
    kept.extend(array("f", [0.25]))
    kept.extend(Series([7.0]))
    kept.extend((1, 2))
    kept.extend(array("d"))
    assert kept == [0.0, 0.5, 1.0, 0.25, 7.0, 1.0, 2.0]


def test_order_is_taken_anew_after_more_values_came() -> None:
    for most_exact in (0, 10):
        kept = Distribution([2.0, 4.0], most_exact=most_exact)
        assert percentiles(kept, 1.0) == [4.0]
        kept.extend([8.0])
        assert percentiles(kept, 1.0) == [8.0]
        kept.extend(Distribution([16.0], most_exact=0))
        assert percentiles(kept, 1.0) == [16.0]


def test_a_distribution_may_be_added_to_itself() -> None:
    for most_exact in (0, 2, 10):
        kept = Distribution([1.0, 2.0], most_exact=most_exact)
        kept.extend(kept)
        assert list(kept.ordered) == [close(1.0), close(1.0), close(2.0), close(2.0)]
        assert kept.total == 6.0


def test_a_copy_is_independent() -> None:
    for most_exact in (0, 3):
        kept = Distribution([1.0, 2.0], most_exact=most_exact)
        twin = kept.copy()
        assert twin == kept
        twin.extend([3.0, 4.0])
        assert (len(kept), len(twin), kept.largest, twin.largest) == (2, 4, 2.0, 4.0)
        assert twin.exact is False


def test_a_distribution_is_pickled_as_it_is() -> None:
    for most_exact in (0, 3):
        kept = Distribution([1.0, 2.0], most_exact=most_exact)
        twin = pickle.loads(pickle.dumps(kept))
        assert twin == kept
        assert (twin.exact, twin.mean) == (kept.exact, 1.5)


def test_many_chunks_of_values_keep_their_ends() -> None:
    draw = random.Random(3)
    values = [draw.lognormvariate(-3.0, 0.5) for _ in range(200_000)]
    low, high = 150_001, 170_002  # both in the third chunk
    values[low], values[high] = 1e-6, 1e3
    kept = Distribution(values, most_exact=0)
    assert (kept.smallest, kept.largest) == (1e-6, 1e3)
    assert kept.total == pytest.approx(math.fsum(values), rel=1e-12)


def test_a_million_values_take_a_few_thousand_buckets_and_keep_their_percentiles() -> None:
    draw = random.Random(7)
    values = array("d", (draw.lognormvariate(-3.0, 0.5) for _ in range(1_000_000)))
    kept = Distribution()
    for start in range(0, len(values), 50_000):
        kept.extend(values[start : start + 50_000])
    assert not kept.exact
    assert len(kept._exact) == 0
    assert len(kept.buckets) < 5_000
    exact = percentiles(values, 0.01, 0.5, 0.95, 0.99, 0.9999)
    assert percentiles(kept, 0.01, 0.5, 0.95, 0.99, 0.9999) == [close(value) for value in exact]
    assert mean(kept) == pytest.approx(mean(values), rel=1e-12)
    assert list(kept)[500_000] == kept[500_000] == close(exact[1])


def test_figures_of_buckets_do_not_wait_for_the_number_of_values() -> None:
    draw = random.Random(7)
    part = Distribution((draw.lognormvariate(-3.0, 0.5) for _ in range(20_000)), most_exact=0)
    whole = Distribution(most_exact=0)
    for _ in range(500):
        whole.extend(part)
    begin = perf_counter()
    figures = [*percentiles(whole, 0.5, 0.95, 0.99), mean(whole), smallest(whole), largest(whole)]
    assert perf_counter() - begin < 0.1
    assert len(whole) == 10_000_000
    assert figures[:3] == [close(value) for value in percentiles(part, 0.5, 0.95, 0.99)]


def test_values_up_to_the_bound_cost_at_most_16_bytes_each() -> None:
    kept = Distribution(array("d", (random.random() for _ in range(MOST_EXACT))))
    percentiles(kept, 0.95)
    assert kept.exact
    held = sum(sys.getsizeof(column) for column in (kept._exact, kept._sorted))
    assert held <= 17 * MOST_EXACT
