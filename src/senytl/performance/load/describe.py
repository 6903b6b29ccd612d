"""A plan in words: one line for reports, some lines for who wants to know before it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from senytl.performance.metric import find_metric
from senytl.performance.metric.units import write_count, write_figure

if TYPE_CHECKING:
    from senytl.performance.load.plan import LoadPlan

__all__ = ["describe_plan", "summarise_plan"]


def summarise_plan(plan: LoadPlan) -> str:
    """The load in a line: ``closed model: 50 users for 60 s, ramp-up 5 s``."""
    parts = [_load(plan), *_waits(plan)]
    if plan.ramp_up:
        parts.append(f"ramp-up {_seconds(plan.ramp_up)}")
    if plan.ramp_down:
        parts.append(f"ramp-down {_seconds(plan.ramp_down)}")
    if plan.warmup:
        parts.append(_warmup(plan))
    if plan.timeout is not None:
        parts.append(f"timeout {_seconds(plan.timeout)}")
    return f"{'open' if plan.is_open else 'closed'} model: {', '.join(parts)}"


def describe_plan(plan: LoadPlan, *, is_async: bool) -> list[str]:
    """The load in some lines: what it does, what ends it, what it is run by.

    Args:
        plan: The plan.
        is_async: Whether the function that it runs is an async one.
    """
    return [summarise_plan(plan), *_details(plan, is_async=is_async)]


def _details(plan: LoadPlan, *, is_async: bool) -> Iterator[str]:
    requests = plan.planned_requests
    if requests is not None:
        yield f"{write_count(requests, 'request')} to measure"
    elif plan.is_open:
        profile = plan.profile
        expected = profile.area - profile.area_until(plan.warmup_seconds)
        yield f"about {write_count(round(expected), 'request')} to measure"
    if plan.is_timed:
        warm = " with its warm-up" if plan.warmup else ""
        yield (
            f"{_seconds(plan.deadline)} of load{warm}, then up to {_seconds(plan.grace)} for "
            "requests in flight"
        )
    else:
        yield "ends when all iterations have ended, however long that takes"
    if plan.timeout is not None:
        yield f"a request that takes longer than {_seconds(plan.timeout)} has failed"
    for metric, limit in plan.abort_on:
        after = f" after {_seconds(plan.abort_after)}" if plan.abort_after else ""
        written = write_figure(limit, find_metric(metric).unit)
        yield f"ends early{after} once {metric} is beyond {written} for good"
    if plan.allow_inconclusive:
        yield "an inconclusive verdict is no failure"
    engine = plan.engine or ("tasks" if is_async else "threads")
    users = write_count(plan.users, engine.removesuffix("s"))
    if engine == "tasks":
        users += " on the test's event loop"
    elif is_async:
        users += ", each with an event loop of its own"
    yield f"run by {'up to ' if plan.is_open else ''}{users}"


def _load(plan: LoadPlan) -> str:
    if plan.is_open:
        spaced = "Poisson arrivals" if plan.arrivals == "poisson" else "evenly spaced"
        if isinstance(plan.rate, tuple):
            return f"{_stages(plan.rate, 'requests/s')}, {spaced}"
        assert isinstance(plan.rate, int | float)
        assert plan.duration is not None
        return f"{plan.rate:g} requests/s for {_seconds(plan.duration)}, {spaced}"
    if plan.stages is not None:
        return _stages(plan.stages, "users")
    users = write_count(plan.users, "user")
    if plan.duration is not None:
        return f"{users} for {_seconds(plan.duration)}"
    if plan.total_iterations is not None:
        return f"{users} sharing {write_count(plan.total_iterations, 'iteration')}"
    return f"{users}, {write_count(plan.iterations or 0, 'iteration')} each"


def _stages(stages: Sequence[tuple[float, float]], what: str) -> str:
    steps = []
    level = 0.0
    for seconds, target in stages:
        if not seconds:
            steps.append(f"at once to {target:g}")
        elif target == level:
            steps.append(f"{target:g} for {_seconds(seconds)}")
        else:
            steps.append(f"to {target:g} in {_seconds(seconds)}")
        level = target
    return f"{what} {', '.join(steps)}"


def _waits(plan: LoadPlan) -> Iterator[str]:
    if plan.pacing is not None:
        yield f"pacing {_seconds(plan.pacing)}"
    elif isinstance(plan.think_time, tuple):
        least, most = plan.think_time
        yield f"think time {least:g} to {_seconds(most)}"
    elif plan.think_time:
        yield f"think time {_seconds(plan.think_time)}"


def _warmup(plan: LoadPlan) -> str:
    if plan.is_timed and plan.duration is None:
        return f"the first {_seconds(plan.warmup)} a warm-up"
    if plan.is_timed:
        return f"after a warm-up of {_seconds(plan.warmup)}"
    each = " each" if plan.iterations is not None else ""
    return f"after a warm-up of {write_count(int(plan.warmup), 'iteration')}{each}"


def _seconds(seconds: float) -> str:
    return f"{seconds:,g} s"
