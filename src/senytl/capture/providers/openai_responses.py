"""OpenAI's Responses API.

https://platform.openai.com/docs/api-reference/responses
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
from senytl.capture.providers.openai_common import openai_error, openai_reply
from senytl.models import MockResponse, TokenUsage, ToolCall

__all__ = ["OpenAIResponses"]

_FINAL = ("response.completed", "response.incomplete", "response.failed")


class OpenAIResponses:
    """``POST .../responses``."""

    api = "openai-responses"
    vendor = "openai"
    suffixes: tuple[str, ...] = ("/responses",)
    framing = SSE

    def recognise(self, path: str, body: Mapping[str, Any]) -> Asked | None:
        """Recognise a body with a model and something to respond to."""
        model = string(body.get("model"))
        asks = any(body.get(key) for key in ("input", "prompt", "previous_response_id"))
        if not path.endswith(self.suffixes) or not model or not asks:
            return None
        return Asked(model, body.get("stream") is True)

    def read_reply(self, document: Mapping[str, Any]) -> Reply:
        """Read the output items and the usage."""
        text, reasoning = "", ""
        tools: list[ToolCall] = []
        for item in items(document.get("output")):
            if item.get("type") == "message":
                for part in items(item.get("content")):
                    text += string(part.get("text")) or string(part.get("refusal"))
            elif item.get("type") == "reasoning":
                parts = items(item.get("summary")) + items(item.get("content"))
                reasoning += "".join(string(part.get("text")) for part in parts)
            else:
                tools.extend(_read_tool(item))
        incomplete = mapping(document.get("incomplete_details")).get("reason")
        response = MockResponse(
            text=text,
            tool_calls=tuple(tools),
            usage=_read_usage(document.get("usage")),
            reasoning=reasoning,
            finish_reason=string(incomplete) or string(document.get("status")) or None,
        )
        return openai_reply(response, document, error_of(document))

    def read_events(self, events: Iterable[Event]) -> Reply:
        """Read the final response of a stream, or what its deltas tell where it never came."""
        text, reasoning = "", ""
        tools: list[ToolCall] = []
        latest: Mapping[str, Any] = {}
        error: str | None = None
        for event in events:
            document = mapping(event.document)
            kind = string(document.get("type"))
            latest = mapping(document.get("response")) or latest
            if kind in _FINAL:
                return self.read_reply(latest)
            if kind in ("response.output_text.delta", "response.refusal.delta"):
                text += string(document.get("delta"))
            elif kind.startswith("response.reasoning") and kind.endswith(".delta"):
                reasoning += string(document.get("delta"))
            elif kind == "response.output_item.done":
                tools.extend(_read_tool(mapping(document.get("item"))))
            elif kind == "error":
                error = f"{document.get('code') or 'error'}: {document.get('message')}"
            error = error or error_of(document)
        response = MockResponse(text=text, tool_calls=tuple(tools), reasoning=reasoning)
        return openai_reply(response, latest, error, complete=False)

    def chunk_kind(self, event: Event) -> ChunkKind | None:
        """Tell a delta of text or of a tool call from one of reasoning, by the event's type."""
        document = mapping(event.document)
        kind = string(document.get("type"))
        if kind == "response.output_item.added":  # a tool call begins with its name
            return "output" if mapping(document.get("item")).get("name") else None
        if not kind.endswith(".delta") or not document.get("delta"):
            return None
        return "reasoning" if kind.startswith("response.reasoning") else "output"

    def write_reply(self, response: MockResponse, call: PendingCall) -> dict[str, Any]:
        """Write a completed response."""
        return _document(call) | _completion(response, _output(response))

    def write_events(self, response: MockResponse, call: PendingCall) -> Iterator[Event]:
        """Write the whole sequence of events, from ``response.created`` to the final one."""
        document = _document(call)
        output = _output(response)
        final = document | _completion(response, output)
        sequence: list[dict[str, Any]] = [
            {"type": "response.created", "response": document},
            {"type": "response.in_progress", "response": document},
        ]
        for index, item in enumerate(output):
            sequence.extend(_item_events(index, item))
        sequence.append({"type": f"response.{final['status']}", "response": final})
        for number, event in enumerate(sequence):
            yield Event(event | {"sequence_number": number}, event["type"])

    def write_error(self, status: int, message: str) -> dict[str, Any]:
        """Write an error object."""
        return openai_error(status, message)


def _document(call: PendingCall) -> dict[str, Any]:
    """A response that has just been created; what the request sets is echoed, as the API does."""
    request = call.request
    return {
        "id": new_id("resp_"),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "max_output_tokens": request.get("max_output_tokens"),
        "metadata": request.get("metadata") or {},
        "model": call.model,
        "output": [],
        "parallel_tool_calls": request.get("parallel_tool_calls", True),
        "previous_response_id": request.get("previous_response_id"),
        "reasoning": request.get("reasoning") or {"effort": None, "summary": None},
        "service_tier": "default",
        "store": request.get("store", True),
        "temperature": request.get("temperature", 1.0),
        "text": request.get("text") or {"format": {"type": "text"}},
        "tool_choice": request.get("tool_choice", "auto"),
        "tools": request.get("tools") or [],
        "top_p": request.get("top_p", 1.0),
        "truncation": request.get("truncation", "disabled"),
        "usage": None,
    }


def _completion(response: MockResponse, output: list[dict[str, Any]]) -> dict[str, Any]:
    done: dict[str, Any] = {
        "status": "completed",
        "output": output,
        "usage": _write_usage(response.usage) if response.usage else None,
    }
    if response.finish_reason not in (None, "completed", "stop", "tool_calls"):
        done["status"] = "incomplete"
        done["incomplete_details"] = {"reason": response.finish_reason}
    return done


def _output(response: MockResponse) -> list[dict[str, Any]]:
    output: list[dict[str, Any]] = []
    if response.reasoning:
        summary = [{"type": "summary_text", "text": response.reasoning}]
        output.append({"id": new_id("rs_"), "type": "reasoning", "summary": summary})
    if response.text or not response.tool_calls:
        part = {
            "type": "output_text",
            "text": response.text,
            "annotations": [],
            "logprobs": [],
        }
        output.append(
            {
                "id": new_id("msg_"),
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [part],
            }
        )
    for tool in response.tool_calls:
        output.append(
            {
                "id": new_id("fc_"),
                "type": "function_call",
                "status": "completed",
                "call_id": tool.id or new_id("call_"),
                "name": tool.name,
                "arguments": arguments_text(tool),
            }
        )
    return output


def _item_events(index: int, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events that build up one output item."""
    place = {"item_id": item["id"], "output_index": index}
    empty: dict[str, dict[str, Any]] = {
        "reasoning": {"summary": []},
        "message": {"content": []},
    }
    begun = item | empty.get(item["type"], {"arguments": ""})
    if "status" in item:
        begun["status"] = "in_progress"
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    if item["type"] == "reasoning":
        yield from _reasoning_events(place | {"summary_index": 0}, item["summary"][0])
    elif item["type"] == "message":
        yield from _text_events(place | {"content_index": 0}, item["content"][0])
    else:
        prefix = "response.function_call_arguments"
        for piece in pieces(item["arguments"]):
            yield {"type": f"{prefix}.delta", "delta": piece} | place
        yield {
            "type": f"{prefix}.done",
            "name": item["name"],
            "arguments": item["arguments"],
        } | place
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _reasoning_events(place: dict[str, Any], part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    prefix = "response.reasoning_summary"
    yield {"type": f"{prefix}_part.added", "part": part | {"text": ""}} | place
    for piece in pieces(part["text"]):
        yield {"type": f"{prefix}_text.delta", "delta": piece} | place
    yield {"type": f"{prefix}_text.done", "text": part["text"]} | place
    yield {"type": f"{prefix}_part.done", "part": part} | place


def _text_events(place: dict[str, Any], part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"type": "response.content_part.added", "part": part | {"text": ""}} | place
    for piece in pieces(part["text"]):
        yield {"type": "response.output_text.delta", "delta": piece, "logprobs": []} | place
    yield {"type": "response.output_text.done", "text": part["text"], "logprobs": []} | place
    yield {"type": "response.content_part.done", "part": part} | place


def _read_tool(item: Mapping[str, Any]) -> Iterator[ToolCall]:
    """The tool call in an output item that asks the caller to run one."""
    if item.get("type") == "function_call":
        yield tool_call(item.get("name"), item.get("arguments"), item.get("call_id"))
    elif item.get("type") == "custom_tool_call":
        yield tool_call(item.get("name"), item.get("input"), item.get("call_id"))


def _read_usage(value: object) -> TokenUsage | None:
    usage = mapping(value)
    if usage.get("input_tokens") is None and usage.get("output_tokens") is None:
        return None
    prompt = mapping(usage.get("input_tokens_details"))
    return TokenUsage(
        count(usage.get("input_tokens")),
        count(usage.get("output_tokens")),
        count(usage.get("total_tokens")),
        cached_tokens=count(prompt.get("cached_tokens")),
        cache_write_tokens=count(prompt.get("cache_write_tokens")),
        reasoning_tokens=count(mapping(usage.get("output_tokens_details")).get("reasoning_tokens")),
    )


def _write_usage(usage: TokenUsage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }
