from __future__ import annotations

import random
import sys
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from senytl.performance.series import Rows, Series, largest, mean, percentile, percentiles, smallest


@pytest.mark.parametrize(
    ("quantile", "expected"),
    # numpy.percentile([15, 20, 35, 40, 50], q), its default method
    [(0.0, 15.0), (0.05, 16.0), (0.3, 23.0), (0.4, 29.0), (0.5, 35.0), (0.95, 48.0), (1.0, 50.0)],
)
def test_percentiles_interpolate_linearly_between_closest_ranks(
    quantile: float, expected: float
) -> None:
    assert percentile([15.0, 20.0, 35.0, 40.0, 50.0], quantile) == pytest.approx(expected)


def test_a_single_value_is_every_percentile() -> None:
    assert percentiles([3.0], 0.0, 0.5, 0.99, 1.0) == [3.0, 3.0, 3.0, 3.0]


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_a_percentile_lies_within_the_values(values: list[float], quantile: float) -> None:
    (value,) = percentiles(values, quantile)
    assert min(values) <= value <= max(values) * (1 + 1e-12)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentiles_grow_with_the_quantile(values: list[float]) -> None:
    p50, p95, p99 = percentiles(Series(values), 0.5, 0.95, 0.99)
    assert p50 <= p95 * (1 + 1e-12)
    assert p95 <= p99 * (1 + 1e-12)


def test_a_series_equals_the_list_of_its_values() -> None:
    series = Series([3.0, 1.0, 2.0])
    assert series == [3.0, 1.0, 2.0]
    assert series != [1.0, 2.0, 3.0]
    assert list(series) == [3.0, 1.0, 2.0]
    assert series[0] == 3.0
    assert series[-1] == 2.0
    assert series[1:] == [1.0, 2.0]
    assert (series == "abc") is False


def test_a_series_keeps_its_order_when_percentiles_are_taken() -> None:
    series = Series([3.0, 1.0, 2.0])
    assert percentiles(series, 0.5) == [2.0]
    assert series == [3.0, 1.0, 2.0]


def test_a_million_latencies_cost_at_most_16_bytes_each() -> None:
    count = 1_000_000
    series = Series(array("d", (random.random() for _ in range(count))))
    percentiles(series, 0.95)
    held = sum(sys.getsizeof(column) for column in (series._values, series._ordered))
    assert held <= 16 * count + 1_000


def test_rows_are_made_from_columns_on_demand() -> None:
    made = []

    def make(a: int, b: int) -> tuple[int, int]:
        made.append((a, b))
        return a, b

    rows = Rows(make, {"a": array("q", [1, 2, 3]), "b": array("q", [4, 5, 6])})
    assert len(rows) == 3
    assert made == []
    assert rows[1] == (2, 5)
    assert rows[1:] == [(2, 5), (3, 6)]
    assert list(rows) == [(1, 4), (2, 5), (3, 6)]
    assert rows == [(1, 4), (2, 5), (3, 6)]


def test_a_long_sequence_has_a_short_repr() -> None:
    assert repr(Series([0.5] * 1000)) == "Series([0.5, 0.5, 0.5, ... (1000 in all)])"
    assert repr(Series([0.5])) == "Series([0.5])"


def test_columns_are_joined_to_one_series() -> None:
    columns = [array("d", [3.0, 1.0]), array("d"), array("d", [2.0])]
    series = Series.join(columns)
    columns[0][0] = 9.0
    assert series == [3.0, 1.0, 2.0]
    assert percentiles(series, 0.5) == [2.0]
    assert Series.join([]) == []


def test_ends_and_mean_are_what_a_sequence_knows_of_itself() -> None:
    class Knowing(list[float]):
        smallest, largest, total = 1.0, 9.0, 12.0

    plain = [4.0, 2.0, 6.0]
    assert (smallest(plain), largest(plain), mean(plain)) == (2.0, 6.0, 4.0)
    knowing = Knowing([0.0, 0.0, 0.0])
    assert (smallest(knowing), largest(knowing), mean(knowing)) == (1.0, 9.0, 4.0)
