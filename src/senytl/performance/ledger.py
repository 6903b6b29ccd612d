"""Tokens and dollars of a run's LLM calls, in columns of integers.

A record of a call holds its whole request; a load test of a million requests cannot keep them.
What the figures need is nine integers a call, priced when the run is over.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from senytl.models import TokenSource, TokenUsage
from senytl.performance.series import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from senytl.models import LLMCallRecord
    from senytl.performance.pricing import CostEstimate, Pricing

__all__ = ["CallLedger", "Totals"]

_SOURCES: tuple[TokenSource, ...] = ("provider", "tokenizer", "estimate")
_TOKEN_COLUMNS = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "source_number",
)
_COST_COLUMNS = ("prompt_cost", "completion_cost", "total_cost")
_UNCOUNTED_LIMIT = 1_000
_SLOT = 900.0
"""Seconds of which all calls have one price: a vendor's cheap hours begin at a half hour."""


class _Model(NamedTuple):
    """What a price depends on, besides the tokens."""

    asked_for: str
    answered: str | None
    provider: str
    service_tier: str | None
    slot: int | None


@dataclass(frozen=True, slots=True)
class Totals:
    """The ledger of a whole run, added up for each request.

    Args:
        token_usage: Tokens of each request; empty where there was no call at all.
        costs: Dollars of each request whose calls all have a price.
        unpriced_models: Models without a price, in alphabetical order.
        sources: Calls by who counted their tokens.
        guessed: Calls to a real model whose tokens are an estimate.
    """

    token_usage: Sequence[TokenUsage]
    costs: Sequence[CostEstimate]
    unpriced_models: tuple[str, ...]
    sources: dict[TokenSource, int]
    guessed: int


class CallLedger:
    """The LLM calls of some requests, which are known by their number."""

    def __init__(self) -> None:
        self._models: dict[_Model, int] = {}
        self._request = array("q")
        self._model = array("q")
        self._tokens = tuple(array("q") for _ in _TOKEN_COLUMNS)
        self._uncounted: list[tuple[int, LLMCallRecord]] = []
        self._guessed = 0

    def __len__(self) -> int:
        return len(self._request) + len(self._uncounted)

    def add(self, request: int, call: LLMCallRecord) -> None:
        """Note a call of a request."""
        if call.usage is not None:
            self._append(request, call, call.usage)
            return
        # Counting loads a vocabulary and takes the interpreter from other users, so it waits
        # until the run is over, unless too many prompts would be kept.
        self._uncounted.append((request, call))
        if len(self._uncounted) >= _UNCOUNTED_LIMIT:
            self._count()

    def _count(self) -> None:
        from senytl.performance.tokens import usage_of

        waiting, self._uncounted = self._uncounted, []
        for request, call in waiting:
            self._append(request, call, usage_of(call))

    def _append(self, request: int, call: LLMCallRecord, usage: TokenUsage) -> None:
        slot = None if call.timestamp is None else int(call.timestamp // _SLOT)
        model = _Model(call.model, call.response_model, call.provider, call.service_tier, slot)
        self._guessed += usage.source == "estimate" and not call.mocked
        self._request.append(request)
        self._model.append(self._models.setdefault(model, len(self._models)))
        row = (
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.total_tokens,
            usage.cached_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
            _SOURCES.index(usage.source),
        )
        for column, value in zip(self._tokens, row, strict=True):
            column.append(value)

    def extend(self, other: CallLedger, offset: int) -> None:
        """Take over another user's calls, whose requests are numbered from `offset` on."""
        other._count()
        self._guessed += other._guessed
        numbers = [self._models.setdefault(model, len(self._models)) for model in other._models]
        self._request.extend(array("q", (request + offset for request in other._request)))
        self._model.extend(array("q", (numbers[model] for model in other._model)))
        for column, more in zip(self._tokens, other._tokens, strict=True):
            column.extend(more)

    def total(self, requests: int, pricing: Pricing) -> Totals:
        """Add up and price the calls of requests numbered from 0.

        Args:
            requests: How many requests there were; those without a call count as 0 tokens.
            pricing: What the models cost.
        """
        from senytl.performance.pricing import CostEstimate

        self._count()
        if not requests or not self._request:
            return Totals((), (), (), {}, 0)
        sums = [array("q", bytes(8 * requests)) for _ in _TOKEN_COLUMNS]
        dollars = [array("d", bytes(8 * requests)) for _ in _COST_COLUMNS]
        unpriced_requests: set[int] = set()
        unpriced_models: set[str] = set()
        models = list(self._models)
        rows = zip(self._request, self._model, zip(*self._tokens, strict=True), strict=True)
        for request, number, row in rows:
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
                timestamp=None if model.slot is None else model.slot * _SLOT,
            )
            if cost is None:
                unpriced_requests.add(request)
                unpriced_models.add(model.asked_for)
            else:
                parts = (cost.prompt_cost, cost.completion_cost, cost.total_cost)
                for amounts, part in zip(dollars, parts, strict=True):
                    amounts[request] += part
        if unpriced_requests:
            dollars = [
                array("d", (v for i, v in enumerate(amounts) if i not in unpriced_requests))
                for amounts in dollars
            ]
        counts = Counter(self._tokens[-1])
        return Totals(
            token_usage=Rows(_usage, dict(zip(_TOKEN_COLUMNS, sums, strict=True))),
            costs=Rows(CostEstimate, dict(zip(_COST_COLUMNS, dollars, strict=True))),
            unpriced_models=tuple(sorted(unpriced_models)),
            sources={_SOURCES[number]: counts[number] for number in sorted(counts)},
            guessed=self._guessed,
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
        source=_SOURCES[source],
    )
