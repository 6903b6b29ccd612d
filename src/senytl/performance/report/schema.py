"""The versioned schema of what leaves the process: files, xdist's workers, the terminal's table.

Every value is of an exact built-in type and survives a round trip through JSON. What was not
measured is None, never 0. Times are seconds, costs dollars, memory MB of 2**20 bytes.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from senytl.performance.report.schema_load import (
    GeneratorDocument,
    StartsDocument,
    TimelineDocument,
)
from senytl.performance.report.schema_memory import MemoryDocument

__all__ = [
    "SCHEMA",
    "EnvironmentDocument",
    "ErrorDocument",
    "GeneratorDocument",
    "GoodputDocument",
    "LLMCallsDocument",
    "MemoryDocument",
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
    outcome: str | None
    """What came out, where `actual` alone does not say it; None where it does."""


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


class RequestsDocument(TypedDict):
    """How many requests ended, and how."""

    total: int | None
    failed: int | None
    interrupted: int
    timed_out: int
    """Failed ones that took longer than the load's timeout."""
    success_rate: float | None


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


class ErrorDocument(TypedDict):
    """One kind of failure, and how many requests failed with it."""

    type: str
    message: str
    count: int


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
