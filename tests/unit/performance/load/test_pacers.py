"""When the next body starts, with pauses in which the user is held. Pure arithmetic."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from senytl.performance.load import LoadPlan
from senytl.performance.load.pacers import Pacing, ThinkTime, pacer_of


def test_a_schedule_is_kept_whatever_the_bodies_take() -> None:
    pacer = Pacing(0.5)
    assert [pacer.next(end) for end in (10.0, 10.1, 10.9, 11.4)] == [10.0, 10.5, 11.0, 11.5]
    assert pacer.dropped == 0


def test_a_schedule_comes_so_much_later_as_its_user_was_held() -> None:
    pacer = Pacing(0.5)
    assert [pacer.next(10.0), pacer.next(10.1)] == [10.0, 10.5]
    pacer.shift(3.0)
    assert [pacer.next(13.6), pacer.next(13.7)] == [14.0, 14.5]
    assert pacer.dropped == 0


def test_a_pause_drops_no_start_and_makes_none_late() -> None:
    held, free = Pacing(0.1), Pacing(0.1)
    for pacer in (held, free):
        pacer.next(0.0)
    held.shift(7.0)
    assert [held.next(7.01), held.next(7.11)] == pytest.approx([7.1, 7.2])
    assert [free.next(7.01), free.next(7.11)] == pytest.approx([7.0, 7.1])
    assert (held.dropped, free.dropped) == (0, 69)


def test_starts_that_were_dropped_stay_so_over_a_pause() -> None:
    pacer = Pacing(0.5)
    pacer.next(0.0)
    assert pacer.next(1.7) == 1.5
    assert pacer.dropped == 2
    pacer.shift(1.0)
    assert pacer.next(2.8) == 3.0
    assert pacer.dropped == 2


def test_a_start_that_was_put_back_comes_later_by_the_pause() -> None:
    pacer = Pacing(0.5)
    pacer.next(10.0)
    moment = pacer.next(10.2)
    pacer.put_back(moment)
    pacer.shift(2.0)
    assert pacer.next(12.2) == moment + 2.0


def test_a_schedule_that_has_not_begun_is_not_moved() -> None:
    pacer = Pacing(0.5)
    pacer.shift(2.0)
    assert pacer.next(10.0) == 10.0
    pacer.begin_anew()
    pacer.shift(2.0)
    assert pacer.next(30.0) == 30.0


def test_what_is_given_up_is_counted_by_the_shifted_schedule() -> None:
    pacer = Pacing(0.5)
    pacer.next(0.0)
    pacer.shift(10.0)
    pacer.give_up(11.9)  # 10.5, 11.0, 11.5
    assert pacer.dropped == 3


@given(
    st.lists(st.tuples(st.floats(0, 2), st.floats(0, 5)), max_size=20),
    st.floats(0.05, 1.0),
)
def test_pauses_change_nothing_but_the_time(
    steps: list[tuple[float, float]], interval: float
) -> None:
    held, free = Pacing(interval), Pacing(interval)
    now = shift = 0.0
    held.next(now)
    free.next(now)
    for seconds, pause in steps:
        now += seconds + interval / 3
        shift += pause
        held.shift(pause)
        at = free.next(now)
        # Where a moment falls on a start, its last bit decides which one is due.
        assert held.next(now + shift) == pytest.approx(at + shift, abs=interval + 1e-6)
        now = max(now, at)
    assert abs(held.dropped - free.dropped) <= len(steps)


def test_the_rest_of_a_thinking_pause_comes_after_the_time_it_was_held() -> None:
    pacer = ThinkTime(1.0, 1.0, Random(1))
    assert pacer.next(5.0) == 5.0  # none before the first
    moment = pacer.next(6.0)
    assert moment == 7.0
    pacer.put_back(moment)
    pacer.shift(2.5)
    assert pacer.next(6.2) == 9.5
    assert pacer.next(10.0) == 11.0


def test_a_thinking_pause_that_begins_after_the_hold_is_not_made_longer() -> None:
    pacer = ThinkTime(1.0, 1.0, Random(1))
    pacer.next(5.0)
    pacer.shift(2.5)
    assert pacer.next(9.0) == 10.0


def test_a_first_body_is_not_made_to_wait_by_a_pause() -> None:
    pacer = ThinkTime(1.0, 1.0, Random(1))
    pacer.shift(50.0)
    assert pacer.next(5.0) == 5.0


def test_the_plan_says_what_paces_a_user() -> None:
    assert pacer_of(LoadPlan(concurrent_users=2), 0) is None
    assert isinstance(pacer_of(LoadPlan(concurrent_users=2, pacing=1.0), 0), Pacing)
    assert isinstance(pacer_of(LoadPlan(concurrent_users=2, think_time=1.0), 0), ThinkTime)
