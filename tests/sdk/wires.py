"""The replies of four vendors in six formats, written by hand: what a server sends in tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

__all__ = ["is_streamed", "written"]


def is_streamed(path: str, body: Any) -> bool:
    """Whether a request asks for a stream."""
    return ":streamGenerateContent" in path or bool(body.get("stream"))


def written(path: str, body: Any, text: str, tokens: tuple[int, int]) -> list[bytes]:
    """The pieces of a reply in the format of the request: one, or the events of a stream.

    Args:
        path: The request's path, which tells the format.
        body: The request's body.
        text: What the reply says; a stream brings it in two chunks.
        tokens: Of the prompt and of the completion.
    """
    whole, events = next(
        writers for suffix, writers in _WRITERS.items() if path.partition("?")[0].endswith(suffix)
    )
    if is_streamed(path, body):
        half = len(text) // 2
        return list(events(body, [text[:half], text[half:]], tokens))
    return [json.dumps(whole(text, tokens)).encode()]


def _sse(document: Any, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(document)}\n\n".encode()


def _chat(text: str, tokens: tuple[int, int]) -> Any:
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _openai_usage(tokens),
    }


def _openai_usage(tokens: tuple[int, int]) -> Any:
    prompt, completion = tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _chat_events(body: Any, texts: Sequence[str], tokens: tuple[int, int]) -> Any:
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o-2024-08-06",
    }
    deltas: list[Any] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": text} for text in texts]
    for delta in deltas:
        yield _sse(chunk | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield _sse(chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        yield _sse(chunk | {"choices": [], "usage": _openai_usage(tokens)})
    yield b"data: [DONE]\n\n"


def _response(text: str, tokens: tuple[int, int], status: str = "completed") -> Any:
    prompt, completion = tokens
    content = {"type": "output_text", "text": text, "annotations": []}
    message = {
        "id": "msg_1",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [content],
    }
    done = status == "completed"
    usage = {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt + completion,
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "gpt-4o-2024-08-06",
        "output": [message] if done else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage if done else None,
    }


def _response_events(body: Any, texts: Sequence[str], tokens: tuple[int, int]) -> Any:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    item = {"id": "msg_1", "type": "message", "status": "in_progress", "role": "assistant"}
    part = {"type": "output_text", "text": "", "annotations": []}
    events: list[Any] = [
        {"type": "response.created", "response": _response("", tokens, "in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": item | {"content": []}},
        {"type": "response.content_part.added", "part": part, **place},
    ]
    for text in texts:
        events.append({"type": "response.output_text.delta", "delta": text, **place})
    events.append({"type": "response.completed", "response": _response("".join(texts), tokens)})
    for number, event in enumerate(events):
        yield _sse(event | {"sequence_number": number}, event["type"])


def _message(text: str, tokens: tuple[int, int]) -> Any:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": "end_turn" if text else None,
        "stop_sequence": None,
        "usage": {"input_tokens": tokens[0], "output_tokens": tokens[1]},
    }


def _message_events(body: Any, texts: Sequence[str], tokens: tuple[int, int]) -> Any:
    block = {"type": "text", "text": ""}
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    events: list[Any] = [
        {"type": "message_start", "message": _message("", (tokens[0], 1))},
        {"type": "content_block_start", "index": 0, "content_block": block},
    ]
    for text in texts:
        delta = {"type": "text_delta", "text": text}
        events.append({"type": "content_block_delta", "index": 0, "delta": delta})
    events += [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stop, "usage": {"output_tokens": tokens[1]}},
        {"type": "message_stop"},
    ]
    for event in events:
        yield _sse(event, event["type"])


def _generated(text: str, tokens: tuple[int, int]) -> Any:
    prompt, completion = tokens
    content = {"role": "model", "parts": [{"text": text}]}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": prompt,
            "candidatesTokenCount": completion,
            "totalTokenCount": prompt + completion,
        },
        "modelVersion": "gemini-2.5-flash",
    }


def _generated_events(body: Any, texts: Sequence[str], tokens: tuple[int, int]) -> Any:
    for text in texts:
        document = _generated(text, tokens)
        if text is not texts[-1]:
            del document["candidates"][0]["finishReason"]
        yield _sse(document)


def _conversed(text: str, tokens: tuple[int, int]) -> Any:
    prompt, completion = tokens
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
        "stopReason": "end_turn",
        "usage": {
            "inputTokens": prompt,
            "outputTokens": completion,
            "totalTokens": prompt + completion,
        },
        "metrics": {"latencyMs": 5},
    }


_WRITERS: dict[str, Any] = {
    "/chat/completions": (_chat, _chat_events),
    "/responses": (_response, _response_events),
    "/messages": (_message, _message_events),
    ":generateContent": (_generated, _generated_events),
    ":streamGenerateContent": (_generated, _generated_events),
    "/converse": (_conversed, None),
}
