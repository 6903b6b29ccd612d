from __future__ import annotations

import base64
import json
from typing import Any

from senytl.capture.framing import Event
from senytl.capture.providers.anthropic_clouds import AnthropicOnBedrock, AnthropicOnVertex
from senytl.models import MockResponse, TokenUsage

BEDROCK = AnthropicOnBedrock()


def frame(event: dict[str, Any]) -> Event:
    return Event({"bytes": base64.b64encode(json.dumps(event).encode()).decode()}, "chunk")


EVENTS = [
    frame(
        {
            "type": "message_start",
            "message": {
                "id": "msg_bdrk_01",
                "model": "claude-3-haiku-20240307",
                "content": [],
                "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1},
            },
        }
    ),
    frame(
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "Hello"},
        }
    ),
    frame({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
           "usage": {"output_tokens": 4}}),
    frame({"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 10}}),
]  # fmt: skip


def test_the_events_in_the_frames_are_read() -> None:
    reply = BEDROCK.read_events(EVENTS)
    usage = TokenUsage(15, 4, cached_tokens=5)
    assert reply.response == MockResponse("Hello", (), usage, finish_reason="end_turn")
    assert (reply.response_model, reply.complete) == ("claude-3-haiku-20240307", True)


def test_chunks_are_looked_for_in_the_frames() -> None:
    assert [BEDROCK.chunk_kind(event) for event in EVENTS] == [None, "output", None, None]


def test_an_exception_of_bedrocks_is_read() -> None:
    exception = Event({"__type": "modelTimeoutException", "message": "Too slow"}, "x")
    reply = BEDROCK.read_events([*EVENTS[:2], exception])
    assert (reply.error, reply.complete) == ("modelTimeoutException: Too slow", False)
    assert reply.response.text == "Hello"


def test_a_frame_that_holds_no_event_does_not_disturb() -> None:
    odd = [Event({"bytes": "%%%"}), Event({"bytes": "bm9wZQ=="}), Event({}), Event(None)]
    assert BEDROCK.read_events([*odd, *EVENTS]) == BEDROCK.read_events(EVENTS)


def test_on_vertex_whether_to_stream_stands_in_the_body() -> None:
    path = "/v1/projects/p/locations/l/publishers/anthropic/models/claude-sonnet-4-6"
    body = {"anthropic_version": "vertex-2023-10-16", "messages": []}
    whole = AnthropicOnVertex().recognise(f"{path}:rawPredict", body)
    streamed = AnthropicOnVertex().recognise(f"{path}:streamRawPredict", body | {"stream": True})
    assert whole is not None
    assert streamed is not None
    assert (whole.streamed, streamed.streamed) == (False, True)
    assert whole.model == streamed.model == "claude-sonnet-4-6"
