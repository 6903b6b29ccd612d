"""The figures of one run, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isinf
from typing import TYPE_CHECKING

from senytl.performance.leaks.limits import LEAK_THRESHOLD
from senytl.performance.metric.cost import CostMetrics
from senytl.performance.metric.goodput import GoodputMetrics
from senytl.performance.metric.latency import LatencyMetrics
from senytl.performance.metric.llm_calls import LLMCallMetrics
from senytl.performance.metric.load import LoadMetrics
from senytl.performance.metric.memory import MemoryMetrics
from senytl.performance.metric.overhead import OverheadMetrics
from senytl.performance.metric.reliability import ReliabilityMetrics
from senytl.performance.metric.streaming import StreamingMetrics
from senytl.performance.metric.tokens import TokenMetrics
from senytl.performance.metric.units import write_count
from senytl.performance.request_limits import Goodput
from senytl.performance.series import Series

if TYPE_CHECKING:
    from senytl.models import TokenSource, TokenUsage
    from senytl.performance.leaks.evidence import LeakEvidence
    from senytl.performance.load.health import GeneratorHealth
    from senytl.performance.memory import MemorySnapshot
    from senytl.performance.pricing import CostEstimate
    from senytl.performance.sla import Judgement
    from senytl.performance.timeline import Timeline

__all__ = ["SUCCESS_METRICS", "PerformanceMetrics", "RequestError"]

_MOST_NAMED = 3
"""How many users that hung are named in a warning."""

SUCCESS_METRICS = frozenset(("success_rate", "error_rate", "failed_requests"))
"""The metrics of which an SLA says how many requests may fail."""


@dataclass(frozen=True, slots=True)
class RequestError:
    """One kind of failure among the requests of a run.

    Args:
        type: The exception's class name, or ``"error"`` for an error recorded as a text.
        message: Its message, shortened, with secrets removed.
        count: How many requests failed with it.
    """

    type: str
    message: str
    count: int = 1

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


@dataclass(eq=False, repr=False)
class PerformanceMetrics(
    LatencyMetrics,
    StreamingMetrics,
    OverheadMetrics,
    TokenMetrics,
    CostMetrics,
    LLMCallMetrics,
    ReliabilityMetrics,
    LoadMetrics,
    GoodputMetrics,
    MemoryMetrics,
):
    """Everything measured for one test: the lists below, and every metric as an attribute.

    A finished run fills it; a test may also make an empty one and assign the lists, and
    ``total_requests``, ``failed_requests`` and ``throughput_rps``. Averages and percentiles read
    NaN where nothing was measured, counts and sums read 0; an SLA on them is an error either way.

    Args:
        latencies: Seconds of each successful request.
        failed_latencies: Seconds of each failed request.
        token_usage: Tokens of each request, failed ones included; empty where no LLM call was
            seen in the whole run.
        costs: Dollars of each request whose calls all have a price.
        memory_snapshots: Memory of the process, sampled during the run.
        errors: The kinds of failure, the most frequent first.
        interrupted_requests: Requests that had not ended when the run was over. They are not
            among the total, nor in any latency or share.
        unended_runs: Runs of wrapped agents that began in a body and had not ended when it was
            over, such as those of an async agent that nobody awaited.
        duration_seconds: How long the run measured: the time of the bodies of a benchmark, the
            time from the start of a load to its end.
        concurrent_users: Users of a load test; 0 for a benchmark.
        llm_calls: How many LLM calls were seen.
        unattributed_calls: How many of them could be attributed to no request; their tokens and
            dollars stand with the last one.
        unseen_ways: The ways on which LLM calls left the process unseen, such as ``"2 WebSocket
            connections to openai"``; empty where there was none.
        replay_speed: The speed at which a recording answered, if not at that of the recording;
            infinity without waiting.
        token_sources: How many calls' tokens were counted by whom.
        guessed_calls: How many calls to a real model have estimated tokens.
        unpriced_models: Models that were called and have no price.
        ttfts: Seconds to the first token of each streamed call, whatever became of the rest.
        first_outputs: The same to the first chunk that is not reasoning.
        tpots: Seconds per output token of each stream that was read whole.
        chunk_gaps: Seconds between the chunks of all streams.
        streamed_calls: How many LLM calls were streamed.
        late_first_tokens: How many of the `ttfts` are upper bounds.
        untimed_streams: How many streams have timings that say nothing of the model.
        calls_per_request: LLM calls of each request; empty where none was seen in the whole run.
        tool_calls_per_request: Tool calls that the models of each request asked for, likewise.
        tool_calls: Tool calls that models asked for, in all.
        retried_calls: How many LLM calls repeat one that failed.
        rate_limited_calls: How many the provider refused because they were too many.
        llm_errors_by_kind: LLM calls that failed, by the kind of error, the most frequent first.
        agent_overheads: Seconds of each successful request in which no LLM call was in flight.
        request_verdicts: What came of the limits that are stated for each request.
        service_times: Seconds of each successful request from its actual start; only of a load
            whose requests have an intended one, from which its latency counts.
        start_lags: Seconds by which each request of such a load started late.
        dropped_starts: How many starts such a load did not make, because no user was free.
        timed_out_requests: How many of the failed requests took longer than the load's timeout.
        abandoned_users: Users that hung when the load was over, and where they did.
        generator: How well the load generator kept time; None for anything but a load test.
        timeline: A load test over time.
        leak_evidence: How memory grew between rounds of requests, where a leak check was asked for.
        plan: What a load test was to do, in a line.
        ended_early: Why a load test was ended before its time, if by a limit or a budget.
        allow_inconclusive: Whether a verdict that the load generator makes doubtful is no failure.
        judgements: The SLAs that were checked, and how.
        name: The test's name, its node id under pytest.
        kind: ``"benchmark"``, ``"load_test"``, or empty for figures made by hand.
        failure: The error that ended the test, if one did, as ``"type: message"``.
        iterations: How many bodies a benchmark was to measure; 0 for anything else.
        ended_in_iteration: In which of them, counted from 1, an error ended it; 0 for its
            warm-up, None where none did.
        started_at: When the run began, in Unix time; 0 for figures made by hand.
    """

    latencies: Sequence[float] = field(default_factory=Series)
    failed_latencies: Sequence[float] = field(default_factory=Series)
    token_usage: Sequence[TokenUsage] = field(default_factory=list)
    costs: Sequence[CostEstimate] = field(default_factory=list)
    memory_snapshots: Sequence[MemorySnapshot] = field(default_factory=list)
    errors: list[RequestError] = field(default_factory=list)
    interrupted_requests: int = 0
    unended_runs: int = 0
    duration_seconds: float = 0.0
    concurrent_users: int = 0
    llm_calls: int = 0
    unattributed_calls: int = 0
    unseen_ways: str = ""
    replay_speed: float | None = None
    token_sources: dict[TokenSource, int] = field(default_factory=dict)
    guessed_calls: int = 0
    unpriced_models: tuple[str, ...] = ()
    ttfts: Sequence[float] = field(default_factory=Series)
    first_outputs: Sequence[float] = field(default_factory=Series)
    tpots: Sequence[float] = field(default_factory=Series)
    chunk_gaps: Sequence[float] = field(default_factory=Series)
    streamed_calls: int = 0
    late_first_tokens: int = 0
    untimed_streams: int = 0
    calls_per_request: Sequence[int] = field(default_factory=list)
    tool_calls_per_request: Sequence[int] = field(default_factory=list)
    tool_calls: int = 0
    retried_calls: int = 0
    rate_limited_calls: int = 0
    llm_errors_by_kind: dict[str, int] = field(default_factory=dict)
    agent_overheads: Sequence[float] = field(default_factory=Series)
    request_verdicts: Goodput = field(default_factory=Goodput)
    service_times: Sequence[float] = field(default_factory=Series)
    start_lags: Sequence[float] = field(default_factory=Series)
    # Fields of the run and metrics at once: the metrics have the formulas.
    dropped_starts: int = 0
    timed_out_requests: int = 0
    abandoned_users: list[str] = field(default_factory=list)
    generator: GeneratorHealth | None = None
    timeline: Timeline | None = None
    leak_evidence: LeakEvidence | None = None
    plan: str = ""
    ended_early: str | None = None
    allow_inconclusive: bool = False
    judgements: list[Judgement] = field(default_factory=list)
    name: str = ""
    kind: str = ""
    failure: str | None = None
    iterations: int = 0
    ended_in_iteration: int | None = None
    started_at: float = 0.0

    @property
    def memory_leak_detected(self) -> bool:
        """Whether memory leaks, as `assert_no_memory_leaks` judges it with its own limits.

        Where no leak check was asked for, whether memory grew by more than 20 %; False where
        that was not measured either.
        """
        if self.leak_evidence is not None:
            return self.leak_evidence.finding.outcome == "leak"
        return self.memory_growth > LEAK_THRESHOLD

    @property
    def verdict(self) -> str:
        """``"failed"`` if an SLA does not hold or an error ended the test, else ``"passed"``.

        A load test whose requests failed has failed too, unless an SLA says how many may. It is
        ``"inconclusive"`` where nothing failed, but the load generator makes an SLA doubtful.
        """
        broken = any(not one.held and not one.doubt for one in self.judgements)
        if self.failure is not None or broken:
            return "failed"
        allowed = any(one.sla.metric in SUCCESS_METRICS for one in self.judgements)
        unexpected = self.kind == "load_test" and self.failed_requests > 0 and not allowed
        if unexpected:
            return "failed"
        return "inconclusive" if any(one.doubt for one in self.judgements) else "passed"

    @property
    def warnings(self) -> list[str]:
        """What a reader of the figures must know about how far they can be trusted."""
        from senytl.performance.cautions import caution

        notes = []
        if self.unended_runs:
            runs = write_count(self.unended_runs, "run")
            notes.append(
                f"{runs} of a wrapped agent had not ended when the body was over, and no request "
                "tells of what came of them: await an async agent's run, in an async test"
            )
        if self.unseen_ways:
            notes.append(
                f"LLM calls may be missing from every figure: there was {self.unseen_ways}, "
                "and what goes that way is not seen"
            )
        if unanswered := self.llm_errors_by_kind.get("unanswered"):
            notes.append(
                f"no mock or recording answered {write_count(unanswered, 'LLM call')}: the agent "
                "got an error instead, whatever it made of that"
            )
        if self.replay_speed is not None:
            how = "without waiting" if isinf(self.replay_speed) else f"at {self.replay_speed:g}x"
            notes.append(
                f"a recording was replayed {how}: times are not those that the real models took"
            )
        if self.unattributed_calls:
            notes.append(
                f"{write_count(self.unattributed_calls, 'LLM call')} could not be attributed to a "
                "request; the tokens and cost stand with the last one"
            )
        if self.unpriced_models:
            notes.append(f"no price for {', '.join(self.unpriced_models)}: cost is not known")
        if self.late_first_tokens:
            streams = write_count(len(self.ttfts), "stream")
            notes.append(
                f"the first token of {self.late_first_tokens:,} of {streams} may have come "
                "earlier: the code that read them was busy elsewhere"
            )
        if self.untimed_streams:
            notes.append(
                f"the timing of {write_count(self.untimed_streams, 'stream')} is invalid and left "
                "out: another library read the replies before the agent got them"
            )
        if self.guessed_calls:
            notes.append("some token counts are estimates: their provider reported none")
        verdicts = self.request_verdicts
        if verdicts.undetermined:
            figures = ", ".join(verdicts.unmeasured)
            requests = write_count(self.total_requests, "request")
            verb = "is" if verdicts.undetermined == 1 else "are"
            notes.append(
                f"{verdicts.undetermined:,} of {requests} {verb} not part of goodput: {figures} "
                "not measured"
            )
        if self.ended_early is not None:
            notes.append(f"the load was ended before its time: {self.ended_early}")
        if self.abandoned_users:
            shown = "; ".join(self.abandoned_users[:_MOST_NAMED])
            more = ", ..." if len(self.abandoned_users) > _MOST_NAMED else ""
            users = write_count(len(self.abandoned_users), "user")
            notes.append(f"{users} left behind, still busy when the load was over: {shown}{more}")
        if self.interrupted_requests:
            notes.append(
                f"{write_count(self.interrupted_requests, 'request')} had not ended when the load "
                "was over; not among the requests above"
            )
        if self.dropped_starts:
            notes.append(
                f"{write_count(self.dropped_starts, 'start')} of the load were dropped, since no "
                "user was free: the load was lighter than planned"
            )
        if self.generator is not None:
            from senytl.performance.load.health import note_on

            if late := note_on(self.generator, self.p95_latency):
                notes.append(late)
        if weak := caution(self.judgements, self):
            notes.append(weak)
        return notes

    def __repr__(self) -> str:
        name = f"{self.name}: " if self.name else ""
        requests = write_count(self.total_requests, "request")
        failed = f", {self.failed_requests:,} failed" if self.failed_requests else ""
        return f"<PerformanceMetrics {name}{requests}{failed}; {self.verdict}>"
