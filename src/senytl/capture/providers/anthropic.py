"""Anthropic's messages.

https://docs.anthropic.com/en/api/messages, .../messages-streaming
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from senytl.capture.calls import PendingCall
from senytl.capture.framing import SSE, Event
from senytl.capture.providers.base import (
    Asked,
    ChunkKind,
    Reply,
    arguments_text,
    count,
    error_of,
    items,
    mapping,
    new_id,
    pieces,
    string,
    tool_call,
)
from senytl.models import MockResponse, TokenUsage, ToolCall

__all__ = ["AnthropicMessages"]

# https://docs.anthropic.com/en/api/errors
_ERRORS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class AnthropicMessages:
    """``POST .../messages``."""

    api = "anthropic-messages"
    vendor = "anthropic"
    suffixes: tuple[str, ...] = ("/messages",)
    framing = SSE

    def recognise(self, path: str, body: Mapping[str, Any]) -> Asked | None:
        """Recognise a body with a model, messages and the obligatory ``max_tokens``."""
        model = string(body.get("model"))
        shaped = isinstance(body.get("messages"), list) and "max_tokens" in body
        if not path.endswith(self.suffixes) or not model or not shaped:
            return None
        return Asked(model, body.get("stream") is True)

    def read_reply(self, document: Mapping[str, Any]) -> Reply:
        """Read the content blocks and the usage."""
        return _reply(document, items(document.get("content")), error_of(document))

    def read_events(self, events: Iterable[Event]) -> Reply:
        """Put the blocks' deltas together, and the usages, which are cumulative: the last counts.

        The first event's usage counts no output yet, so a stream that ended before a
        ``message_delta`` has no usage.
        """
        document: dict[str, Any] = {}
        usage: dict[str, Any] = {}
        counted = False
        blocks: dict[int, dict[str, Any]] = {}
        error: str | None = None
        complete = False
        for event in events:
            data = mapping(event.document)
            kind = data.get("type") or event.name
            if kind == "message_start":
                document = dict(mapping(data.get("message")))
                usage = dict(mapping(document.get("usage")))
                blocks = dict(enumerate(dict(block) for block in items(document.get("content"))))
            elif kind == "content_block_start":
                blocks[count(data.get("index"))] = dict(mapping(data.get("content_block")))
            elif kind == "content_block_delta":
                block = blocks.setdefault(count(data.get("index")), {})
                _add_delta(block, mapping(data.get("delta")))
            elif kind == "message_delta":
                document.update(mapping(data.get("delta")))
                latest = mapping(data.get("usage"))
                counted = counted or latest.get("output_tokens") is not None
                usage.update({key: value for key, value in latest.items() if value is not None})
            elif kind == "message_stop":
                complete = True
            elif kind == "error":
                error = error_of(data) or "error: the stream ended with an error event"
        document["usage"] = usage if counted else {"service_tier": usage.get("service_tier")}
        content = [block for _, block in sorted(blocks.items())]
        return _reply(document, content, error, complete=complete)

    def chunk_kind(self, event: Event) -> ChunkKind | None:
        """Tell a delta of text or of a tool's input from one of thinking."""
        document = mapping(event.document)
        delta = mapping(document.get("delta"))
        begun = mapping(document.get("content_block"))  # of a tool call it brings the name
        if delta.get("text") or delta.get("partial_json") or begun.get("type") == "tool_use":
            return "output"
        return "reasoning" if delta.get("thinking") else None

    def write_reply(self, response: MockResponse, call: PendingCall) -> dict[str, Any]:
        """Write a message with a block for the reasoning, the text and each tool call."""
        return _message(call) | {
            "content": _blocks(response),
            "stop_reason": _stop_reason(response),
            "usage": _write_usage(response.usage or TokenUsage()),
        }

    def write_events(self, response: MockResponse, call: PendingCall) -> Iterator[Event]:
        """Write the stream of a message."""
        usage = _write_usage(response.usage or TokenUsage())
        started = {key: usage[key] for key in usage if key != "output_tokens_details"}
        message = _message(call) | {"usage": started | {"output_tokens": 0}}
        yield _event("message_start", message=message)
        for index, block in enumerate(_blocks(response)):
            yield from _block_events(index, block)
        yield _event(
            "message_delta",
            delta={"stop_reason": _stop_reason(response), "stop_sequence": None},
            usage={key: usage[key] for key in usage if key.endswith(("_tokens", "_details"))},
        )
        yield _event("message_stop")

    def write_error(self, status: int, message: str) -> dict[str, Any]:
        """Write an error document."""
        kind = _ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": message}}


def _event(kind: str, **data: Any) -> Event:
    return Event({"type": kind} | data, kind)


def _message(call: PendingCall) -> dict[str, Any]:
    return {
        "id": new_id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": call.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _stop_reason(response: MockResponse) -> str:
    return response.finish_reason or ("tool_use" if response.tool_calls else "end_turn")


def _blocks(response: MockResponse) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if response.reasoning:
        blocks.append({"type": "thinking", "thinking": response.reasoning, "signature": ""})
    if response.text or not response.tool_calls:
        blocks.append({"type": "text", "text": response.text, "citations": None})
    for tool in response.tool_calls:
        block = {"type": "tool_use", "id": tool.id or new_id("toolu_"), "name": tool.name}
        blocks.append(block | {"input": dict(tool.arguments)})
    return blocks


def _block_events(index: int, block: dict[str, Any]) -> Iterator[Event]:
    """The events that build up one content block."""
    if block["type"] == "thinking":
        begun = block | {"thinking": ""}
        deltas = [{"type": "thinking_delta", "thinking": p} for p in pieces(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif block["type"] == "text":
        begun = block | {"text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
    else:
        begun = block | {"input": {}}
        text = arguments_text(ToolCall(block["name"], block["input"]))
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces(text)]
    yield _event("content_block_start", index=index, content_block=begun)
    for delta in deltas:
        yield _event("content_block_delta", index=index, delta=delta)
    yield _event("content_block_stop", index=index)


def _add_delta(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Add a delta to its block; a tool's input is kept as text until it is whole."""
    for key in ("text", "thinking"):
        if isinstance(delta.get(key), str):
            block[key] = string(block.get(key)) + delta[key]
            block.setdefault("type", key)
    if isinstance(delta.get("partial_json"), str):
        so_far = block.get("input")
        block["input"] = (so_far if isinstance(so_far, str) else "") + delta["partial_json"]


def _reply(
    document: Mapping[str, Any],
    blocks: Sequence[Mapping[str, Any]],
    error: str | None,
    *,
    complete: bool = True,
) -> Reply:
    usage = mapping(document.get("usage"))
    response = MockResponse(
        text="".join(string(block.get("text")) for block in blocks if block.get("type") == "text"),
        tool_calls=tuple(
            tool_call(block.get("name"), block.get("input"), block.get("id"))
            for block in blocks
            if block.get("type") == "tool_use"
        ),
        usage=_read_usage(usage),
        reasoning="".join(string(block.get("thinking")) for block in blocks),
        finish_reason=string(document.get("stop_reason")) or None,
    )
    return Reply(
        response,
        string(document.get("model")) or None,
        string(usage.get("service_tier")) or None,
        error,
        complete,
    )


def _read_usage(usage: Mapping[str, Any]) -> TokenUsage | None:
    """The usage, with the cached tokens in the input, which on the wire leaves them out."""
    if usage.get("input_tokens") is None and usage.get("output_tokens") is None:
        return None
    cached = count(usage.get("cache_read_input_tokens"))
    written = count(usage.get("cache_creation_input_tokens"))
    return TokenUsage(
        count(usage.get("input_tokens")) + cached + written,
        count(usage.get("output_tokens")),
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=count(mapping(usage.get("output_tokens_details")).get("thinking_tokens")),
    )


def _write_usage(usage: TokenUsage) -> dict[str, Any]:
    apart = usage.cached_tokens + usage.cache_write_tokens
    written: dict[str, Any] = {
        "input_tokens": max(0, usage.prompt_tokens - apart),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
        "service_tier": "standard",
    }
    if usage.reasoning_tokens:
        written["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return written
