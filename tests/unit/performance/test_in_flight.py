from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from senytl.models import LLMCallRecord
from senytl.performance.call_columns import CallColumns
from senytl.performance.in_flight import agent_overheads, time_in_flight
from senytl.performance.request import EndedRequests, Request, RequestNotes

ticks = st.integers(0, 40)
spans = st.tuples(ticks, ticks).map(lambda pair: (min(pair), max(pair)))


@given(
    st.lists(spans, min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), spans), max_size=12),
)
def test_time_in_flight_is_the_union_of_the_calls_inside_the_request(
    windows: list[tuple[int, int]], calls: list[tuple[int, tuple[int, int]]]
) -> None:
    calls = [(request % len(windows), span) for request, span in calls]
    intervals = sorted(
        ((request, float(start), float(end)) for request, (start, end) in calls),
        key=lambda interval: interval[1],
    )
    began = array("d", (float(start) for start, _ in windows))
    ended = array("d", (float(end) for _, end in windows))
    busy = time_in_flight(intervals, began, ended)
    for number, (first, last) in enumerate(windows):
        covered = {
            tick
            for request, (start, end) in calls
            if request == number
            for tick in range(max(start, first), min(end, last))
        }
        assert busy[number] == len(covered)


def requests(*windows: tuple[float, float]) -> EndedRequests:
    notes, ended, latencies = RequestNotes(), EndedRequests(), array("d")
    for number, (start, end) in enumerate(windows):
        notes.note(number, Request(end - start, None, [], began=start, ended=end))
        latencies.append(end - start)
    notes.add_to(ended, 0, latencies, array("d"))
    return ended


def calls(*rows: tuple[int, float | None, float | None], left_over: bool = False) -> CallColumns:
    columns = CallColumns()
    for request, start, duration in rows:
        call = LLMCallRecord("acme", "m", {}, start=start, duration_seconds=duration)
        columns.append(request, call, left_over=left_over)
    return columns


def test_overhead_is_what_calls_do_not_cover() -> None:
    of = requests((10.0, 15.0), (20.0, 21.0), (30.0, 31.0))
    seen = calls((0, 11.0, 2.0), (0, 12.0, 2.0), (1, 19.5, 5.0))
    assert list(agent_overheads(of, seen)) == pytest.approx([2.0, 0.0, 1.0])


def test_calls_without_times_leave_the_overhead_of_their_request_unknown() -> None:
    of = requests((10.0, 15.0), (20.0, 21.0))
    assert list(agent_overheads(of, calls((0, None, 2.0)))) == pytest.approx([1.0])
    assert list(agent_overheads(of, calls((0, 11.0, None), (0, 12.0, 1.0)))) == [1.0]


def test_a_call_that_is_left_over_covers_nothing() -> None:
    of = requests((10.0, 15.0))
    assert list(agent_overheads(of, calls((0, 11.0, 2.0), left_over=True))) == [5.0]


def test_failed_requests_are_left_out() -> None:
    notes, ended = RequestNotes(), EndedRequests()
    for number, error in enumerate((None, "broken", None)):
        began = 10.0 * number
        notes.note(number, Request(1.0 + number, error, [], began=began, ended=began + 5))
    notes.add_to(ended, 0, array("d", [1.0, 3.0]), array("d", [2.0]))
    assert list(ended.latencies) == [1.0, 2.0, 3.0]
    assert list(ended.failed) == [0, 1, 0]
    seen = calls((0, 0.5, 0.25), (1, 10.0, 1.0))
    assert list(agent_overheads(ended, seen)) == pytest.approx([0.75, 3.0])


def test_requests_that_nothing_was_noted_of_keep_their_place() -> None:
    notes, ended = RequestNotes(), EndedRequests()
    notes.note(1, Request(2.0, None, [], began=7.0, ended=9.0))
    for _ in range(2):  # as two users
        notes.add_to(ended, 0, array("d", [1.0, 2.0, 3.0]), array("d"))
    assert list(ended.latencies) == [1.0, 2.0, 3.0] * 2
    assert list(agent_overheads(ended, calls((1, 7.0, 1.5), (4, 8.0, 9.0)))) == pytest.approx(
        [1.0, 0.5, 3.0, 1.0, 1.0, 3.0]
    )


def test_the_lag_of_a_late_start_is_no_overhead() -> None:
    notes, ended = RequestNotes(), EndedRequests()
    notes.note(0, Request(3.0, None, [], began=10.0, ended=12.0, lag=1.0))
    notes.add_to(ended, 0, array("d", [3.0]), array("d"))
    assert list(agent_overheads(ended, calls((0, 10.5, 0.5)))) == pytest.approx([1.5])


def test_requests_that_are_forgotten_but_for_a_distribution_are_left_out() -> None:
    notes, ended = RequestNotes(), EndedRequests()
    notes.note(2, Request(4.0, None, [], began=10.0, ended=14.0))
    notes.note(3, Request(5.0, "broken", [], began=20.0, ended=25.0))
    notes.add_to(ended, 2, array("d", [4.0]), array("d", [5.0]))
    assert list(ended.failed) == [0, 0, 0, 1]
    assert list(agent_overheads(ended, calls((2, 11.0, 1.0)))) == pytest.approx([3.0])
