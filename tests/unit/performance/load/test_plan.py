from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from senytl.performance import load_test
from senytl.performance.load import LoadPlan
from senytl.performance.load.plan import OPEN_USERS, Stint

NO_COUNTS: list[Any] = [0, -1, 1.5, 2.0, True, "3", math.nan]
NO_SECONDS: list[Any] = [-0.1, True, math.nan, math.inf, "3", 1j]

USER_STAGES = st.lists(
    st.tuples(st.integers(0, 40).map(lambda tenths: tenths / 8), st.integers(0, 12)),
    min_size=1,
    max_size=6,
).filter(lambda stages: any(users for _, users in stages) and any(seconds for seconds, _ in stages))

RATE_STAGES = st.lists(
    st.tuples(st.integers(0, 20).map(lambda part: part / 7), st.integers(0, 90).map(float)),
    min_size=1,
    max_size=5,
)


def starts_of(**settings: Any) -> list[float]:
    return list(LoadPlan(**settings).starts())


def test_users_run_one_iteration_unless_told_otherwise() -> None:
    plan = LoadPlan(concurrent_users=7)
    assert (plan.iterations, plan.duration) == (1, None)
    assert plan.planned_requests == 7


def test_a_plan_of_iterations_has_no_end_in_time() -> None:
    plan = LoadPlan(concurrent_users=20, iterations=10, ramp_up=3)
    assert plan.planned_requests == 200
    assert plan.deadline == math.inf
    assert plan.cut_off == math.inf


def test_shared_iterations_are_not_multiplied_by_the_users() -> None:
    plan = LoadPlan(concurrent_users=20, total_iterations=33)
    assert plan.planned_requests == 33
    assert plan.stints_of(3) == [Stint(0.0, math.inf, counts=True, iterations=None)]


def test_a_plan_with_a_duration_ends_after_its_grace_period() -> None:
    plan = LoadPlan(concurrent_users=20, duration=0.5, grace=0.25)
    assert plan.planned_requests is None
    assert plan.deadline == 0.5
    assert plan.cut_off == 0.75


def test_seconds_of_warm_up_come_before_a_duration() -> None:
    plan = LoadPlan(concurrent_users=2, duration=10, warmup=3)
    assert plan.deadline == 13
    assert plan.stints_of(1) == [Stint(0, 3, False, None), Stint(3, 13, True, None)]


def test_seconds_of_warm_up_are_the_first_of_stages() -> None:
    plan = LoadPlan(stages=[(4, 4), (6, 4)], warmup=2)
    assert plan.deadline == 10
    assert plan.stints_of(0) == [Stint(0, 2, False, None), Stint(2, 10, True, None)]
    assert plan.stints_of(3) == [Stint(3, 10, True, None)]  # it starts after the warm-up


def test_a_user_who_left_before_the_warm_up_was_over_measures_nothing() -> None:
    plan = LoadPlan(stages=[(0, 2), (2, 2), (0, 1), (8, 1)], warmup=3)
    assert plan.stints_of(1) == [Stint(0, 2, False, None)]


def test_iterations_of_warm_up_come_before_the_others_of_each_user() -> None:
    own = LoadPlan(concurrent_users=2, iterations=5, warmup=2, ramp_up=1)
    shared = LoadPlan(concurrent_users=2, total_iterations=5, warmup=2)
    assert own.stints_of(1) == [
        Stint(0.5, math.inf, counts=False, iterations=2),
        Stint(0.5, math.inf, counts=True, iterations=5),
    ]
    assert [stint.iterations for stint in shared.stints_of(1)] == [None, None]
    assert (own.warmup_seconds, shared.warmup_seconds) == (0, 0)


def test_users_start_evenly_spaced_over_the_ramp_up() -> None:
    plan = LoadPlan(concurrent_users=4, duration=3, ramp_up=2)
    assert [plan.stints_of(user)[0].start for user in range(4)] == [0.0, 0.5, 1.0, 1.5]
    plan = LoadPlan(concurrent_users=4, iterations=1, ramp_up=2)
    assert [plan.stints_of(user)[0].start for user in range(4)] == [0.0, 0.5, 1.0, 1.5]


def test_users_leave_evenly_spaced_over_the_ramp_down_the_last_to_come_first() -> None:
    plan = LoadPlan(concurrent_users=4, duration=10, ramp_down=4)
    assert [plan.stints_of(user)[0].end for user in range(4)] == [10, 9, 8, 7]


def test_users_start_together_without_a_ramp_up() -> None:
    plan = LoadPlan(concurrent_users=3)
    assert [plan.stints_of(user)[0].start for user in range(3)] == [0.0, 0.0, 0.0]


@given(st.integers(1, 10_000), st.floats(0.001, 1e6), st.floats(0, 0.999))
def test_every_user_starts_before_the_deadline(users: int, duration: float, share: float) -> None:
    plan = LoadPlan(concurrent_users=users, duration=duration, ramp_up=duration * share)
    first, last = plan.stints_of(0)[0], plan.stints_of(users - 1)[0]
    assert 0 <= first.start <= last.start < plan.deadline
    assert last.end == plan.deadline


@given(
    st.integers(1, 500),
    st.floats(0.001, 1e5),
    st.floats(0, 0.6),
    st.floats(0, 0.39),
    st.floats(0, 100),
)
def test_ramps_never_keep_a_user_away(
    users: int, duration: float, up: float, down: float, warmup: float
) -> None:
    ramps: dict[str, Any] = {"ramp_up": duration * up, "ramp_down": duration * down}
    plan = LoadPlan(concurrent_users=users, duration=duration, warmup=warmup, **ramps)
    assert plan.deadline == pytest.approx(duration + warmup)
    for user in {0, users // 2, users - 1}:
        stints = plan.stints_of(user)
        assert stints
        assert all(stint.end > stint.start for stint in stints)
        assert stints[-1].counts
    level = plan.profile.at(plan.deadline - ramps["ramp_down"] * 1.01 - duration * 0.001)
    assert level == pytest.approx(users, rel=0.05)


@given(USER_STAGES, st.integers(0, 10_000), st.floats(0, 0.99))
def test_as_many_users_are_there_as_the_stages_say(
    stages: list[tuple[float, int]], moment: int, warm: float
) -> None:
    whole = sum(seconds for seconds, _ in stages)
    plan = LoadPlan(stages=stages, warmup=whole * warm)
    at = (moment + 0.5) / 10_001 * whole
    number = plan.profile.at(at)
    there = sum(
        any(stint.start <= at < stint.end for stint in plan.stints_of(user))
        for user in range(plan.users)
    )
    # A number that is all but whole may be on either side of it.
    assert there in {math.ceil(number - 1e-6), math.ceil(number + 1e-6)}
    assert plan.users == max(users for _, users in stages)


@given(USER_STAGES, st.floats(0, 0.99))
def test_stints_follow_each_other_and_only_the_warm_up_does_not_count(
    stages: list[tuple[float, int]], warm: float
) -> None:
    plan = LoadPlan(stages=stages, warmup=warm * sum(seconds for seconds, _ in stages))
    for user in range(plan.users):
        stints = plan.stints_of(user)
        for earlier, later in itertools.pairwise(stints):
            assert earlier.end <= later.start
        for stint in stints:
            assert 0 <= stint.start < stint.end <= plan.deadline
            if stint.counts:
                assert stint.start >= plan.warmup_seconds
            else:
                assert stint.end <= plan.warmup_seconds


def test_a_user_who_leaves_and_comes_back_has_two_stints() -> None:
    plan = LoadPlan(stages=[(2, 2), (2, 0), (2, 2)])
    assert plan.stints_of(1) == [Stint(1, 3, True, None), Stint(5, 6, True, None)]


def test_a_constant_rate_starts_requests_at_even_times() -> None:
    starts = starts_of(rate=4, duration=2)
    assert starts == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75])
    assert LoadPlan(rate=4, duration=2).users == OPEN_USERS
    assert LoadPlan(rate=4, duration=2, concurrent_users=3).users == 3


def test_rates_that_are_no_binary_fractions_lose_no_start() -> None:
    for rate in (0.1, 0.3, 3, 7, 49, 333.3, 1_000, 1_234.5):
        seconds = 300 / rate
        assert len(starts_of(rate=rate, duration=seconds)) == 300, rate


def test_a_rising_rate_starts_requests_closer_and_closer() -> None:
    # From 0 to 10 a second in 2 s: the i-th start is where 2.5 t^2 = i.
    starts = starts_of(rate=[(2, 10)])
    assert starts == pytest.approx([math.sqrt(number / 2.5) for number in range(10)])


def test_a_rate_with_ramps_makes_the_starts_of_its_area() -> None:
    plan = LoadPlan(rate=100, duration=10, ramp_up=2, ramp_down=4)
    assert plan.planned_requests == len(list(plan.starts())) == 700


@given(RATE_STAGES.filter(lambda stages: sum(s * r for s, r in stages) > 0.1), st.integers(0, 9))
def test_start_number_i_is_where_the_area_under_the_rate_is_i(
    stages: list[tuple[float, float]], warm: int
) -> None:
    whole = sum(seconds for seconds, _ in stages)
    plan = LoadPlan(rate=stages, warmup=whole * warm / 10)
    starts = list(plan.starts())
    assert starts == sorted(starts)
    for number, moment in enumerate(starts):
        assert plan.profile.area_until(moment) == pytest.approx(number, abs=1e-5)
    assert len(starts) == math.ceil(plan.profile.area - 1e-6)
    counted = sum(map(plan.counts, starts))
    assert plan.planned_requests == counted


@pytest.mark.parametrize("rate", [3, 7, 10, 33.3, 49, 1_000])
@pytest.mark.parametrize("warmup", [0.1, 0.3, 1, 2.1, 7])
def test_what_is_planned_is_what_starts_after_the_warm_up(rate: float, warmup: float) -> None:
    plan = LoadPlan(rate=rate, duration=3, warmup=warmup)
    counted = sum(map(plan.counts, plan.starts()))
    assert plan.planned_requests == counted


def test_poisson_starts_are_as_many_as_the_rate_says_with_exponential_gaps() -> None:
    starts = starts_of(rate=1_000, duration=20, arrivals="poisson")
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert len(starts) == pytest.approx(20_000, abs=4 * math.sqrt(20_000))
    assert fmean(gaps) == pytest.approx(0.001, rel=0.04)
    # Of exponential gaps 1 / e are longer than the mean, and 1 / e^3 than three times that.
    assert sum(gap > 0.001 for gap in gaps) / len(gaps) == pytest.approx(math.exp(-1), rel=0.05)
    assert sum(gap > 0.003 for gap in gaps) / len(gaps) == pytest.approx(math.exp(-3), rel=0.2)


def test_poisson_starts_follow_a_rate_that_changes() -> None:
    starts = starts_of(rate=[(10, 1_000)], arrivals="poisson")
    early = sum(moment < 5 for moment in starts)
    assert early / len(starts) == pytest.approx(0.25, abs=0.03)


def test_the_seed_decides_the_poisson_starts() -> None:
    settings: dict[str, Any] = {"rate": 100, "duration": 2, "arrivals": "poisson"}
    assert starts_of(**settings, seed=1) == starts_of(**settings, seed=1)
    assert starts_of(**settings, seed=1) != starts_of(**settings, seed=2)
    assert LoadPlan(**settings).planned_requests is None


@pytest.mark.parametrize("value", [*NO_COUNTS, None])
def test_a_number_of_users_that_makes_no_sense_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"concurrent_users is .*(an integer|number of users)"):
        LoadPlan(concurrent_users=value)


@pytest.mark.parametrize("name", ["iterations", "total_iterations"])
@pytest.mark.parametrize("value", NO_COUNTS)
def test_a_number_of_iterations_that_makes_no_sense_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name} is .*; it must be an integer"):
        LoadPlan(concurrent_users=1, **{name: value})


@pytest.mark.parametrize(
    "name",
    ["duration", "ramp_up", "ramp_down", "grace", "timeout", "pacing", "think_time", "warmup",
     "abort_after"],
)  # fmt: skip
@pytest.mark.parametrize("value", NO_SECONDS)
def test_seconds_that_make_no_sense_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} is .*; it must be a number of seconds"):
        LoadPlan(**{"concurrent_users": 1, "duration": 1, name: value})


@pytest.mark.parametrize("name", ["duration", "timeout", "pacing"])
def test_times_that_must_pass_are_above_zero(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0; it must be above 0"):
        LoadPlan(**dict[str, Any](concurrent_users=1, duration=1) | {name: 0})


CONTRADICTIONS: list[tuple[Mapping[str, Any], str]] = [
    (
        {"concurrent_users": 1, "duration": 1.5, "iterations": 2},
        "duration is 1.5 and iterations is 2",
    ),
    (
        {"concurrent_users": 1, "iterations": 2, "total_iterations": 9},
        "iterations is 2 and total_iterations is 9",
    ),
    (
        {"duration": 1.5, "stages": [(1, 5)]},
        "duration is 1.5 and stages is ((1, 5),)",
    ),
    (
        {"concurrent_users": 3, "stages": [(1, 5)]},
        "concurrent_users is 3 and stages is ((1, 5),)",
    ),
    (
        {"concurrent_users": 9, "total_iterations": 8},
        "total_iterations is 8 and concurrent_users is 9",
    ),
    ({"concurrent_users": 10, "duration": 2, "ramp_up": 2}, "ramp_up is 2, and duration is 2"),
    (
        {"concurrent_users": 10, "duration": 2, "ramp_up": 1.5, "ramp_down": 0.5},
        "ramp_up is 1.5 and ramp_down is 0.5, and duration is 2",
    ),
    ({"concurrent_users": 10, "ramp_down": 2}, "ramp_down is 2, but nobody knows"),
    ({"stages": [(1, 5)], "ramp_up": 2}, "ramp_up is 2, but the stages"),
    ({"rate": [(1, 5)], "ramp_down": 2}, "ramp_down is 2, but the stages"),
    (
        {"concurrent_users": 1, "pacing": 2, "think_time": 1},
        "pacing is 2 and think_time is 1",
    ),
    (
        {"concurrent_users": 1, "pacing": 2, "think_time": (0, 1)},
        "pacing is 2 and think_time is (0, 1)",
    ),
    ({"concurrent_users": 1, "arrivals": "poisson"}, "arrivals is 'poisson', but there is no rate"),
    ({"rate": 5}, "rate is 5 and there is no duration"),
    ({"rate": 5, "iterations": 3}, "rate is 5 and iterations is 3"),
    ({"rate": 5, "total_iterations": 3}, "rate is 5 and total_iterations is 3"),
    ({"rate": 5, "stages": [(1, 5)]}, "rate is 5 and stages is ((1, 5),)"),
    ({"rate": [(1, 5)], "duration": 3}, "duration is 3 and rate is ((1, 5),)"),
    ({"rate": 5, "duration": 1, "think_time": 2}, "rate is 5 and think_time is 2"),
    ({"rate": 5, "duration": 1, "pacing": 2}, "rate is 5 and pacing is 2"),
    ({"stages": [(1, 5), (2, 5)], "warmup": 3}, "warmup is 3, but all stages together last 3"),
    ({"concurrent_users": 2, "iterations": 3, "warmup": 0.5}, "warmup is 0.5; where iterations"),
    ({"concurrent_users": 1, "abort_after": 5}, "abort_after is 5, but there is no abort_on"),
    (
        {"concurrent_users": 1, "duration": 5, "abort_on": {"error_rate": 0.5}, "abort_after": 5},
        "abort_after is 5, and the load is over by then",
    ),
]


@pytest.mark.parametrize(("settings", "message"), CONTRADICTIONS)
def test_settings_that_contradict_each_other_are_refused_by_name_and_value(
    settings: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        LoadPlan(**settings)
    with pytest.raises(ValueError, match=re.escape(message)):
        load_test(**{"concurrent_users": None, **settings})


NONSENSE: list[tuple[Mapping[str, Any], str]] = [
    ({"stages": []}, "stages is (); it is a list of (seconds, users)"),
    ({"stages": 5}, "stages is 5; it is a list"),
    ({"stages": [(1, 2, 3)]}, "stages has (1, 2, 3); each stage is (seconds, users)"),
    ({"stages": [(1, 2.5)]}, "stages has (1, 2.5); users are whole numbers"),
    ({"stages": [(-1, 2)]}, "stages: the time of (-1, 2) is -1"),
    ({"stages": [(1, -2)]}, "stages has (1, -2); users must be 0 or more"),
    ({"stages": [(5, 0)]}, "stages is ((5, 0),); there is no time with a user in it"),
    ({"stages": [(0, 5)]}, "stages is ((0, 5),); there is no time with a user in it"),
    ({"rate": 0, "duration": 1}, "rate is 0; it must be above 0"),
    ({"rate": "5", "duration": 1}, "rate is '5'; it is a number of requests a second"),
    ({"rate": True, "duration": 1}, "rate is True; it is a number"),
    ({"rate": math.inf, "duration": 1}, "rate is inf; it must be"),
    ({"rate": [(0, 5)]}, "rate is ((0, 5),); no request would ever start"),
    ({"rate": [(1, -5)]}, "rate has (1, -5); requests a second must be 0 or more"),
    ({"concurrent_users": 1, "think_time": (1, 2, 3)}, "think_time is (1, 2, 3)"),
    ({"concurrent_users": 1, "think_time": (2, 1)}, "think_time is (2, 1); the least comes first"),
    ({"concurrent_users": 1, "seed": 1.5}, "seed is 1.5; it must be an integer"),
    ({"concurrent_users": 1, "engine": "gevent"}, "engine is 'gevent'; it must be 'threads' or"),
    ({"rate": 5, "duration": 1, "arrivals": "odd"}, "arrivals is 'odd'; it must be 'even' or"),
    ({"concurrent_users": 1, "allow_inconclusive": 1}, "allow_inconclusive is 1; it is True or"),
]


@pytest.mark.parametrize(("settings", "message"), NONSENSE)
def test_values_that_make_no_sense_are_refused(settings: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        LoadPlan(**settings)


def test_a_plan_cannot_be_changed() -> None:
    plan = LoadPlan(concurrent_users=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.grace = 1.0  # type: ignore[misc]


def test_lists_in_a_plan_cannot_be_changed_either() -> None:
    stages: list[Any] = [[2, 5], (3, 5)]
    plan = LoadPlan(stages=stages, think_time=[1, 2])  # type: ignore[arg-type]
    stages.append((9, 9))
    assert plan.stages == ((2, 5), (3, 5))
    assert plan.think_time == (1, 2)
    assert hash(plan) == hash(LoadPlan(stages=[(2, 5), (3, 5)], think_time=(1, 2)))
