from __future__ import annotations

from typing import Any

import pytest

from senytl.capture import PendingCall
from senytl.capture.framing import SSE, Event
from senytl.capture.providers.openai_chat import OpenAIChat
from senytl.models import MockResponse, TokenUsage, ToolCall

WIRE = OpenAIChat()
USAGE = {
    "prompt_tokens": 1117,
    "completion_tokens": 46,
    "total_tokens": 1163,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 32,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
READ_USAGE = TokenUsage(1117, 46, 1163, cached_tokens=1024, reasoning_tokens=32)


def completion(message: dict[str, Any], **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion",
        "created": 1741569952,
        "model": "gpt-4.1-2025-04-14",
        "choices": [choice],
        "usage": USAGE,
        "service_tier": "default",
    } | more


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> Event:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return Event(
        {
            "id": "chatcmpl-123",
            "object": "chat.completion.chunk",
            "created": 1694268190,
            "model": "gpt-4o-mini",
            "system_fingerprint": "fp_44709d6fcb",
            "choices": [choice],
            "usage": None,
        }
        | more
    )


def test_a_reply_is_read() -> None:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "Hello! How can I assist you today?",
        "refusal": None,
        "annotations": [],
    }
    reply = WIRE.read_reply(completion(message))
    assert reply.response == MockResponse(
        "Hello! How can I assist you today?", (), READ_USAGE, finish_reason="stop"
    )
    assert reply.response_model == "gpt-4.1-2025-04-14"
    assert reply.service_tier == "default"
    assert reply.error is None


def test_tool_calls_of_every_kind_are_read() -> None:
    calls = [
        {
            "id": "call_abc123",
            "type": "function",
            "function": {"name": "get_weather", "arguments": '{"location": "Boston, MA"}'},
        },
        {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": ""}},
        {"id": "call_3", "type": "function", "function": {"name": "bad", "arguments": "{oops"}},
        {"id": "call_4", "type": "custom", "custom": {"name": "shell", "input": "ls -l"}},
    ]
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": calls,
        "function_call": {"name": "old", "arguments": "{}"},
    }
    assert WIRE.read_reply(completion(message)).response.tool_calls == (
        ToolCall("get_weather", {"location": "Boston, MA"}, "call_abc123"),
        ToolCall("now", {}, "call_2"),
        ToolCall("bad", {"_raw": "{oops"}, "call_3"),
        ToolCall("shell", {"_raw": "ls -l"}, "call_4"),
        ToolCall("old", {}),
    )


@pytest.mark.parametrize(
    ("message", "text", "reasoning"),
    [
        ({"content": None, "refusal": "I can't help with that."}, "I can't help with that.", ""),
        ({"content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]}, "AB", ""),
        ({"content": "4", "reasoning_content": "2+2"}, "4", "2+2"),
        ({"content": "4", "reasoning": "2+2"}, "4", "2+2"),
    ],
)
def test_variants_of_other_vendors_are_read(
    message: dict[str, Any], text: str, reasoning: str
) -> None:
    response = WIRE.read_reply(completion(message)).response
    assert (response.text, response.reasoning) == (text, reasoning)


@pytest.mark.parametrize("usage", [None, {}, {"total_tokens": None}, "none"])
def test_no_usage_is_none_and_not_zero(usage: object) -> None:
    assert WIRE.read_reply(completion({"content": "x"}, usage=usage)).response.usage is None


def test_odd_counts_do_not_disturb() -> None:
    usage = {"prompt_tokens": 5.0, "completion_tokens": None, "prompt_tokens_details": None}
    reply = WIRE.read_reply(completion({"content": "x"}, usage=usage))
    assert reply.response.usage == TokenUsage(5, 0)


@pytest.mark.parametrize("document", [{}, {"choices": []}, {"choices": None}, {"choices": ["x"]}])
def test_an_empty_reply_reads_as_nothing(document: dict[str, Any]) -> None:
    assert WIRE.read_reply(document).response == MockResponse()


def test_an_error_in_a_reply_of_status_200_is_read() -> None:
    reply = WIRE.read_reply({"error": {"message": "Provider returned error", "code": 502}})
    assert reply.error == "502: Provider returned error"


def test_a_stream_is_read() -> None:
    events = [
        chunk({"role": "assistant", "content": "", "refusal": None}),
        chunk({"reasoning_content": "Think."}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
        chunk({}, choices=[], usage=USAGE, service_tier="priority"),
    ]
    reply = WIRE.read_events(events)
    assert reply.response == MockResponse(
        "Hello", (), READ_USAGE, reasoning="Think.", finish_reason="stop"
    )
    assert (reply.response_model, reply.service_tier) == ("gpt-4o-mini", "priority")
    assert reply.complete


def test_streamed_tool_calls_are_put_together() -> None:
    def part(index: int | None, id: str | None, name: str | None, arguments: str) -> Event:
        function = {"name": name, "arguments": arguments}
        return chunk({"tool_calls": [{"index": index, "id": id, "function": function}]})

    events = [
        part(0, "call_1", "add", ""),
        part(1, "call_2", "mul", '{"x"'),
        part(0, None, None, '{"a": 1'),
        part(1, None, None, ": 2}"),
        part(0, None, None, "}"),
        chunk({}, "tool_calls"),
    ]
    response = WIRE.read_events(events).response
    assert response.tool_calls == (
        ToolCall("add", {"a": 1}, "call_1"),
        ToolCall("mul", {"x": 2}, "call_2"),
    )
    assert response.finish_reason == "tool_calls"


def test_streamed_tool_calls_without_an_index_are_put_together() -> None:
    first = {"id": "1", "function": {"name": "f", "arguments": "{"}}
    rest = {"function": {"arguments": "}"}}
    second = {"id": "2", "function": {"name": "g", "arguments": "{}"}}
    events = [chunk({"tool_calls": [call]}) for call in (first, rest, second)]
    assert WIRE.read_events(events).response.tool_calls == (
        ToolCall("f", {}, "1"),
        ToolCall("g", {}, "2"),
    )


def test_of_repeated_usages_the_last_counts() -> None:
    events = [
        chunk({"content": "a"}, usage={"prompt_tokens": 7, "completion_tokens": 1}),
        chunk({"content": "b"}, usage={"prompt_tokens": 7, "completion_tokens": 2}),
    ]
    assert WIRE.read_events(events).response.usage == TokenUsage(7, 2)


def test_a_stream_without_usage_has_none() -> None:
    assert WIRE.read_events([chunk({"content": "a"}), chunk({}, "stop")]).response.usage is None


def test_further_choices_do_not_mix_into_the_first() -> None:
    other = {"index": 1, "delta": {"content": "other"}, "finish_reason": None}
    events = [chunk({"content": "first"}), chunk({}, choices=[other])]
    assert WIRE.read_events(events).response.text == "first"


def test_an_error_event_is_read() -> None:
    error = {"message": "The server had an error", "type": "server_error", "code": None}
    reply = WIRE.read_events([chunk({"content": "par"}), Event({"error": error})])
    assert reply.response.text == "par"
    assert reply.error == "server_error: The server had an error"


ANSWERS = [
    MockResponse("Hello there,\n my friend.", usage=TokenUsage(10, 20)),
    MockResponse("", usage=TokenUsage(1, 0)),
    MockResponse(
        "Let me see.",
        (ToolCall("f", {"a": [1, "x y"], "ü": None}, "call_1"), ToolCall("g", {"_raw": "{oops"})),
        TokenUsage(100, 50, cached_tokens=64, cache_write_tokens=3, reasoning_tokens=30),
        reasoning="Hm. Well.",
    ),
    MockResponse("cut", usage=TokenUsage(5, 1), finish_reason="length"),
]


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("streamed", [False, True])
def test_what_is_written_is_read_again(answer: MockResponse, streamed: bool) -> None:
    request = {"stream_options": {"include_usage": True}} if streamed else {}
    call = PendingCall("openai-chat", "openai", "gpt-4o", request, streamed)
    if streamed:
        body = b"".join(SSE.write(WIRE.write_events(answer, call)))
        reply = WIRE.read_events(event for _, event in SSE.read(body))
    else:
        reply = WIRE.read_reply(WIRE.write_reply(answer, call))
    response = reply.response
    assert (response.text, response.reasoning) == (answer.text, answer.reasoning)
    assert response.usage == answer.usage
    assert [(tool.name, tool.arguments) for tool in response.tool_calls] == [
        (tool.name, tool.arguments) for tool in answer.tool_calls
    ]
    assert all(tool.id for tool in response.tool_calls)
    assert response.finish_reason == (
        answer.finish_reason or ("tool_calls" if answer.tool_calls else "stop")
    )
    assert reply.response_model == "gpt-4o"


def test_usage_is_streamed_only_where_it_is_asked_for() -> None:
    call = PendingCall("openai-chat", "openai", "gpt-4o", {}, True)
    events = list(WIRE.write_events(ANSWERS[0], call))
    assert all("usage" not in (event.document or {}) for event in events)
    assert events[-1].document is None
    deltas = [e.document["choices"][0]["delta"] for e in events if e.document]
    assert [delta.get("content") for delta in deltas if delta.get("content")] == [
        "Hello ",
        "there,\n ",
        "my ",
        "friend.",
    ]


@pytest.mark.parametrize(
    ("delta", "kind"),
    [
        ({"role": "assistant", "content": "", "refusal": None}, None),
        ({"role": "assistant", "content": None}, None),
        ({"content": "Hel"}, "output"),
        ({"content": [{"type": "text", "text": "Hel"}]}, "output"),
        ({"refusal": "No"}, "output"),
        ({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}, "output"),
        ({"function_call": {"name": "f"}}, "output"),
        ({"reasoning_content": "Hm"}, "reasoning"),
        ({"content": "", "reasoning": "Hm"}, "reasoning"),
        (
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]},
            "reasoning",
        ),
        ({}, None),
    ],
)
def test_chunks_are_told_from_other_events(delta: dict[str, Any], kind: str | None) -> None:
    assert WIRE.chunk_kind(chunk(delta)) == kind


def test_usage_errors_and_the_end_are_no_chunks() -> None:
    others = [chunk({}, choices=[], usage=USAGE), Event({"error": {"message": "x"}}), Event(None)]
    assert [WIRE.chunk_kind(event) for event in others] == [None, None, None]


def test_a_stream_is_complete_with_its_finish_reason_or_with_done() -> None:
    start = chunk({"content": "a"})
    assert not WIRE.read_events([start]).complete
    assert WIRE.read_events([start, chunk({}, "stop")]).complete
    assert WIRE.read_events([start, Event(None)]).complete


def test_streamed_calls_of_the_older_kind_are_put_together() -> None:
    parts = [{"name": "f", "arguments": ""}, {"arguments": '{"a":'}, {"arguments": " 1}"}]
    events = [chunk({"function_call": part}) for part in parts]
    assert WIRE.read_events(events).response.tool_calls == (ToolCall("f", {"a": 1}),)


def test_errors_are_worded_as_openai_words_them() -> None:
    error = WIRE.write_error(429, "Slow down")["error"]
    assert (error["message"], error["code"]) == ("Slow down", "rate_limit_exceeded")
    assert WIRE.write_error(500, "x")["error"]["type"] == "server_error"


@pytest.mark.parametrize(
    ("path", "body", "model"),
    [
        ("/v1/chat/completions", {"model": "gpt-4o"}, "gpt-4o"),
        ("/openai/v1/chat/completions", {"model": "my-deployment"}, "my-deployment"),
        ("/openai/deployments/gpt-4o-eu/chat/completions", {}, "gpt-4o-eu"),
        ("/api/v1/chat/completions", {"model": "anthropic/claude-sonnet-4"},
         "anthropic/claude-sonnet-4"),
        ("/v1/chat/completions", {}, None),
        ("/v1/completions", {"model": "gpt-4o"}, None),
    ],
)  # fmt: skip
def test_the_model_is_found_wherever_vendors_put_it(
    path: str, body: dict[str, Any], model: str | None
) -> None:
    asked = WIRE.recognise(path, body | {"messages": []})
    assert (asked.model if asked else None) == model
