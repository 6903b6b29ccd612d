"""OpenAI's formats, from the server's side: chat completions, Responses, embeddings."""

from __future__ import annotations

import json
from typing import Any

from tests.compat.reply import CACHED, Event, Reply, WireProtocol, data_line, sse_event

__all__ = ["PROTOCOLS"]


class _Chat:
    """Chat completions. Mistral, Groq and Together send usage in streams without being asked."""

    cached_tokens = CACHED

    def speaks(self, path: str) -> bool:
        return path.endswith("/chat/completions")

    def wants_stream(self, path: str, request: dict[str, Any]) -> bool:
        return bool(request.get("stream"))

    def whole(self, path: str, request: dict[str, Any], reply: Reply) -> bytes:
        message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
        if reply.calls_tool:
            message["tool_calls"] = [_tool_call(reply, json.dumps(reply.arguments))]
        choice = {"index": 0, "message": message, "finish_reason": _finish(reply), "logprobs": None}
        return json.dumps(
            {
                "id": reply.id,
                "object": "chat.completion",
                "created": 1_750_000_000,
                "model": request["model"],
                "choices": [choice],
                "usage": _usage(reply),
            }
        ).encode()

    def stream(
        self, path: str, query: str, request: dict[str, Any], reply: Reply
    ) -> tuple[str, list[Event]]:
        def chunk(
            delta: dict[str, Any] | None, finish: str | None = None, **more: Any
        ) -> dict[str, Any]:
            choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
            return {
                "id": reply.id,
                "object": "chat.completion.chunk",
                "created": 1_750_000_000,
                "model": request["model"],
                "choices": [] if delta is None else choices,
                **more,
            }

        events = [data_line(chunk({"role": "assistant", "content": ""}))]
        for piece in reply.pieces:
            events.append(data_line(chunk({"content": piece}), is_output=True))
        if reply.calls_tool and path.startswith("/mistral/"):  # whole calls, in one chunk
            call = _tool_call(reply, json.dumps(reply.arguments))
            events.append(data_line(chunk({"tool_calls": [{"index": 0, **call}]}), is_output=True))
        elif reply.calls_tool:
            head = {"index": 0, **_tool_call(reply, "")}
            events.append(data_line(chunk({"tool_calls": [head]}), is_output=True))
            for piece in reply.argument_pieces:
                part = {"index": 0, "function": {"arguments": piece}}
                events.append(data_line(chunk({"tool_calls": [part]}), is_output=True))
        last = chunk({}, _finish(reply))
        if path.startswith(("/mistral/", "/together/")):
            last["usage"] = _usage(reply)
        elif path.startswith("/groq/"):
            last["x_groq"] = {"id": reply.id, "usage": _usage(reply)}
        events.append(data_line(last))
        if (request.get("stream_options") or {}).get("include_usage"):
            events.append(data_line(chunk(None, usage=_usage(reply))))
        events.append(Event(b"data: [DONE]\n\n"))
        return "text/event-stream; charset=utf-8", events


def _tool_call(reply: Reply, arguments: str) -> dict[str, Any]:
    function = {"name": reply.tool_name, "arguments": arguments}
    return {"id": reply.tool_id, "type": "function", "function": function}


def _finish(reply: Reply) -> str:
    return "tool_calls" if reply.calls_tool else "stop"


def _usage(reply: Reply) -> dict[str, Any]:
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": CACHED},
    }


class _Responses:
    """The Responses API."""

    cached_tokens = CACHED

    def speaks(self, path: str) -> bool:
        return path.endswith("/responses")

    def wants_stream(self, path: str, request: dict[str, Any]) -> bool:
        return bool(request.get("stream"))

    def whole(self, path: str, request: dict[str, Any], reply: Reply) -> bytes:
        return json.dumps(_response(request, reply, "completed")).encode()

    def stream(
        self, path: str, query: str, request: dict[str, Any], reply: Reply
    ) -> tuple[str, list[Event]]:
        events: list[Event] = []

        def add(kind: str, *, is_output: bool = False, **fields: Any) -> None:
            document = {"type": kind, "sequence_number": len(events), **fields}
            events.append(sse_event(kind, document, is_output=is_output))

        started = _response(request, reply, "in_progress")
        add("response.created", response=started)
        add("response.in_progress", response=started)
        done = _item(reply, "completed")
        place = {"item_id": done["id"], "output_index": 0}
        empty: dict[str, Any] = {"arguments": ""} if reply.calls_tool else {"content": []}
        begun = {**done, **empty, "status": "in_progress"}
        add("response.output_item.added", output_index=0, item=begun)
        if reply.calls_tool:
            for piece in reply.argument_pieces:
                kind = "response.function_call_arguments.delta"
                add(kind, is_output=True, **place, delta=piece)
            whole = {"name": reply.tool_name, "arguments": done["arguments"]}
            add("response.function_call_arguments.done", **place, **whole)
        else:
            part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            inside = {**place, "content_index": 0}
            add("response.content_part.added", **inside, part=part)
            for piece in reply.pieces:
                kind = "response.output_text.delta"
                add(kind, is_output=True, **inside, delta=piece, logprobs=[])
            add("response.output_text.done", **inside, text=reply.text, logprobs=[])
            add("response.content_part.done", **inside, part={**part, "text": reply.text})
        add("response.output_item.done", output_index=0, item=done)
        add("response.completed", response=_response(request, reply, "completed"))
        return "text/event-stream; charset=utf-8", events


def _item(reply: Reply, status: str) -> dict[str, Any]:
    if reply.calls_tool:
        return {
            "id": f"fc_{reply.number}",
            "type": "function_call",
            "status": status,
            "call_id": reply.tool_id,
            "name": reply.tool_name,
            "arguments": json.dumps(reply.arguments),
        }
    part = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}
    return {
        "id": f"msg_{reply.number}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [part],
    }


def _response(request: dict[str, Any], reply: Reply, status: str) -> dict[str, Any]:
    completed = status == "completed"
    usage = {
        "input_tokens": reply.prompt_tokens,
        "input_tokens_details": {"cached_tokens": CACHED, "cache_write_tokens": 0},
        "output_tokens": reply.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
    }
    return {
        "id": f"resp_{reply.number}",
        "object": "response",
        "created_at": 1_750_000_000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": request["model"],
        "output": [_item(reply, status)] if completed else [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": usage if completed else None,
    }


class _Embeddings:
    """Embeddings, of which there are no streams."""

    cached_tokens = 0

    def speaks(self, path: str) -> bool:
        return path.endswith("/embeddings")

    def wants_stream(self, path: str, request: dict[str, Any]) -> bool:
        return False

    def whole(self, path: str, request: dict[str, Any], reply: Reply) -> bytes:
        vector = {"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}
        usage = {"prompt_tokens": reply.prompt_tokens, "total_tokens": reply.prompt_tokens}
        return json.dumps(
            {"object": "list", "data": [vector], "model": request["model"], "usage": usage}
        ).encode()

    def stream(
        self, path: str, query: str, request: dict[str, Any], reply: Reply
    ) -> tuple[str, list[Event]]:
        raise NotImplementedError("embeddings are not streamed")


PROTOCOLS: tuple[WireProtocol, ...] = (_Chat(), _Responses(), _Embeddings())
