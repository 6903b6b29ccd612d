"""The plan of a load test: who starts when, and when it ends; nothing here runs anything."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["DEFAULT_GRACE", "LoadPlan"]

DEFAULT_GRACE = 30.0
"""Seconds that requests in flight are waited for, as k6's ``gracefulStop`` has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """A closed model: users that each send their next request when the last one has ended.

    Times are seconds from the moment at which the users are released.

    Args:
        concurrent_users: How many users there are, at least 1.
        duration: How long they start requests. Not together with `iterations`.
        iterations: How many bodies each user runs, at least 1; 1 where neither is given.
        ramp_up: Over how long the users start, evenly spaced: user ``i`` of ``n``, counted from
            0, starts at ``ramp_up * i / n``. Shorter than `duration`.
        grace: How long requests that are in flight at the end of `duration` may take to end;
            after that they are interrupted. Without a duration nothing ends the users but their
            iterations.

    Raises:
        ValueError: If a value makes no sense, or contradicts another.
    """

    concurrent_users: int
    duration: float | None = None
    iterations: int | None = None
    ramp_up: float = 0.0
    grace: float = DEFAULT_GRACE

    def __post_init__(self) -> None:
        _check_count("concurrent_users", self.concurrent_users)
        if self.duration is None and self.iterations is None:
            object.__setattr__(self, "iterations", 1)
        elif self.duration is not None and self.iterations is not None:
            raise ValueError(
                f"duration is {self.duration!r} and iterations is {self.iterations!r}; "
                "a load ends by one of them: give only one"
            )
        if self.iterations is not None:
            _check_count("iterations", self.iterations)
        _check_seconds("ramp_up", self.ramp_up)
        _check_seconds("grace", self.grace)
        if self.duration is None:
            return
        _check_seconds("duration", self.duration)
        if self.duration == 0:
            raise ValueError(f"duration is {self.duration!r}; it must be above 0 seconds")
        if self.ramp_up >= self.duration:
            raise ValueError(
                f"ramp_up is {self.ramp_up!r} and duration is {self.duration!r}; the ramp-up is "
                "part of the duration, so it must be shorter"
            )

    def start_of(self, user: int) -> float:
        """When a user starts its first request; users are numbered from 0."""
        return self.ramp_up * user / self.concurrent_users

    @property
    def deadline(self) -> float:
        """When users stop to start requests; infinite for a plan of iterations."""
        return math.inf if self.duration is None else self.duration

    @property
    def cut_off(self) -> float:
        """When requests still in flight are interrupted; infinite for a plan of iterations."""
        return self.deadline + self.grace

    @property
    def total_iterations(self) -> int | None:
        """Bodies that all users run together; None for a plan with a duration."""
        return None if self.iterations is None else self.concurrent_users * self.iterations


def _check_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}; it must be an integer of at least 1")


def _check_seconds(name: str, value: object) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or value < 0
    ):
        raise ValueError(f"{name} is {value!r}; it must be a number of seconds, 0 or more")
