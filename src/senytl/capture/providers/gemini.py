"""Google's Gemini, on the Gemini API and on Vertex AI.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from senytl.capture.calls import PendingCall
from senytl.capture.framing import ARRAY, Event
from senytl.capture.providers.base import (
    Asked,
    ChunkKind,
    Reply,
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

__all__ = ["Gemini", "google_error"]

# https://cloud.google.com/apis/design/errors
_ERRORS = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}

_STREAM = ":streamGenerateContent"
_PATH = re.compile(r"/([^/:]+):(?:generateContent|streamGenerateContent)$")


class Gemini:
    """``POST .../models/{model}:generateContent`` and ``:streamGenerateContent``.

    On Vertex the path names a project, a location and a publisher before the model. A tuned model
    is known by the identifier of its endpoint.
    """

    api = "gemini"
    vendor = "google"
    suffixes: tuple[str, ...] = (":generateContent", _STREAM)
    framing = ARRAY  # server-sent events where the query asks for them

    def recognise(self, path: str, body: Mapping[str, Any]) -> Asked | None:
        """Recognise a body with contents; the model and whether to stream stand in the path."""
        found = _PATH.search(path) if path.endswith(self.suffixes) else None
        if found is None or "contents" not in body:
            return None
        return Asked(found[1], path.endswith(_STREAM))

    def read_reply(self, document: Mapping[str, Any]) -> Reply:
        """Read the first candidate's parts and the usage."""
        return self.read_events([Event(document)])

    def read_events(self, events: Iterable[Event]) -> Reply:
        """Put the first candidate's parts together; usages are cumulative, the last counts."""
        text, reasoning, finish = "", "", None
        tools: list[ToolCall] = []
        usage: Mapping[str, Any] = {}
        model: str | None = None
        error: str | None = None
        for event in events:
            document = mapping(event.document)
            error = error or error_of(document)
            model = string(document.get("modelVersion")) or model
            usage = mapping(document.get("usageMetadata")) or usage
            blocked = mapping(document.get("promptFeedback")).get("blockReason")
            candidate: Mapping[str, Any] = next(iter(items(document.get("candidates"))), {})
            finish = string(candidate.get("finishReason")) or string(blocked) or finish
            for part in items(mapping(candidate.get("content")).get("parts")):
                if part.get("thought"):
                    reasoning += string(part.get("text"))
                else:
                    text += string(part.get("text"))
                call = mapping(part.get("functionCall"))
                if call:
                    tools.append(tool_call(call.get("name"), call.get("args"), call.get("id")))
        response = MockResponse(
            text=text,
            tool_calls=tuple(tools),
            usage=_read_usage(usage, ended=finish is not None),
            reasoning=reasoning,
            finish_reason=finish,
        )
        return Reply(response, model, None, error, complete=finish is not None)

    def chunk_kind(self, event: Event) -> ChunkKind | None:
        """Tell parts that are text or a function's call from those that are thoughts."""
        kind: ChunkKind | None = None
        candidate: Mapping[str, Any] = next(
            iter(items(mapping(event.document).get("candidates"))), {}
        )
        for part in items(mapping(candidate.get("content")).get("parts")):
            if part.get("functionCall") or (part.get("text") and not part.get("thought")):
                return "output"
            if part.get("text"):
                kind = "reasoning"
        return kind

    def write_reply(self, response: MockResponse, call: PendingCall) -> dict[str, Any]:
        """Write a reply with one candidate."""
        parts = [part for group in _groups(response) for part in group]
        return _chunk(new_id(""), call, parts) | _ending(response, parts)

    def write_events(self, response: MockResponse, call: PendingCall) -> Iterator[Event]:
        """Write a chunk per word; the last one carries the finish reason and the usage."""
        response_id = new_id("")
        parts: list[dict[str, Any]] = [{"text": ""}]
        *groups, last = _groups(response, streamed=True) or [parts]
        for group in groups:
            yield Event(_chunk(response_id, call, group))
        yield Event(_chunk(response_id, call, last) | _ending(response, last))

    def write_error(self, status: int, message: str) -> dict[str, Any]:
        """Write Google's error object."""
        return google_error(status, message)


def google_error(status: int, message: str) -> dict[str, Any]:
    """The body of an error as Google words it."""
    code = _ERRORS.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
    return {"error": {"code": status, "message": message, "status": code}}


def _groups(response: MockResponse, *, streamed: bool = False) -> list[list[dict[str, Any]]]:
    """The reply's parts, grouped into the chunks of a stream."""
    cut = pieces if streamed else _whole
    groups: list[list[dict[str, Any]]] = []
    groups += [[{"text": piece, "thought": True}] for piece in cut(response.reasoning)]
    groups += [[{"text": piece}] for piece in cut(response.text)]
    calls = []
    for tool in response.tool_calls:
        function: dict[str, Any] = {"name": tool.name, "args": dict(tool.arguments)}
        if tool.id:
            function["id"] = tool.id
        calls.append({"functionCall": function})
    return [*groups, calls] if calls else groups


def _whole(text: str) -> list[str]:
    return [text] if text else []


def _chunk(response_id: str, call: PendingCall, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "candidates": [_candidate(parts)],
        "modelVersion": call.model,
        "responseId": response_id,
    }


def _candidate(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"content": {"parts": parts or [{"text": ""}], "role": "model"}, "index": 0}


def _ending(response: MockResponse, parts: list[dict[str, Any]]) -> dict[str, Any]:
    candidate = _candidate(parts) | {"finishReason": response.finish_reason or "STOP"}
    ending: dict[str, Any] = {"candidates": [candidate]}
    if response.usage:
        ending["usageMetadata"] = _write_usage(response.usage)
    return ending


def _read_usage(usage: Mapping[str, Any], *, ended: bool) -> TokenUsage | None:
    """The usage, with thoughts in the completion and tools' results in the prompt.

    Before a stream's end the usage may count the prompt alone: then it is no usage of the call.
    """
    counted = usage.get("candidatesTokenCount") is not None
    if not counted and (not ended or usage.get("promptTokenCount") is None):
        return None
    thoughts = count(usage.get("thoughtsTokenCount"))
    return TokenUsage(
        count(usage.get("promptTokenCount")) + count(usage.get("toolUsePromptTokenCount")),
        count(usage.get("candidatesTokenCount")) + thoughts,
        count(usage.get("totalTokenCount")),
        cached_tokens=count(usage.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
    )


def _write_usage(usage: TokenUsage) -> dict[str, Any]:
    written = {
        "promptTokenCount": usage.prompt_tokens,
        "candidatesTokenCount": max(0, usage.completion_tokens - usage.reasoning_tokens),
        "totalTokenCount": usage.total_tokens,
    }
    if usage.reasoning_tokens:
        written["thoughtsTokenCount"] = usage.reasoning_tokens
    if usage.cached_tokens:
        written["cachedContentTokenCount"] = usage.cached_tokens
    return written
