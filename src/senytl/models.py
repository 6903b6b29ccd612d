"""The plain data that every part of senytl speaks: LLM calls, replies, token usage, errors.

Nothing here imports another module of senytl, and nothing here measures: these are the
nouns. Times are seconds, token counts are integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "ErrorKind",
    "LLMCallRecord",
    "MisuseError",
    "MockResponse",
    "Outcome",
    "PerformanceError",
    "SenytlError",
    "SenytlResponse",
    "TokenSource",
    "TokenUsage",
    "ToolCall",
]

TokenSource = Literal["provider", "tokenizer", "estimate"]
"""Who counted: the API's own usage, tiktoken, or an estimate by character classes."""

Outcome = Literal["completed", "failed", "abandoned", "cancelled"]
"""How an LLM call ended: its reply came whole; an error came instead of it, or in the middle of
it; nobody read its stream to the end; the code that made it was cancelled."""

ErrorKind = Literal[
    "rate_limit",
    "overloaded",
    "server_error",
    "authentication",
    "invalid_request",
    "timeout",
    "connection",
    "truncated",
    "stream_error",
    "unanswered",
    "budget",
    "other",
]
"""What went wrong with an LLM call, the same whoever serves it.

``unanswered`` is a call that no mock or recording answers, where one of them must; ``budget`` one
that was not sent for the sake of the session's budget.
"""

_TRUST: tuple[TokenSource, ...] = ("provider", "tokenizer", "estimate")


class SenytlError(Exception):
    """Base of every error that senytl raises on purpose."""


class PerformanceError(SenytlError):
    """A figure cannot be given or judged: nothing was measured, or a limit makes no sense."""


class MisuseError(PerformanceError, ValueError):
    """A value given to one of senytl's functions makes no sense.

    In the body of a load test it stops the load: it is a mistake in the test, not in the agent.
    """


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one call, or of several added together.

    Args:
        prompt_tokens: Input tokens, cached ones included (OpenTelemetry's GenAI rule).
        completion_tokens: Output tokens, reasoning included.
        total_tokens: Their sum unless given; 0 stands for "not given".
        cached_tokens: The part of the prompt that was read from the provider's cache.
        cache_write_tokens: The part of the prompt that was written to the provider's cache.
        reasoning_tokens: The part of the completion that was reasoning.
        source: Who counted. A sum has the least trusted source of its parts.

    Raises:
        ValueError: If a count is negative.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = field(default=0, kw_only=True)
    cache_write_tokens: int = field(default=0, kw_only=True)
    reasoning_tokens: int = field(default=0, kw_only=True)
    source: TokenSource = field(default="provider", kw_only=True)

    def __post_init__(self) -> None:
        if not self.total_tokens:
            object.__setattr__(self, "total_tokens", self.prompt_tokens + self.completion_tokens)
        for name in ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens",
                     "cache_write_tokens", "reasoning_tokens"):  # fmt: skip
            if getattr(self, name) < 0:
                raise ValueError(
                    f"TokenUsage.{name} is {getattr(self, name)}; it must be 0 or more"
                )

    def __add__(self, other: TokenUsage) -> TokenUsage:
        if not isinstance(other, TokenUsage):
            return NotImplemented
        return TokenUsage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.total_tokens + other.total_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            source=max(self.source, other.source, key=_TRUST.index),
        )

    @classmethod
    def sum(cls, usages: Iterable[TokenUsage]) -> TokenUsage:
        """Add usages; no usages add up to zero tokens."""
        total = cls()
        for usage in usages:
            total += usage
        return total


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool that a model asked for.

    Args:
        name: The tool's name.
        arguments: Its arguments, parsed. Arguments that are not a JSON object stand whole
            under the key ``"_raw"``.
        id: The provider's identifier of this call, where it has one.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None


@dataclass(frozen=True, slots=True)
class MockResponse:
    """What a model replied, or what a mocked model shall reply.

    Args:
        text: The text, without reasoning.
        tool_calls: The tools that the model asked for.
        usage: The tokens that the provider reported, or that a mock shall report; None where
            the provider said nothing, or where a mock shall count them.
        reasoning: The reasoning text, where the provider shows it.
        finish_reason: Why the model stopped, in the provider's own word.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] | list[ToolCall] = ()
    usage: TokenUsage | None = None
    reasoning: str = ""
    finish_reason: str | None = None


@dataclass(slots=True)
class LLMCallRecord:
    """One call of a model's API; a retried call is a call of its own.

    Never holds headers, keys or cookies. Chunks are the events of a stream that bring text,
    reasoning or a part of a tool call; events without any (roles, pings) are none.

    Args:
        provider: Who served it: ``"openai"``, ``"anthropic"``, ``"google"``, or the host's name.
        model: The model that was asked for.
        request: The request's JSON body.
        response: The reply; empty where the call failed.
        usage: Tokens as the provider reported them; None where it reported none.
        api: The wire format, such as ``"openai-chat"`` or ``"anthropic-messages"``; empty for a
            record made by hand.
        response_model: The model that answered, often with a date in its name.
        service_tier: The provider's service tier, where the reply names one.
        timestamp: When the call started, in Unix time; prices depend on the day.
        start: When it started on the clock of `time.perf_counter`.
        duration_seconds: From the call's start to the end of its reply, streams included.
        streamed: Whether the reply was a stream.
        status: The HTTP status; None where no response came.
        error: What went wrong, as ``"type: message"``; None for a call that succeeded.
        mocked: Whether a mock or a recording answered.
        outcome: How it ended.
        error_kind: What kind of error; None for a call without one.
        ttft: Time to first token: seconds from the call's start to its first chunk; None for a
            reply that was no stream, and where no chunk came.
        time_to_first_output: The same to the first chunk that is not reasoning.
        ttft_is_upper_bound: Whether the code that read the stream came late for the first chunk,
            which may have been there earlier.
        chunks: How many chunks came.
        chunk_gaps: Seconds between each chunk and the one before it.
        timing_valid: False where another library read the whole reply before the code that made
            the call got any of it (vcrpy does): such timings say nothing of the model.
        attempt: 1 for the first attempt at a logical call, 2 for its first retry, and so on.
        logical_id: The same number for all attempts at one logical call; None for a record made
            by hand.
        retry_wait_seconds: From the end of the attempt before it to the start of this one; None
            for a first attempt, and where the one before was not seen.
    """

    provider: str
    model: str
    request: Mapping[str, Any]
    response: MockResponse = field(default_factory=MockResponse)
    usage: TokenUsage | None = None
    api: str = ""
    response_model: str | None = None
    service_tier: str | None = None
    timestamp: float | None = None
    start: float | None = None
    duration_seconds: float | None = None
    streamed: bool = False
    status: int | None = None
    error: str | None = None
    mocked: bool = False
    outcome: Outcome = "completed"
    error_kind: ErrorKind | None = None
    ttft: float | None = None
    time_to_first_output: float | None = None
    ttft_is_upper_bound: bool = False
    chunks: int = 0
    chunk_gaps: Sequence[float] = ()
    timing_valid: bool = True
    attempt: int = 1
    logical_id: int | None = None
    retry_wait_seconds: float | None = None

    @property
    def tpot(self) -> float | None:
        """Time per output token: ``(duration - ttft) / (completion tokens - 1)``, in seconds.

        None without a first token, for fewer than two tokens, and without the provider's count.
        """
        if self.ttft is None or self.duration_seconds is None or self.usage is None:
            return None
        if self.usage.completion_tokens < 2:
            return None
        return (self.duration_seconds - self.ttft) / (self.usage.completion_tokens - 1)


@dataclass(slots=True, eq=False)
class SenytlResponse:
    """What one run of a wrapped agent gave.

    Args:
        text: The agent's answer as text.
        raw: What the agent itself returned.
        duration_seconds: How long the run took.
        llm_calls: The LLM calls made inside the run, in the order in which they ended.
    """

    text: str
    raw: Any
    duration_seconds: float
    llm_calls: list[LLMCallRecord] = field(default_factory=list)

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tools that the models asked for during the run, in order."""
        return [tool for call in self.llm_calls for tool in call.response.tool_calls]
