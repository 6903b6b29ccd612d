"""The model server under the real SDKs, in this process and in others."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import pytest

from senytl import Senytl
from senytl.models import TokenUsage
from senytl.server import ModelServer

pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)

PROGRAM = Path(__file__).with_name("remote_agent.py")
TEXT = "Hello from the other side of the wire."
WORDS = 8
USAGE = (1117, WORDS)
MODELS = ("gpt-4o", "claude-sonnet-4-6", "gemini-2.5-flash")


def _load_agent() -> ModuleType:
    spec = importlib.util.spec_from_file_location("remote_agent", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


agent = _load_agent()
NAMES: list[str] = agent.NAMES
STREAMS = [name for name in NAMES if name.endswith("stream")]
PLAIN = [name for name in NAMES if name.endswith("plain")]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """A server that this process's SDKs find as those of others do."""
    with ModelServer() as server:
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        yield server


def mock_all(server: ModelServer, **timing: Any) -> None:
    for model in MODELS:
        mock = server.mock(model)
        mock.when(contains="hello").respond(TEXT, usage=USAGE, **timing)
        mock.when(contains="weather").respond(tools={"get_weather": {"city": "Oslo"}}, usage=USAGE)


def in_subprocess(*names: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *names],
        capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(name: str, got: dict[str, Any]) -> None:
    """Whether a way to call a model gave what the mock says."""
    assert got["error"] == ""
    if name.endswith("tool"):
        assert got["text"] == ""
        assert list(got["tool"] or ()) == ["get_weather", {"city": "Oslo"}]
    else:
        assert (got["text"], got["tool"]) == (TEXT, None)
    assert tuple(got["tokens"]) == USAGE


@pytest.mark.parametrize("name", NAMES)
def test_every_sdk_of_this_process_gets_its_own_objects(name: str, server: ModelServer) -> None:
    mock_all(server)
    check(name, vars(agent.run(name)))
    [call] = server.calls
    assert call.usage == TokenUsage(*USAGE)
    assert (call.status, call.outcome, call.mocked) == (200, "completed", True)
    assert call.streamed == name.endswith("stream")


def test_an_agent_in_a_subprocess_gets_them_too(server: ModelServer) -> None:
    mock_all(server)
    replies = in_subprocess(*NAMES)
    for name, got in zip(NAMES, replies, strict=True):
        check(name, got)
    assert len(server.calls) == len(NAMES)
    assert {call.model for call in server.calls} == set(MODELS)
    assert {call.provider for call in server.calls} == {"openai", "anthropic", "google"}
    assert {call.usage for call in server.calls} == {TokenUsage(*USAGE)}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_s_times_reach_the_sdk(name: str, server: ModelServer) -> None:
    mock_all(server, ttft=0.3, tokens_per_second=20)
    got = agent.run(name)
    assert len(got.times) == WORDS
    assert 0.28 <= got.times[0] < 1
    gaps = [later - earlier for earlier, later in pairwise(got.times)]
    assert 0.04 <= median(gaps) < 0.1
    [call] = server.calls
    assert call.ttft is not None
    assert call.ttft <= got.times[0]
    assert median(call.chunk_gaps) == pytest.approx(median(gaps), rel=0.3)


def test_fifty_streams_of_all_sdks_at_once(server: ModelServer) -> None:
    mock_all(server, ttft=0.3, tokens_per_second=20)
    names = [f"async_{name}" for name in STREAMS if not name.startswith("async")]
    asked = [names[number % len(names)] for number in range(50)]
    got = asyncio.run(agent.at_once(asked))
    for name, one in zip(asked, got, strict=True):
        check(name, vars(one))
    assert len(server.calls) == 50
    assert all(0.29 <= (call.ttft or 0) < 2 for call in server.calls)
    assert all(call.chunks == WORDS for call in server.calls)


@pytest.mark.parametrize("name", ["chat_plain", "async_chat_stream", "messages_plain"])
def test_an_sdk_s_own_retries_get_past_faults(name: str, server: ModelServer) -> None:
    for model in MODELS:
        server.mock(model).fail(429, times=1, retry_after=0.05).fail(500, times=1)
    mock_all(server)
    check(name, vars(agent.run(name, max_retries=3)))
    assert [call.status for call in server.calls] == [429, 500, 200]
    assert [call.attempt for call in server.calls] == [1, 2, 3]
    assert len({call.logical_id for call in server.calls}) == 1
    assert (server.calls[1].retry_wait_seconds or 0) >= 0.04


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("chat_plain", "RateLimitError"),
        ("async_chat_stream", "RateLimitError"),
        ("messages_plain", "RateLimitError"),
        ("gemini_plain", "ClientError"),
    ],
)
def test_a_refusal_is_the_sdk_s_own_error(name: str, error: str, server: ModelServer) -> None:
    for model in MODELS:
        server.mock(model).fail(429)
    options = {} if name.startswith("gemini") else {"max_retries": 0}
    assert agent.run(name, **options).error == error


@pytest.mark.parametrize("name", ["chat_stream", "async_chat_stream", "messages_stream"])
def test_a_stream_that_is_cut_is_an_error_after_what_came(name: str, server: ModelServer) -> None:
    for model in MODELS:
        server.mock(model).disconnect(after_chunks=3)
    mock_all(server)
    got = agent.run(name, max_retries=0)
    assert got.error in ("APIConnectionError", "RemoteProtocolError")
    assert got.text == "Hello from the "
    [call] = server.calls
    assert (call.outcome, call.error_kind) == ("failed", "connection")


@pytest.mark.parametrize("name", ["chat_plain", "async_messages_stream"])
def test_a_client_s_own_timeout_ends_a_call_that_gets_no_answer(
    name: str, server: ModelServer
) -> None:
    for model in MODELS:
        server.mock(model).timeout()
    got = agent.run(name, timeout=0.3, max_retries=0)
    assert got.error == "APITimeoutError"


@pytest.mark.parametrize("name", PLAIN)
def test_a_call_that_nothing_answers_is_an_error_at_once(name: str, server: ModelServer) -> None:
    server.mock("another-model").respond("No.")
    got = agent.run(name)
    assert got.error in ("NotFoundError", "ClientError")
    [call] = server.calls  # no SDK tried again
    assert "another-model for any prompt" in (call.error or "")


def test_a_recording_is_served_with_its_refusals_and_its_times(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.mock("gpt-4o").fail(429, times=1, retry_after=0.05)
    mock_all(server, ttft=0.3, tokens_per_second=20)
    path = tmp_path / "session.json"
    with Senytl().record(path):
        agent.run("chat_stream", max_retries=2)
    with ModelServer(Senytl().replay(path)) as replaying:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{replaying.url}/v1")
        for _ in range(2):
            got = agent.run("async_chat_stream", max_retries=2)
            check("chat_stream", vars(got))
            gaps = [later - earlier for earlier, later in pairwise(got.times)]
            assert 0.04 <= median(gaps) < 0.1
    assert [call.status for call in replaying.calls] == [429, 200, 429, 200]
    assert all((call.ttft or 0) >= 0.28 for call in replaying.calls[1::2])
    assert [call.usage for call in replaying.calls[1::2]] == [TokenUsage(*USAGE)] * 2
    assert len(server.calls) == 2  # what is replayed calls nobody


def test_the_environment_holds_no_real_key(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    environment = {**os.environ, **server.env}
    assert "sk-real" not in environment.values()
    assert environment["OPENAI_BASE_URL"] == f"{server.url}/v1"
