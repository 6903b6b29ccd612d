"""LLM calls as columns of numbers: what the figures of a run need to know of each.

A record of a call holds its whole request and reply; a load test of a million calls cannot keep
them.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, get_args

from senytl.models import ErrorKind, TokenSource
from senytl.performance.distribution import Distribution

if TYPE_CHECKING:
    from senytl.models import LLMCallRecord

__all__ = ["SLOT_SECONDS", "SOURCES", "TOKEN_COLUMNS", "CallColumns", "CalledModel", "Flag"]

SOURCES: tuple[TokenSource, ...] = get_args(TokenSource)
TOKEN_COLUMNS = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "source_number",
)
SLOT_SECONDS = 900.0
"""Seconds of which all calls have one price: a vendor's cheap hours begin at a half hour."""

_ERROR_KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)
_NO_ERROR = -1
_NOT_MEASURED = math.nan


class CalledModel(NamedTuple):
    """What a price depends on, besides the tokens."""

    asked_for: str
    answered: str | None
    provider: str
    service_tier: str | None
    slot: int | None


class Flag:
    """What is true or false of a call, as bits of one column."""

    STREAMED: Final = 1
    LATE_READER: Final = 2
    """Its time to first token is an upper bound."""
    UNTIMED: Final = 4
    """It was streamed, and its timing says nothing of the model."""
    RETRY: Final = 8
    RATE_LIMITED: Final = 16
    COMPLETED: Final = 32
    LEFT_OVER: Final = 64
    """It began in no request that ended: one stands in for it in the sums, and in nothing else."""
    GUESSED: Final = 128
    """A real model's call with estimated tokens."""


class CallColumns:
    """One row for each call, in the order in which they were read.

    Attributes:
        request: The number of the request that it belongs to.
        model: The number of its model, in the order of `models`.
        tokens: A column for each of `TOKEN_COLUMNS`.
        start: On the clock of `time.perf_counter`; NaN where that is not known.
        duration: Seconds; NaN where that is not known.
        ttft: Seconds; NaN where no first token was timed.
        first_output: The same to the first chunk that is not reasoning.
        tools: How many tools the model asked for.
        flags: Bits of `Flag`.
        models: The models that were called, in order.
        gaps: Seconds between chunks, of all calls together.
    """

    __slots__ = ("_error", "duration", "first_output", "flags", "gaps", "model", "models",
                 "request", "start", "tokens", "tools", "ttft")  # fmt: skip

    def __init__(self) -> None:
        self.models: dict[CalledModel, int] = {}
        self.request = array("q")
        self.model = array("i")
        self.tokens = tuple(array("q") for _ in TOKEN_COLUMNS)
        self.start, self.duration = array("d"), array("d")
        self.ttft, self.first_output = array("d"), array("d")
        self.tools = array("i")
        self.flags = array("H")
        self._error = array("b")
        self.gaps = Distribution()

    def __len__(self) -> int:
        return len(self.request)

    def append(self, request: int, call: LLMCallRecord, *, left_over: bool) -> None:
        """Read a call: its tokens are counted where its provider reported none."""
        from senytl.performance.tokens import usage_of

        usage = usage_of(call)
        slot = None if call.timestamp is None else int(call.timestamp // SLOT_SECONDS)
        model = CalledModel(call.model, call.response_model, call.provider, call.service_tier, slot)
        self.request.append(request)
        self.model.append(self.models.setdefault(model, len(self.models)))
        row = (
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.total_tokens,
            usage.cached_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
            SOURCES.index(usage.source),
        )
        for column, value in zip(self.tokens, row, strict=True):
            column.append(value)
        timed = call.streamed and call.timing_valid
        self.start.append(_number(call.start))
        self.duration.append(_number(call.duration_seconds))
        self.ttft.append(_number(call.ttft) if timed else _NOT_MEASURED)
        self.first_output.append(_number(call.time_to_first_output) if timed else _NOT_MEASURED)
        self.tools.append(len(call.response.tool_calls))
        kind = _error_kind_of(call)
        self._error.append(_NO_ERROR if kind is None else _ERROR_KINDS.index(kind))
        self.flags.append(
            Flag.STREAMED * call.streamed
            | Flag.LATE_READER * (timed and call.ttft is not None and call.ttft_is_upper_bound)
            | Flag.UNTIMED * (call.streamed and not call.timing_valid)
            | Flag.RETRY * (call.attempt > 1)
            | Flag.RATE_LIMITED * (kind == "rate_limit" or call.status == 429)
            | Flag.COMPLETED * (call.outcome == "completed" and kind is None)
            | Flag.LEFT_OVER * left_over
            | Flag.GUESSED * (usage.source == "estimate" and not call.mocked)
        )
        if timed and call.chunk_gaps:
            self.gaps.extend(call.chunk_gaps)

    def extend(self, other: CallColumns, offset: int) -> None:
        """Take over another user's calls, whose requests are numbered from `offset` on."""
        numbers = [self.models.setdefault(model, len(self.models)) for model in other.models]
        self.request.extend(array("q", (request + offset for request in other.request)))
        self.model.extend(array("i", (numbers[model] for model in other.model)))
        for column, more in zip(self._plain(), other._plain(), strict=True):
            column.extend(more)
        self.gaps.extend(other.gaps)

    def _plain(self) -> Iterator[array]:  # type: ignore[type-arg]  # of integers and of floats
        yield from self.tokens
        yield from (self.start, self.duration, self.ttft, self.first_output)
        yield from (self.tools, self.flags, self._error)

    def count(self, flag: int) -> int:
        """How many calls have a flag."""
        return sum(1 for flags in self.flags if flags & flag)

    def tpot(self, call: int) -> float:
        """Seconds per output token after the first; NaN for a stream that was not read whole.

        Of a stream that nobody read to its end, or that broke, providers do not report what was
        generated in the time that it took.
        """
        tokens = self.tokens[1][call]
        if tokens < 2 or not self.flags[call] & Flag.COMPLETED:
            return _NOT_MEASURED
        return (self.duration[call] - self.ttft[call]) / (tokens - 1)

    def errors(self) -> dict[str, int]:
        """How many calls failed, by kind, the most frequent first."""
        counts = Counter(self._error)
        del counts[_NO_ERROR]
        return {_ERROR_KINDS[kind]: count for kind, count in counts.most_common()}


def _number(seconds: float | None) -> float:
    return _NOT_MEASURED if seconds is None else seconds


def _error_kind_of(call: LLMCallRecord) -> ErrorKind | None:
    """What went wrong with a call that failed.

    A record made by hand may hold nothing but the error's text. A stream that nobody read to its
    end, and a call that the agent itself cancelled, did not fail.
    """
    failed = call.outcome == "failed" or (call.outcome == "completed" and call.error is not None)
    if not failed:
        return None
    return call.error_kind if call.error_kind in _ERROR_KINDS else "other"
