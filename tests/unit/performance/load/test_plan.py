from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from senytl.performance.load import LoadPlan

NO_COUNTS: list[Any] = [0, -1, 1.5, 2.0, True, "3", None, math.nan]
NO_SECONDS: list[Any] = [-0.1, True, math.nan, math.inf, "3", 1j]


def test_users_run_one_iteration_unless_told_otherwise() -> None:
    plan = LoadPlan(concurrent_users=7)
    assert (plan.iterations, plan.duration) == (1, None)
    assert plan.total_iterations == 7


def test_a_plan_of_iterations_has_no_end_in_time() -> None:
    plan = LoadPlan(concurrent_users=20, iterations=10, ramp_up=3)
    assert plan.total_iterations == 200
    assert plan.deadline == math.inf
    assert plan.cut_off == math.inf


def test_a_plan_with_a_duration_ends_after_its_grace_period() -> None:
    plan = LoadPlan(concurrent_users=20, duration=0.5, grace=0.25)
    assert plan.total_iterations is None
    assert plan.deadline == 0.5
    assert plan.cut_off == 0.75


def test_users_start_evenly_spaced_over_the_ramp_up() -> None:
    plan = LoadPlan(concurrent_users=4, duration=3, ramp_up=2)
    assert [plan.start_of(user) for user in range(4)] == [0.0, 0.5, 1.0, 1.5]


def test_users_start_together_without_a_ramp_up() -> None:
    plan = LoadPlan(concurrent_users=3)
    assert [plan.start_of(user) for user in range(3)] == [0.0, 0.0, 0.0]


@given(st.integers(1, 10_000), st.floats(0.001, 1e6), st.floats(0, 0.999))
def test_every_user_starts_before_the_deadline(users: int, duration: float, share: float) -> None:
    plan = LoadPlan(concurrent_users=users, duration=duration, ramp_up=duration * share)
    assert 0 <= plan.start_of(0) <= plan.start_of(users - 1) < plan.deadline


@pytest.mark.parametrize("value", NO_COUNTS)
def test_a_number_of_users_that_makes_no_sense_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"concurrent_users is .*; it must be an integer"):
        LoadPlan(concurrent_users=value)


@pytest.mark.parametrize("value", [value for value in NO_COUNTS if value is not None])
def test_a_number_of_iterations_that_makes_no_sense_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"iterations is .*; it must be an integer"):
        LoadPlan(concurrent_users=1, iterations=value)


@pytest.mark.parametrize("name", ["duration", "ramp_up", "grace"])
@pytest.mark.parametrize("value", NO_SECONDS)
def test_seconds_that_make_no_sense_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} is .*; it must be a number of seconds"):
        LoadPlan(concurrent_users=1, **{name: value})


def test_a_load_of_no_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="duration is 0; it must be above 0"):
        LoadPlan(concurrent_users=1, duration=0)


def test_a_load_ends_by_time_or_by_iterations() -> None:
    with pytest.raises(ValueError, match=r"duration is 1\.5 and iterations is 2.*only one"):
        LoadPlan(concurrent_users=1, duration=1.5, iterations=2)


@pytest.mark.parametrize("ramp_up", [2, 2.5])
def test_a_ramp_up_that_fills_the_duration_is_refused(ramp_up: float) -> None:
    with pytest.raises(ValueError, match=f"ramp_up is {ramp_up} and duration is 2"):
        LoadPlan(concurrent_users=10, duration=2, ramp_up=ramp_up)


def test_a_plan_cannot_be_changed() -> None:
    plan = LoadPlan(concurrent_users=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.grace = 1.0  # type: ignore[misc]
