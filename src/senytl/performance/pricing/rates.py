"""What tokens cost: the rates of a model, and the dollars they come to."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from senytl.models import TokenUsage

__all__ = ["Band", "CostEstimate", "Rates"]

_PER = 1_000_000


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """Dollars of one call, or of several added together.

    Args:
        prompt_cost: Dollars of the input tokens.
        completion_cost: Dollars of the output tokens.
        total_cost: Dollars in all: their sum unless given; 0 stands for "not given". More than
            the sum where a provider charges for the call itself.
    """

    prompt_cost: float = 0.0
    completion_cost: float = 0.0
    total_cost: float = 0.0

    def __post_init__(self) -> None:
        if not self.total_cost:
            object.__setattr__(self, "total_cost", self.prompt_cost + self.completion_cost)

    def __add__(self, other: CostEstimate) -> CostEstimate:
        if not isinstance(other, CostEstimate):
            return NotImplemented
        return CostEstimate(
            self.prompt_cost + other.prompt_cost,
            self.completion_cost + other.completion_cost,
            self.total_cost + other.total_cost,
        )

    @classmethod
    def sum(cls, costs: Iterable[CostEstimate]) -> CostEstimate:
        """Add costs; no costs add up to zero dollars."""
        total = cls()
        for cost in costs:
            total += cost
        return total


@dataclass(frozen=True, slots=True)
class Band:
    """Dollars per million tokens of each kind, for prompts of a certain length.

    Args:
        prompt: Of input tokens that are none of the kinds below.
        completion: Of output tokens that are not reasoning.
        cached: Of input tokens read from the provider's cache.
        cache_write: Of input tokens written to the provider's cache.
        reasoning: Of output tokens that are reasoning.
        call: Dollars per million calls.
    """

    prompt: float
    completion: float
    cached: float
    cache_write: float
    reasoning: float
    call: float = 0.0


@dataclass(frozen=True, slots=True)
class Rates:
    """What a model costs: one band, or several of which the prompt's length chooses one.

    Bands are cliffs: a prompt longer than a step pays the next band's rates for all its tokens.

    Args:
        bands: The rates, one more than there are steps.
        steps: Prompt tokens above which the next band holds, ascending.
        completions: Whether the model has a price for output at all; embeddings have none.
    """

    bands: tuple[Band, ...]
    steps: tuple[int, ...] = ()
    completions: bool = True

    @classmethod
    def flat(cls, prompt: float, completion: float, cached: float | None = None) -> Rates:
        """One price for every input token and one for every output token.

        Tokens read from the cache cost `cached`, and as much as any input token without it.
        """
        return cls((Band(prompt, completion, prompt if cached is None else cached, prompt,
                         completion),))  # fmt: skip

    def cost(self, usage: TokenUsage) -> CostEstimate | None:
        """The dollars of a usage; None for output tokens of a model that has no price for them.

        Parts larger than their whole (more cached tokens than prompt tokens) are cut to it: a
        provider that counts wrongly must not give a negative price.
        """
        prompt, completion = usage.prompt_tokens, usage.completion_tokens
        if completion and not self.completions:
            return None
        band = self.bands[bisect_left(self.steps, prompt)] if self.steps else self.bands[0]
        # Dollars per million are divided last: 1,000 tokens at $30 are then 0.03 to the last bit.
        if usage.cached_tokens or usage.cache_write_tokens:
            cached = min(usage.cached_tokens, prompt)
            written = min(usage.cache_write_tokens, prompt - cached)
            plain = prompt - cached - written
            dollars_in = (
                plain * band.prompt + cached * band.cached + written * band.cache_write
            ) / _PER
        else:
            dollars_in = prompt * band.prompt / _PER
        if usage.reasoning_tokens and band.reasoning != band.completion:
            reasoning = min(usage.reasoning_tokens, completion)
            dollars_out = (
                (completion - reasoning) * band.completion + reasoning * band.reasoning
            ) / _PER
        else:
            dollars_out = completion * band.completion / _PER
        return CostEstimate(dollars_in, dollars_out, dollars_in + dollars_out + band.call / _PER)
