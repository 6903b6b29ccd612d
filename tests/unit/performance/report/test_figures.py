from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from senytl.performance.report.columns import COLUMNS, Column
from senytl.performance.report.figures import (
    compact_count,
    compact_dollars,
    compact_megabytes,
    compact_rate,
    compact_seconds,
    dollars,
    percent,
    requests_per_second,
    seconds,
)


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (seconds, 1.2341, "1.234s"),
        (seconds, 0.0, "0.000s"),
        (seconds, 0.0000123, "12.3µs"),
        (dollars, 0.0225, "$0.0225"),
        (dollars, 12.5, "$12.5000"),
        (dollars, 0.0, "$0.0000"),
        (dollars, 0.00021, "$0.00021"),
        (dollars, 0.0000071, "$0.0000071"),
        (percent, 0.98, "98.0%"),
        (percent, 1.0, "100.0%"),
        (percent, 0.9999, "99.99%"),
        (percent, 0.99999999, "99.999999%"),
        (requests_per_second, 67.5, "67.50 req/s"),
        (requests_per_second, 0.0, "0.00 req/s"),
        (requests_per_second, 0.0167, "0.017 req/s"),
        (compact_seconds, 0.0, "0s"),
        (compact_seconds, 0.0000012, "1.2µs"),
        (compact_seconds, 0.00085, "850µs"),
        (compact_seconds, 0.0009997, "1.0ms"),
        (compact_seconds, 0.0123, "12ms"),
        (compact_seconds, 0.9997, "1.00s"),
        (compact_seconds, 1.2341, "1.23s"),
        (compact_seconds, 9.996, "10.0s"),
        (compact_seconds, 123.4, "123s"),
        (compact_seconds, 7200, "120m"),
        (compact_seconds, 360_000, "100h"),
        (compact_count, 0, "0"),
        (compact_count, 450.4, "450"),
        (compact_count, 9999.4, "9,999"),
        (compact_count, 9999.7, "10.0k"),
        (compact_count, 12_345, "12.3k"),
        (compact_count, 1_234_567, "1.2M"),
        (compact_rate, 0.0, "0"),
        (compact_rate, 0.0167, "0.017"),
        (compact_rate, 0.0004, "<.001"),
        (compact_rate, 67.5, "67.5"),
        (compact_rate, 6750.0, "6,750"),
        (compact_megabytes, 138.7, "138.7"),
        (compact_megabytes, 12_345.0, "12.3k"),
        (compact_dollars, 0.0, "$0"),
        (compact_dollars, 0.0000071, "$7.1e-6"),
        (compact_dollars, 0.00021, "$0.00021"),
        (compact_dollars, 0.0225, "$0.0225"),
        (compact_dollars, 123.45, "$123.45"),
        (compact_dollars, 12_345.6, "$12.3k"),
    ],
)
def test_figures_are_written(write: Callable[[float], str], value: float, text: str) -> None:
    assert write(value) == text


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.metric)
def test_no_figure_and_no_heading_is_wider_than_its_column(column: Column) -> None:
    assert all(len(line) <= column.width for line in column.heading)
    largest = 6 if column.write is compact_seconds else 11  # 11 days, or 100 billion
    values = [
        digits * 10.0**power for power in range(-6, largest) for digits in (1, 2.5, 9.994, 9.9996)
    ]
    widest = max((column.write(value) for value in values), key=len)
    assert len(widest) <= column.width, widest


def test_what_is_no_number_is_not_written() -> None:
    with pytest.raises(ValueError, match="nan is not finite"):
        compact_count(math.nan)
