"""The vendors' list prices, from genai-prices, as rates that can be kept.

A calculation of genai-prices takes some 70 us; reading a model's prices once and multiplying
takes less than two.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from senytl.performance.model_name import split_model
from senytl.performance.pricing.rates import Band, Rates

if TYPE_CHECKING:
    from genai_prices.types import MatchLogic, ModelInfo, ModelPrice, Provider, TieredPrices

__all__ = ["MarketRates", "is_standard", "market_models", "market_rates"]

_STANDARD_TIERS = frozenset({"", "auto", "default", "on_demand", "standard"})

_GATEWAY_VENDORS = frozenset({"openai", "anthropic", "google"})
"""Vendors whose wire format gateways speak, so that other vendors' models appear under them."""


class MarketRates(NamedTuple):
    """The rates of a model at a moment.

    Args:
        rates: The rates; None where no price is known.
        all_day: Whether they hold for the whole UTC day of that moment, or change by the hour.
    """

    rates: Rates | None
    all_day: bool = True


def is_standard(service_tier: str | None) -> bool:
    """Whether a tier is the one that vendors' plain list prices are for."""
    return (service_tier or "").lower() in _STANDARD_TIERS


def market_rates(
    model: str, provider: str | None, service_tier: str | None, timestamp: float
) -> MarketRates:
    """Look up what a vendor takes for a model.

    A tier other than the standard one has rates only where genai-prices lists that tier for that
    model and day: it would itself fall back to the standard price, which is a guess.

    Args:
        model: The model, with or without a route such as ``openai/``.
        provider: Who serves it: a vendor's name or a host's, or None. A vendor that is known
            but does not list the model gives no rates, since another's price would be a guess.
        service_tier: The tier that the reply named.
        timestamp: The call's time, in Unix time; prices have a history.
    """
    found = _find_model(model, provider)
    if found is None:
        return MarketRates(None)
    vendor, info = found
    when = datetime.fromtimestamp(timestamp, UTC)
    context = None
    if not is_standard(service_tier):
        tier = (service_tier or "").lower()
        context = {"processing": "batch"} if tier == "batch" else {"service_tier": tier}
        if not _lists_tier(vendor, info, context, when):
            return MarketRates(None, all_day=_all_day(info))
    prices = info.get_prices(when, context)
    return MarketRates(_read_prices(prices, free=_free(info)), all_day=_all_day(info))


@cache
def market_models() -> tuple[str, ...]:
    """The models with a price under their bare name, for suggestions."""
    return tuple(model.id for vendor in _vendors() if vendor.model_match for model in vendor.models)


def _vendors() -> list[Provider]:
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot().providers


def _find_model(model: str, provider: str | None) -> tuple[Provider, ModelInfo] | None:
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    route, name, bare = split_model(model)
    if name.startswith("ft:"):  # fine-tuned models are listed as such, under their maker
        route = route or "openai"
    vendor = _find_vendor(provider) if provider else None
    vendors: list[str | None] = [vendor] if vendor else []
    if vendor is None or vendor in _GATEWAY_VENDORS:
        vendors.append(route)
    whole = model.lower()
    for one in vendors:
        # A provider is sent the whole name; a route in front is for whoever chose the provider.
        spellings = (whole, name, bare) if one == vendor else (name, bare, whole)
        for spelling in dict.fromkeys(spellings):
            try:
                found = snapshot.find_provider_model(spelling, None, one, None)
            except LookupError:
                continue
            if not _splits_a_word(found[1].match, spelling):
                return found
    return None


def _splits_a_word(clause: MatchLogic, name: str) -> bool:
    """Whether a rule matches a name only by its first letters: 4-1 is no part of 4-10."""
    from genai_prices.types import ClauseAnd, ClauseContains, ClauseOr, ClauseStartsWith

    if isinstance(clause, ClauseOr | ClauseAnd):
        parts = clause.or_ if isinstance(clause, ClauseOr) else clause.and_
        matching = [part for part in parts if part.is_match(name)]
        # None matches where genai-prices found the name only with its date rewritten.
        return bool(matching) and all(_splits_a_word(part, name) for part in matching)
    if isinstance(clause, ClauseStartsWith):
        start, literal = r"\A", clause.starts_with
    elif isinstance(clause, ClauseContains):
        start, literal = r"(?<![^\W_])", clause.contains
    else:
        return False
    if not clause.is_match(name):
        return False
    end = r"(?![^\W_])" if literal[-1:].isalnum() else ""
    return re.search(start + re.escape(literal.lower()) + end, name) is None


def _find_vendor(provider: str) -> str | None:
    """genai-prices' name of a provider that is given as a vendor's name or as a host's."""
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    try:
        if "." in provider or ":" in provider:
            return snapshot.find_provider(None, None, f"https://{provider}").id
        return snapshot.find_provider(None, provider, None).id
    except LookupError:
        return None


def _lists_tier(vendor: Provider, info: ModelInfo, context: dict[str, str], when: datetime) -> bool:
    # A model found at a vendor's fallback vendor is always given its standard price.
    return any(info is model for model in vendor.models) and any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(when))
        for variant in info.price_variants or ()
    )


def _all_day(info: ModelInfo) -> bool:
    from genai_prices.types import ModelPrice, TimeOfDateConstraint

    conditional = [] if isinstance(info.prices, ModelPrice) else info.prices
    return not any(
        isinstance(one.constraint, TimeOfDateConstraint)
        for one in (*conditional, *(info.price_variants or ()))
    )


def _free(info: ModelInfo) -> bool:
    return ":free" in info.id or "(free)" in (info.name or "").lower()


def _read_prices(prices: ModelPrice, *, free: bool) -> Rates | None:
    """The rates in an entry; None for one that prices no input tokens.

    An entry without any price stands for a free model, but also for one in a subscription or
    one whose price was not found; only a model that is called free costs nothing.
    """
    listed = {key: price for key, price in vars(prices).items() if price is not None}
    if not listed and free:
        return Rates.flat(0.0, 0.0)
    if "input_mtok" not in listed:
        return None
    steps = sorted({start for price in listed.values() for start in _steps(price)})
    return Rates(
        bands=tuple(_read_band(listed, above) for above in (-1, *steps)),
        steps=tuple(steps),
        completions="output_mtok" in listed,
    )


def _steps(price: Decimal | TieredPrices) -> list[int]:
    return [] if isinstance(price, Decimal) else [tier.start for tier in price.tiers]


def _read_band(listed: dict[str, Decimal | TieredPrices], above: int) -> Band:
    def rate(key: str, default: float = 0.0) -> float:
        price = listed.get(key)
        if price is None:
            return default
        if isinstance(price, Decimal):
            return float(price)
        return float(
            next((tier.price for tier in reversed(price.tiers) if above >= tier.start), price.base)
        )

    prompt, completion = rate("input_mtok"), rate("output_mtok")
    return Band(
        prompt=prompt,
        completion=completion,
        cached=rate("cache_read_mtok", prompt),
        cache_write=rate("cache_write_mtok", prompt),
        reasoning=rate("output_reasoning_mtok", completion),
        call=rate("requests_kcount") * 1_000,
    )
