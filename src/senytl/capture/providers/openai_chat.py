"""OpenAI's chat completions, which most other vendors and local servers speak too.

https://platform.openai.com/docs/api-reference/chat
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
    error_of,
    items,
    mapping,
    new_id,
    pieces,
    string,
    tool_call,
)
from senytl.capture.providers.openai_common import (
    model_asked,
    openai_error,
    openai_reply,
    read_usage,
    write_usage,
)
from senytl.models import MockResponse, ToolCall

__all__ = ["OpenAIChat"]


class OpenAIChat:
    """``POST .../chat/completions``, on Azure with the model's deployment in the path."""

    api = "openai-chat"
    vendor = "openai"
    suffixes: tuple[str, ...] = ("/chat/completions",)
    framing = SSE

    def recognise(self, path: str, body: Mapping[str, Any]) -> Asked | None:
        """Recognise a body with messages and, in the body or the path, a model."""
        if not path.endswith(self.suffixes) or not isinstance(body.get("messages"), list):
            return None
        model = model_asked(path, body)
        return Asked(model, body.get("stream") is True) if model else None

    def read_reply(self, document: Mapping[str, Any]) -> Reply:
        """Read the first choice and the usage."""
        choice = next(iter(items(document.get("choices"))), {})
        message = mapping(choice.get("message"))
        tools = [_read_tool(call) for call in items(message.get("tool_calls"))]
        legacy = mapping(message.get("function_call"))
        if legacy:
            tools.append(tool_call(legacy.get("name"), legacy.get("arguments")))
        response = MockResponse(
            text=_text(message.get("content")) or string(message.get("refusal")),
            tool_calls=tuple(tools),
            usage=read_usage(document),
            reasoning=_reasoning(message),
            finish_reason=string(choice.get("finish_reason")) or None,
        )
        return openai_reply(response, document, error_of(document))

    def read_events(self, events: Iterable[Event]) -> Reply:
        """Put the first choice's deltas together; of repeated usages the last counts."""
        last: dict[str, Any] = {}
        text, reasoning, finish = "", "", None
        error: str | None = None
        calls: dict[int, dict[str, str]] = {}
        done = False
        for event in events:
            done = done or event.document is None
            document = mapping(event.document)
            error = error or error_of(document)
            for key in ("model", "service_tier", "usage", "x_groq"):
                if document.get(key):
                    last[key] = document[key]
            choices = items(document.get("choices"))
            choice = next((item for item in choices if not item.get("index")), {})
            delta = mapping(choice.get("delta"))
            text += _text(delta.get("content")) or string(delta.get("refusal"))
            reasoning += _reasoning(delta)
            finish = string(choice.get("finish_reason")) or finish
            for part in items(delta.get("tool_calls")):
                _add_tool_delta(calls, part)
            if mapping(delta.get("function_call")):  # the older way, of which there is only one
                _add_tool_delta(calls, {"index": -1, "function": delta["function_call"]})
        response = MockResponse(
            text=text,
            tool_calls=tuple(
                tool_call(call["name"], call["arguments"], call["id"] or None)
                for _, call in sorted(calls.items())
            ),
            usage=read_usage(last),
            reasoning=reasoning,
            finish_reason=finish,
        )
        return openai_reply(response, last, error, complete=finish is not None or done)

    def chunk_kind(self, event: Event) -> ChunkKind | None:
        """Tell a delta of text or of a tool call from one of reasoning, in the first choice."""
        for choice in items(mapping(event.document).get("choices")):
            delta = mapping(choice.get("delta"))
            if _text(delta.get("content")) or delta.get("refusal") or delta.get("tool_calls"):
                return "output"
            if delta.get("function_call"):
                return "output"
            if _reasoning(delta):
                return "reasoning"
        return None

    def write_reply(self, response: MockResponse, call: PendingCall) -> dict[str, Any]:
        """Write a completion with one choice."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": response.text if response.text or not response.tool_calls else None,
            "refusal": None,
            "annotations": [],
        }
        if response.reasoning:
            message["reasoning_content"] = response.reasoning
        if response.tool_calls:
            message["tool_calls"] = [_write_tool(tool) for tool in response.tool_calls]
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": _finish_reason(response),
        }
        return {
            "id": new_id("chatcmpl-"),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": call.model,
            "choices": [choice],
            "usage": write_usage(response.usage) if response.usage else None,
            "service_tier": "default",
            "system_fingerprint": None,
        }

    def write_events(self, response: MockResponse, call: PendingCall) -> Iterator[Event]:
        """Write a stream; its usage only where ``stream_options.include_usage`` asks for it."""
        frame = {
            "id": new_id("chatcmpl-"),
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": call.model,
            "service_tier": "default",
            "system_fingerprint": None,
        }
        wants_usage = bool(mapping(call.request.get("stream_options")).get("include_usage"))
        if wants_usage:
            frame["usage"] = None
        for delta in _deltas(response, whole_tools=call.provider == "mistral"):
            yield Event(frame | {"choices": [_choice(delta, None)]})
        yield Event(frame | {"choices": [_choice({}, _finish_reason(response))]})
        if wants_usage and response.usage:
            yield Event(frame | {"choices": [], "usage": write_usage(response.usage)})
        yield Event(None)

    def write_error(self, status: int, message: str) -> dict[str, Any]:
        """Write an error object."""
        return openai_error(status, message)


def _deltas(response: MockResponse, *, whole_tools: bool) -> Iterator[dict[str, Any]]:
    """The deltas of a stream; Mistral sends each tool call whole."""
    yield {"role": "assistant", "content": "" if response.text else None, "refusal": None}
    for piece in pieces(response.reasoning):
        yield {"reasoning_content": piece}
    for piece in pieces(response.text):
        yield {"content": piece}
    for index, tool in enumerate(response.tool_calls):
        opened = _write_tool(tool)
        if whole_tools:
            yield {"tool_calls": [{"index": index} | opened]}
            continue
        opened["function"]["arguments"] = ""
        yield {"tool_calls": [{"index": index} | opened]}
        for piece in pieces(arguments_text(tool)):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _choice(delta: Mapping[str, Any], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _finish_reason(response: MockResponse) -> str:
    return response.finish_reason or ("tool_calls" if response.tool_calls else "stop")


def _text(content: object) -> str:
    """The text of a content, which some vendors send as parts."""
    if isinstance(content, list):
        return "".join(string(part.get("text")) for part in items(content))
    return string(content)


def _reasoning(message: Mapping[str, Any]) -> str:
    """The reasoning, which vendors add under one of two names; Mistral puts it in the content."""
    thoughts = "".join(_text(part.get("thinking")) for part in items(message.get("content")))
    return string(message.get("reasoning_content")) or string(message.get("reasoning")) or thoughts


def _read_tool(call: Mapping[str, Any]) -> ToolCall:
    custom = mapping(call.get("custom"))
    if custom:
        return tool_call(custom.get("name"), custom.get("input"), call.get("id"))
    function = mapping(call.get("function"))
    return tool_call(function.get("name"), function.get("arguments"), call.get("id"))


def _add_tool_delta(calls: dict[int, dict[str, str]], part: Mapping[str, Any]) -> None:
    index = part.get("index")
    if not isinstance(index, int):  # some vendors leave it out and send each call whole
        index = len(calls) if part.get("id") or not calls else len(calls) - 1
    call = calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
    function = mapping(part.get("function")) or mapping(part.get("custom"))
    call["id"] = string(part.get("id")) or call["id"]
    call["name"] += string(function.get("name"))
    call["arguments"] += string(function.get("arguments")) or string(function.get("input"))


def _write_tool(tool: ToolCall) -> dict[str, Any]:
    function = {"name": tool.name, "arguments": arguments_text(tool)}
    return {"id": tool.id or new_id("call_"), "type": "function", "function": function}
