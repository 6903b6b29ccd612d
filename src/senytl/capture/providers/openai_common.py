"""What OpenAI's formats have in common: usage, errors, and models that stand in the path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from senytl.capture.providers.base import Reply, count, mapping, string
from senytl.models import MockResponse, TokenUsage

__all__ = ["model_asked", "openai_error", "openai_reply", "read_usage", "write_usage"]

_DEPLOYMENT = re.compile(r"/deployments/([^/]+)/")


def model_asked(path: str, body: Mapping[str, Any]) -> str:
    """The model in the body, or the deployment of one in the path, as on Azure."""
    if model := string(body.get("model")):
        return model
    deployment = _DEPLOYMENT.search(path)
    return deployment[1] if deployment else ""


def openai_reply(
    response: MockResponse,
    document: Mapping[str, Any],
    error: str | None,
    *,
    complete: bool = True,
) -> Reply:
    """The reply of an OpenAI document, whose formats name model and tier alike."""
    return Reply(
        response,
        string(document.get("model")) or None,
        string(document.get("service_tier")) or None,
        error,
        complete,
    )


def openai_error(status: int, message: str) -> dict[str, Any]:
    """The body of an error as OpenAI words it."""
    kinds = {
        401: ("invalid_request_error", "invalid_api_key"),
        429: ("requests", "rate_limit_exceeded"),
    }
    usual = ("server_error" if status >= 500 else "invalid_request_error", None)
    kind, code = kinds.get(status, usual)
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def read_usage(document: Mapping[str, Any]) -> TokenUsage | None:
    """The usage in a completion or a chunk, in the words of any vendor that speaks the format.

    Groq puts a stream's usage under ``x_groq``, DeepSeek and Moonshot the cached tokens beside the
    prompt's. xAI does not count reasoning as a part of the completion: its total shows that.
    """
    groq = mapping(document.get("x_groq")).get("usage")
    usage = mapping(document.get("usage")) or mapping(groq)
    if usage.get("prompt_tokens") is None and usage.get("completion_tokens") is None:
        return None
    details = mapping(usage.get("prompt_tokens_details"))
    cached = (
        count(details.get("cached_tokens"))
        or count(usage.get("prompt_cache_hit_tokens"))
        or count(usage.get("cached_tokens"))
    )
    prompt = count(usage.get("prompt_tokens"))
    completion = count(usage.get("completion_tokens"))
    total = count(usage.get("total_tokens"))
    reasoning = count(mapping(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    if reasoning and total == prompt + completion + reasoning:
        completion += reasoning
    return TokenUsage(
        prompt,
        completion,
        total,
        cached_tokens=cached,
        cache_write_tokens=count(details.get("cache_write_tokens")),
        reasoning_tokens=reasoning,
    )


def write_usage(usage: TokenUsage) -> dict[str, Any]:
    """The usage of a completion."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
