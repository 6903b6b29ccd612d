from __future__ import annotations

from typing import Any

import pytest

from senytl.capture.framing import Event
from senytl.capture.providers.bedrock_converse import BedrockConverse
from senytl.models import MockResponse, TokenUsage, ToolCall

WIRE = BedrockConverse()
DOCUMENT: dict[str, Any] = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "Eo0B"}}},
                {"text": "Let me look. "},
                {"citationsContent": {"content": [{"text": "As "}, {"text": "said."}]}},
                {
                    "toolUse": {
                        "toolUseId": "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q",
                        "name": "top_song",
                        "input": {"sign": "WZPZ"},
                    }
                },
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": {
        "inputTokens": 30,
        "outputTokens": 628,
        "totalTokens": 658,
        "cacheReadInputTokens": 100,
        "cacheWriteInputTokens": 50,
    },
    "metrics": {"latencyMs": 1275},
    "serviceTier": {"type": "priority"},
}
CALL = ToolCall("top_song", {"sign": "WZPZ"}, "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q")
USAGE = TokenUsage(180, 628, cached_tokens=100, cache_write_tokens=50)


def delta(index: int, delta: dict[str, Any]) -> Event:
    return Event({"contentBlockIndex": index, "delta": delta, "p": "abcd"}, "contentBlockDelta")


EVENTS = [
    Event({"role": "assistant", "p": "abcdefghijk"}, "messageStart"),
    delta(0, {"reasoningContent": {"text": "H"}}),
    delta(0, {"reasoningContent": {"text": "m."}}),
    delta(0, {"reasoningContent": {"signature": "Eo0B"}}),
    Event({"contentBlockIndex": 0}, "contentBlockStop"),
    delta(1, {"text": "Let me"}),
    delta(1, {"text": " look."}),
    Event({"contentBlockIndex": 1}, "contentBlockStop"),
    Event(
        {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": CALL.id, "name": "top_song"}}},
        "contentBlockStart",
    ),
    delta(2, {"toolUse": {"input": '{"si'}}),
    delta(2, {"toolUse": {"input": 'gn": "WZPZ"}'}}),
    Event({"contentBlockIndex": 2}, "contentBlockStop"),
    Event({"stopReason": "tool_use"}, "messageStop"),
    Event({key: DOCUMENT[key] for key in ("usage", "metrics", "serviceTier")}, "metadata"),
]


def test_a_reply_is_read_with_the_cached_tokens_in_the_prompt() -> None:
    reply = WIRE.read_reply(DOCUMENT)
    assert reply.response == MockResponse(
        "Let me look. As said.", (CALL,), USAGE, "Hm.", "tool_use"
    )
    assert (reply.service_tier, reply.response_model) == ("priority", None)


def test_a_stream_is_read() -> None:
    reply = WIRE.read_events(EVENTS)
    assert reply.response == MockResponse("Let me look.", (CALL,), USAGE, "Hm.", "tool_use")
    assert (reply.service_tier, reply.complete, reply.error) == ("priority", True, None)


def test_chunks_are_told_from_other_events() -> None:
    kinds = [WIRE.chunk_kind(event) for event in EVENTS]
    assert [place for place, kind in enumerate(kinds) if kind == "reasoning"] == [1, 2]
    assert [place for place, kind in enumerate(kinds) if kind == "output"] == [5, 6, 8, 9, 10]


def test_a_stream_that_broke_off_is_not_complete_and_has_no_usage() -> None:
    reply = WIRE.read_events(EVENTS[:10])
    assert not reply.complete
    assert reply.response == MockResponse(
        "Let me look.", (ToolCall("top_song", {"_raw": '{"si'}, CALL.id),), None, "Hm."
    )


def test_an_exception_inside_a_stream_is_read() -> None:
    exception = {"message": "Too many requests", "__type": "throttlingException"}
    reply = WIRE.read_events([*EVENTS[:6], Event(exception, "throttlingException")])
    assert (reply.error, reply.complete) == ("throttlingException: Too many requests", False)


def test_a_prompt_that_is_kept_at_bedrock_needs_no_messages() -> None:
    path = "/model/arn:aws:bedrock:us-east-1:1:prompt/PROMPT12345:1/converse"
    asked = WIRE.recognise(path, {"promptVariables": {}})
    assert asked is not None
    assert asked.model == "arn:aws:bedrock:us-east-1:1:prompt/PROMPT12345:1"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ValidationException"),
        (429, "ThrottlingException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailableException"),
    ],
)
def test_errors_carry_amazons_code(status: int, code: str) -> None:
    assert WIRE.write_error(status, "no") == {"message": "no", "code": code}
