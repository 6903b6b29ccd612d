"""What a plan of a load test may say, and what contradicts what."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, get_args

from senytl.performance.leaks.limits import check_leak_check

if TYPE_CHECKING:
    from senytl.performance.load.plan import LoadPlan

__all__ = ["check_plan"]


def check_plan(plan: LoadPlan) -> None:
    """Refuse a plan that makes no sense.

    Raises:
        ValueError: If a value makes no sense, or contradicts another.
    """
    _check_values(plan)
    _check_ends(plan)
    if plan.rate is None:
        _check_closed(plan)
    else:
        _check_open(plan)
    _check_warmup(plan)
    _check_abort(plan)
    _check_ramps(plan)


def _check_values(plan: LoadPlan) -> None:
    from senytl.performance.load.plan import Arrivals, Engine

    for name in ("concurrent_users", "iterations", "total_iterations"):
        if getattr(plan, name) is not None:
            _check_count(name, getattr(plan, name))
    for name in ("ramp_up", "ramp_down", "grace", "warmup", "abort_after"):
        _check_seconds(name, getattr(plan, name))
    for name in ("duration", "timeout", "pacing"):
        if getattr(plan, name) is not None:
            _check_seconds(name, getattr(plan, name), above_zero=True)
    if isinstance(plan.think_time, tuple):
        if len(plan.think_time) != 2:
            raise ValueError(
                f"think_time is {plan.think_time!r}; it is a number of seconds, or the least and "
                "the most of them, as in (0.5, 2.0)"
            )
        for value in plan.think_time:
            _check_seconds("think_time", value)
        if plan.think_time[0] > plan.think_time[1]:
            raise ValueError(f"think_time is {plan.think_time!r}; the least comes first")
    else:
        _check_seconds("think_time", plan.think_time)
    if plan.abort_after and not plan.abort_on:
        raise ValueError(
            f"abort_after is {plan.abort_after!r}, but there is no abort_on= whose limits it holds "
            "back"
        )
    if isinstance(plan.seed, bool) or not isinstance(plan.seed, int):
        raise ValueError(f"seed is {plan.seed!r}; it must be an integer")
    if not isinstance(plan.allow_inconclusive, bool):
        raise ValueError(f"allow_inconclusive is {plan.allow_inconclusive!r}; it is True or False")
    check_leak_check(plan.leak_check)
    for name, choices in (("arrivals", get_args(Arrivals)), ("engine", (None, *get_args(Engine)))):
        if getattr(plan, name) not in choices:
            known = " or ".join(repr(choice) for choice in choices if choice is not None)
            raise ValueError(f"{name} is {getattr(plan, name)!r}; it must be {known}")


def _check_ends(plan: LoadPlan) -> None:
    """A load ends by one thing."""
    names = ["duration", "iterations", "total_iterations", "stages"]
    if isinstance(plan.rate, tuple):
        names.append("rate")
    given = [name for name in names if getattr(plan, name) is not None]
    if len(given) > 1:
        one, other = given[:2]
        raise ValueError(
            f"{one} is {getattr(plan, one)!r} and {other} is {getattr(plan, other)!r}; "
            "a load ends by one of them: give only one"
        )


def _check_closed(plan: LoadPlan) -> None:
    if plan.arrivals != "even":
        raise ValueError(
            f"arrivals is {plan.arrivals!r}, but there is no rate= whose starts it spaces"
        )
    if plan.pacing is not None and plan.think_time:
        raise ValueError(
            f"pacing is {plan.pacing!r} and think_time is {plan.think_time!r}; what a user waits "
            "for is either the next time on a schedule or a pause: give only one"
        )
    if plan.stages is not None:
        _check_stages("stages", plan.stages, "users")
        if plan.concurrent_users is not None:
            raise ValueError(
                f"concurrent_users is {plan.concurrent_users!r} and stages is {plan.stages!r}; the "
                "stages say how many users there are: give only one"
            )
        for seconds, users in plan.stages:
            if isinstance(users, bool) or not isinstance(users, int):
                raise ValueError(f"stages has ({seconds!r}, {users!r}); users are whole numbers")
        if not plan.profile.largest or not plan.profile.seconds:
            raise ValueError(f"stages is {plan.stages!r}; there is no time with a user in it")
        return
    if plan.concurrent_users is None:
        raise ValueError("concurrent_users is not given; a load test needs a number of users")
    if plan.total_iterations is not None and plan.total_iterations < plan.concurrent_users:
        raise ValueError(
            f"total_iterations is {plan.total_iterations!r} and concurrent_users is "
            f"{plan.concurrent_users!r}; some users would have nothing to do: give fewer users, or "
            "more iterations"
        )


def _check_open(plan: LoadPlan) -> None:
    for name in ("iterations", "total_iterations", "stages"):
        if getattr(plan, name) is not None:
            raise ValueError(
                f"rate is {plan.rate!r} and {name} is {getattr(plan, name)!r}; requests that start "
                "at a rate end by duration=, or by the rate's own stages"
            )
    for name in ("think_time", "pacing"):
        if getattr(plan, name):
            raise ValueError(
                f"rate is {plan.rate!r} and {name} is {getattr(plan, name)!r}; the rate says when "
                "requests start, so no user waits: give only one"
            )
    if isinstance(plan.rate, tuple):
        _check_stages("rate", plan.rate, "requests a second")
    else:
        if isinstance(plan.rate, bool) or not isinstance(plan.rate, int | float):
            raise ValueError(
                f"rate is {plan.rate!r}; it is a number of requests a second, or stages of "
                "(seconds, requests a second at their end)"
            )
        if not 0 < plan.rate < math.inf:
            raise ValueError(f"rate is {plan.rate!r}; it must be above 0 requests a second")
        if plan.duration is None:
            raise ValueError(
                f"rate is {plan.rate!r} and there is no duration; say for how many seconds "
                "requests start"
            )
    _check_ramps(plan)
    if plan.profile.area <= 0:
        raise ValueError(f"rate is {plan.rate!r}; no request would ever start")


def _check_stages(name: str, stages: object, what: str) -> None:
    example = "[(30, 50), (60, 50), (10, 0)]"
    if not isinstance(stages, tuple) or not stages:
        raise ValueError(f"{name} is {stages!r}; it is a list of (seconds, {what}), as {example}")
    for stage in stages:
        if not isinstance(stage, tuple) or len(stage) != 2:
            raise ValueError(f"{name} has {stage!r}; each stage is (seconds, {what}), as {example}")
        _check_seconds(f"{name}: the time of {stage!r}", stage[0])
        value = stage[1]
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0 <= value < math.inf
        ):
            raise ValueError(f"{name} has {stage!r}; {what} must be 0 or more")


def _check_abort(plan: LoadPlan) -> None:
    if plan.abort_on and plan.is_timed and plan.abort_after >= plan.deadline - plan.warmup_seconds:
        raise ValueError(
            f"abort_after is {plan.abort_after!r}, and the load is over by then: it must be shorter"
        )


def _check_warmup(plan: LoadPlan) -> None:
    if not plan.is_timed:
        if plan.warmup and int(plan.warmup) != plan.warmup:
            raise ValueError(
                f"warmup is {plan.warmup!r}; where iterations end the load it is a number of "
                "iterations"
            )
        return
    if plan.duration is None and plan.warmup >= plan.profile.seconds:
        raise ValueError(
            f"warmup is {plan.warmup!r}, but all stages together last {plan.profile.seconds:g} "
            "seconds, of which it is a part: it must be shorter"
        )


def _check_ramps(plan: LoadPlan) -> None:
    ramps = {name: getattr(plan, name) for name in ("ramp_up", "ramp_down") if getattr(plan, name)}
    if not ramps:
        return
    name, value = next(iter(ramps.items()))
    if plan.stages is not None or isinstance(plan.rate, tuple):
        raise ValueError(f"{name} is {value!r}, but the stages say all about ramps: give only one")
    if plan.ramp_down and plan.duration is None:
        raise ValueError(
            f"ramp_down is {plan.ramp_down!r}, but nobody knows when iterations will end: it needs "
            "a duration"
        )
    if plan.duration is None:
        return
    whole = plan.duration + plan.warmup
    if math.fsum(ramps.values()) >= whole:
        written = " and ".join(f"{name} is {value!r}" for name, value in ramps.items())
        raise ValueError(
            f"{written}, and duration is {plan.duration!r}; ramps are part of the duration, so "
            "they must be shorter"
        )


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}; it must be an integer of at least 1")


def _check_seconds(name: str, value: object, *, above_zero: bool = False) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or value < 0
    ):
        raise ValueError(f"{name} is {value!r}; it must be a number of seconds, 0 or more")
    if above_zero and value == 0:
        raise ValueError(f"{name} is {value!r}; it must be above 0 seconds")
