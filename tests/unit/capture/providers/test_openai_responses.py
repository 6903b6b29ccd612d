from __future__ import annotations

from typing import Any

import pytest

from senytl.capture import PendingCall
from senytl.capture.framing import SSE, Event
from senytl.capture.providers.openai_responses import OpenAIResponses
from senytl.models import MockResponse, TokenUsage, ToolCall

WIRE = OpenAIResponses()
OUTPUT = [
    {
        "id": "rs_6820f383d7c08191846711c5df8233bc",
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "The user wants the weather."}],
    },
    {
        "id": "msg_67ccd2bf17f0819081ff3bb2cf6508e6",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}],
    },
    {
        "type": "function_call",
        "id": "fc_67ca09c6bedc8190a7abfec07b1a1332",
        "call_id": "call_unLAR8MvFNptuiZK6K6HCy5k",
        "name": "get_weather",
        "arguments": '{"location": "Boston, MA", "unit": "celsius"}',
        "status": "completed",
    },
    {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_2", "name": "sh", "input": "ls"},
    {"type": "web_search_call", "id": "ws_1", "status": "completed"},
]
DOCUMENT: dict[str, Any] = {
    "id": "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
    "object": "response",
    "created_at": 1741476542,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "model": "gpt-5-2025-08-07",
    "output": OUTPUT,
    "service_tier": "default",
    "usage": {
        "input_tokens": 328,
        "input_tokens_details": {"cached_tokens": 128, "cache_write_tokens": 0},
        "output_tokens": 52,
        "output_tokens_details": {"reasoning_tokens": 40},
        "total_tokens": 380,
    },
}
READ = MockResponse(
    "Let me look.",
    (
        ToolCall(
            "get_weather",
            {"location": "Boston, MA", "unit": "celsius"},
            "call_unLAR8MvFNptuiZK6K6HCy5k",
        ),
        ToolCall("sh", {"_raw": "ls"}, "call_2"),
    ),
    TokenUsage(328, 52, 380, cached_tokens=128, reasoning_tokens=40),
    "The user wants the weather.",
    "completed",
)


def test_a_reply_is_read() -> None:
    reply = WIRE.read_reply(DOCUMENT)
    assert reply.response == READ
    assert (reply.response_model, reply.service_tier) == ("gpt-5-2025-08-07", "default")
    assert reply.error is None


def test_why_a_reply_is_incomplete_is_read() -> None:
    cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert WIRE.read_reply(DOCUMENT | cut).response.finish_reason == "max_output_tokens"


def test_a_failed_reply_tells_its_error_and_has_no_usage() -> None:
    error = {"code": "server_error", "message": "The model failed to generate a response."}
    reply = WIRE.read_reply({"status": "failed", "error": error, "usage": None, "output": []})
    assert reply.error == "server_error: The model failed to generate a response."
    assert reply.response.usage is None


def test_of_a_stream_the_final_response_counts() -> None:
    events = [
        Event({"type": "response.created", "response": DOCUMENT | {"usage": None}}),
        Event({"type": "response.output_text.delta", "delta": "Let me"}),
        Event({"type": "response.completed", "response": DOCUMENT}),
    ]
    reply = WIRE.read_events(events)
    assert reply.response == READ
    assert reply.complete


def test_of_a_stream_that_broke_off_the_deltas_count() -> None:
    events = [
        Event({"type": "response.created", "response": {"model": "gpt-5", "usage": None}}),
        Event({"type": "response.reasoning_summary_text.delta", "delta": "Hm."}),
        Event({"type": "response.output_item.done", "item": OUTPUT[2]}),
        Event({"type": "response.output_text.delta", "delta": "Let "}),
        Event({"type": "response.output_text.delta", "delta": "me"}),
    ]
    reply = WIRE.read_events(events)
    assert reply.response == MockResponse("Let me", READ.tool_calls[:1], reasoning="Hm.")
    assert reply.response_model == "gpt-5"
    assert not reply.complete


def test_an_error_event_is_read() -> None:
    event = Event({"type": "error", "code": "rate_limit_exceeded", "message": "Slow down"})
    assert WIRE.read_events([event]).error == "rate_limit_exceeded: Slow down"


ANSWERS = [
    MockResponse("Hello there, my friend.", usage=TokenUsage(10, 20)),
    MockResponse("", usage=TokenUsage(1, 0)),
    MockResponse(
        "Let me see.",
        (ToolCall("f", {"a": [1, "x y"]}, "call_1"), ToolCall("g", {}, "call_2")),
        TokenUsage(100, 50, cached_tokens=64, cache_write_tokens=3, reasoning_tokens=30),
        reasoning="Hm. Well.",
    ),
    MockResponse("cut", usage=TokenUsage(5, 1), finish_reason="max_output_tokens"),
]


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("streamed", [False, True])
def test_what_is_written_is_read_again(answer: MockResponse, streamed: bool) -> None:
    call = PendingCall("openai-responses", "openai", "gpt-5", {"instructions": "Be."}, streamed)
    if streamed:
        body = b"".join(SSE.write(WIRE.write_events(answer, call)))
        events = [event for _, event in SSE.read(body)]
        assert [event.name for event in events] == [e.document["type"] for e in events]  # type: ignore[index]
        numbers = [event.document["sequence_number"] for event in events]  # type: ignore[index]
        assert numbers == list(range(len(events)))
        unfinished = WIRE.read_events(events[:-1]).response
        assert (unfinished.text, unfinished.reasoning) == (answer.text, answer.reasoning)
        reply = WIRE.read_events(events)
    else:
        document = WIRE.write_reply(answer, call)
        assert document["instructions"] == "Be."
        reply = WIRE.read_reply(document)
    assert reply.response == MockResponse(
        answer.text,
        tuple(answer.tool_calls),
        answer.usage,
        answer.reasoning,
        answer.finish_reason or "completed",
    )


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "response.created", "response": DOCUMENT}, None),
        ({"type": "response.output_text.delta", "delta": "a"}, "output"),
        ({"type": "response.output_text.delta", "delta": ""}, None),
        ({"type": "response.refusal.delta", "delta": "a"}, "output"),
        ({"type": "response.function_call_arguments.delta", "delta": "{"}, "output"),
        ({"type": "response.reasoning_summary_text.delta", "delta": "Hm"}, "reasoning"),
        ({"type": "response.reasoning_text.delta", "delta": "Hm"}, "reasoning"),
        ({"type": "response.output_item.added", "item": OUTPUT[1]}, None),
        ({"type": "response.output_item.added", "item": OUTPUT[2]}, "output"),
        ({"type": "response.output_text.done", "text": "a"}, None),
        ({"type": "response.completed", "response": DOCUMENT}, None),
    ],
)
def test_chunks_are_told_from_other_events(event: dict[str, Any], kind: str | None) -> None:
    assert WIRE.chunk_kind(Event(event)) == kind


@pytest.mark.parametrize("path", ["/v1/responses", "/openai/responses", "/openai/v1/responses"])
def test_paths_of_openai_and_of_azure_are_recognised(path: str) -> None:
    asked = WIRE.recognise(path, {"model": "gpt-5", "input": "Hi", "stream": True})
    assert asked is not None
    assert (asked.model, asked.streamed) == ("gpt-5", True)


def test_errors_are_worded_as_openai_words_them() -> None:
    assert WIRE.write_error(401, "no")["error"]["code"] == "invalid_api_key"
