"""Ollama's own API: chats, completions and embeddings.

https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from senytl.capture.calls import PendingCall
from senytl.capture.framing import LINES, Event
from senytl.capture.providers.base import (
    Asked,
    ChunkKind,
    Reply,
    count,
    error_of,
    is_conversation,
    items,
    mapping,
    pieces,
    string,
    tool_call,
)
from senytl.capture.providers.embeddings import WholeReplies
from senytl.capture.providers.vectors import contents_of, vector_of
from senytl.models import MockResponse, TokenUsage, ToolCall

__all__ = ["OllamaChat", "OllamaEmbed", "OllamaGenerate"]


class OllamaGenerate:
    """``POST .../api/generate``, which completes a prompt and streams unless told otherwise."""

    api = "ollama-generate"
    vendor = "ollama"
    suffixes: tuple[str, ...] = ("/api/generate",)
    framing = LINES

    def recognise(self, path: str, body: Mapping[str, Any]) -> Asked | None:
        """Recognise a body with a model and a prompt; without a prompt it only loads the model."""
        if not path.endswith(self.suffixes) or not string(body.get("prompt")):
            return None
        return _asked(body)

    def read_reply(self, document: Mapping[str, Any]) -> Reply:
        """Read the text and the counts."""
        return self.read_events([Event(document)])

    def read_events(self, events: Iterable[Event]) -> Reply:
        """Put the lines together; the last one, which says that it is done, has the counts."""
        text, reasoning, finish = "", "", None
        tools: list[ToolCall] = []
        model: str | None = None
        usage: TokenUsage | None = None
        error: str | None = None
        complete = False
        for event in events:
            document = mapping(event.document)
            error = error or error_of(document)
            model = string(document.get("model")) or model
            piece, thought, calls = self._read_content(document)
            text += piece
            reasoning += thought
            tools.extend(calls)
            if document.get("done") is True:
                complete = True
                usage = _read_usage(document)
                finish = string(document.get("done_reason")) or None
        response = MockResponse(text, tuple(tools), usage, reasoning, finish)
        return Reply(response, model, None, error, complete)

    def chunk_kind(self, event: Event) -> ChunkKind | None:
        """Tell a line with text or a tool call from one of thinking."""
        text, thought, calls = self._read_content(mapping(event.document))
        if text or calls:
            return "output"
        return "reasoning" if thought else None

    def write_reply(self, response: MockResponse, call: PendingCall) -> dict[str, Any]:
        """Write a reply that is done."""
        content = self._write_content(response.text, response.reasoning, response.tool_calls)
        return _stamp(call) | content | _ending(response)

    def write_events(self, response: MockResponse, call: PendingCall) -> Iterator[Event]:
        """Write a line per word, one with the tool calls, and the last one."""
        for piece in pieces(response.reasoning):
            yield Event(_stamp(call) | self._write_content("", piece) | {"done": False})
        for piece in pieces(response.text):
            yield Event(_stamp(call) | self._write_content(piece) | {"done": False})
        if response.tool_calls:
            content = self._write_content("", tools=response.tool_calls)
            yield Event(_stamp(call) | content | {"done": False})
        yield Event(_stamp(call) | self._write_content("") | _ending(response))

    def write_error(self, status: int, message: str) -> dict[str, Any]:
        """Write an error, which Ollama gives as a mere text."""
        return {"error": message}

    def _read_content(self, document: Mapping[str, Any]) -> tuple[str, str, list[ToolCall]]:
        return string(document.get("response")), string(document.get("thinking")), []

    def _write_content(
        self, text: str, reasoning: str = "", tools: Iterable[ToolCall] = ()
    ) -> dict[str, Any]:
        return {"response": text} | ({"thinking": reasoning} if reasoning else {})


class OllamaChat(OllamaGenerate):
    """``POST .../api/chat``, which streams unless told otherwise.

    Agents often have an endpoint of that name themselves, so the body must look like Ollama's.
    """

    api = "ollama-chat"
    suffixes: tuple[str, ...] = ("/api/chat",)

    def recognise(self, path: str, body: Mapping[str, Any]) -> Asked | None:
        """Recognise a body with a model and messages."""
        if not path.endswith(self.suffixes) or not is_conversation(body.get("messages")):
            return None
        return _asked(body)

    def _read_content(self, document: Mapping[str, Any]) -> tuple[str, str, list[ToolCall]]:
        message = mapping(document.get("message"))
        tools = [
            tool_call(function.get("name"), function.get("arguments"), call.get("id"))
            for call in items(message.get("tool_calls"))
            for function in [mapping(call.get("function"))]
        ]
        return string(message.get("content")), string(message.get("thinking")), tools

    def _write_content(
        self, text: str, reasoning: str = "", tools: Iterable[ToolCall] = ()
    ) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if reasoning:
            message["thinking"] = reasoning
        calls = [_write_tool(index, tool) for index, tool in enumerate(tools)]
        if calls:
            message["tool_calls"] = calls
        return {"message": message}


class OllamaEmbed(WholeReplies):
    """``POST .../api/embed``, and ``.../api/embeddings`` as it was before."""

    api = "ollama-embed"
    vendor = "ollama"
    suffixes: tuple[str, ...] = ("/api/embed", "/api/embeddings")

    def recognise(self, path: str, body: Mapping[str, Any]) -> Asked | None:
        """Recognise a body with a model and an input, which was once called a prompt."""
        asks = body.get("input" if path.endswith("/embed") else "prompt")
        model = string(body.get("model"))
        if not path.endswith(self.suffixes) or not model or not asks:
            return None
        return Asked(model, streamed=False)

    def read_reply(self, document: Mapping[str, Any]) -> Reply:
        """Read the count of the input's tokens."""
        response = MockResponse(usage=_read_usage(document))
        return Reply(response, string(document.get("model")) or None, error=error_of(document))

    def write_reply(self, response: MockResponse, call: PendingCall) -> dict[str, Any]:
        """Write a vector for each input."""
        request = call.request
        if "input" not in request:
            return {"embedding": list(vector_of(request.get("prompt"), call.model))}
        contents = contents_of(request.get("input"))
        dimensions = request.get("dimensions")
        return {
            "model": call.model,
            "embeddings": [list(vector_of(one, call.model, dimensions)) for one in contents],
            "total_duration": 0,
            "load_duration": 0,
            "prompt_eval_count": response.usage.prompt_tokens if response.usage else 0,
        }

    def write_error(self, status: int, message: str) -> dict[str, Any]:
        """Write an error, which Ollama gives as a mere text."""
        return {"error": message}


def _asked(body: Mapping[str, Any]) -> Asked | None:
    model = string(body.get("model"))
    return Asked(model, body.get("stream") is not False) if model else None


def _read_usage(document: Mapping[str, Any]) -> TokenUsage | None:
    prompt, completion = document.get("prompt_eval_count"), document.get("eval_count")
    if prompt is None and completion is None:
        return None
    return TokenUsage(count(prompt), count(completion))


def _stamp(call: PendingCall) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return {"model": call.model, "created_at": now}


def _ending(response: MockResponse) -> dict[str, Any]:
    ending: dict[str, Any] = {"done": True, "done_reason": response.finish_reason or "stop"}
    ending |= {"total_duration": 0, "load_duration": 0}
    if response.usage:
        ending |= {
            "prompt_eval_count": response.usage.prompt_tokens,
            "prompt_eval_duration": 0,
            "eval_count": response.usage.completion_tokens,
            "eval_duration": 0,
        }
    return ending


def _write_tool(index: int, tool: ToolCall) -> dict[str, Any]:
    function = {"index": index, "name": tool.name, "arguments": dict(tool.arguments)}
    return ({"id": tool.id} if tool.id else {}) | {"function": function}
