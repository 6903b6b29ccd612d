from __future__ import annotations

from typing import Any

import pytest

from senytl.capture.framing import SSE, Event
from senytl.capture.providers.cohere_chat import CohereChat
from senytl.capture.providers.cohere_chat_v1 import CohereChatV1
from senytl.capture.providers.cohere_common import read_usage
from senytl.capture.providers.cohere_embed import CohereEmbed
from senytl.models import MockResponse, TokenUsage, ToolCall

CHAT = CohereChat()
V1 = CohereChatV1()
USAGE = {
    "billed_units": {"input_tokens": 5.0, "output_tokens": 418.0},
    "tokens": {"input_tokens": 71.0, "output_tokens": 418.0},
}
STREAM = b"""event: message-start
data: {"type":"message-start","id":"29f14a5a","delta":{"message":{"role":"assistant","content":[],\
"tool_plan":"","tool_calls":[],"citations":[]}}}

event: tool-plan-delta
data: {"type":"tool-plan-delta","delta":{"message":{"tool_plan":"I will look."}}}

event: content-start
data: {"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}

event: content-delta
data: {"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"LLMs"}}}}

event: content-delta
data: {"type":"content-delta","index":0,"delta":{"message":{"content":{"text":" stand"}}}}

event: content-end
data: {"type":"content-end","index":0}

event: tool-call-start
data: {"type":"tool-call-start","index":1,"delta":{"message":{"tool_calls":{"id":"tc_1",\
"type":"function","function":{"name":"get_weather","arguments":""}}}}}

event: tool-call-delta
data: {"type":"tool-call-delta","index":1,"delta":{"message":{"tool_calls":{"function":\
{"arguments":"{\\"city\\": \\"Toronto\\"}"}}}}}

event: tool-call-end
data: {"type":"tool-call-end","index":1}

event: message-end
data: {"type":"message-end","delta":{"finish_reason":"TOOL_CALL","usage":{"billed_units":\
{"input_tokens":5,"output_tokens":418},"tokens":{"input_tokens":71,"output_tokens":418}}}}

"""
EVENTS = [event for _, event in SSE.read(STREAM)]
CALL = ToolCall("get_weather", {"city": "Toronto"}, "tc_1")


def test_a_reply_is_read_with_the_plan_for_its_tools_as_reasoning() -> None:
    function = {"name": "get_weather", "arguments": '{"city": "Toronto"}'}
    document = {
        "id": "c14c80c3",
        "message": {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm. "},
                {"type": "text", "text": "LLMs stand"},
            ],
            "tool_plan": "I will look.",
            "tool_calls": [{"id": "tc_1", "type": "function", "function": function}],
        },
        "finish_reason": "COMPLETE",
        "usage": USAGE,
    }
    assert CHAT.read_reply(document).response == MockResponse(
        "LLMs stand", (CALL,), TokenUsage(5, 418), "Hm. I will look.", "COMPLETE"
    )


def test_a_stream_is_read() -> None:
    reply = CHAT.read_events(EVENTS)
    assert reply.response == MockResponse(
        "LLMs stand", (CALL,), TokenUsage(5, 418), "I will look.", "TOOL_CALL"
    )
    assert reply.complete
    assert not CHAT.read_events(EVENTS[:-1]).complete


def test_chunks_are_told_from_other_events() -> None:
    kinds = [CHAT.chunk_kind(event) for event in EVENTS]
    assert [place for place, kind in enumerate(kinds) if kind == "output"] == [3, 4, 6, 7]
    assert [place for place, kind in enumerate(kinds) if kind == "reasoning"] == [1]


def test_an_error_in_the_last_event_is_read() -> None:
    end = {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "toxic output"}}
    assert CHAT.read_events([*EVENTS[:4], Event(end)]).error == "error: toxic output"


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (USAGE, TokenUsage(5, 418)),
        ({"tokens": USAGE["tokens"]}, TokenUsage(71, 418)),
        (USAGE | {"cached_tokens": 3}, TokenUsage(5, 418, cached_tokens=3)),
        (USAGE | {"cached_tokens": 64}, TokenUsage(5, 418, cached_tokens=5)),
        ({"billed_units": {"search_units": 1}}, None),
        ({}, None),
        (None, None),
    ],
)
def test_what_is_billed_counts_and_else_what_was_processed(
    usage: object, expected: TokenUsage | None
) -> None:
    assert read_usage(usage) == expected


REPLY_V1: dict[str, Any] = {
    "response_id": "0385c7cf",
    "generation_id": "d2f0a39a",
    "text": "I will look.",
    "finish_reason": "COMPLETE",
    "tool_calls": [{"name": "get_weather", "parameters": {"city": "Toronto"}}],
    "meta": {"api_version": {"version": "1"}} | USAGE,
}


def test_a_reply_of_version_1_is_read() -> None:
    assert V1.read_reply(REPLY_V1).response == MockResponse(
        "I will look.",
        (ToolCall("get_weather", {"city": "Toronto"}),),
        TokenUsage(5, 418),
        finish_reason="COMPLETE",
    )


def test_a_stream_of_version_1_is_read() -> None:
    events = [
        Event({"is_finished": False, "event_type": "stream-start", "generation_id": "d2f0a39a"}),
        Event({"is_finished": False, "event_type": "text-generation", "text": "I will"}),
        Event({"is_finished": False, "event_type": "text-generation", "text": " look."}),
        Event({"is_finished": True, "event_type": "stream-end", "response": REPLY_V1}),
    ]
    reply = V1.read_events(events)
    assert (reply.response, reply.complete) == (V1.read_reply(REPLY_V1).response, True)
    partly = V1.read_events(events[:2])
    assert (partly.response, partly.complete) == (MockResponse("I will"), False)
    assert [V1.chunk_kind(event) for event in events] == [None, "output", "output", None]


def test_the_usage_of_embeddings_is_read() -> None:
    meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 2}}
    document = {"id": "5807ee2e", "embeddings": {"float": [[0.016296387]]}, "meta": meta}
    assert CohereEmbed().read_reply(document).response == MockResponse(usage=TokenUsage(2))
