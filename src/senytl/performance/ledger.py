"""The LLM calls of a run: kept until they can be read without disturbing it, then added up.

Reading a call's reply, and counting tokens that its provider did not report, takes the
interpreter from the other users. So calls wait until the run is over, unless too much waits.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from senytl.models import TokenSource, TokenUsage
from senytl.performance.call_columns import (
    SLOT_SECONDS,
    SOURCES,
    TOKEN_COLUMNS,
    CallColumns,
    Flag,
)
from senytl.performance.series import Rows

if TYPE_CHECKING:
    from senytl.models import LLMCallRecord
    from senytl.performance.pricing import CostEstimate, Pricing

__all__ = ["CallLedger", "Totals"]

_COST_COLUMNS = ("prompt_cost", "completion_cost", "total_cost")
_MOST_WAITING = 64_000_000
_CALL_BYTES = 4_000
"""What a waiting call takes besides its reply: its record and its parsed request."""


class _Backlog:
    """Bytes that wait in all ledgers of this process, roughly: users add to it without a lock."""

    size = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """The ledger of a whole run, added up for each request.

    Args:
        token_usage: Tokens of each request; empty where there was no call at all.
        costs: Dollars of each request whose calls all have a price.
        unpriced_models: Models without a price, in alphabetical order.
        sources: Calls by who counted their tokens.
        guessed: Calls to a real model whose tokens are an estimate.
        call_costs: Dollars of each call; NaN for one without a price.
        own_tokens: Tokens of each request's own calls, without those that were left over.
        own_costs: Dollars of them; NaN for a request with a call without a price.
    """

    token_usage: Sequence[TokenUsage] = ()
    costs: Sequence[CostEstimate] = ()
    unpriced_models: tuple[str, ...] = ()
    sources: dict[TokenSource, int] = field(default_factory=dict)
    guessed: int = 0
    call_costs: Sequence[float] = ()
    own_tokens: Sequence[int] = ()
    own_costs: Sequence[float] = ()


class CallLedger:
    """The LLM calls of some requests, which are known by their number."""

    __slots__ = ("_columns", "_waiting", "_waiting_bytes")

    def __init__(self) -> None:
        self._columns = CallColumns()
        self._waiting: list[tuple[int, LLMCallRecord, bool]] = []
        self._waiting_bytes = 0

    def __len__(self) -> int:
        return len(self._columns) + len(self._waiting)

    def __del__(self) -> None:
        _Backlog.size -= self._waiting_bytes

    def add(self, request: int, call: LLMCallRecord, *, left_over: bool = False) -> None:
        """Note a call of a request.

        Args:
            request: The request's number.
            call: The call, which is not read yet.
            left_over: Whether it began in no request that ended, so that this one only stands in
                for it: in the sums of tokens and dollars, and in nothing that is said of it alone.
        """
        self._waiting.append((request, call, left_over))
        size = _CALL_BYTES + getattr(call, "unread_bytes", 0)
        self._waiting_bytes += size
        _Backlog.size += size
        if _Backlog.size > _MOST_WAITING:
            self.columns()

    def columns(self) -> CallColumns:
        """All calls, read."""
        waiting, self._waiting = self._waiting, []
        _Backlog.size -= self._waiting_bytes
        self._waiting_bytes = 0
        waiting.reverse()
        while waiting:  # each record may go as soon as it was read
            request, call, left_over = waiting.pop()
            if getattr(call, "is_llm_call", True):
                self._columns.append(request, call, left_over=left_over)
        return self._columns

    def extend(self, other: CallLedger, offset: int) -> None:
        """Take over another user's calls, whose requests are numbered from `offset` on."""
        self.columns().extend(other.columns(), offset)

    def total(self, requests: int, pricing: Pricing) -> Totals:
        """Add up and price the calls of requests numbered from 0.

        Args:
            requests: How many requests there were; those without a call count as 0 tokens.
            pricing: What the models cost.
        """
        from senytl.performance.pricing import CostEstimate

        calls = self.columns()
        if not requests or not len(calls):
            return Totals()
        sums = [array("q", bytes(8 * requests)) for _ in TOKEN_COLUMNS]
        dollars = [array("d", bytes(8 * requests)) for _ in _COST_COLUMNS]
        own_tokens, own_costs = array("q", bytes(8 * requests)), array("d", bytes(8 * requests))
        call_costs = array("d")
        unpriced_requests: set[int] = set()
        unpriced_models: set[str] = set()
        models = list(calls.models)
        rows = zip(
            calls.request, calls.model, calls.flags, zip(*calls.tokens, strict=True), strict=True
        )
        for request, number, flags, row in rows:
            for column, value in zip(sums[:-1], row[:-1], strict=True):
                column[request] += value
            sums[-1][request] = max(sums[-1][request], row[-1])
            model = models[number]
            cost = pricing.price(
                _usage(*row),
                model.asked_for,
                response_model=model.answered,
                provider=model.provider,
                service_tier=model.service_tier,
                timestamp=None if model.slot is None else model.slot * SLOT_SECONDS,
            )
            call_costs.append(float("nan") if cost is None else cost.total_cost)
            if cost is None:
                unpriced_requests.add(request)
                unpriced_models.add(model.asked_for)
            else:
                parts = (cost.prompt_cost, cost.completion_cost, cost.total_cost)
                for amounts, part in zip(dollars, parts, strict=True):
                    amounts[request] += part
            if not flags & Flag.LEFT_OVER:
                own_tokens[request] += row[2]
                own_costs[request] += float("nan") if cost is None else cost.total_cost
        if unpriced_requests:
            dollars = [
                array("d", (v for i, v in enumerate(amounts) if i not in unpriced_requests))
                for amounts in dollars
            ]
        counts = Counter(calls.tokens[-1])
        return Totals(
            token_usage=Rows(_usage, dict(zip(TOKEN_COLUMNS, sums, strict=True))),
            costs=Rows(CostEstimate, dict(zip(_COST_COLUMNS, dollars, strict=True))),
            unpriced_models=tuple(sorted(unpriced_models)),
            sources={SOURCES[number]: counts[number] for number in sorted(counts)},
            guessed=calls.count(Flag.GUESSED),
            call_costs=call_costs,
            own_tokens=own_tokens,
            own_costs=own_costs,
        )


def _usage(
    prompt: int, completion: int, total: int, cached: int, written: int, reasoning: int, source: int
) -> TokenUsage:
    return TokenUsage(
        prompt,
        completion,
        total,
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=reasoning,
        source=SOURCES[source],
    )
