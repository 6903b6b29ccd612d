"""The versioned schema of what leaves the process: files, xdist's workers, the terminal's table.

Every value is of an exact built-in type and survives a round trip through JSON. What was not
measured is None, never 0. Times are seconds, costs dollars, memory MB of 2**20 bytes.
"""

from __future__ import annotations

from typing import Literal, TypedDict

__all__ = [
    "SCHEMA",
    "EnvironmentDocument",
    "ErrorDocument",
    "GeneratorDocument",
    "GoodputDocument",
    "LLMCallsDocument",
    "OverheadDocument",
    "RunDocument",
    "SLADocument",
    "SessionDocument",
    "StartsDocument",
    "StreamingDocument",
    "TimelineDocument",
    "TotalsDocument",
    "Verdict",
]

SCHEMA = "senytl-perf/1"

Verdict = Literal["passed", "failed", "inconclusive"]


class SLADocument(TypedDict):
    """A limit and what came of it. Where `actual` is None, `why` says what was not measured."""

    metric: str
    limit: float
    actual: float | None
    held: bool
    why: str
    unit: str
    direction: Literal["lower", "higher"]
    """Which way is better: the limit is an upper one where lower is."""
    confidence: float | None
    """What the limit must hold with, for the whole interval; None where the figure alone counts."""
    interval: list[float | None] | None
    """The ends of the figure's confidence interval, at `confidence` or else 0.95, with None for an
    open end; None for metrics that have no interval."""
    doubt: str | None
    """Why the outcome is inconclusive, whatever `held` says; None where it is not."""


class LatenciesDocument(TypedDict):
    """Latencies of successful requests."""

    avg: float | None
    p50: float | None
    p75: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    min: float | None
    max: float | None


class FailedLatenciesDocument(TypedDict):
    """Latencies of failed requests."""

    avg: float | None
    max: float | None


class TokensDocument(TypedDict):
    """Tokens of all requests; cached, cache_write and reasoning are parts of the others."""

    total: int | None
    prompt: int | None
    completion: int | None
    cached: int | None
    cache_write: int | None
    reasoning: int | None
    avg_per_request: float | None
    max_per_request: int | None
    sources: dict[str, int]
    """LLM calls by who counted their tokens: provider, tokenizer, estimate."""
    output_per_second: float | None
    """Completion tokens by the seconds that the run lasted."""
    cached_share: float | None
    """Of the prompt tokens."""
    reasoning_share: float | None
    """Of the completion tokens."""


class CostDocument(TypedDict):
    """Dollars; None as soon as a called model has no price."""

    total: float | None
    avg_per_request: float | None
    max_per_request: float | None
    unpriced_models: list[str]


class MemoryDocument(TypedDict):
    """Resident memory of the process."""

    avg_mb: float | None
    max_mb: float | None
    growth: float | None
    """A share: 0.2 is 20 %."""
    leak_detected: bool | None
    samples: int


class RequestsDocument(TypedDict):
    """How many requests ended, and how."""

    total: int | None
    failed: int | None
    interrupted: int
    timed_out: int
    """Failed ones that took longer than the load's timeout."""
    success_rate: float | None


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


class LLMErrorDocument(TypedDict):
    """One kind of failure of LLM calls, the same whoever serves them."""

    kind: str
    count: int


class LLMCallsDocument(TypedDict):
    """LLM calls seen; the unattributed ones belong to no request for certain.

    A retried call is a call of its own.
    """

    total: int
    unattributed: int
    avg_per_request: float | None
    max_per_request: int | None
    tool_calls: int
    """Tools that models asked for."""
    avg_tool_calls_per_request: float | None
    max_tool_calls_per_request: int | None
    retries: int | None
    rate_limits: int | None
    failed: int | None
    error_rate: float | None
    """A share: 0.02 is 2 %."""
    errors: list[LLMErrorDocument]
    """The most frequent first."""


class TTFTDocument(TypedDict):
    """Times to the first token of streamed calls."""

    avg: float | None
    p50: float | None
    p95: float | None
    p99: float | None


class FirstOutputDocument(TypedDict):
    """Times to the first token that is not reasoning."""

    p95: float | None


class TPOTDocument(TypedDict):
    """Times per output token after the first, of streams that were read whole."""

    avg: float | None
    p50: float | None
    p95: float | None


class InterChunkDocument(TypedDict):
    """Gaps between the chunks of streams."""

    p50: float | None
    p95: float | None


class StreamingDocument(TypedDict):
    """Streamed LLM calls, and when their tokens came."""

    streams: int
    timed: int
    """Streams with a time to first token."""
    upper_bounds: int
    """How many of those may have been shorter, since their reader was busy elsewhere."""
    untimed: int
    """Streams whose timing says nothing of the model, and is left out."""
    ttft: TTFTDocument
    time_to_first_output: FirstOutputDocument
    tpot: TPOTDocument
    inter_chunk: InterChunkDocument


class OverheadDocument(TypedDict):
    """Agent overhead: time of successful requests without an LLM call in flight."""

    avg: float | None
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


class RequestLimitDocument(TypedDict):
    """A limit on each single request."""

    limits: str
    """What it limits: `latency`, `ttft`, `tpot`, `tokens`, `cost` or `llm_calls`."""
    limit: float
    unit: str
    broken: int
    """Successful requests that break it."""
    not_measured: int
    """Undetermined requests of which the figure was not measured."""


class GoodputDocument(TypedDict):
    """Requests that succeeded and kept every limit stated for each."""

    share: float | None
    """Of the good and the bad ones."""
    rps: float | None
    good: int
    bad: int
    undetermined: int
    limits: list[RequestLimitDocument]


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


class ErrorDocument(TypedDict):
    """One kind of failure, and how many requests failed with it."""

    type: str
    message: str
    count: int


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


class RunDocument(TypedDict):
    """Everything measured for one test."""

    nodeid: str
    kind: str | None
    """`benchmark` or `load_test`; None for figures made by hand."""
    verdict: Verdict
    failure: str | None
    """The error that ended the test, if one did."""
    iterations: int | None
    """How many bodies a benchmark was to measure."""
    ended_in_iteration: int | None
    """In which of them, counted from 1, the error ended it; 0 for its warm-up."""
    started_at: str | None
    """ISO 8601, in UTC."""
    duration_seconds: float | None
    users: int | None
    """Concurrent users of a load test."""
    load: str | None
    """What a load test was to do, in a line."""
    ended_early: str | None
    """Why a load test was ended before its time, if by a limit or a budget."""
    abandoned_users: list[str]
    """Users that hung when the load was over, and where."""
    requests: RequestsDocument
    starts: StartsDocument
    latencies: LatenciesDocument
    failed_latencies: FailedLatenciesDocument
    throughput_rps: float | None
    goodput: GoodputDocument
    overhead: OverheadDocument
    llm_calls: LLMCallsDocument
    streaming: StreamingDocument
    tokens: TokensDocument
    cost: CostDocument
    memory: MemoryDocument
    generator: GeneratorDocument | None
    """None for anything but a load test."""
    timeline: TimelineDocument | None
    """None for anything but a load test."""
    slas: list[SLADocument]
    errors: list[ErrorDocument]
    warnings: list[str]


class TotalsDocument(TypedDict):
    """Sums over the tests of a session."""

    tests: int
    passed: int
    failed: int
    inconclusive: int
    violations: int
    """SLAs that do not hold, those on figures that were not measured included, those that are
    inconclusive not."""
    requests: int
    failed_requests: int
    interrupted_requests: int
    llm_calls: int
    tokens: int | None
    cost: float | None
    """None where no test has a cost, and as soon as one called a model without a price."""
    unpriced_models: list[str]
    unpriced_tests: list[str]
    duration_seconds: float
    """The tests' durations added up; more than the clock's where they ran in parallel."""


class EnvironmentDocument(TypedDict):
    """Where the figures come from, without anything that names a person or a machine."""

    senytl: str
    python: str
    platform: str
    pytest: str | None
    cpu_count: int | None
    started_at: str | None
    """When the first test began."""


class SessionDocument(TypedDict):
    """Everything measured in a session."""

    schema: str
    tests: list[RunDocument]
    totals: TotalsDocument
    environment: EnvironmentDocument
