"""Anthropic's messages, from the server's side."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.compat.aws_frames import aws_frame
from tests.compat.reply import CACHED, Event, Reply, WireProtocol, sse_event

__all__ = ["PROTOCOLS"]


class _Messages:
    """Input tokens leave out cached ones; a stream reports its usage in two halves."""

    cached_tokens = CACHED

    def speaks(self, path: str) -> bool:
        return path.endswith("/messages")

    def wants_stream(self, path: str, request: dict[str, Any]) -> bool:
        return bool(request.get("stream"))

    def whole(self, path: str, request: dict[str, Any], reply: Reply) -> bytes:
        if reply.calls_tool:
            block = {"type": "tool_use", "id": f"toolu_{reply.number}", "name": reply.tool_name}
            block |= {"input": reply.arguments}  # type: ignore[dict-item]
        else:
            block = {"type": "text", "text": reply.text}
        message = _message(request, reply, reply.completion_tokens)
        message |= {"content": [block], "stop_reason": _stop(reply)}
        return json.dumps(message).encode()

    def stream(
        self, path: str, query: str, request: dict[str, Any], reply: Reply
    ) -> tuple[str, list[Event]]:
        events: list[Event] = []

        def add(kind: str, *, is_output: bool = False, **fields: Any) -> None:
            events.append(sse_event(kind, {"type": kind, **fields}, is_output=is_output))

        add("message_start", message=_message(request, reply, 1))
        if reply.calls_tool:
            block: dict[str, Any] = {"type": "tool_use", "id": f"toolu_{reply.number}"}
            block |= {"name": reply.tool_name, "input": {}}
            deltas = [
                {"type": "input_json_delta", "partial_json": piece}
                for piece in reply.argument_pieces
            ]
        else:
            block = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": piece} for piece in reply.pieces]
        add("content_block_start", index=0, content_block=block)
        add("ping")
        for delta in deltas:
            add("content_block_delta", is_output=True, index=0, delta=delta)
        add("content_block_stop", index=0)
        delta = {"stop_reason": _stop(reply), "stop_sequence": None}  # type: ignore[dict-item]
        add("message_delta", delta=delta, usage={"output_tokens": reply.completion_tokens})
        add("message_stop")
        return "text/event-stream; charset=utf-8", events


class _Invoke(_Messages):
    """The same on Bedrock: the model stands in the path, and streams are AWS's."""

    def speaks(self, path: str) -> bool:
        return path.endswith(("/invoke", "/invoke-with-response-stream"))

    def wants_stream(self, path: str, request: dict[str, Any]) -> bool:
        return path.endswith("/invoke-with-response-stream")

    def whole(self, path: str, request: dict[str, Any], reply: Reply) -> bytes:
        return super().whole(path, {**request, "model": "claude-sonnet-4-5"}, reply)

    def stream(
        self, path: str, query: str, request: dict[str, Any], reply: Reply
    ) -> tuple[str, list[Event]]:
        named = {**request, "model": "claude-sonnet-4-5"}
        frames: list[Event] = []
        for event in super().stream(path, query, named, reply)[1]:
            document = event.frame.partition(b"data: ")[2].strip()
            payload = {"bytes": base64.b64encode(document).decode()}
            frames.append(aws_frame("chunk", payload, is_output=event.is_output))
        return "application/vnd.amazon.eventstream", frames


def _message(request: dict[str, Any], reply: Reply, output_tokens: int) -> dict[str, Any]:
    return {
        "id": f"msg_{reply.number}",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": reply.prompt_tokens - CACHED,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": CACHED,
            "output_tokens": output_tokens,
        },
    }


def _stop(reply: Reply) -> str:
    return "tool_use" if reply.calls_tool else "end_turn"


PROTOCOLS: tuple[WireProtocol, ...] = (_Messages(), _Invoke())
