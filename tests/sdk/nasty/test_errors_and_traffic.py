"""Attempts that fail, traffic that is no LLM call, and calls that cannot be seen."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import anthropic
import grpc  # type: ignore[import-untyped]
import openai
import pytest
import requests
from google import genai
from tests.sdk.nasty.streaming import first_chunk, pieces_of
from tests.sdk.nasty.ways import (
    MESSAGES,
    WAYS,
    bedrock,
    by_anthropic,
    by_anthropic_async,
    by_boto3,
    by_google,
    by_google_over_aiohttp,
    by_openai,
    by_openai_async,
    by_openai_async_over_httpx,
    by_openai_over_httpx,
    google,
)
from websockets.sync.server import ServerConnection, serve

from senytl.capture import CaptureWarning, open_scope
from senytl.capture.unseen import Unseen, unseen_calls
from senytl.models import TokenUsage

pytestmark = [
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:connect\\(\\) must be used:DeprecationWarning"),
]

TEXT = "Hello, you."
TOKENS = TokenUsage(1117, 246)
GOOGLE_RETRIES = genai.types.HttpRetryOptions(attempts=3, initial_delay=0.05, jitter=0)
RETRYING: dict[str, Callable[[str], Any]] = {
    "openai": lambda url: by_openai(url, max_retries=2),
    "openai-async": lambda url: by_openai_async(url, max_retries=2),
    "openai-over-httpx": lambda url: by_openai_over_httpx(url, max_retries=2),
    "anthropic": lambda url: by_anthropic(url, max_retries=2),
    "anthropic-async": lambda url: by_anthropic_async(url, max_retries=2),
    "google": lambda url: by_google(url, retry_options=GOOGLE_RETRIES),
    "google-over-aiohttp": lambda url: by_google_over_aiohttp(url, retry_options=GOOGLE_RETRIES),
    "boto3": lambda url: by_boto3(url, retries={"mode": "standard", "total_max_attempts": 3}),
}


@pytest.mark.parametrize("way", RETRYING)
def test_nasty_11_retries_are_grouped(
    way: str, url: str, script: Any, answered: Any, sink: Any, server: Any
) -> None:
    soon = {"content-type": "application/json", "retry-after-ms": "50"}
    body = [b'{"error": {"message": "Not now.", "code": 429}}']
    script(answered(body, status=429, headers=soon), answered(body, status=503, headers=soon))
    with open_scope(unattributed=sink), RETRYING[way](url) as ask:
        assert [ask(), ask()] == [TEXT, TEXT]
    calls = sink.calls
    assert len(server.requests) == len(calls) == 4
    assert [call.status for call in calls] == [429, 503, 200, 200]
    assert [call.attempt for call in calls] == [1, 2, 3, 1]
    assert [call.outcome for call in calls] == ["failed"] * 2 + ["completed"] * 2
    assert [call.error_kind for call in calls] == ["rate_limit", "overloaded", None, None]
    assert [call.usage for call in calls] == [None, None, TOKENS, TOKENS]
    first, second, third, other = (call.logical_id for call in calls)
    assert first == second == third != other
    waits = [call.retry_wait_seconds for call in calls]
    assert waits[0] is waits[3] is None
    for earlier, later in ((calls[0], calls[1]), (calls[1], calls[2])):
        gap = later.start - (earlier.start + earlier.duration_seconds)
        assert later.retry_wait_seconds == pytest.approx(gap, abs=0.001)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        return int(free.getsockname()[1])


def raised_by(way: Any, url: str, scope: Any, stream: bool = False) -> BaseException:
    with scope, way(url) as ask, pytest.raises(Exception) as caught:  # noqa: PT011
        ask(stream)
    return caught.value


def chain_of(error: BaseException | None) -> list[tuple[type, str]]:
    """What the caller can see of an error: its kind, its words, and those of its causes."""
    found = []
    while error is not None:
        found.append((type(error), str(error)))
        error = error.__cause__
    return found


# Google's async client waits for up to ten seconds and tries again where aiohttp is refused.
@pytest.mark.parametrize("way", [name for name in WAYS if name != "google-over-aiohttp"])
def test_nasty_11_a_refused_connection(way: str, sink: Any) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    without = raised_by(WAYS[way], url, nullcontext())
    error = raised_by(WAYS[way], url, open_scope(unattributed=sink))
    assert [kind for kind, _ in chain_of(error)] == [kind for kind, _ in chain_of(without)]
    call = sink.only
    assert (call.status, call.outcome, call.error_kind) == (None, "failed", "connection")
    assert (call.attempt, call.usage, call.ttft) == (1, None, None)
    assert call.error


@pytest.mark.parametrize("way", ["openai", "anthropic"])
def test_nasty_11_a_refused_connection_is_tried_again(way: str, sink: Any) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    make: Any = by_openai if way == "openai" else by_anthropic
    with (
        open_scope(unattributed=sink),
        make(url, max_retries=1) as ask,
        pytest.raises((openai.APIConnectionError, anthropic.APIConnectionError)),
    ):
        ask()
    assert [call.attempt for call in sink.calls] == [1, 2]
    assert [call.error_kind for call in sink.calls] == ["connection"] * 2
    assert sink.calls[0].logical_id == sink.calls[1].logical_id


PATIENT = 0.25
IMPATIENT: dict[str, Callable[[str], Any]] = {
    "openai": lambda url: by_openai(url, timeout=PATIENT),
    "openai-async": lambda url: by_openai_async(url, timeout=PATIENT),
    "openai-over-httpx": lambda url: by_openai_over_httpx(url, timeout=PATIENT),
    "openai-async-over-httpx": lambda url: by_openai_async_over_httpx(url, timeout=PATIENT),
    "anthropic": lambda url: by_anthropic(url, timeout=PATIENT),
    "google": lambda url: by_google(url, timeout=int(PATIENT * 1000)),
    "google-over-aiohttp": lambda url: by_google_over_aiohttp(url, timeout=int(PATIENT * 1000)),
    "boto3": lambda url: by_boto3(url, read_timeout=PATIENT),
}


@pytest.mark.parametrize("way", IMPATIENT)
def test_nasty_11_a_timeout_before_the_reply(
    way: str, url: str, script: Any, answered: Any, sink: Any, server: Any
) -> None:
    """The caller gets what it would get without senytl, whatever its SDK makes of it."""
    late = answered([b"{}"], delay=4 * PATIENT)
    script(late, late)
    without = raised_by(IMPATIENT[way], url, nullcontext())
    error = raised_by(IMPATIENT[way], url, open_scope(unattributed=sink))
    assert chain_of(error) == chain_of(without)
    call = sink.only
    assert (call.status, call.outcome, call.error_kind) == (None, "failed", "timeout")
    assert PATIENT * 0.8 <= call.duration_seconds < 4 * PATIENT
    assert len(server.requests) == 2


@pytest.mark.parametrize("way", [name for name in IMPATIENT if name != "boto3"])
def test_nasty_11_a_timeout_in_the_middle_of_a_stream(
    way: str, url: str, script: Any, answered: Any, sink: Any, server: Any
) -> None:
    vendor = way.partition("-")[0]
    pieces = pieces_of(vendor)
    first = first_chunk(pieces)
    head = b"".join(pieces[: first + 1])
    stuck = answered(
        [head, *pieces[first + 1 :]], headers={"content-type": "text/event-stream"}, pause=1.0
    )
    script(stuck, stuck)
    without = raised_by(IMPATIENT[way], url, nullcontext(), stream=True)
    error = raised_by(IMPATIENT[way], url, open_scope(unattributed=sink), stream=True)
    assert chain_of(error) == chain_of(without)
    call = sink.only
    assert (call.status, call.outcome, call.error_kind) == (200, "failed", "timeout")
    assert (call.response.text, call.chunks) == (TEXT[:5], 1)
    assert len(server.requests) == 2


@contextmanager
def clients(url: str) -> Iterator[dict[str, Any]]:
    with (
        openai.OpenAI(api_key="none", base_url=url + "/v1", max_retries=0) as oai,
        anthropic.Anthropic(api_key="none", base_url=url, max_retries=0) as claude,
        closing(google(url)) as gemini,
        closing(bedrock(url)) as aws,
    ):
        yield {"openai": oai, "anthropic": claude, "google": gemini, "boto3": aws}


NO_LLM_CALLS: dict[str, Callable[[dict[str, Any]], object]] = {
    "openai's models": lambda of: of["openai"].models.list(),
    "openai's moderation": lambda of: of["openai"].moderations.create(input="Hello?"),
    "openai's files": lambda of: of["openai"].files.create(file=b"{}", purpose="batch"),
    "openai's batches": lambda of: of["openai"].batches.create(
        input_file_id="f", endpoint="/v1/chat/completions", completion_window="24h"
    ),
    "openai's images": lambda of: of["openai"].images.generate(model="m", prompt="A cat"),
    "a response fetched again": lambda of: of["openai"].responses.retrieve("resp_1"),
    "anthropic's count of tokens": lambda of: of["anthropic"].messages.count_tokens(
        model="claude-sonnet-4-6", messages=MESSAGES
    ),
    "anthropic's batches": lambda of: of["anthropic"].messages.batches.create(requests=[]),
    "gemini's count of tokens": lambda of: of["google"].models.count_tokens(
        model="gemini-2.5-flash", contents="Hello?"
    ),
    "bedrock's guardrails": lambda of: of["boto3"].apply_guardrail(
        guardrailIdentifier="g", guardrailVersion="1", source="INPUT", content=[]
    ),
}


@pytest.mark.parametrize("name", NO_LLM_CALLS)
def test_nasty_13_traffic_of_sdks_that_is_no_llm_call(name: str, server: Any, sink: Any) -> None:
    server.reply(b'{"data": [], "action": "NONE"}', content_type="application/json")
    with open_scope(unattributed=sink), clients(server.url("")) as of, suppress(ValueError):
        NO_LLM_CALLS[name](of)
    assert len(server.requests) == 1
    assert sink.calls == []


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/api/chat", {"json": {"message": "Hello?"}}),
        ("/api/chat", {"json": {"messages": MESSAGES}}),
        ("/api/chat", {"data": {"model": "gpt-4o"}}),
        ("/chat", {"json": {"model": "gpt-4o", "messages": MESSAGES}}),
        ("/v1/messages", {"json": {"to": "someone", "text": "Hello?"}}),
        ("/v1/responses", {"json": {"survey": 1, "answers": []}}),
        ("/v1/chat/completions", {"json": [1, 2]}),
        ("/v1/chat/completions", {"data": b"not JSON"}),
        ("/v1/chat/completions", {"files": {"file": b"model"}}),
        ("/v1/chat/completions", {}),
    ],
)
def test_nasty_13_the_agents_own_api_chat_and_other_endpoints(
    path: str, options: dict[str, Any], url: str, server: Any, sink: Any
) -> None:
    server.answer = None
    with open_scope(unattributed=sink):
        reply = requests.post(url + path, timeout=9, **options)
    assert reply.status_code == 200
    assert len(server.requests) == 1
    assert sink.calls == []


def test_nasty_13_a_models_own_api_chat(url: str, server: Any, sink: Any) -> None:
    """Ollama's path is that of many agents: the model in the body tells them apart."""
    server.answer = None
    server.reply(
        b'{"model": "llama3", "message": {"role": "assistant", "content": "Hello."},'
        b' "done": true, "prompt_eval_count": 9, "eval_count": 3}',
        content_type="application/json",
    )
    body = {"model": "llama3", "messages": MESSAGES, "stream": False}
    with open_scope(unattributed=sink):
        requests.post(url + "/api/chat", json=body, timeout=9)
    assert (sink.only.model, sink.only.usage) == ("llama3", TokenUsage(9, 3))


def by_websocket(folder: Path) -> None:
    def speak(connection: ServerConnection) -> None:
        for _ in connection:
            connection.send('{"type": "response.done"}')

    with serve(speak, "127.0.0.1", 0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        address = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/v1"
        with (
            openai.OpenAI(api_key="none", websocket_base_url=address) as client,
            client.realtime.connect(model="gpt-realtime") as connection,
        ):
            connection.response.create()
            assert connection.recv().type == "response.done"
        server.shutdown()
        thread.join()


def by_grpc(folder: Path) -> None:
    service = "google.ai.generativelanguage.v1beta.GenerativeService"
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: b"reply")
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {"GenerateContent": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert channel.unary_unary(f"/{service}/GenerateContent")(b"request") == b"reply"
    server.stop(None).wait()


def by_subprocess(folder: Path) -> None:
    program = folder / "agent.py"
    program.write_text("if False:\n    import openai\n")
    subprocess.run([sys.executable, str(program)], check=True)


UNSEEN: dict[str, Callable[[Path], None]] = {
    "WebSocket": by_websocket,
    "gRPC": by_grpc,
    "process": by_subprocess,
}


@pytest.mark.parametrize("kind", UNSEEN)
def test_nasty_17_websocket_grpc_and_subprocess_are_warned_of(
    kind: Any, sink: Any, tmp_path: Path
) -> None:
    before = unseen_calls()
    with open_scope(unattributed=sink), pytest.warns(CaptureWarning, match=kind) as warned:
        UNSEEN[kind](tmp_path)
    assert len([one for one in warned if one.category is CaptureWarning]) == 1
    assert sink.calls == []
    [(unseen, count)] = (unseen_calls() - before).items()
    assert (unseen.kind, count) == (kind, 1)
    assert isinstance(unseen, Unseen)
