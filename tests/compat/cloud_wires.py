"""Gemini's, Ollama's, Cohere's and Bedrock's formats, from the server's side."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from tests.compat.aws_frames import aws_frame
from tests.compat.reply import CACHED, Event, Reply, WireProtocol, data_line, sse_event

__all__ = ["PROTOCOLS"]


class _Gemini:
    """Each event of a stream repeats the usage so far."""

    cached_tokens = CACHED

    def speaks(self, path: str) -> bool:
        return unquote(path).endswith((":generateContent", ":streamGenerateContent"))

    def wants_stream(self, path: str, request: dict[str, Any]) -> bool:
        return unquote(path).endswith(":streamGenerateContent")

    def whole(self, path: str, request: dict[str, Any], reply: Reply) -> bytes:
        part: dict[str, Any] = {"text": reply.text}
        if reply.calls_tool:
            part = {"functionCall": {"name": reply.tool_name, "args": reply.arguments}}
        return json.dumps(self._document(path, reply, [part], reply.completion_tokens)).encode()

    def stream(
        self, path: str, query: str, request: dict[str, Any], reply: Reply
    ) -> tuple[str, list[Event]]:
        parts: list[dict[str, Any]] = [{"text": piece} for piece in reply.pieces]
        if reply.calls_tool:
            parts = [{"functionCall": {"name": reply.tool_name, "args": reply.arguments}}]
        documents = [self._document(path, reply, [part], place) for place, part in enumerate(parts)]
        documents[-1] = self._document(path, reply, parts[-1:], reply.completion_tokens)
        assert "alt=sse" in query, "the SDKs ask for server-sent events"
        return "text/event-stream", [data_line(one, is_output=True) for one in documents]

    def _document(
        self, path: str, reply: Reply, parts: list[dict[str, Any]], output_tokens: int
    ) -> dict[str, Any]:
        last = output_tokens == reply.completion_tokens
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
        return {
            "candidates": [candidate | ({"finishReason": "STOP"} if last else {})],
            "usageMetadata": {
                "promptTokenCount": reply.prompt_tokens,
                "cachedContentTokenCount": CACHED,
                "candidatesTokenCount": output_tokens,
                "totalTokenCount": reply.prompt_tokens + output_tokens,
            },
            "modelVersion": unquote(path).rpartition("/")[2].partition(":")[0],
            "responseId": reply.id,
        }


class _Ollama:
    """Lines of JSON; a call of a tool comes whole."""

    cached_tokens = 0

    def speaks(self, path: str) -> bool:
        return path.endswith("/api/chat")

    def wants_stream(self, path: str, request: dict[str, Any]) -> bool:
        return request.get("stream") is not False

    def whole(self, path: str, request: dict[str, Any], reply: Reply) -> bytes:
        last = self._last(request, reply)
        return json.dumps(last | {"message": self._message(reply, reply.text)}).encode()

    def stream(
        self, path: str, query: str, request: dict[str, Any], reply: Reply
    ) -> tuple[str, list[Event]]:
        messages = [self._message(reply, piece) for piece in reply.pieces or [""]]
        events = [
            Event(
                json.dumps(self._line(request) | {"message": one, "done": False}).encode() + b"\n",
                is_output=True,
            )
            for one in messages
        ]
        last = self._last(request, reply) | {"message": {"role": "assistant", "content": ""}}
        events.append(Event(json.dumps(last).encode() + b"\n"))
        return "application/x-ndjson", events

    def _line(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"model": request["model"], "created_at": "2026-01-01T00:00:00Z"}

    def _message(self, reply: Reply, text: str) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if reply.calls_tool:
            function = {"name": reply.tool_name, "arguments": reply.arguments}
            message["tool_calls"] = [{"function": function}]
        return message

    def _last(self, request: dict[str, Any], reply: Reply) -> dict[str, Any]:
        return self._line(request) | {
            "done": True,
            "done_reason": "stop",
            "total_duration": 200_000_000,
            "load_duration": 1_000_000,
            "prompt_eval_count": reply.prompt_tokens,
            "prompt_eval_duration": 40_000_000,
            "eval_count": reply.completion_tokens,
            "eval_duration": 160_000_000,
        }


class _Cohere:
    """Version 2 of the chat."""

    cached_tokens = 0

    def speaks(self, path: str) -> bool:
        return path.endswith("/v2/chat")

    def wants_stream(self, path: str, request: dict[str, Any]) -> bool:
        return bool(request.get("stream"))

    def whole(self, path: str, request: dict[str, Any], reply: Reply) -> bytes:
        message: dict[str, Any] = {"role": "assistant"}
        if reply.calls_tool:
            message["tool_plan"] = "I will look the weather up."
            message["tool_calls"] = [self._tool_call(reply, json.dumps(reply.arguments))]
        else:
            message["content"] = [{"type": "text", "text": reply.text}]
        document = {"id": reply.id, "message": message, **self._end(reply)}
        return json.dumps(document).encode()

    def stream(
        self, path: str, query: str, request: dict[str, Any], reply: Reply
    ) -> tuple[str, list[Event]]:
        events: list[Event] = []

        def add(kind: str, delta: Any = None, *, is_output: bool = False, **fields: Any) -> None:
            document = {"type": kind, **fields} | ({"delta": delta} if delta else {})
            events.append(sse_event(kind, document, is_output=is_output))

        def part(**message: Any) -> dict[str, Any]:
            return {"message": message}

        add("message-start", part(role="assistant"), id=reply.id)
        if reply.calls_tool:
            call = self._tool_call(reply, "")
            add("tool-call-start", part(tool_calls=call), is_output=True, index=0)
            for piece in reply.argument_pieces:
                delta = part(tool_calls={"function": {"arguments": piece}})
                add("tool-call-delta", delta, is_output=True, index=0)
            add("tool-call-end", index=0)
        else:
            add("content-start", part(content={"type": "text", "text": ""}), index=0)
            for piece in reply.pieces:
                add("content-delta", part(content={"text": piece}), is_output=True, index=0)
            add("content-end", index=0)
        add("message-end", self._end(reply), id=reply.id)
        return "text/event-stream", events

    def _tool_call(self, reply: Reply, arguments: str) -> dict[str, Any]:
        function = {"name": reply.tool_name, "arguments": arguments}
        return {"id": reply.tool_id, "type": "function", "function": function}

    def _end(self, reply: Reply) -> dict[str, Any]:
        tokens = {"input_tokens": reply.prompt_tokens, "output_tokens": reply.completion_tokens}
        return {
            "finish_reason": "TOOL_CALL" if reply.calls_tool else "COMPLETE",
            "usage": {"billed_units": tokens, "tokens": tokens},
        }


class _Bedrock:
    """Converse, whose streams are frames of a binary format."""

    cached_tokens = CACHED

    def speaks(self, path: str) -> bool:
        return path.endswith(("/converse", "/converse-stream"))

    def wants_stream(self, path: str, request: dict[str, Any]) -> bool:
        return path.endswith("/converse-stream")

    def whole(self, path: str, request: dict[str, Any], reply: Reply) -> bytes:
        block: dict[str, Any] = {"text": reply.text}
        if reply.calls_tool:
            block = {"toolUse": {**self._tool(reply), "input": reply.arguments}}
        document = {
            "output": {"message": {"role": "assistant", "content": [block]}},
            "stopReason": self._stop(reply),
            **self._end(reply),
        }
        return json.dumps(document).encode()

    def stream(
        self, path: str, query: str, request: dict[str, Any], reply: Reply
    ) -> tuple[str, list[Event]]:
        events = [aws_frame("messageStart", {"role": "assistant"})]
        if reply.calls_tool:
            start = {"contentBlockIndex": 0, "start": {"toolUse": self._tool(reply)}}
            events.append(aws_frame("contentBlockStart", start))
            deltas: list[Any] = [{"toolUse": {"input": one}} for one in reply.argument_pieces]
        else:
            deltas = [{"text": piece} for piece in reply.pieces]
        for delta in deltas:
            document = {"contentBlockIndex": 0, "delta": delta}
            events.append(aws_frame("contentBlockDelta", document, is_output=True))
        events.append(aws_frame("contentBlockStop", {"contentBlockIndex": 0}))
        events.append(aws_frame("messageStop", {"stopReason": self._stop(reply)}))
        events.append(aws_frame("metadata", self._end(reply)))
        return "application/vnd.amazon.eventstream", events

    def _tool(self, reply: Reply) -> dict[str, str]:
        return {"toolUseId": f"tooluse_{reply.number}", "name": reply.tool_name}

    def _stop(self, reply: Reply) -> str:
        return "tool_use" if reply.calls_tool else "end_turn"

    def _end(self, reply: Reply) -> dict[str, Any]:
        usage = {
            "inputTokens": reply.prompt_tokens - CACHED,
            "cacheReadInputTokens": CACHED,
            "outputTokens": reply.completion_tokens,
            "totalTokens": reply.prompt_tokens + reply.completion_tokens,
        }
        return {"usage": usage, "metrics": {"latencyMs": 200}}


PROTOCOLS: tuple[WireProtocol, ...] = (_Gemini(), _Ollama(), _Cohere(), _Bedrock())
