from __future__ import annotations

import json
from typing import Any

import pytest

from senytl.capture.framing import ARRAY, SSE, Framing
from senytl.capture.recognition import is_candidate, provider_of, recognise

MESSAGES = {"messages": [{"role": "user", "content": "Hi"}]}
CHAT = {"model": "gpt-4o", **MESSAGES}
CLAUDE = {"model": "claude-sonnet-4-6", "max_tokens": 10, **MESSAGES}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
VERTEX = "/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:generateContent"


@pytest.mark.parametrize(
    ("host", "path", "body", "expected"),
    [
        (
            "api.openai.com",
            "/v1/chat/completions",
            CHAT,
            ("openai-chat", "openai", "gpt-4o", False),
        ),
        (
            "localhost",
            "/chat/completions",
            CHAT | {"stream": True},
            ("openai-chat", "openai", "gpt-4o", True),
        ),
        (
            "openrouter.ai",
            "/api/v1/chat/completions",
            CHAT,
            ("openai-chat", "openrouter", "gpt-4o", False),
        ),
        (
            "x.openai.azure.com",
            "/openai/deployments/my-gpt/chat/completions",
            MESSAGES,
            ("openai-chat", "azure", "my-gpt", False),
        ),
        (
            "api.openai.com",
            "/v1/responses",
            {"model": "gpt-5", "input": "Hi", "stream": True},
            ("openai-responses", "openai", "gpt-5", True),
        ),
        (
            "api.anthropic.com",
            "/v1/messages",
            CLAUDE,
            ("anthropic-messages", "anthropic", "claude-sonnet-4-6", False),
        ),
        (
            "generativelanguage.googleapis.com",
            "/v1beta/models/gemini-2.5-flash:generateContent",
            CONTENTS,
            ("gemini", "google", "gemini-2.5-flash", False),
        ),
        (
            "127.0.0.1",
            "/v1/models/gemini-2.5-flash:streamGenerateContent",
            CONTENTS,
            ("gemini", "google", "gemini-2.5-flash", True),
        ),
        (
            "europe-west1-aiplatform.googleapis.com",
            VERTEX,
            CONTENTS,
            ("gemini", "google", "gemini-2.5-pro", False),
        ),
    ],
)
def test_llm_calls_are_recognised(
    host: str, path: str, body: dict[str, Any], expected: tuple[str, str, str, bool]
) -> None:
    assert is_candidate("POST", path)
    found = recognise(host, path, "", json.dumps(body).encode())
    assert found is not None
    call = found.call
    assert (call.api, call.provider, call.model, call.streamed) == expected
    assert call.request == body


def test_a_model_whose_name_is_quoted_in_the_path_is_unquoted() -> None:
    path = "/v1/models/tuned%20one:generateContent"
    found = recognise("localhost", path, "", CONTENTS)
    assert found is not None
    assert found.call.model == "tuned one"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/messages/count_tokens",
        "/v1/messages/batches",
        "/v1beta/models/gemini-2.5-flash:countTokens",
        "/v1beta/models/gemini-2.5-flash:batchGenerateContent",
        "/v1/chat/completions/chatcmpl-1",
        "/v1/responses/resp_1/cancel",
        "/v1/responses/input_tokens",
        "/v1/moderations",
        "/chat",
        "/api/chatter",
        "/",
    ],
)
def test_other_paths_are_not_even_candidates(path: str) -> None:
    assert not is_candidate("POST", path)


def test_only_posts_are_candidates() -> None:
    assert not is_candidate("GET", "/v1/chat/completions")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", MESSAGES),  # no model: somebody's own endpoint
        ("/v1/chat/completions", {"model": "gpt-4o", "messages": "Hi"}),
        ("/v1/messages", CHAT),  # no max_tokens: not Anthropic's
        ("/v1/threads/thread_1/messages", {"role": "user", "content": "Hi"}),
        ("/survey/responses", {"model": "form-7", "answers": [1]}),
        ("/v1beta/models/gemini-2.5-flash:generateContent", {"prompt": "Hi"}),
        ("/api/chat", MESSAGES),  # the agent's own endpoint, as the next two
        ("/api/chat", {"messages": ["Hi"], "model": "gpt-4o"}),
        ("/api/chat", {"message": "Hi"}),
    ],
)
def test_other_bodies_are_not_recognised(path: str, body: dict[str, Any]) -> None:
    assert recognise("api.example.com", path, "", body) is None


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"not json", b"[1]", b'"text"', b"[" * 100_000])
def test_bodies_that_are_no_json_objects_are_not_recognised(body: bytes) -> None:
    assert recognise("api.openai.com", "/v1/chat/completions", "", body) is None


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("api.openai.com", "/", "openai"),
        ("eu.api.openai.com", "/", "openai"),
        ("notopenai.com", "/", "notopenai.com"),
        ("API.Anthropic.com.", "/", "anthropic"),
        ("aiplatform.googleapis.com", "/", "google"),
        ("x.services.ai.azure.com", "/", "azure"),
        ("gateway.corp.com", "/openai/deployments/d/chat/completions", "azure"),
        ("api.mistral.ai", "/", "mistral"),
        ("api.unheard-of.ai", "/", "api.unheard-of.ai"),
        ("ai", "/", "format's"),
        ("bedrock-runtime.eu-west-1.amazonaws.com", "/", "aws"),
        ("agents.eu-west-1.amazonaws.com", "/", "agents.eu-west-1.amazonaws.com"),
        ("localhost", "/", "format's"),
        ("10.1.2.3", "/", "format's"),
        ("::1", "/", "format's"),
        ("ollama", "/", "format's"),
        ("llm.internal", "/", "format's"),
        ("api.example", "/", "format's"),
    ],
)
def test_the_host_names_the_provider(host: str, path: str, expected: str) -> None:
    assert provider_of(host, path, "format's") == expected


@pytest.mark.parametrize(
    ("query", "framing"), [("alt=sse", SSE), ("key=k&alt=sse", SSE), ("", ARRAY)]
)
def test_gemini_streams_are_arrays_unless_events_are_asked_for(
    query: str, framing: Framing
) -> None:
    found = recognise("localhost", "/models/gemini-pro:streamGenerateContent", query, CONTENTS)
    assert found is not None
    assert found.framing is framing


def test_a_reply_that_is_no_object_is_an_error() -> None:
    found = recognise("localhost", "/v1/chat/completions", "", CHAT)
    assert found is not None
    with pytest.raises(ValueError, match="not an object but list"):
        found.read_document(b"[]")
