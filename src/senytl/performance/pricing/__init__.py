"""Dollars for tokens.

Three layers, the first that knows the model decides: the user's prices (`custom_pricing=` above
the ini option ``senytl_pricing``), the table of senytl's documentation, and the vendors' list
prices in genai-prices. A model that none of them knows has no cost: never 0, never a guess.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from senytl.models import PerformanceError, TokenUsage
from senytl.performance.pricing.price_list import DOCUMENTED, PriceList, parse_pricing
from senytl.performance.pricing.rates import CostEstimate, Rates

__all__ = [
    "CostEstimate",
    "Pricing",
    "UnknownModelError",
    "current_pricing",
    "estimate_cost",
    "parse_pricing",
    "project_prices",
]

_DAY = 86_400
_Key = tuple[str, str | None, str | None, str | None, int]
_KEPT = 4_096


class UnknownModelError(PerformanceError, LookupError):
    """No price is known for a model.

    Args:
        model: The model's name.
        near: Names like it that have a price.
    """

    def __init__(self, model: str, near: tuple[str, ...] | list[str] = ()) -> None:
        hint = f" (names like it that have one: {', '.join(near)})" if near else ""
        super().__init__(
            f"no price is known for model {model!r}{hint}. Give one in dollars per 1M tokens: "
            f'custom_pricing={{"{model}": {{"prompt": 5.0, "completion": 10.0}}}}, or in the ini '
            f"option senytl_pricing the line '{model}: prompt=5.0 completion=10.0'"
        )
        self.model = model


class Pricing:
    """The three layers of prices, with what was looked up kept; threads may share one.

    Args:
        custom: The user's prices, in dollars per million tokens:
            ``{model: {"prompt": 5.0, "completion": 10.0, "cached": 0.5}}``, ``cached`` being
            optional. They hold on every service tier.

    Raises:
        ValueError: If a price makes no sense; the message names its key.
    """

    def __init__(self, custom: Mapping[str, Mapping[str, float]] | None = None) -> None:
        self._custom = PriceList(custom)
        self._kept: dict[_Key, Rates | None] = {}

    def price(
        self,
        usage: TokenUsage,
        model: str,
        provider: str | None = None,
        service_tier: str | None = None,
        timestamp: float | None = None,
        response_model: str | None = None,
    ) -> CostEstimate | None:
        """The dollars of a usage; None where the model has no price.

        Args:
            usage: The tokens of one call. Prices may rise with a prompt's length, so the sum
                over several calls can cost more than they do.
            model: The model, with or without a route such as ``openai/``.
            provider: Who served it: a vendor's name, or a host's; None where that is not known.
            service_tier: The tier that the reply named. On other tiers than the standard one
                there is no price unless genai-prices, or the user, has one for it.
            timestamp: When the call was made, in Unix time; now unless given.
            response_model: The model that answered. It decides, since the name that was asked
                for may be a deployment's or a router's; but a user's price for either name
                stands above it.
        """
        if timestamp is None:
            timestamp = time.time()
        key = (model, response_model, provider, service_tier, int(timestamp // _DAY))
        try:
            rates = self._kept[key]
        except KeyError:
            rates, lasting = self._find(model, response_model, provider, service_tier, timestamp)
            if lasting:
                if len(self._kept) >= _KEPT:
                    self._kept.clear()
                self._kept[key] = rates
        return None if rates is None else rates.cost(usage)

    def near(self, model: str) -> list[str]:
        """Up to three priced names that look like this one."""
        from senytl.performance.pricing.market import market_models

        names = dict.fromkeys((*self._custom, *DOCUMENTED, *market_models()))
        return difflib.get_close_matches(model.lower(), names, n=3, cutoff=0.7)

    def _find(
        self,
        model: str,
        response_model: str | None,
        provider: str | None,
        service_tier: str | None,
        timestamp: float,
    ) -> tuple[Rates | None, bool]:
        """The rates of a model, and whether they hold for the whole day."""
        from senytl.performance.pricing.market import is_standard, market_rates

        # The user writes prices under the name that is asked for.
        for name in (model, response_model):
            if name and (rates := self._custom.find(name)):
                return rates, True
        lasting = True
        for name in (response_model, model):
            if not name:
                continue
            if is_standard(service_tier) and (rates := DOCUMENTED.find(name)):
                return rates, True
            found = market_rates(name, provider, service_tier, timestamp)
            if found.rates is not None:
                return found.rates, found.all_day
            lasting = lasting and found.all_day
        return None, lasting


_current = Pricing()


def current_pricing() -> Pricing:
    """The prices that hold now: the project's, where there are any, above the known ones."""
    return _current


@contextmanager
def project_prices(prices: Mapping[str, Mapping[str, float]]) -> Iterator[None]:
    """Let a project's own prices hold for a while, in the whole process.

    Args:
        prices: In dollars per million tokens, as `Pricing` takes them.

    Raises:
        ValueError: If a price makes no sense; the message names its key.
    """
    global _current
    before, _current = _current, Pricing(prices)
    try:
        yield
    finally:
        _current = before


def estimate_cost(
    token_usage: TokenUsage,
    model: str,
    custom_pricing: Mapping[str, Mapping[str, float]] | None = None,
    *,
    provider: str | None = None,
    timestamp: float | None = None,
) -> CostEstimate:
    """Estimate the dollars of a usage.

    Args:
        token_usage: The tokens of one call.
        model: The model. Dated names and names with a route resolve: ``gpt-4-0613``,
            ``openai/gpt-4``, ``models/gemini-pro``.
        custom_pricing: Prices above all others, in dollars per million tokens:
            ``{"my-model": {"prompt": 5.0, "completion": 10.0}}``, with ``"cached"`` for tokens
            read from the provider's cache if they cost less.
        provider: Who serves the model, where its name does not tell: ``"groq"``.
        timestamp: When the call was made, in Unix time; now unless given.

    Raises:
        UnknownModelError: If no price is known for the model.
        ValueError: If a custom price makes no sense.
    """
    own = PriceList(custom_pricing).find(model) if custom_pricing else None
    if own is not None and (cost := own.cost(token_usage)):
        return cost
    cost = _current.price(token_usage, model, provider, timestamp=timestamp)
    if cost is None:
        raise UnknownModelError(model, _current.near(model))
    return cost
