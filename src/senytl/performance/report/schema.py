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
    "RunDocument",
    "SLADocument",
    "SessionDocument",
    "TotalsDocument",
    "Verdict",
]

SCHEMA = "senytl-perf/1"

Verdict = Literal["passed", "failed"]


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
    success_rate: float | None


class LLMCallsDocument(TypedDict):
    """LLM calls seen; the unattributed ones belong to no request for certain."""

    total: int
    unattributed: int


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
    started_at: str | None
    """ISO 8601, in UTC."""
    duration_seconds: float | None
    users: int | None
    """Concurrent users of a load test."""
    requests: RequestsDocument
    latencies: LatenciesDocument
    failed_latencies: FailedLatenciesDocument
    throughput_rps: float | None
    llm_calls: LLMCallsDocument
    tokens: TokensDocument
    cost: CostDocument
    memory: MemoryDocument
    slas: list[SLADocument]
    errors: list[ErrorDocument]
    warnings: list[str]


class TotalsDocument(TypedDict):
    """Sums over the tests of a session."""

    tests: int
    passed: int
    failed: int
    violations: int
    """SLAs that do not hold, those on figures that were not measured included."""
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
