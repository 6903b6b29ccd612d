from __future__ import annotations

from typing import Any

import pytest

from senytl.capture import PendingCall
from senytl.capture.framing import SSE, Event
from senytl.capture.providers.anthropic import AnthropicMessages
from senytl.models import MockResponse, TokenUsage, ToolCall

WIRE = AnthropicMessages()
MESSAGE: dict[str, Any] = {
    "id": "msg_013Zva2CMHLNnXjNJJKqJ2EF",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-6",
    "content": [
        {"type": "thinking", "thinking": "Simple.", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"},
        {"type": "text", "text": "Hi! ", "citations": None},
        {"type": "text", "text": "I look.", "citations": None},
        {"type": "tool_use", "id": "toolu_01A09q90", "name": "get_weather", "input": {"c": "SF"}},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 20,
        "cache_creation_input_tokens": 50,
        "cache_read_input_tokens": 100,
        "cache_creation": {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 30,
        "output_tokens_details": {"thinking_tokens": 12},
        "service_tier": "standard",
    },
}
STREAM = b"""event: message_start
data: {"type":"message_start","message":{"id":"msg_014p7gG3wDgGV9EUtLvnow3U","type":"message",\
"role":"assistant","model":"claude-sonnet-4-6","stop_sequence":null,"usage":{"input_tokens":472,\
"cache_creation_input_tokens":8,"cache_read_input_tokens":20,"output_tokens":2,\
"service_tier":"standard"},"content":[],"stop_reason":null}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Okay"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":", let's see"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use",\
"id":"toolu_01T1x1fJ34qAmk2tNTrN7Up6","name":"get_weather","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta",\
"partial_json":"{\\"location\\": \\"San"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta",\
"partial_json":" Francisco, CA\\"}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},\
"usage":{"output_tokens":89}}

event: message_stop
data: {"type":"message_stop"}

"""
EVENTS = [event for _, event in SSE.read(STREAM)]


def test_a_reply_is_read_with_the_cached_tokens_in_the_prompt() -> None:
    reply = WIRE.read_reply(MESSAGE)
    assert reply.response == MockResponse(
        "Hi! I look.",
        (ToolCall("get_weather", {"c": "SF"}, "toolu_01A09q90"),),
        TokenUsage(170, 30, cached_tokens=100, cache_write_tokens=50, reasoning_tokens=12),
        "Simple.",
        "tool_use",
    )
    assert (reply.response_model, reply.service_tier) == ("claude-sonnet-4-6", "standard")


def test_a_stream_is_read_and_its_cumulative_usage_merged() -> None:
    reply = WIRE.read_events(EVENTS)
    assert reply.response == MockResponse(
        "Okay, let's see",
        (
            ToolCall(
                "get_weather", {"location": "San Francisco, CA"}, "toolu_01T1x1fJ34qAmk2tNTrN7Up6"
            ),
        ),
        TokenUsage(500, 89, cached_tokens=20, cache_write_tokens=8),
        finish_reason="tool_use",
    )
    assert (reply.response_model, reply.service_tier) == ("claude-sonnet-4-6", "standard")


def test_a_stream_is_complete_with_its_last_event_only() -> None:
    assert WIRE.read_events(EVENTS).complete
    assert not WIRE.read_events(EVENTS[:-1]).complete


def test_chunks_are_told_from_other_events() -> None:
    kinds = {number: WIRE.chunk_kind(event) for number, event in enumerate(EVENTS)}
    # Two deltas of text, the start of the tool call, and two of the deltas of its input.
    assert [number for number, kind in kinds.items() if kind == "output"] == [3, 4, 6, 8, 9]
    assert set(kinds.values()) == {"output", None}
    thinking = {"type": "thinking_delta", "thinking": "Hm"}
    signature = {"type": "signature_delta", "signature": "EqQB"}
    begun = {"type": "content_block_start", "content_block": {"type": "thinking", "thinking": ""}}
    assert WIRE.chunk_kind(Event({"type": "content_block_delta", "delta": thinking})) == "reasoning"
    assert WIRE.chunk_kind(Event({"type": "content_block_delta", "delta": signature})) is None
    assert WIRE.chunk_kind(Event(begun)) is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ],
)
def test_errors_are_worded_as_anthropic_words_them(status: int, kind: str) -> None:
    error = {"type": kind, "message": "no"}
    assert WIRE.write_error(status, "no") == {"type": "error", "error": error}


def test_of_several_message_deltas_the_last_counts() -> None:
    def delta(**usage: int | None) -> Event:
        return Event({"type": "message_delta", "delta": {}, "usage": usage})

    events = [
        *EVENTS,
        delta(output_tokens=90, input_tokens=None),
        delta(output_tokens=95),
    ]
    assert WIRE.read_events(events).response.usage == TokenUsage(
        500, 95, cached_tokens=20, cache_write_tokens=8
    )


def test_a_stream_that_broke_off_has_text_but_no_usage() -> None:
    reply = WIRE.read_events(EVENTS[:4])
    assert reply.response == MockResponse("Okay")
    assert not reply.complete
    assert reply.service_tier == "standard"


def test_a_tool_call_that_broke_off_keeps_its_raw_arguments() -> None:
    tools = WIRE.read_events(EVENTS[:9]).response.tool_calls
    assert [tool.arguments for tool in tools] == [{"_raw": '{"location": "San'}]


def test_an_error_event_inside_the_stream_is_read() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    reply = WIRE.read_events([*EVENTS[:4], Event(error, "error")])
    assert reply.error == "overloaded_error: Overloaded"
    assert reply.response.text == "Okay"


ANSWERS = [
    MockResponse("Hello there, my friend.", usage=TokenUsage(10, 20)),
    MockResponse("", usage=TokenUsage(1, 0)),
    MockResponse(
        "Let me see.",
        (ToolCall("f", {"a": [1, "x y"]}, "toolu_1"), ToolCall("g", {}, "toolu_2")),
        TokenUsage(100, 50, cached_tokens=64, cache_write_tokens=3, reasoning_tokens=30),
        "Hm. Well.",
    ),
    MockResponse("cut", usage=TokenUsage(5, 1), finish_reason="max_tokens"),
]


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("streamed", [False, True])
def test_what_is_written_is_read_again(answer: MockResponse, streamed: bool) -> None:
    call = PendingCall("anthropic-messages", "anthropic", "claude-sonnet-4-6", {}, streamed)
    if streamed:
        body = b"".join(SSE.write(WIRE.write_events(answer, call)))
        reply = WIRE.read_events(event for _, event in SSE.read(body))
    else:
        reply = WIRE.read_reply(WIRE.write_reply(answer, call))
    assert reply.response == MockResponse(
        answer.text,
        tuple(answer.tool_calls),
        answer.usage,
        answer.reasoning,
        answer.finish_reason or ("tool_use" if answer.tool_calls else "end_turn"),
    )
    assert reply.response_model == "claude-sonnet-4-6"
