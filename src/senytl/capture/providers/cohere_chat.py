"""Cohere's chats of version 2.

https://docs.cohere.com/v2/reference/chat
"""

from __future__ import annotations

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
    is_conversation,
    items,
    mapping,
    new_id,
    pieces,
    string,
    tool_call,
)
from senytl.capture.providers.cohere_common import cohere_error, read_usage, write_usage
from senytl.models import MockResponse, ToolCall

__all__ = ["CohereChat"]


class CohereChat:
    """``POST .../v2/chat``. Its replies do not name the model."""

    api = "cohere-chat"
    vendor = "cohere"
    suffixes: tuple[str, ...] = ("/v2/chat",)
    framing = SSE

    def recognise(self, path: str, body: Mapping[str, Any]) -> Asked | None:
        """Recognise a body with a model and messages."""
        model = string(body.get("model"))
        if not path.endswith(self.suffixes) or not model:
            return None
        if not is_conversation(body.get("messages")):
            return None
        return Asked(model, body.get("stream") is True)

    def read_reply(self, document: Mapping[str, Any]) -> Reply:
        """Read the message, whose plan for its tools is reasoning, and the billed tokens."""
        message = mapping(document.get("message"))
        content = items(message.get("content"))
        thoughts = "".join(string(part.get("thinking")) for part in content)
        response = MockResponse(
            text="".join(string(part.get("text")) for part in content),
            tool_calls=tuple(_read_tool(call) for call in items(message.get("tool_calls"))),
            usage=read_usage(document.get("usage")),
            reasoning=thoughts + string(message.get("tool_plan")),
            finish_reason=string(document.get("finish_reason")) or None,
        )
        return Reply(response, error=error_of(document))

    def read_events(self, events: Iterable[Event]) -> Reply:
        """Put the deltas together; the last event has the usage."""
        text, reasoning = "", ""
        calls: dict[int, dict[str, str]] = {}
        end: Mapping[str, Any] = {}
        error: str | None = None
        complete = False
        for event in events:
            document = mapping(event.document)
            delta = mapping(document.get("delta"))
            error = error or error_of(document) or error_of(delta)
            piece, thought = _read_delta(document)
            text += piece
            reasoning += thought
            part = mapping(mapping(delta.get("message")).get("tool_calls"))
            if part:
                _add_tool_delta(calls, count(document.get("index")), part)
            if document.get("type") == "message-end":
                end, complete = delta, True
        response = MockResponse(
            text=text,
            tool_calls=tuple(
                tool_call(call["name"], call["arguments"], call["id"] or None)
                for _, call in sorted(calls.items())
            ),
            usage=read_usage(end.get("usage")),
            reasoning=reasoning,
            finish_reason=string(end.get("finish_reason")) or None,
        )
        return Reply(response, error=error, complete=complete)

    def chunk_kind(self, event: Event) -> ChunkKind | None:
        """Tell a delta of text or of a tool call from one of thinking or of a plan for tools."""
        document = mapping(event.document)
        text, thought = _read_delta(document)
        if text or mapping(mapping(document.get("delta")).get("message")).get("tool_calls"):
            return "output"
        return "reasoning" if thought else None

    def write_reply(self, response: MockResponse, call: PendingCall) -> dict[str, Any]:
        """Write a message with its content and tool calls."""
        message: dict[str, Any] = {"role": "assistant", "content": _contents(response)}
        if response.tool_calls:
            message["tool_calls"] = [_write_tool(tool) for tool in response.tool_calls]
        return {"id": new_id(""), "message": message} | _ending(response)

    def write_events(self, response: MockResponse, call: PendingCall) -> Iterator[Event]:
        """Write the stream of a message."""
        empty = {"content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        message = {"role": "assistant"} | empty
        yield _event("message-start", id=new_id(""), delta={"message": message})
        contents = _contents(response)
        for index, content in enumerate(contents):
            yield from _content_events(index, content)
        for index, tool in enumerate(response.tool_calls, start=len(contents)):
            yield from _tool_events(index, tool)
        yield _event("message-end", delta=_ending(response))

    def write_error(self, status: int, message: str) -> dict[str, Any]:
        """Write an error object."""
        return cohere_error(message)


def _event(kind: str, **data: Any) -> Event:
    return Event({"type": kind} | data, kind)


def _ending(response: MockResponse) -> dict[str, Any]:
    usual = "TOOL_CALL" if response.tool_calls else "COMPLETE"
    ending: dict[str, Any] = {"finish_reason": response.finish_reason or usual}
    return ending | ({"usage": write_usage(response.usage)} if response.usage else {})


def _contents(response: MockResponse) -> list[dict[str, str]]:
    contents: list[dict[str, str]] = []
    if response.reasoning:
        contents.append({"type": "thinking", "thinking": response.reasoning})
    if response.text or not response.tool_calls:
        contents.append({"type": "text", "text": response.text})
    return contents


def _content_events(index: int, content: dict[str, str]) -> Iterator[Event]:
    kind = content["type"]
    begun = {"message": {"content": {"type": kind, kind: ""}}}
    yield _event("content-start", index=index, delta=begun)
    for piece in pieces(content[kind]):
        delta = {"message": {"content": {kind: piece}}}
        yield _event("content-delta", index=index, delta=delta)
    yield _event("content-end", index=index)


def _tool_events(index: int, tool: ToolCall) -> Iterator[Event]:
    begun = _write_tool(tool)
    begun["function"]["arguments"] = ""
    yield _event("tool-call-start", index=index, delta={"message": {"tool_calls": begun}})
    for piece in pieces(arguments_text(tool)):
        part = {"function": {"arguments": piece}}
        yield _event("tool-call-delta", index=index, delta={"message": {"tool_calls": part}})
    yield _event("tool-call-end", index=index)


def _read_delta(document: Mapping[str, Any]) -> tuple[str, str]:
    """The text and the reasoning in an event."""
    message = mapping(mapping(document.get("delta")).get("message"))
    content = mapping(message.get("content"))
    thought = string(content.get("thinking")) + string(message.get("tool_plan"))
    return string(content.get("text")), thought


def _add_tool_delta(calls: dict[int, dict[str, str]], index: int, part: Mapping[str, Any]) -> None:
    call = calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
    function = mapping(part.get("function"))
    call["id"] = string(part.get("id")) or call["id"]
    call["name"] += string(function.get("name"))
    call["arguments"] += string(function.get("arguments"))


def _read_tool(call: Mapping[str, Any]) -> ToolCall:
    function = mapping(call.get("function"))
    return tool_call(function.get("name"), function.get("arguments"), call.get("id"))


def _write_tool(tool: ToolCall) -> dict[str, Any]:
    function = {"name": tool.name, "arguments": arguments_text(tool)}
    return {"id": tool.id or new_id(""), "type": "function", "function": function}
