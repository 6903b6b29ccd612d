"""What else the SDKs make of an answer, of an error, and of a stream that is left early."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pydantic
import pytest
from google import genai
from google.genai import types

from senytl.capture import PendingCall, flush, open_scope
from senytl.models import MockResponse, SenytlError, TokenUsage

USER: Any = [{"role": "user", "content": "Which city?"}]


class City(pydantic.BaseModel):
    name: str
    population: int


def test_structured_output_of_an_answer_is_parsed(sink: Any, answers: Any) -> None:
    text = '{"name": "Paris", "population": 2100000}'
    answer = MockResponse(text, usage=TokenUsage(5, 9))
    with open_scope(unattributed=sink, answerer=answers(lambda call: answer)):
        with openai.OpenAI(api_key="sk-test") as client:
            chatted = client.chat.completions.parse(
                model="gpt-4o", messages=USER, response_format=City
            )
            responded = client.responses.parse(model="gpt-4o", input="City?", text_format=City)
        google = genai.Client(api_key="test", vertexai=False)
        config = types.GenerateContentConfig(
            response_mime_type="application/json", response_schema=City
        )
        generated = google.models.generate_content(
            model="gemini-2.5-flash", contents="City?", config=config
        )
        google.close()
    paris = City(name="Paris", population=2_100_000)
    assert chatted.choices[0].message.parsed == paris
    assert responded.output_parsed == paris
    assert generated.parsed == paris
    assert len(sink.calls) == 3


def test_reasoning_and_cached_tokens_of_an_answer_come_out(answers: Any) -> None:
    usage = TokenUsage(100, 50, cached_tokens=60, cache_write_tokens=10, reasoning_tokens=30)
    answer = MockResponse("42", usage=usage, reasoning="Think.")
    with (
        open_scope(answerer=answers(lambda call: answer)),
        openai.OpenAI(api_key="sk-test") as oai,
        anthropic.Anthropic(api_key="sk-ant-test") as claude,
    ):
        completion: Any = oai.chat.completions.create(model="gpt-4o", messages=USER)
        response: Any = oai.responses.create(model="gpt-4o", input="?")
        reply: Any = claude.messages.create(model="claude-sonnet-4-6", max_tokens=99, messages=USER)
        google = genai.Client(api_key="test", vertexai=False)
        generated = google.models.generate_content(model="gemini-2.5-flash", contents="?")
        google.close()
    assert completion.usage.prompt_tokens_details.cached_tokens == 60
    assert completion.usage.completion_tokens_details.reasoning_tokens == 30
    assert response.usage.input_tokens_details.cached_tokens == 60
    assert response.output[0].summary[0].text == "Think."
    assert (reply.usage.input_tokens, reply.usage.cache_read_input_tokens) == (30, 60)
    assert reply.usage.cache_creation_input_tokens == 10
    assert reply.content[0].thinking == "Think."
    metadata = generated.usage_metadata
    assert metadata is not None
    assert (metadata.cached_content_token_count, metadata.thoughts_token_count) == (60, 30)
    assert generated.text == "42"


@pytest.fixture
def refusing(sink: Any, answers: Any) -> Iterator[None]:
    def refuse(call: PendingCall) -> MockResponse:
        raise SenytlError(f"no mock answers {call.model}")

    with open_scope(unattributed=sink, answerer=answers(refuse)):
        yield


@pytest.mark.usefixtures("refusing")
@pytest.mark.parametrize("stream", [False, True])
def test_an_answerers_error_reaches_the_caller_at_once_and_as_it_is(
    stream: bool, sink: Any
) -> None:
    began = time.perf_counter()
    with openai.OpenAI(api_key="sk-test", max_retries=5) as oai:
        with pytest.raises(SenytlError, match="no mock answers gpt-4o"):
            oai.chat.completions.create(model="gpt-4o", messages=USER, stream=stream)
        with pytest.raises(SenytlError, match="no mock answers gpt-4o"):
            oai.responses.with_raw_response.create(model="gpt-4o", input="?", stream=stream)
    with (
        anthropic.Anthropic(api_key="sk-ant-test", max_retries=5) as claude,
        pytest.raises(SenytlError, match="no mock answers claude-sonnet-4-6"),
    ):
        claude.messages.create(
            model="claude-sonnet-4-6", max_tokens=9, messages=USER, stream=stream
        )
    google = genai.Client(api_key="test", vertexai=False)
    with pytest.raises(SenytlError, match="no mock answers gemini"):
        google.models.generate_content(model="gemini-2.5-flash", contents="?")
    google.close()
    assert time.perf_counter() - began < 5, "somebody retried"
    assert [call.error for call in sink.calls] == [
        "SenytlError: no mock answers gpt-4o",
        "SenytlError: no mock answers gpt-4o",
        "SenytlError: no mock answers claude-sonnet-4-6",
        "SenytlError: no mock answers gemini-2.5-flash",
    ]


def test_retries_are_calls_of_their_own(sink: Any) -> None:
    import httpx2

    statuses = iter([429, 500, 200])

    def serve(request: httpx2.Request) -> httpx2.Response:
        status = next(statuses)
        if status != 200:
            error = {"message": "Slow down", "type": "rate_limit_exceeded"}
            headers = {"retry-after-ms": "1"}
            return httpx2.Response(status, json={"error": error}, headers=headers)
        message = {"role": "assistant", "content": "Hi"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
        document = {"id": "1", "object": "chat.completion", "created": 1, "model": "gpt-4o"}
        return httpx2.Response(200, json=document | {"choices": [choice], "usage": usage})

    http_client = httpx2.Client(transport=httpx2.MockTransport(serve))
    with (
        open_scope(unattributed=sink),
        openai.OpenAI(api_key="sk-test", http_client=http_client) as client,
    ):
        completion = client.chat.completions.create(model="gpt-4o", messages=USER)
    assert completion.choices[0].message.content == "Hi"
    assert [(call.status, call.error) for call in sink.calls] == [
        (429, "rate_limit_exceeded: Slow down"),
        (500, "rate_limit_exceeded: Slow down"),
        (200, None),
    ]
    assert [call.usage for call in sink.calls] == [None, None, TokenUsage(3, 1)]


def test_an_httpx_client_given_to_openai_is_answered_through(sink: Any, answers: Any) -> None:
    answer = MockResponse("Hi there", usage=TokenUsage(3, 2))
    legacy: Any = httpx.Client()
    with (
        open_scope(unattributed=sink, answerer=answers(lambda call: answer)),
        openai.OpenAI(api_key="sk-test", http_client=legacy) as client,
    ):
        completion = client.chat.completions.create(model="gpt-4o", messages=USER)
        stream = client.chat.completions.create(model="gpt-4o", messages=USER, stream=True)
        streamed = [chunk.choices[0].delta.content for chunk in stream]
    assert completion.choices[0].message.content == "Hi there"
    assert "".join(text or "" for text in streamed) == "Hi there"
    assert [call.usage for call in sink.calls] == [answer.usage] * 2


def test_a_stream_that_is_left_and_never_closed_is_recorded_by_flush(
    aimock: str, sink: Any
) -> None:
    with (
        open_scope(unattributed=sink),
        openai.OpenAI(api_key="sk-test", base_url=aimock + "/v1") as client,
    ):
        user: Any = [{"role": "user", "content": "hello"}]
        stream = client.chat.completions.create(model="gpt-4o", messages=user, stream=True)
        for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        assert sink.calls == []
        flush(sink)
        assert sink.only.response.text.startswith("Hello")
        assert sink.only.usage is None
        stream.close()
    assert len(sink.calls) == 1


def test_an_error_event_inside_a_stream_is_the_sdks_error_and_ours(sink: Any) -> None:
    import httpx2

    start: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
    }
    start |= {"content": [], "usage": {"input_tokens": 5, "output_tokens": 1}}
    body = (
        f"event: message_start\ndata: {httpx2.Response(200, json=start).text}\n\n"
        "event: error\n"
        'data: {"type": "error", '
        '"error": {"type": "overloaded_error", "message": "Overloaded"}}\n\n'
    )
    headers = {"content-type": "text/event-stream"}
    transport = httpx2.MockTransport(lambda r: httpx2.Response(200, text=body, headers=headers))
    http_client = httpx2.Client(transport=transport)
    with (
        open_scope(unattributed=sink),
        anthropic.Anthropic(api_key="sk-ant-test", http_client=http_client) as client,
    ):
        stream = client.messages.create(
            model="claude-sonnet-4-6", max_tokens=9, messages=USER, stream=True
        )
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            list(stream)
    assert (sink.only.status, sink.only.error) == (200, "overloaded_error: Overloaded")
    assert sink.only.usage is None
