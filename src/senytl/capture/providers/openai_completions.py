"""OpenAI's completions of a prompt, from before there were chats; vLLM and others still serve them.

https://platform.openai.com/docs/api-reference/completions
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from senytl.capture.calls import PendingCall
from senytl.capture.framing import SSE, Event
from senytl.capture.providers.base import (
    Asked,
    ChunkKind,
    Reply,
    error_of,
    items,
    mapping,
    new_id,
    pieces,
    string,
)
from senytl.capture.providers.openai_common import (
    model_asked,
    openai_error,
    openai_reply,
    read_usage,
    write_usage,
)
from senytl.models import MockResponse

__all__ = ["OpenAICompletions"]


class OpenAICompletions:
    """``POST .../completions``, on Azure with the model's deployment in the path."""

    api = "openai-completions"
    vendor = "openai"
    suffixes: tuple[str, ...] = ("/completions",)
    framing = SSE

    def recognise(self, path: str, body: Mapping[str, Any]) -> Asked | None:
        """Recognise a body with a prompt, no messages and, in the body or the path, a model."""
        if not path.endswith(self.suffixes):
            return None
        model = model_asked(path, body)
        prompted = isinstance(body.get("prompt"), str | list) and "messages" not in body
        return Asked(model, body.get("stream") is True) if model and prompted else None

    def read_reply(self, document: Mapping[str, Any]) -> Reply:
        """Read the first choice and the usage."""
        choice = next(iter(items(document.get("choices"))), {})
        response = MockResponse(
            text=string(choice.get("text")),
            usage=read_usage(document),
            finish_reason=string(choice.get("finish_reason")) or None,
        )
        return openai_reply(response, document, error_of(document))

    def read_events(self, events: Iterable[Event]) -> Reply:
        """Put the first choice's pieces together; of repeated usages the last counts."""
        last: dict[str, Any] = {}
        text, finish = "", None
        error: str | None = None
        done = False
        for event in events:
            done = done or event.document is None
            document = mapping(event.document)
            error = error or error_of(document)
            for key in ("model", "service_tier", "usage"):
                if document.get(key):
                    last[key] = document[key]
            choice = _first_choice(document)
            text += string(choice.get("text"))
            finish = string(choice.get("finish_reason")) or finish
        response = MockResponse(text=text, usage=read_usage(last), finish_reason=finish)
        return openai_reply(response, last, error, complete=finish is not None or done)

    def chunk_kind(self, event: Event) -> ChunkKind | None:
        """Tell whether the first choice has a text."""
        return "output" if _first_choice(mapping(event.document)).get("text") else None

    def write_reply(self, response: MockResponse, call: PendingCall) -> dict[str, Any]:
        """Write a completion with one choice; it has no place for tool calls."""
        usage = write_usage(response.usage) if response.usage else None
        finish = response.finish_reason or "stop"
        return _frame(call) | {"choices": [_choice(response.text, finish)], "usage": usage}

    def write_events(self, response: MockResponse, call: PendingCall) -> Iterator[Event]:
        """Write a stream; its usage only where ``stream_options.include_usage`` asks for it."""
        frame = _frame(call)
        for piece in pieces(response.text):
            yield Event(frame | {"choices": [_choice(piece, None)]})
        yield Event(frame | {"choices": [_choice("", response.finish_reason or "stop")]})
        wants_usage = mapping(call.request.get("stream_options")).get("include_usage")
        if wants_usage and response.usage:
            yield Event(frame | {"choices": [], "usage": write_usage(response.usage)})
        yield Event(None)

    def write_error(self, status: int, message: str) -> dict[str, Any]:
        """Write an error object."""
        return openai_error(status, message)


def _first_choice(document: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = items(document.get("choices"))
    return next((choice for choice in choices if not choice.get("index")), {})


def _frame(call: PendingCall) -> dict[str, Any]:
    return {
        "id": new_id("cmpl-"),
        "object": "text_completion",
        "created": int(time.time()),
        "model": call.model,
        "system_fingerprint": None,
    }


def _choice(text: str, finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}
