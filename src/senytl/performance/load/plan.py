"""The plan of a load test: who starts when, and when it ends; nothing here runs anything."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, count, repeat
from random import Random
from typing import Literal, NamedTuple

from senytl.performance.load import checks
from senytl.performance.load.profile import Profile

__all__ = ["DEFAULT_GRACE", "OPEN_USERS", "Arrivals", "Engine", "LoadPlan", "Stint"]

DEFAULT_GRACE = 30.0
"""Seconds that requests in flight are waited for, as k6's ``gracefulStop`` has it."""

OPEN_USERS = 1000
"""How many requests of an open model may be in flight at once, unless it is said."""

Arrivals = Literal["even", "poisson"]
"""How the starts of an open model are spaced."""

Engine = Literal["threads", "tasks"]
"""What runs a user."""


class Stint(NamedTuple):
    """A stretch of time in which one user works.

    Args:
        start: When it starts, in seconds from the release of the users.
        end: When the user stops to start requests; infinite where iterations end it.
        counts: Whether its requests are measured; those of a warm-up are not.
        iterations: How many bodies the user runs; None where time ends it, or iterations that all
            users share.
    """

    start: float
    end: float
    counts: bool
    iterations: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """What a load test does; see `senytl.performance.load_test` for what each setting means.

    In a closed model there are users, each of whom sends the next request when the last one has
    ended. In an open model (`rate`) requests start at set times, whether or not earlier ones have
    ended. All times are seconds.

    Raises:
        ValueError: If a value makes no sense, or contradicts another.
    """

    concurrent_users: int | None = None
    duration: float | None = None
    iterations: int | None = None
    total_iterations: int | None = None
    ramp_up: float = 0.0
    ramp_down: float = 0.0
    stages: Sequence[tuple[float, int]] | None = None
    rate: float | Sequence[tuple[float, float]] | None = None
    arrivals: Arrivals = "even"
    think_time: float | tuple[float, float] = 0.0
    pacing: float | None = None
    warmup: float = 0
    grace: float = DEFAULT_GRACE
    timeout: float | None = None
    seed: int = 0
    engine: Engine | None = None
    abort_on: tuple[tuple[str, float], ...] = ()
    abort_after: float = 0.0
    allow_inconclusive: bool = False
    leak_check: bool | None = None

    def __post_init__(self) -> None:
        ends = (self.duration, self.iterations, self.total_iterations, self.stages, self.rate)
        if all(end is None for end in ends):
            object.__setattr__(self, "iterations", 1)
        for name in ("stages", "rate"):  # lists, in which nothing can change from now on
            value = getattr(self, name)
            if isinstance(value, list | tuple):
                value = tuple(tuple(one) if isinstance(one, list) else one for one in value)
                object.__setattr__(self, name, value)
        if isinstance(self.think_time, list):
            object.__setattr__(self, "think_time", tuple(self.think_time))
        checks.check_plan(self)

    def __str__(self) -> str:
        from senytl.performance.load.describe import summarise_plan

        return summarise_plan(self)

    @property
    def is_open(self) -> bool:
        """Whether requests start at set times, not when users are free."""
        return self.rate is not None

    @property
    def has_intended_starts(self) -> bool:
        """Whether latencies count from a start that was intended."""
        return self.is_open or self.pacing is not None

    @property
    def users(self) -> int:
        """How many users there are at the most; in an open model, how many may be busy."""
        if self.stages is not None:
            return int(self.profile.largest)
        return OPEN_USERS if self.concurrent_users is None else self.concurrent_users

    @property
    def profile(self) -> Profile:
        """Users over time in a closed model that time ends, starts a second in an open one."""
        if self.stages is not None:
            return Profile(self.stages)
        if isinstance(self.rate, tuple):
            return Profile(self.rate)
        level = self.users if self.rate is None else self.rate
        assert isinstance(level, int | float)
        assert self.duration is not None
        steady = self.warmup + self.duration - self.ramp_up - self.ramp_down
        stages = [(self.ramp_up, level), (steady, level)]
        return Profile([*stages, (self.ramp_down, 0)] if self.ramp_down else stages)

    @property
    def is_timed(self) -> bool:
        """Whether time ends it, not a number of iterations."""
        return self.iterations is None and self.total_iterations is None

    @property
    def warmup_seconds(self) -> float:
        """How long the warm-up lasts; 0 where it is a number of iterations."""
        return float(self.warmup) if self.is_timed else 0.0

    def counts(self, moment: float) -> bool:
        """Whether a request that is intended to start at a moment comes after the warm-up.

        Moments at which the warm-up ends miss it by their last bits.
        """
        warm = self.warmup_seconds
        return moment >= warm - 1e-9 * (1 + warm)

    @property
    def deadline(self) -> float:
        """When no more requests start, from the release on; infinite for a plan of iterations."""
        return self.profile.seconds if self.is_timed else math.inf

    @property
    def cut_off(self) -> float:
        """When requests still in flight are interrupted; infinite for a plan of iterations."""
        return self.deadline + self.grace

    @property
    def planned_requests(self) -> int | None:
        """How many bodies are to be measured, where the plan says so."""
        if self.total_iterations is not None:
            return self.total_iterations
        if self.iterations is not None:
            return self.iterations * self.users
        if self.is_open and self.arrivals == "even":
            profile = self.profile
            return _whole(profile.area) - _whole(profile.area_until(self.warmup_seconds))
        return None

    def stints_of(self, user: int) -> list[Stint]:
        """When a user of a closed model works; users are numbered from 0."""
        if not self.is_timed:
            start = self.ramp_up * user / self.users
            own = self.iterations
            stints = [Stint(start, math.inf, counts=True, iterations=own)]
            if self.warmup:
                rounds = int(self.warmup) if own is not None else None
                stints.insert(0, Stint(start, math.inf, counts=False, iterations=rounds))
            return stints
        warm = self.warmup_seconds
        stints = []
        for start, end in self.profile.spans_of(user):
            if start < warm:
                stints.append(Stint(start, min(end, warm), counts=False, iterations=None))
            if end > warm:
                stints.append(Stint(max(start, warm), end, counts=True, iterations=None))
        return stints

    def starts(self) -> Iterator[float]:
        """When the requests of an open model are intended to start, from the release on.

        Evenly spaced, request ``i`` starts when the area under the rate reaches ``i``. A Poisson
        process is the same with amounts whose gaps are exponentially distributed with mean 1 (the
        time change of a process of unit rate), drawn from `seed`.
        """
        if self.arrivals == "poisson":
            random = Random(f"senytl arrivals {self.seed}")
            amounts: Iterator[float] = accumulate(random.expovariate(1.0) for _ in repeat(None))
        else:
            amounts = (float(number) for number in count())
        return self.profile.moments_of_area(amounts)


def _whole(area: float) -> int:
    """How many whole numbers from 0 on lie below an area."""
    return math.ceil(area - 1e-9 * (1 + area))
