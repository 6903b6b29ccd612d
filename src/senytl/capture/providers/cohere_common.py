"""What Cohere's formats have in common: usage and errors."""

from __future__ import annotations

from typing import Any

from senytl.capture.providers.base import count, mapping
from senytl.models import TokenUsage

__all__ = ["cohere_error", "read_usage", "write_usage"]


def cohere_error(message: str) -> dict[str, Any]:
    """The body of an error as Cohere words it; the HTTP status says the rest."""
    return {"message": message}


def read_usage(value: object) -> TokenUsage | None:
    """The tokens that are billed; those that were processed where no others are given.

    Cohere counts twice: `billed_units` is what it takes money for, `tokens` also holds what its
    own templates add to the prompt. Costs must come out right, so the first one counts.
    """
    usage = mapping(value)
    for counted in (mapping(usage.get("billed_units")), mapping(usage.get("tokens"))):
        prompt, completion = counted.get("input_tokens"), counted.get("output_tokens")
        if prompt is not None or completion is not None:
            # The cache also holds what is not billed.
            cached = min(count(usage.get("cached_tokens")), count(prompt))
            return TokenUsage(count(prompt), count(completion), cached_tokens=cached)
    return None


def write_usage(usage: TokenUsage | None) -> dict[str, Any]:
    """The usage of a reply; nothing where there is none."""
    if usage is None:
        return {}
    counted = {"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}
    cached = {"cached_tokens": usage.cached_tokens}
    return {"billed_units": counted, "tokens": counted} | cached
