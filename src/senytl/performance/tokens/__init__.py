"""Tokens of LLM calls: the provider's count, else tiktoken's, else an estimate.

Every count says in its ``source`` who made it. tiktoken counts for OpenAI's models only: it is
not the tokenizer of others, whose tokens are an estimate by classes of characters.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

from senytl.models import LLMCallRecord, MockResponse, TokenSource, TokenUsage
from senytl.performance.tokens.estimate import estimate_tokens
from senytl.performance.tokens.tokenizer import count_tokens, load_encoding, vocabulary_of
from senytl.prompts import Prompt, compact_json, read_prompt

__all__ = ["count_usage", "extract_token_usage", "usage_of"]

# What a chat adds to its texts, by OpenAI's own account ("num_tokens_from_messages" in
# https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken).
_PER_MESSAGE = 3
_PER_NAME = 1
_PRIMING = 3

_KEPT = 16_384
_kept: dict[bytes, int] = {}


_SHARED = 256
"""The largest integer that CPython has once for all."""


def kept_memory() -> tuple[int, int]:
    """What the counts that are kept take: bytes of malloc's, and blocks of CPython's own.

    They are senytl's, though it is the agent's prompts that they are of.
    """
    return sys.getsizeof(_kept), len(_kept) + sum(count > _SHARED for count in _kept.values())


class _Counter:
    """Counts the tokens of texts for one model."""

    def __init__(self, model: str) -> None:
        self._vocabulary = vocabulary_of(model)
        self._encoding = load_encoding(self._vocabulary) if self._vocabulary else None
        self.source: TokenSource = "estimate" if self._encoding is None else "tokenizer"
        self._kind = f"{self.source} {self._vocabulary} ".encode()

    def count(self, text: str) -> int:
        """The tokens of a text, kept for the next time, since prompts repeat."""
        if not text:
            return 0
        # By a digest: texts may be long. Some 2 MB when full, and then it starts anew.
        encoded = text.encode("utf-8", "surrogatepass")
        key = blake2b(self._kind + encoded, digest_size=16).digest()
        count = _kept.get(key)
        if count is None:
            if len(_kept) >= _KEPT:
                _kept.clear()
            count = _kept[key] = self._measure(text)
        return count

    def _measure(self, text: str) -> int:
        if self._encoding is None:
            return estimate_tokens(text, self._vocabulary)
        return count_tokens(text, self._encoding)


def count_usage(model: str, request: Mapping[str, Any], response: MockResponse) -> TokenUsage:
    """Count the tokens of a call whose provider reported none.

    The prompt is all messages, with what the chat format adds to them, and the definitions of
    tools; the completion is the text, the tool calls (name and JSON arguments) and the
    reasoning, as far as the provider shows it. Definitions of tools are counted as compact
    JSON, which is an approximation: providers rewrite them in a form that they do not publish.
    Images, audio and files are not counted.

    Args:
        model: The model that was asked for.
        request: The request's JSON body, in any wire format.
        response: The reply.

    Returns:
        The counts, with ``source`` ``"tokenizer"`` or ``"estimate"``.
    """
    counter = _Counter(model)
    prompt = read_prompt(request)
    reasoning = counter.count(response.reasoning)
    completion = reasoning + counter.count(response.text)
    for call in response.tool_calls:
        completion += counter.count(call.name) + counter.count(compact_json(call.arguments))
    return TokenUsage(
        _count_prompt(counter, prompt, chat="messages" in request or "input" in request),
        completion,
        reasoning_tokens=reasoning,
        source=counter.source,
    )


def _count_prompt(counter: _Counter, prompt: Prompt, *, chat: bool) -> int:
    tokens = counter.count(prompt.tools)
    for message in prompt.messages:
        tokens += counter.count(message.text)
        if chat:
            tokens += _PER_MESSAGE + counter.count(message.role)
        if message.name:
            tokens += counter.count(message.name) + (_PER_NAME if chat else 0)
    return tokens + _PRIMING if chat and prompt.messages else tokens


def usage_of(call: LLMCallRecord) -> TokenUsage:
    """The tokens of a call: as the provider reported them, else counted.

    A call that failed before any reply came, and whose provider reported nothing, has no
    tokens: it was not billed. Such a zero is exact, so its source stays ``"provider"``.
    """
    reported = call.usage or call.response.usage
    if reported is not None:
        return reported
    reply = call.response
    if call.error is not None and not (reply.text or reply.tool_calls or reply.reasoning):
        return TokenUsage()
    return count_usage(call.model, call.request, reply)


def extract_token_usage(llm_calls: Iterable[LLMCallRecord]) -> TokenUsage:
    """Add the tokens of calls up; records made by hand do.

    Args:
        llm_calls: The calls, as `SenytlResponse.llm_calls` or a recorder gives them.

    Returns:
        The sum. Its ``source`` is the least trusted of its parts': ``"provider"``, then
        ``"tokenizer"``, then ``"estimate"``.
    """
    return TokenUsage.sum(usage_of(call) for call in llm_calls)
