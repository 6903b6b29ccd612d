"""Replies of vendors that speak OpenAI's chat completions, each a little differently."""

from __future__ import annotations

from typing import Any

import pytest

from senytl.capture.calls import PendingCall
from senytl.capture.framing import Event
from senytl.capture.providers.base import error_of
from senytl.capture.providers.mistral_fim import MistralFim
from senytl.capture.providers.openai_chat import OpenAIChat
from senytl.capture.providers.openai_completions import OpenAICompletions
from senytl.capture.providers.openai_embeddings import OpenAIEmbeddings
from senytl.models import MockResponse, TokenUsage, ToolCall

WIRE = OpenAIChat()


def completion(message: dict[str, Any], usage: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"object": "chat.completion", "model": "m", "choices": [choice], "usage": usage}


def chunk(delta: dict[str, Any], **more: Any) -> Event:
    finish = more.pop("finish_reason", None)
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return Event({"object": "chat.completion.chunk", "model": "m", "choices": [choice]} | more)


def test_groq_puts_the_usage_of_a_stream_into_its_own_member() -> None:
    usage = {
        "queue_time": 0.037493756,
        "prompt_tokens": 18,
        "prompt_time": 0.000680594,
        "completion_tokens": 556,
        "completion_time": 0.463333333,
        "total_tokens": 574,
        "total_time": 0.464013927,
    }
    events = [
        chunk({"role": "assistant", "content": ""}, x_groq={"id": "req_01jb"}),
        chunk({"reasoning": "Hm."}),
        chunk({"content": "Fast."}),
        chunk({}, finish_reason="stop", x_groq={"id": "req_01jb", "usage": usage}),
        Event(None),
    ]
    reply = WIRE.read_events(events)
    assert reply.response == MockResponse("Fast.", (), TokenUsage(18, 556), "Hm.", "stop")
    assert [WIRE.chunk_kind(event) for event in events] == [None, "reasoning", "output", None, None]


def test_deepseek_counts_cached_tokens_beside_the_prompt() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 60,
        "total_tokens": 160,
        "prompt_cache_hit_tokens": 64,
        "prompt_cache_miss_tokens": 36,
        "completion_tokens_details": {"reasoning_tokens": 40},
    }
    message = {"role": "assistant", "content": "9.8", "reasoning_content": "Compare."}
    response = WIRE.read_reply(completion(message, usage)).response
    assert response.usage == TokenUsage(100, 60, cached_tokens=64, reasoning_tokens=40)
    assert (response.text, response.reasoning) == ("9.8", "Compare.")


def test_moonshot_counts_cached_tokens_in_the_usage_itself() -> None:
    usage = {"prompt_tokens": 19, "completion_tokens": 21, "total_tokens": 40, "cached_tokens": 10}
    response = WIRE.read_reply(completion({"content": "x"}, usage)).response
    assert response.usage == TokenUsage(19, 21, cached_tokens=10)


def test_xai_does_not_count_reasoning_as_a_part_of_the_completion() -> None:
    usage = {
        "prompt_tokens": 32,
        "completion_tokens": 9,
        "total_tokens": 135,
        "prompt_tokens_details": {"text_tokens": 32, "cached_tokens": 6},
        "completion_tokens_details": {"reasoning_tokens": 94, "audio_tokens": 0},
    }
    response = WIRE.read_reply(completion({"content": "10303"}, usage)).response
    assert response.usage == TokenUsage(32, 103, 135, cached_tokens=6, reasoning_tokens=94)


def test_openrouter_tells_costs_and_the_reasoning_twice() -> None:
    usage = {
        "completion_tokens": 2,
        "completion_tokens_details": {"reasoning_tokens": 0},
        "cost": 0.95,
        "cost_details": {"upstream_inference_cost": 19},
        "prompt_tokens": 194,
        "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 50},
        "total_tokens": 196,
    }
    message = {
        "role": "assistant",
        "content": "Hi",
        "reasoning": "Hm.",
        "reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "format": None}],
    }
    document = completion(message, usage) | {"provider": "Anthropic"}
    response = WIRE.read_reply(document).response
    assert response.usage == TokenUsage(194, 2, cached_tokens=100, cache_write_tokens=50)
    assert (response.text, response.reasoning) == ("Hi", "Hm.")


def test_openrouter_tells_errors_inside_a_stream() -> None:
    error = {"code": "server_error", "message": "Provider disconnected"}
    events = [
        chunk({"content": "par"}),
        chunk({"content": ""}, finish_reason="error", error=error, provider="OpenAI"),
    ]
    reply = WIRE.read_events(events)
    assert (reply.response.text, reply.error) == ("par", "server_error: Provider disconnected")


def test_mistral_puts_its_thinking_into_the_content() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Let me count."}]}
    content = [thinking, {"type": "text", "text": "Three."}, {"type": "reference", "ids": [1]}]
    usage = {"prompt_tokens": 10, "completion_tokens": 8, "total_tokens": 18}
    message = {"role": "assistant", "content": content, "tool_calls": None}
    response = WIRE.read_reply(completion(message, usage)).response
    assert (response.text, response.reasoning) == ("Three.", "Let me count.")
    events = [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": [thinking]}),
        chunk({"content": "Three."}, finish_reason="stop", usage=usage),
    ]
    streamed = WIRE.read_events(events).response
    assert (streamed.text, streamed.reasoning) == ("Three.", "Let me count.")
    assert streamed.usage == TokenUsage(10, 8)
    assert [WIRE.chunk_kind(event) for event in events] == [None, "reasoning", "output"]


@pytest.mark.parametrize(("provider", "chunks"), [("mistral", 1), ("openai", 5)])
def test_mistral_streams_a_tool_call_whole(provider: str, chunks: int) -> None:
    reply = MockResponse(tool_calls=(ToolCall("f", {"a": 1, "b": 2}, "call_1"),))
    call = PendingCall("openai-chat", provider, "m", {}, streamed=True)
    events = list(WIRE.write_events(reply, call))
    assert [WIRE.chunk_kind(event) for event in events].count("output") == chunks
    assert WIRE.read_events(events).response.tool_calls == reply.tool_calls


def test_mistrals_completions_of_code_reply_as_a_chat() -> None:
    usage = {"prompt_tokens": 8, "completion_tokens": 9, "total_tokens": 17}
    document = completion({"role": "assistant", "content": "return a + b"}, usage)
    assert MistralFim().read_reply(document).response == MockResponse(
        "return a + b", (), TokenUsage(8, 9), finish_reason="stop"
    )


def test_vllm_completes_a_prompt() -> None:
    choice = {"index": 0, "text": " a test", "logprobs": None, "finish_reason": "length"}
    document = {
        "id": "cmpl-uqkvlQyYK7bGYrRHQ0eXlWi7",
        "object": "text_completion",
        "created": 1589478378,
        "model": "gpt-3.5-turbo-instruct",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": [choice | {"stop_reason": None}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
    }
    reply = OpenAICompletions().read_reply(document)
    assert reply.response == MockResponse(" a test", (), TokenUsage(5, 7), finish_reason="length")
    assert reply.response_model == "gpt-3.5-turbo-instruct"


def test_completions_of_several_prompts_do_not_mix() -> None:
    def part(index: int, text: str) -> dict[str, Any]:
        return {"choices": [{"index": index, "text": text, "finish_reason": None}]}

    wire = OpenAICompletions()
    events = [Event(part(0, "one")), Event(part(1, "other")), Event(part(0, " more"))]
    reply = wire.read_events(events)
    assert (reply.response.text, reply.complete) == ("one more", False)
    assert [wire.chunk_kind(event) for event in events] == ["output", None, "output"]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 8, "total_tokens": 8}, TokenUsage(8)),
        ({"total_tokens": 10}, TokenUsage(10)),  # Voyage
        ({"prompt_tokens": 15, "completion_tokens": 0, "total_tokens": 15}, TokenUsage(15)),
        ({}, None),
        (None, None),
    ],
)
def test_the_usage_of_embeddings_is_read(usage: object, expected: TokenUsage | None) -> None:
    embedding = {"object": "embedding", "index": 0, "embedding": [0.0023064255, -0.009327292]}
    document = {"object": "list", "data": [embedding], "model": "m", "usage": usage}
    assert OpenAIEmbeddings().read_reply(document).response == MockResponse(usage=expected)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"error": {"message": "No", "type": "invalid_request_error"}},
         "invalid_request_error: No"),
        ({"object": "error", "message": "No model", "type": "NotFoundError", "code": 404},
         "NotFoundError: No model"),
        ({"message": "invalid api token"}, "error: invalid api token"),
        ({"detail": "Unauthorized"}, "error: Unauthorized"),
        ({"__type": "com.amazon.coral.service#UnknownOperationException", "message": "No"},
         "UnknownOperationException: No"),
        ({"error": "model 'x' not found"}, "error: model 'x' not found"),
        ([{"error": {"code": 429, "message": "Slow", "status": "RESOURCE_EXHAUSTED"}}],
         "RESOURCE_EXHAUSTED: Slow"),
        ({"message": {"role": "assistant", "content": "Hi"}}, None),
        ({"error": None, "id": "resp_1"}, None),
        ([], None),
        ("text", None),
    ],
)  # fmt: skip
def test_errors_are_read_in_the_words_of_every_vendor(
    document: object, expected: str | None
) -> None:
    assert error_of(document) == expected
