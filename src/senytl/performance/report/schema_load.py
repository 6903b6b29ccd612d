"""The schema's parts that are of load tests: their starts, their generator, their course."""

from __future__ import annotations

from typing import Literal, TypedDict

__all__ = ["GeneratorDocument", "StartsDocument", "TimelineDocument"]


class LagDocument(TypedDict):
    """How late requests started."""

    p99: float | None
    max: float | None


class ServiceTimesDocument(TypedDict):
    """Times of successful requests from their actual start, where latency counts from another."""

    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


class StartsDocument(TypedDict):
    """Starts of requests that have an intended moment; all None where they have none."""

    made: int | None
    dropped: int | None
    """Starts that were not made, because no user was free."""
    lag: LagDocument
    service_times: ServiceTimesDocument


class GeneratorLagDocument(TypedDict):
    """By how much what was due came late."""

    avg: float | None
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


class GeneratorDocument(TypedDict):
    """How well the process that made a load kept time."""

    kind: Literal["loop", "threads"]
    """What was looked at: timers of the event loop, or a thread that slept."""
    lag: GeneratorLagDocument
    cpu_share: float
    """CPU seconds by seconds; 1.0 is one core."""
    saturated: bool
    """Whether it was the bottleneck."""
    gc_pauses: int
    gc_seconds: float
    longest_gc: float


class TimelineDocument(TypedDict):
    """A load test over time: columns of equal length, a place in each for every interval."""

    start: list[float]
    """Seconds from the beginning of the part that counts."""
    seconds: list[float]
    requests: list[int]
    """Requests that ended, failed ones included."""
    failed: list[int]
    timed_out: list[int]
    """Of the failed ones."""
    dropped: list[int]
    """Starts that were not made."""
    users: list[int]
    """The most that were at work."""
    p50: list[float | None]
    """Latencies of the successful requests, within 1 %; None without one."""
    p95: list[float | None]
    p99: list[float | None]
    tokens: list[int | None]
    """Tokens of the LLM calls that ended; None where they are not known."""
    cost: list[float | None]
    """Dollars of these calls; None where one of them has no price."""
    memory_mb: list[float | None]
    """The most resident memory of the process; None without a sample."""
