"""Cohere's chats of version 1.

https://docs.cohere.com/v1/reference/chat
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from senytl.capture.calls import PendingCall
from senytl.capture.framing import LINES, Event
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
    tool_call,
)
from senytl.capture.providers.cohere_common import cohere_error, read_usage, write_usage
from senytl.models import MockResponse

__all__ = ["CohereChatV1"]

_MODELS = ("command", "c4ai", "aya")


class CohereChatV1:
    """``POST .../v1/chat``.

    Agents often have an endpoint of that name themselves that takes a message, so a model of
    Cohere's must be named too.
    """

    api = "cohere-chat-v1"
    vendor = "cohere"
    suffixes: tuple[str, ...] = ("/v1/chat",)
    framing = LINES

    def recognise(self, path: str, body: Mapping[str, Any]) -> Asked | None:
        """Recognise a body with a message and one of Cohere's models."""
        model = string(body.get("model"))
        ours = model.startswith(_MODELS) or model.endswith("-ft")
        if not path.endswith(self.suffixes) or not ours or not string(body.get("message")):
            return None
        return Asked(model, body.get("stream") is True)

    def read_reply(self, document: Mapping[str, Any]) -> Reply:
        """Read the text, the tool calls and the billed tokens."""
        response = MockResponse(
            text=string(document.get("text")),
            tool_calls=tuple(
                tool_call(call.get("name"), call.get("parameters"))
                for call in items(document.get("tool_calls"))
            ),
            usage=read_usage(document.get("meta")),
            finish_reason=string(document.get("finish_reason")) or None,
        )
        return Reply(response, error=error_of(document))

    def read_events(self, events: Iterable[Event]) -> Reply:
        """Read the response in the last event, or what the others tell where it never came."""
        text = ""
        error: str | None = None
        for event in events:
            document = mapping(event.document)
            error = error or error_of(document)
            kind = document.get("event_type")
            if kind == "stream-end":
                return self.read_reply(
                    {"finish_reason": document.get("finish_reason")}
                    | dict(mapping(document.get("response")))
                )
            if kind == "text-generation":
                text += string(document.get("text"))
        return Reply(MockResponse(text), error=error, complete=False)

    def chunk_kind(self, event: Event) -> ChunkKind | None:
        """Tell whether an event brings text or a part of a tool call."""
        document = mapping(event.document)
        kind = document.get("event_type")
        if kind == "text-generation" and document.get("text"):
            return "output"
        return "output" if kind in ("tool-calls-chunk", "tool-calls-generation") else None

    def write_reply(self, response: MockResponse, call: PendingCall) -> dict[str, Any]:
        """Write a reply; it has no place for reasoning."""
        reply: dict[str, Any] = {
            "response_id": new_id(""),
            "generation_id": new_id(""),
            "text": response.text,
            "finish_reason": response.finish_reason or "COMPLETE",
            "meta": {"api_version": {"version": "1"}} | write_usage(response.usage),
        }
        if response.tool_calls:
            reply["tool_calls"] = _write_tools(response)
        return reply

    def write_events(self, response: MockResponse, call: PendingCall) -> Iterator[Event]:
        """Write an event per word, one with the tool calls, and the whole response."""
        reply = self.write_reply(response, call)
        start = {"is_finished": False, "event_type": "stream-start"}
        yield Event(start | {"generation_id": reply["generation_id"]})
        for piece in pieces(response.text):
            yield Event({"is_finished": False, "event_type": "text-generation", "text": piece})
        if response.tool_calls:
            tools = {"is_finished": False, "event_type": "tool-calls-generation"}
            yield Event(tools | {"tool_calls": _write_tools(response)})
        end = {"is_finished": True, "event_type": "stream-end", "response": reply}
        yield Event(end | {"finish_reason": reply["finish_reason"]})

    def write_error(self, status: int, message: str) -> dict[str, Any]:
        """Write an error object."""
        return cohere_error(message)


def _write_tools(response: MockResponse) -> list[dict[str, Any]]:
    return [{"name": tool.name, "parameters": dict(tool.arguments)} for tool in response.tool_calls]
