from __future__ import annotations

from typing import Any

import pytest

from senytl.capture.framing import LINES, Event
from senytl.capture.providers.ollama import OllamaChat, OllamaEmbed, OllamaGenerate
from senytl.models import MockResponse, TokenUsage, ToolCall

CHAT = OllamaChat()
FINAL: dict[str, Any] = {
    "model": "llama3.2",
    "created_at": "2023-08-04T19:22:45.499127Z",
    "done": True,
    "done_reason": "stop",
    "total_duration": 4883583458,
    "load_duration": 1334875,
    "prompt_eval_count": 26,
    "prompt_eval_duration": 342546000,
    "eval_count": 282,
    "eval_duration": 4535599000,
}


def line(message: dict[str, Any]) -> Event:
    created = "2023-08-04T08:52:19.385406455-07:00"
    content = {"role": "assistant", "content": ""} | message
    return Event({"model": "llama3.2", "created_at": created, "message": content, "done": False})


CALLS = [{"function": {"name": "get_weather", "arguments": {"city": "Toronto"}}}]
EVENTS = [
    line({"thinking": "Hm."}),
    line({"content": "The"}),
    line({"content": " sky"}),
    line({"tool_calls": CALLS}),
    Event(FINAL | {"message": {"role": "assistant", "content": ""}}),
]


def test_a_stream_is_read_with_the_counts_of_its_last_line() -> None:
    reply = CHAT.read_events(EVENTS)
    call = ToolCall("get_weather", {"city": "Toronto"})
    assert reply.response == MockResponse("The sky", (call,), TokenUsage(26, 282), "Hm.", "stop")
    assert (reply.response_model, reply.complete) == ("llama3.2", True)


def test_chunks_are_told_from_other_lines() -> None:
    kinds = [CHAT.chunk_kind(event) for event in EVENTS]
    assert kinds == ["reasoning", "output", "output", "output", None]


def test_a_stream_that_broke_off_is_not_complete_and_has_no_usage() -> None:
    reply = CHAT.read_events(EVENTS[:2])
    assert reply.response == MockResponse("The", reasoning="Hm.")
    assert not reply.complete


def test_an_error_in_the_middle_of_the_lines_is_read() -> None:
    body = b'{"model":"x","message":{"content":"par"},"done":false}\n{"error":"out of memory"}\n'
    reply = CHAT.read_events(event for _, event in LINES.read(body))
    assert (reply.response.text, reply.error) == ("par", "error: out of memory")
    assert not reply.complete


def test_a_completion_is_read() -> None:
    reply = OllamaGenerate().read_reply(FINAL | {"response": "Blue.", "thinking": "Hm."})
    assert reply.response == MockResponse("Blue.", (), TokenUsage(26, 282), "Hm.", "stop")


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"prompt_eval_count": 8}, TokenUsage(8)),
        ({"prompt_eval_count": None}, None),
        ({}, None),
    ],
)
def test_the_count_of_an_embedded_input_is_read(
    counts: dict[str, Any], usage: TokenUsage | None
) -> None:
    document = {"model": "all-minilm", "embeddings": [[0.01, -0.001]]} | counts
    reply = OllamaEmbed().read_reply(document)
    assert (reply.response, reply.response_model) == (MockResponse(usage=usage), "all-minilm")
