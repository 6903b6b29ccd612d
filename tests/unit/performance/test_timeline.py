from __future__ import annotations

import math
import pickle
import random
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from senytl.performance.series import percentiles
from senytl.performance.timeline import Interval, Timeline


def add(
    timeline: Timeline, elapsed: float, *latencies: float, failed: int = 0, users: int = 1
) -> None:
    timeline.add(elapsed, [array("d", latencies)], failed=failed, timed_out=0, users=users)


def test_each_interval_has_what_happened_in_it() -> None:
    timeline = Timeline(interval=1.0)
    timeline.add(1.0, [array("d", [0.1, 0.2, 0.3])], failed=2, timed_out=1, users=5, dropped=4)
    timeline.add(2.0, [], failed=0, timed_out=0, users=7)
    first, second = timeline.rows()
    assert (first.start, first.seconds) == (0.0, 1.0)
    assert (first.requests, first.failed, first.timed_out, first.dropped) == (5, 2, 1, 4)
    assert (first.users, second.users) == (5, 7)
    assert first.p50 == pytest.approx(0.2, rel=0.01)
    assert first.p99 == pytest.approx(0.298, rel=0.01)
    assert second == Interval(1.0, 1.0, 0, 0, 0, 0, 7, None, None, None, None, None, None)


def test_failed_requests_have_no_part_in_the_percentiles() -> None:
    timeline = Timeline(interval=1.0)
    add(timeline, 1.0, failed=3)
    (only,) = timeline.rows()
    assert (only.requests, only.failed, only.p50) == (3, 3, None)


def test_a_timeline_to_which_nothing_was_added_has_no_rows() -> None:
    timeline = Timeline()
    timeline.add_calls([1.0], [10], [0.1])
    timeline.add_memory([1.0], [80.0])
    assert timeline.rows() == []
    assert not timeline.live


def test_a_late_call_makes_a_longer_interval_and_no_false_rate() -> None:
    timeline = Timeline(interval=0.25)
    at = 0.0
    for seconds in (0.25, 0.26, 0.9, 0.24, 0.25):
        at += seconds
        add(timeline, at, *[0.01] * round(seconds * 100))
    rows = timeline.rows()
    assert [row.seconds for row in rows] == pytest.approx([0.25, 0.26, 0.9, 0.24, 0.25])
    assert [row.requests / row.seconds for row in rows] == pytest.approx([100] * 5)


def test_calls_that_come_more_often_share_an_interval() -> None:
    timeline = Timeline(interval=0.25)
    for tick in range(1, 101):
        add(timeline, tick / 100, 0.01, users=tick)
    rows = timeline.rows()
    assert [row.requests for row in rows] == [25, 25, 25, 25]
    assert [row.users for row in rows] == [25, 50, 75, 100]


def test_a_short_rest_at_the_end_belongs_to_the_interval_before() -> None:
    timeline = Timeline(interval=1.0)
    for at in (1.0, 2.0, 2.01):
        add(timeline, at, 0.5)
    rows = timeline.rows()
    assert [(row.start, row.seconds, row.requests) for row in rows] == [
        (0.0, 1.0, 1),
        (1.0, pytest.approx(1.01), 2),
    ]
    assert timeline.rows() == rows  # reading it changes nothing
    add(timeline, 3.0, 0.5)
    assert [row.requests for row in timeline.rows()] == [1, 1, 2]


def test_time_never_runs_backwards() -> None:
    timeline = Timeline(interval=1.0)
    for at in (1.0, 0.5, 2.0):
        add(timeline, at, 0.1)
    assert [(row.start, row.seconds, row.requests) for row in timeline.rows()] == [
        (0.0, 1.0, 1),
        (1.0, 1.0, 2),
    ]


def test_neighbours_are_merged_where_there_would_be_too_many() -> None:
    timeline = Timeline(interval=1.0, limit=4)
    for second in range(1, 5):
        timeline.add(
            float(second),
            [array("d", [second / 10])],
            failed=second,
            timed_out=1,
            users=second,
            dropped=2,
        )
    assert len(timeline.rows()) == 4
    add(timeline, 5.0, 0.5)
    rows = timeline.rows()
    assert [(row.start, row.seconds) for row in rows] == [(0.0, 2.0), (2.0, 2.0), (4.0, 1.0)]
    assert [(row.requests, row.failed, row.timed_out, row.dropped) for row in rows] == [
        (5, 3, 2, 4),
        (9, 7, 2, 4),
        (1, 0, 0, 0),
    ]
    assert [row.users for row in rows] == [2, 4, 1]
    assert [row.p50 for row in rows] == pytest.approx([0.15, 0.35, 0.5], rel=0.01)
    add(timeline, 6.0, 0.5)
    add(timeline, 7.0, 0.5)
    assert [row.seconds for row in timeline.rows()] == [2.0, 2.0, 2.0, 1.0]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 8])
def test_no_limit_is_exceeded_and_nothing_is_lost(limit: int) -> None:
    timeline = Timeline(interval=0.5, limit=limit)
    for tick in range(1, 200):
        add(timeline, tick / 2, 0.1, failed=1)
        rows = timeline.rows()
        assert 1 <= len(rows) <= limit
        assert sum(row.requests for row in rows) == 2 * tick
        assert sum(row.seconds for row in rows) == pytest.approx(tick / 2)
        ends = [row.start + row.seconds for row in rows]
        assert ends[:-1] == pytest.approx([row.start for row in rows[1:]])


@given(st.lists(st.lists(st.floats(1e-6, 1e3), max_size=20), min_size=1, max_size=30))
def test_percentiles_of_intervals_are_within_a_percent(ticks: list[list[float]]) -> None:
    timeline = Timeline(interval=1.0, limit=4)
    for tick, latencies in enumerate(ticks, 1):
        add(timeline, float(tick), *latencies)
    for row in timeline.rows():
        inside = ticks[round(row.start) : round(row.start + row.seconds)]
        values = [value for latencies in inside for value in latencies]
        assert row.requests == len(values)
        if values:
            exact = percentiles(values, 0.5, 0.95, 0.99)
            assert [row.p50, row.p95, row.p99] == pytest.approx(exact, rel=0.01)


def test_of_very_many_latencies_a_part_stands_for_all() -> None:
    timeline = Timeline(interval=1.0)
    draw = random.Random(3)
    columns = [
        array("d", (draw.lognormvariate(-2.0, 0.5) for _ in range(size)))
        for size in (40_000, 1, 60_000, 17)
    ]
    timeline.add(1.0, columns, failed=0, timed_out=0, users=4)
    [row] = timeline.rows()
    values = [value for column in columns for value in column]
    assert row.requests == len(values)
    assert len(timeline.live) == pytest.approx(len(values), rel=0.01)
    assert len(timeline.live.buckets) < 4_000
    exact = percentiles(values, 0.5, 0.95)
    assert [row.p50, row.p95] == pytest.approx(exact, rel=0.1)
    assert percentiles(timeline.live, 0.5, 0.95) == pytest.approx(exact, rel=0.1)


def test_calls_are_counted_where_they_ended() -> None:
    timeline = Timeline(interval=1.0)
    for at in (1.0, 2.0, 3.0):
        add(timeline, at, 0.5)
    assert [(row.tokens, row.dollars) for row in timeline.rows()] == [(None, None)] * 3
    timeline.add_calls(
        [0.5, 0.9, 2.0, 9.0, -1.0, math.nan],
        [10, 20, 30, 40, 500, 500],
        [0.1, 0.2, 0.3, 0.4, 5.0, 5.0],
    )
    rows = timeline.rows()
    assert [row.tokens for row in rows] == [30, 0, 70]
    assert [row.dollars for row in rows] == pytest.approx([0.3, 0.0, 0.7])


def test_dollars_are_not_known_where_a_call_has_no_price() -> None:
    timeline = Timeline(interval=1.0)
    for at in (1.0, 2.0):
        add(timeline, at, 0.5)
    timeline.add_calls([0.5, 0.6, 1.5], [10, 20, 30], [0.1, math.nan, 0.3])
    assert [(row.tokens, row.dollars) for row in timeline.rows()] == [(30, None), (30, 0.3)]


def test_memory_is_the_most_that_was_seen_in_an_interval() -> None:
    timeline = Timeline(interval=1.0)
    for at in (1.0, 2.0, 3.0):
        add(timeline, at, 0.5)
    timeline.add_memory([-0.1, 0.1, 0.6, 2.5, 3.5], [999.0, 80.0, 90.0, 85.0, 70.0])
    assert [row.memory_mb for row in timeline.rows()] == [90.0, None, 85.0]


def test_columns_of_unequal_length_are_an_error() -> None:
    timeline = Timeline()
    add(timeline, 1.0, 0.5)
    with pytest.raises(ValueError, match="shorter"):
        timeline.add_calls([0.1, 0.2], [1, 2], [0.1])


def test_a_million_additions_leave_a_bounded_number_of_small_intervals() -> None:
    timeline = Timeline(interval=0.001)
    draw = random.Random(5)
    batches = [
        array("d", (draw.lognormvariate(-1.0, 0.5) for _ in range(20))) for _ in range(1_000)
    ]
    nothing = array("d")
    for tick in range(1, 1_000_001):
        latencies = nothing if tick % 100 else batches[tick // 100 % 1_000]
        timeline.add(tick / 1_000, [latencies], failed=0, timed_out=0, users=1)
    rows = timeline.rows()
    assert 120 <= len(rows) <= 240
    assert sum(row.requests for row in rows) == len(timeline.live) == 200_000
    assert rows[-1].start + rows[-1].seconds == pytest.approx(1_000.0)
    assert len(pickle.dumps(timeline.rows())) < 60_000
    packed = [column for span in timeline._spans for column in span._packed]
    assert sum(len(column) for column in packed) * 8 < 2_000_000
    assert all(not span._counter for span in timeline._spans)
    middle = rows[len(rows) // 2]
    assert middle.p50 == pytest.approx(math.exp(-1.0), rel=0.15)
