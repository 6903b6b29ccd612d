from __future__ import annotations

from typing import Any

import pytest

from senytl.capture import PendingCall
from senytl.capture.framing import ARRAY, SSE, Event
from senytl.capture.providers.gemini import Gemini
from senytl.models import MockResponse, TokenUsage, ToolCall

WIRE = Gemini()


def chunk(
    *parts: dict[str, Any], usage: dict[str, Any] | None = None, finish: str | None = None
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": "gemini-2.5-flash",
        "responseId": "xA1NaLqFO9qP-sAPrqCGwAU",
    }


USAGE = {
    "promptTokenCount": 120,
    "candidatesTokenCount": 18,
    "totalTokenCount": 158,
    "cachedContentTokenCount": 64,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 120}],
    "toolUsePromptTokenCount": 8,
    "thoughtsTokenCount": 12,
}
READ_USAGE = TokenUsage(128, 30, 158, cached_tokens=64, reasoning_tokens=12)


def test_a_reply_is_read_with_thoughts_in_the_completion() -> None:
    document = chunk(
        {"text": "Let me think.", "thought": True},
        {"text": "I look. "},
        {"text": "Wait."},
        {"functionCall": {"name": "get_weather", "args": {"city": "Paris"}, "id": "fc_1"}},
        {"functionCall": {"name": "now"}},
        usage=USAGE,
        finish="STOP",
    )
    reply = WIRE.read_reply(document)
    assert reply.response == MockResponse(
        "I look. Wait.",
        (ToolCall("get_weather", {"city": "Paris"}, "fc_1"), ToolCall("now")),
        READ_USAGE,
        "Let me think.",
        "STOP",
    )
    assert reply.response_model == "gemini-2.5-flash"


def test_a_stream_is_read_and_its_last_usage_counts() -> None:
    early = {"promptTokenCount": 120, "candidatesTokenCount": 2, "totalTokenCount": 122}
    events = [
        Event(chunk({"text": "Hel"}, usage=early)),
        Event(chunk({"text": "lo"}, usage=USAGE, finish="STOP")),
    ]
    response = WIRE.read_events(events).response
    assert (response.text, response.usage, response.finish_reason) == ("Hello", READ_USAGE, "STOP")


def test_a_stream_that_broke_off_before_its_output_was_counted_has_no_usage() -> None:
    events = [Event(chunk({"text": "Hel"}, usage={"promptTokenCount": 120}))]
    reply = WIRE.read_events(events)
    assert reply.response == MockResponse("Hel")
    assert not reply.complete


def test_a_blocked_prompt_says_why_and_what_it_cost() -> None:
    document = {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9},
    }
    response = WIRE.read_reply(document).response
    assert (response.finish_reason, response.usage) == ("SAFETY", TokenUsage(9, 0))


def test_an_error_inside_a_stream_is_read() -> None:
    error = {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}
    reply = WIRE.read_events([Event(chunk({"text": "Hel"})), Event({"error": error})])
    assert reply.error == "UNAVAILABLE: The model is overloaded."


ANSWERS = [
    MockResponse("Hello there, my friend.", usage=TokenUsage(10, 20)),
    MockResponse("", usage=TokenUsage(1, 0)),
    MockResponse(
        "Let me see.",
        (ToolCall("f", {"a": [1, "x y"]}, "fc_1"), ToolCall("g")),
        TokenUsage(100, 50, cached_tokens=64, reasoning_tokens=30),
        "Hm. Well.",
    ),
    MockResponse("cut", usage=TokenUsage(5, 1), finish_reason="MAX_TOKENS"),
]


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("way", ["reply", "events", "array"])
def test_what_is_written_is_read_again(answer: MockResponse, way: str) -> None:
    call = PendingCall("gemini", "google", "gemini-2.5-flash", {}, way != "reply")
    if way == "reply":
        reply = WIRE.read_reply(WIRE.write_reply(answer, call))
    else:
        framing = SSE if way == "events" else ARRAY
        body = b"".join(framing.write(WIRE.write_events(answer, call)))
        reply = WIRE.read_events(event for _, event in framing.read(body))
    assert reply.response == MockResponse(
        answer.text,
        tuple(answer.tool_calls),
        answer.usage,
        answer.reasoning,
        answer.finish_reason or "STOP",
    )
    assert reply.response_model == "gemini-2.5-flash"


def test_text_is_streamed_in_several_chunks() -> None:
    call = PendingCall("gemini", "google", "gemini-2.5-flash", {}, True)
    assert len(list(WIRE.write_events(ANSWERS[0], call))) == 4


def test_chunks_are_told_from_other_events() -> None:
    thought: dict[str, Any] = {"text": "Hm", "thought": True}
    call: dict[str, Any] = {"functionCall": {"name": "now"}}
    chunks: list[list[dict[str, Any]]] = [
        [{"text": "a"}],
        [thought],
        [thought, {"text": "a"}],
        [call],
        [{"text": ""}],
        [],
    ]
    kinds = [WIRE.chunk_kind(Event(chunk(*parts))) for parts in chunks]
    assert kinds == ["output", "reasoning", "output", "output", None, None]
    assert WIRE.chunk_kind(Event({"usageMetadata": USAGE})) is None


def test_errors_are_worded_as_google_words_them() -> None:
    error = {"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED"}
    assert WIRE.write_error(429, "no") == {"error": error}
    assert WIRE.write_error(500, "no")["error"]["status"] == "INTERNAL"
    assert WIRE.write_error(400, "no")["error"]["status"] == "INVALID_ARGUMENT"
