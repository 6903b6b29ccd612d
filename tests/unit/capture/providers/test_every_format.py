"""What holds for every format: what is written is read again, and a cut does no harm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from senytl.capture.calls import PendingCall
from senytl.capture.framing import ARRAY, SSE, Framing
from senytl.capture.providers import FORMATS, SUFFIXES
from senytl.capture.providers.base import Asked, WireFormat
from senytl.models import MockResponse, TokenUsage, ToolCall

STREAMING = [wire for wire in FORMATS if "embed" not in wire.api]
EMBEDDINGS = [wire for wire in FORMATS if "embed" in wire.api]
NO_TOOLS = {"openai-completions", "ollama-generate"}
NO_REASONING = {"openai-completions", "cohere-chat-v1"}
# How much of a usage each format can tell; those that are not named tell all of it.
TELLS = {
    "gemini": ("cached_tokens", "reasoning_tokens"),
    "ollama-chat": (),
    "ollama-generate": (),
    "cohere-chat": ("cached_tokens",),
    "cohere-chat-v1": ("cached_tokens",),
    "bedrock-converse": ("cached_tokens", "cache_write_tokens"),
}
PARTS = ("cached_tokens", "cache_write_tokens", "reasoning_tokens")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
counts = st.integers(0, 10_000)
values = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), texts, st.lists(texts, max_size=2))
tools = st.builds(
    ToolCall,
    st.sampled_from(["f", "get_weather"]),
    st.dictionaries(texts.filter(lambda key: key != "_raw"), values, max_size=3),
    st.sampled_from(["call_1", "call_2"]),
)


@st.composite
def usages(draw: st.DrawFn) -> TokenUsage:
    cached, written, reasoning = draw(counts), draw(counts), draw(counts)
    return TokenUsage(
        cached + written + draw(counts),
        # An output that is all reasoning is told by a total that is the sum of all three.
        reasoning + draw(st.integers(1, 10_000)),
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=reasoning,
    )


replies = st.builds(MockResponse, texts, st.lists(tools, max_size=3).map(tuple), usages(), texts)


def label(wire: WireFormat) -> str:
    return f"{wire.api}-{wire.vendor}"


def call_of(wire: WireFormat) -> PendingCall:
    request: Mapping[str, Any] = {"stream_options": {"include_usage": True}}
    return PendingCall(wire.api, wire.vendor, "some-model", request, streamed=True)


def expected(wire: WireFormat, reply: MockResponse) -> MockResponse:
    """What of a reply the format has room for."""
    usage = reply.usage
    assert usage is not None
    told = {part: getattr(usage, part) for part in TELLS.get(wire.api, PARTS)}
    calls = () if wire.api in NO_TOOLS else reply.tool_calls
    if wire.api == "cohere-chat-v1":  # whose tool calls have no identifiers
        calls = tuple(ToolCall(tool.name, tool.arguments) for tool in calls)
    return MockResponse(
        reply.text,
        tuple(calls),
        TokenUsage(usage.prompt_tokens, usage.completion_tokens, **told),
        "" if wire.api in NO_REASONING else reply.reasoning,
    )


def framings(wire: WireFormat) -> list[Framing]:
    return [ARRAY, SSE] if wire.framing is ARRAY else [wire.framing]


def same(one: MockResponse, other: MockResponse) -> None:
    assert one.text == other.text
    assert one.reasoning == other.reasoning
    assert one.tool_calls == other.tool_calls
    assert one.usage == other.usage


@pytest.mark.parametrize("wire", STREAMING, ids=label)
@settings(max_examples=40, deadline=None)
@given(reply=replies)
def test_a_stream_is_read_as_it_was_written(wire: WireFormat, reply: MockResponse) -> None:
    for framing in framings(wire):
        events = list(wire.write_events(reply, call_of(wire)))
        body = b"".join(framing.write(events))
        read = wire.read_events(event for _, event in framing.read(body))
        assert read.complete
        assert read.error is None
        assert read.response.finish_reason
        same(read.response, expected(wire, reply))


@pytest.mark.parametrize("wire", STREAMING, ids=label)
@settings(max_examples=25, deadline=None)
@given(reply=replies, cut=st.floats(0, 1, exclude_max=True))
def test_a_stream_that_was_cut_anywhere_is_read_as_far_as_it_came(
    wire: WireFormat, reply: MockResponse, cut: float
) -> None:
    whole = expected(wire, reply)
    for framing in framings(wire):
        body = b"".join(framing.write(wire.write_events(reply, call_of(wire))))
        part = body[: int(cut * len(body))]
        read = wire.read_events(event for _, event in framing.read(part))
        assert whole.text.startswith(read.response.text)
        assert whole.reasoning.startswith(read.response.reasoning)
        assert len(read.response.tool_calls) <= len(whole.tool_calls)
        assert read.response.usage in (None, whole.usage)
        if read.complete:
            assert read.response.text == whole.text
            assert read.response.tool_calls == whole.tool_calls


@pytest.mark.parametrize("wire", STREAMING, ids=label)
@settings(max_examples=25, deadline=None)
@given(reply=replies)
def test_a_whole_reply_is_read_as_it_was_written(wire: WireFormat, reply: MockResponse) -> None:
    read = wire.read_reply(wire.write_reply(reply, call_of(wire)))
    assert read.complete
    assert read.error is None
    same(read.response, expected(wire, reply))


@pytest.mark.parametrize("wire", STREAMING, ids=label)
@settings(max_examples=25, deadline=None)
@given(reply=replies)
def test_chunks_are_what_brings_something(wire: WireFormat, reply: MockResponse) -> None:
    """Without its chunks a stream says nothing; each one adds to what it says."""
    events = list(wire.write_events(reply, call_of(wire)))
    kinds = [wire.chunk_kind(event) for event in events]
    whole = expected(wire, reply)
    assert ("reasoning" in kinds) == bool(whole.reasoning)
    assert ("output" in kinds) == bool(whole.text or whole.tool_calls)
    if wire.api in ("cohere-chat-v1", "openai-responses"):
        return  # whose last event says everything again
    others = [event for event, kind in zip(events, kinds, strict=True) if kind is None]
    silent = wire.read_events(others).response
    assert (silent.text, silent.reasoning, silent.tool_calls) == ("", "", ())


@pytest.mark.parametrize("wire", STREAMING, ids=label)
def test_a_text_comes_in_several_chunks(wire: WireFormat) -> None:
    reply = MockResponse("Four words, as always.", usage=TokenUsage(1, 4))
    events = wire.write_events(reply, call_of(wire))
    assert [wire.chunk_kind(event) for event in events].count("output") == 4


REQUESTS: list[tuple[str, str, dict[str, Any], Asked]] = [
    ("openai-completions", "/v1/completions", {"model": "m", "prompt": "Hi", "stream": True},
     Asked("m", True)),
    ("openai-completions", "/openai/deployments/d/completions", {"prompt": ["Hi"]},
     Asked("d", False)),
    ("mistral-fim", "/v1/fim/completions", {"model": "codestral", "prompt": "def"},
     Asked("codestral", False)),
    ("openai-embeddings", "/v1/embeddings", {"model": "m", "input": "Hi"}, Asked("m", False)),
    ("openai-embeddings", "/openai/deployments/d/embeddings", {"input": ["Hi"]},
     Asked("d", False)),
    ("gemini-embeddings", "/v1beta/models/gemini-embedding-001:embedContent",
     {"content": {"parts": [{"text": "Hi"}]}}, Asked("gemini-embedding-001", False)),
    ("gemini-embeddings", "/v1beta/models/gemini-embedding-001:batchEmbedContents",
     {"requests": [{"content": {}}]}, Asked("gemini-embedding-001", False)),
    ("ollama-chat", "/api/chat",
     {"model": "qwen3", "messages": [{"role": "user", "content": "Hi"}]}, Asked("qwen3", True)),
    ("ollama-chat", "/api/chat",
     {"model": "qwen3", "messages": [{"role": "user", "content": "Hi"}], "stream": False},
     Asked("qwen3", False)),
    ("ollama-generate", "/api/generate", {"model": "qwen3", "prompt": "Hi"}, Asked("qwen3", True)),
    ("ollama-embed", "/api/embed", {"model": "nomic", "input": ["Hi"]}, Asked("nomic", False)),
    ("ollama-embed", "/api/embeddings", {"model": "nomic", "prompt": "Hi"},
     Asked("nomic", False)),
    ("cohere-chat", "/v2/chat",
     {"model": "command-a", "messages": [{"role": "user", "content": "Hi"}], "stream": True},
     Asked("command-a", True)),
    ("cohere-chat-v1", "/v1/chat", {"model": "command-r", "message": "Hi", "stream": False},
     Asked("command-r", False)),
    ("cohere-embed", "/v2/embed", {"model": "embed-v4.0", "texts": ["Hi"]},
     Asked("embed-v4.0", False)),
    ("cohere-embed", "/v1/embed", {"model": "embed-v4.0", "texts": ["Hi"]},
     Asked("embed-v4.0", False)),
    ("bedrock-converse", "/model/anthropic.claude-3-haiku-20240307-v1:0/converse",
     {"messages": []}, Asked("anthropic.claude-3-haiku-20240307-v1:0", False)),
    ("bedrock-converse",
     "/model/arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova/converse-stream",
     {"messages": []}, Asked("arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova", True)),
    ("anthropic-messages", "/model/us.anthropic.claude-sonnet-4/invoke",
     {"anthropic_version": "bedrock-2023-05-31", "messages": []},
     Asked("us.anthropic.claude-sonnet-4", False)),
    ("anthropic-messages", "/model/us.anthropic.claude-sonnet-4/invoke-with-response-stream",
     {"anthropic_version": "bedrock-2023-05-31", "messages": []},
     Asked("us.anthropic.claude-sonnet-4", True)),
    ("anthropic-messages",
     "/v1/projects/p/locations/l/publishers/anthropic/models/claude-4@2025:streamRawPredict",
     {"anthropic_version": "vertex-2023-10-16", "messages": [], "stream": True},
     Asked("claude-4@2025", True)),
]  # fmt: skip


def recognise(path: str, body: dict[str, Any]) -> tuple[str, Asked] | None:
    for wire in FORMATS:
        asked = wire.recognise(path, body)
        if asked is not None:
            return wire.api, asked
    return None


@pytest.mark.parametrize(("api", "path", "body", "asked"), REQUESTS)
def test_requests_of_every_format_are_recognised(
    api: str, path: str, body: dict[str, Any], asked: Asked
) -> None:
    assert path.endswith(SUFFIXES)
    assert recognise(path, body) == (api, asked)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/api/chat", {"model": "", "messages": [{"role": "user", "content": "Hi"}]}),
        ("/api/chat", {"model": "fast", "messages": ["Hi"]}),
        ("/api/chat", {"model": "fast", "messages": []}),
        ("/api/chat", {"model": "fast", "messages": [{"text": "Hi"}]}),
        ("/api/chat", {"model": "fast", "message": "Hi"}),
        ("/api/generate", {"model": "qwen3"}),
        ("/api/generate", {"prompt": "Hi"}),
        ("/v1/chat", {"message": "Hi"}),
        ("/v1/chat", {"model": "gpt-4o", "message": "Hi"}),
        ("/v2/chat", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/completions", {"model": "m", "messages": []}),
        ("/v1/completions", {"prompt": "Hi"}),
        ("/v1/embeddings", {"model": "m"}),
        ("/v1/agents/completions", {"agent_id": "a", "messages": []}),
        ("/model/amazon.titan-text/invoke", {"inputText": "Hi"}),
        ("/functions/x/invoke", {"anthropic_version": "x", "messages": []}),
        ("/model/m/converse", {"text": "Hi"}),
        (
            "/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict",
            {"anthropic_version": "vertex-2023-10-16", "messages": []},
        ),
        (
            "/v1/projects/p/locations/l/publishers/mistralai/models/mistral-small:rawPredict",
            {"model": "mistral-small", "messages": []},
        ),
        ("/v1/messages/count_tokens", {"model": "m", "messages": [], "max_tokens": 1}),
        ("/v1/messages/batches", {"requests": []}),
        ("/v1beta/models/gemini:countTokens", {"contents": []}),
        ("/v1/moderations", {"model": "m", "input": "Hi"}),
    ],
)
def test_other_requests_are_not_recognised(path: str, body: dict[str, Any]) -> None:
    assert recognise(path, body) is None


def test_no_suffix_is_tried_in_vain() -> None:
    assert len(SUFFIXES) == len(set(SUFFIXES))
    assert not [
        (one, other)
        for one in SUFFIXES
        for other in SUFFIXES
        if one != other and one.endswith(other)
    ]


ERRORS: dict[str, Callable[[dict[str, Any]], object]] = {
    "openai-completions": lambda body: body["error"]["message"],
    "openai-embeddings": lambda body: body["error"]["message"],
    "mistral-fim": lambda body: body["error"]["message"],
    "gemini-embeddings": lambda body: (body["error"]["message"], body["error"]["code"])[0],
    "ollama-chat": lambda body: body["error"],
    "ollama-generate": lambda body: body["error"],
    "ollama-embed": lambda body: body["error"],
    "cohere-chat": lambda body: body["message"],
    "cohere-chat-v1": lambda body: body["message"],
    "cohere-embed": lambda body: body["message"],
    "bedrock-converse": lambda body: body["message"],
}


@pytest.mark.parametrize("wire", [wire for wire in FORMATS if wire.api in ERRORS], ids=label)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503, 529])
def test_errors_say_what_they_are_told_to_say(wire: WireFormat, status: int) -> None:
    assert ERRORS[wire.api](wire.write_error(status, "not today")) == "not today"
    # What is written is understood where a reply of status 200 tells of an error.
    assert str(wire.read_reply(wire.write_error(status, "not today")).error).endswith("not today")


@pytest.mark.parametrize("wire", EMBEDDINGS, ids=label)
def test_embeddings_have_no_text_and_are_always_whole(wire: WireFormat) -> None:
    request = {"input": ["a", "b"], "texts": ["a", "b"], "content": {"parts": [{"text": "a"}]}}
    call = PendingCall(wire.api, wire.vendor, "m", request, streamed=False)
    reply = MockResponse("no room for this", usage=TokenUsage(12, 3))
    read = wire.read_reply(wire.write_reply(reply, call))
    assert (read.response, read.complete) == (MockResponse(usage=TokenUsage(12, 0)), True)
    events = list(wire.write_events(reply, call))
    assert [wire.chunk_kind(event) for event in events] == [None]
    assert wire.read_events(events).response == read.response
