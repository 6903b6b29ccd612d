"""Recording real SDKs' calls to a server, and replaying them to the same SDKs."""

from __future__ import annotations

import asyncio
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anthropic
import boto3  # type: ignore[import-untyped]
import httpx2
import openai
import pytest
from google import genai
from google.genai import types
from tests.compat.server import ModelServer, running_server

from senytl import Senytl, performance
from senytl.capture import open_scope
from senytl.recordings import RecordingError, UnrecordedCallError

CLOSED = "http://127.0.0.1:9"
MESSAGES: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with running_server() as running:
        yield running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.json"


@pytest.fixture
def senytl() -> Senytl:
    return Senytl()


def openai_client(url: str, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(api_key="placeholder", base_url=url + "/v1", **options)


def chat(client: openai.OpenAI, text: str = "hello", **options: Any) -> Any:
    messages: Any = [{"role": "user", "content": text}]
    return client.chat.completions.create(model="gpt-4o", messages=messages, **options)


def stream_chat(client: openai.OpenAI, text: str = "hello") -> str:
    stream = chat(client, text, stream=True, stream_options={"include_usage": True})
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def stream_message(client: anthropic.Anthropic, text: str = "hello") -> str:
    messages: Any = [{"role": "user", "content": text}]
    with client.messages.stream(
        model="claude-sonnet-4-6", max_tokens=100, messages=messages
    ) as stream:
        return "".join(stream.text_stream)


async def stream_both_async(
    client: openai.AsyncOpenAI, other: anthropic.AsyncAnthropic, text: str
) -> None:
    messages: Any = [{"role": "user", "content": text}]
    stream = await client.chat.completions.create(
        model="gpt-4o", messages=messages, stream=True, stream_options={"include_usage": True}
    )
    async for _ in stream:
        pass
    async with other.messages.stream(
        model="claude-sonnet-4-6", max_tokens=100, messages=messages
    ) as events:
        async for _ in events:
            pass


def run_threads(base: str, users: int) -> performance.PerformanceMetrics:
    """Let users stream through the clients of both SDKs, beginning one after the other."""
    with openai_client(base) as one, anthropic.Anthropic(api_key="none", base_url=base) as other:

        def user(text: str = "hello") -> None:
            stream_chat(one, text)
            stream_message(other, text)

        user("warm up")  # the first calls of a client are slower, wherever they go
        metrics: performance.PerformanceMetrics = _load(users)(user)()
        return metrics


def run_tasks(base: str, users: int) -> performance.PerformanceMetrics:
    """The same in an event loop."""

    async def run() -> performance.PerformanceMetrics:
        async with (
            openai.AsyncOpenAI(api_key="none", base_url=base + "/v1") as one,
            anthropic.AsyncAnthropic(api_key="none", base_url=base) as other,
        ):

            async def user(text: str = "hello") -> None:
                await stream_both_async(one, other, text)

            await user("warm up")
            metrics: performance.PerformanceMetrics = await _load(users)(user)()
            return metrics

    return asyncio.run(run())


def _load(users: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return performance.load_test(concurrent_users=users, iterations=2, ramp_up=users / 25)


def test_a_plain_reply_and_a_stream_come_back_as_the_sdks_own_objects(
    server: ModelServer, path: Path, senytl: Senytl
) -> None:
    with openai_client(server.url) as client, senytl.record(path):
        whole = chat(client)
        text = stream_chat(client)
    assert len(server.served) == 2
    with openai_client(CLOSED) as client, senytl.replay(path):
        assert stream_chat(client) == text
        again = chat(client)
    assert again == whole
    assert type(again) is type(whole)
    assert len(server.served) == 2


def test_gemini_comes_back_without_its_key_ever_being_written(
    server: ModelServer, path: Path, senytl: Senytl
) -> None:
    options = types.HttpOptions(base_url=server.url, api_version="v1beta")
    client = genai.Client(api_key="AIzaPLANTED-gemini-key", vertexai=False, http_options=options)

    def ask() -> list[str]:
        stream = client.models.generate_content_stream(model="gemini-2.5-flash", contents="hello")
        return [chunk.text or "" for chunk in stream]

    with closing(client):
        with senytl.record(path):
            said = ask()
            httpx2.post(
                f"{server.url}/v1beta/models/gemini-2.5-flash:generateContent",
                params={"key": "planted-query-key"},
                json={"contents": [{"role": "user", "parts": [{"text": "hello"}]}]},
            )
        with senytl.replay(path):
            assert ask() == said
    assert "PLANTED" not in path.read_text()
    assert "planted" not in path.read_text()


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
def test_calls_through_aiohttp_are_kept_and_replayed(
    server: ModelServer, path: Path, senytl: Senytl
) -> None:
    async def ask() -> list[str]:
        options = types.HttpOptions(base_url=server.url, api_version="v1beta")
        client = genai.Client(api_key="x", vertexai=False, http_options=options)
        stream = await client.aio.models.generate_content_stream(
            model="gemini-2.5-flash", contents="hello"
        )
        said = [chunk.text or "" async for chunk in stream]
        await client.aio.aclose()
        client.close()
        return said

    with senytl.record(path):
        said = asyncio.run(ask())
    with senytl.replay(path):
        assert asyncio.run(ask()) == said
    assert len(server.served) == 1


def test_bedrock_comes_back_frame_by_frame(server: ModelServer, path: Path, senytl: Senytl) -> None:
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id="AKIAPLANTED123456789",
        aws_secret_access_key="PLANTED",
    )
    asked: Any = {
        "modelId": "anthropic.claude-sonnet-4-6-v1:0",
        "messages": [{"role": "user", "content": [{"text": "hello"}]}],
    }

    def ask() -> list[Any]:
        whole = client.converse(**asked)["output"]
        return [whole, *client.converse_stream(**asked)["stream"]]

    with closing(client):
        with senytl.record(path):
            said = ask()
        served = len(server.served)
        assert len(said) > 5
        with senytl.replay(path):
            assert ask() == said
    assert len(server.served) == served
    assert "PLANTED" not in path.read_text()


def test_requests_match_irrespective_of_order_and_identifiers(
    server: ModelServer, path: Path, senytl: Senytl
) -> None:
    def turn(client: openai.OpenAI, call_id: str, user: str) -> Any:
        function = {"name": "get_weather", "arguments": "{}"}
        messages: Any = [
            {"role": "user", "content": "weather?"},
            {
                "role": "assistant",
                "tool_calls": [{"id": call_id, "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": call_id, "content": "rain"},
        ]
        return client.chat.completions.create(model="gpt-4o", messages=messages, user=user).id

    with openai_client(server.url) as client, senytl.record(path):
        first = turn(client, "call_abc", "ann")
        second = chat(client, "another").id
    with openai_client(CLOSED) as client, senytl.replay(path):
        assert chat(client, "another").id == second
        assert turn(client, "call_xyz", "bob") == first


def test_recordings_of_the_same_request_are_given_in_turn(
    server: ModelServer, path: Path, senytl: Senytl
) -> None:
    with openai_client(server.url) as client, senytl.record(path):
        ids = [chat(client).id for _ in range(3)]
    assert len(set(ids)) == 3
    with openai_client(CLOSED) as client, senytl.replay(path, speed=None):
        assert [chat(client).id for _ in range(7)] == [*ids, *ids, ids[0]]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_unrecorded_call_reaches_the_caller_and_names_the_nearest(
    kind: str, server: ModelServer, path: Path, senytl: Senytl
) -> None:
    def ask() -> None:
        with openai_client(CLOSED) as client:
            chat(client, "Where is order B-2?", temperature=0.2)

    async def ask_async() -> None:
        async with openai.AsyncOpenAI(api_key="x", base_url=CLOSED) as client:
            messages: Any = [{"role": "user", "content": "Where is order B-2?"}]
            await client.chat.completions.create(model="gpt-4o", messages=messages, temperature=0.2)

    with openai_client(server.url) as client, senytl.record(path):
        chat(client, "What is the weather in Paris?", temperature=0.9)
        chat(client, "Where is order A-1?", temperature=0.2)
    with senytl.replay(path), pytest.raises(UnrecordedCallError) as caught:
        ask() if kind == "sync" else asyncio.run(ask_async())
    message = str(caught.value)
    assert "Nearest is its call 2 of 2, which differs in:\n" in message
    expected = "'Where is order A-1?' was recorded, now it is 'Where is order B-2?'"
    assert f"  messages[0].content: {expected}" in message
    assert "temperature" not in message
    assert caught.value.model == "gpt-4o"


@pytest.mark.parametrize(("speed", "factor"), [(1.0, 1.0), (2.0, 0.5), (0.5, 2.0), (None, 0.0)])
def test_speed_scales_the_times_of_a_stream(
    speed: float | None, factor: float, server: ModelServer, path: Path, senytl: Senytl
) -> None:
    with openai_client(server.url) as client, senytl.record(path):
        stream_chat(client)
    [call] = json.loads(path.read_text())["calls"]
    assert (
        call["attempts"][0]["ending"] == "complete"
    )  # though the SDK reads no further than [DONE]
    recorded = call["attempts"][0]["ends_ms"] / 1000
    assert recorded > 0.19  # five pauses of 40 ms
    with openai_client(CLOSED) as client, senytl.replay(path, speed=speed):
        stream_chat(client)  # the first call of a client is slower
        start = time.perf_counter()
        stream_chat(client)
        took = time.perf_counter() - start
    assert recorded * factor - 0.002 <= took <= recorded * factor + 0.09


class _Faulty(BaseHTTPRequestHandler):
    """Refuses the first two attempts at each call, then replies; or hangs up in a stream."""

    protocol_version = "HTTP/1.1"
    attempts: dict[str, int]

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = request["messages"][0]["content"]
        self.attempts[said] = number = self.attempts.get(said, 0) + 1
        if "hang up" in said:
            self._hang_up()
            return
        if number <= 2:
            error = {"error": {"message": f"slow down: {said}", "type": "rate_limit"}}
            self._send(429, error, {"retry-after": "0.05", "set-cookie": "sid=planted-cookie"})
            return
        message = {"role": "assistant", "content": f"reply to {said}"}
        reply = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-4o",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        }
        self._send(200, reply, {"x-request-id": "req_planted", "set-cookie": "sid=planted-cookie"})

    def _send(self, status: int, document: Any, headers: dict[str, str]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _hang_up(self) -> None:
        chunk = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "gpt-4o",
            "choices": [{"index": 0, "delta": {"content": "par"}, "finish_reason": None}],
        }
        frame = f"data: {json.dumps(chunk)}\n\n".encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(frame), frame))
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def faulty_server() -> Iterator[str]:
    handler = type("Handler", (_Faulty,), {"attempts": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_address[1]}"
        finally:
            running.shutdown()
            thread.join()


def test_refusals_are_replayed_through_the_sdk_s_own_retries_for_every_caller(
    path: Path, senytl: Senytl
) -> None:
    with faulty_server() as url, openai_client(url) as client, senytl.record(path):
        text = chat(client).choices[0].message.content
    [call] = json.loads(path.read_text())["calls"]
    assert [attempt["status"] for attempt in call["attempts"]] == [429, 429, 200]
    assert call["attempts"][0]["headers"]["retry-after"] == "0.05"
    assert "planted" not in path.read_text()

    @performance.load_test(concurrent_users=10, iterations=2)
    def ask() -> None:
        with openai_client(CLOSED) as client:
            assert chat(client).choices[0].message.content == text

    @performance.load_test(concurrent_users=10, iterations=2)
    async def ask_async() -> None:
        async with openai.AsyncOpenAI(api_key="x", base_url=CLOSED) as client:
            reply = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
            assert reply.choices[0].message.content == text

    with senytl.replay(path, speed=10):
        for metrics in (ask(), asyncio.run(ask_async())):
            assert metrics.failed_requests == 0, metrics.errors
            assert metrics.total_requests == 20
            assert metrics.llm_calls == 60
            assert metrics.retried_calls == 40


def test_a_client_that_does_not_retry_sees_the_refusal_and_one_that_retries_longer_the_last_reply(
    path: Path, senytl: Senytl
) -> None:
    with (
        faulty_server() as url,
        openai_client(url, max_retries=1) as client,
        senytl.record(path),
        pytest.raises(openai.RateLimitError, match="slow down: hello"),
    ):
        chat(client)
    with senytl.replay(path, speed=None):
        for retries, calls in ((0, 1), (1, 2), (3, 4)):
            sink: list[Any] = []
            collector = type("Sink", (), {"add_call": staticmethod(sink.append)})()
            with (
                open_scope(unattributed=collector),
                openai_client(CLOSED, max_retries=retries) as client,
                pytest.raises(openai.RateLimitError, match="slow down: hello"),
            ):
                chat(client)
            assert [call.status for call in sink] == [429] * calls


def test_a_connection_that_was_lost_in_a_stream_is_lost_again(path: Path, senytl: Senytl) -> None:
    def read(client: openai.OpenAI) -> str:
        stream = chat(client, "hang up", stream=True)
        text = next(stream).choices[0].delta.content
        with pytest.raises((openai.APIError, httpx2.RemoteProtocolError)):
            next(stream)
        return str(text)

    with faulty_server() as url, openai_client(url, max_retries=0) as client, senytl.record(path):
        assert read(client) == "par"
    [call] = json.loads(path.read_text())["calls"]
    assert call["attempts"][0]["ending"] == "disconnect"
    with openai_client(CLOSED, max_retries=0) as client, senytl.replay(path):
        assert read(client) == "par"


def test_a_refused_connection_and_a_timeout_are_replayed(path: Path, senytl: Senytl) -> None:
    def fail(url: str) -> list[str]:
        with (
            openai_client(url, max_retries=0, timeout=0.02) as client,
            pytest.raises(openai.APITimeoutError) as patience,
        ):
            chat(client, stream=True)
        with (
            openai_client(CLOSED, max_retries=0) as client,
            pytest.raises(openai.APIConnectionError) as refused,
        ):
            chat(client)
        return [type(error.value).__name__ for error in (patience, refused)]

    with silent_server() as url, senytl.record(path):
        failures = fail(url)
    calls = json.loads(path.read_text())["calls"]
    assert [call["attempts"][0]["ending"] for call in calls] == ["timeout", "disconnect"]
    with senytl.replay(path):
        assert fail(CLOSED) == failures


@contextmanager
def silent_server() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    import socket

    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_an_abandoned_stream_is_kept_as_far_as_it_was_read(
    server: ModelServer, path: Path, senytl: Senytl
) -> None:
    with openai_client(server.url) as client, senytl.record(path):
        stream = chat(client, stream=True)
        for _, chunk in zip(range(3), stream, strict=False):
            last = chunk
    [call] = json.loads(path.read_text())["calls"]
    assert call["attempts"][0]["ending"] == "abandoned"
    stream.close()
    with openai_client(CLOSED) as client, senytl.replay(path):
        stream = chat(client, stream=True)
        for _, chunk in zip(range(3), stream, strict=False):
            again = chunk
        stream.close()
    assert again == last


def test_mocks_of_the_session_come_before_the_recording(
    server: ModelServer, path: Path, senytl: Senytl
) -> None:
    with openai_client(server.url) as client, senytl.record(path):
        chat(client)
    senytl.mock("gpt-4o").when(contains="mocked").respond("by the mock")
    with openai_client(CLOSED) as client, senytl.replay(path):
        assert chat(client, "mocked").choices[0].message.content == "by the mock"
        assert chat(client).choices[0].message.content == "Hello from the other side."


def test_a_strict_session_leaves_calls_to_the_replay_around_it(
    server: ModelServer, path: Path, senytl: Senytl
) -> None:
    with openai_client(server.url) as client, senytl.record(path):
        chat(client)
    with openai_client(CLOSED) as client, senytl.replay(path), Senytl(fallback="error"):
        assert chat(client).choices[0].message.content == "Hello from the other side."
        with pytest.raises(UnrecordedCallError):
            chat(client, "never asked")


def test_calls_that_a_mock_or_a_replay_answers_are_not_recorded(
    server: ModelServer, path: Path, tmp_path: Path, senytl: Senytl
) -> None:
    with openai_client(server.url) as client, senytl.record(path):
        chat(client)
    other = tmp_path / "other.json"
    with (
        pytest.raises(RecordingError, match="there is nothing to record"),
        openai_client(CLOSED) as client,
        senytl.record(other),
        senytl.replay(path),
    ):
        chat(client)
    assert not other.exists()


def test_a_block_that_fails_leaves_the_earlier_recording_as_it_is(
    server: ModelServer, path: Path, senytl: Senytl
) -> None:
    with openai_client(server.url) as client, senytl.record(path):
        chat(client)
    before = path.read_text()

    def fail() -> None:
        with openai_client(server.url) as client, senytl.record(path):
            chat(client, "another")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        fail()
    assert path.read_text() == before
    [note] = caught.value.__notes__
    assert note.endswith("the earlier one stays")


SECRETS = {
    "openai": "sk-proj-PLANTEDopenai1234567890",
    "anthropic": "sk-ant-api03-PLANTEDanthropic123",
    "google": "AIzaSyPLANTEDgoogle1234567890",
    "aws": "AKIAPLANTEDAWS123456",
    "aws_secret": "wJalrXUtnPLANTED7MDENGbPxRfiCYEXAMPLEKEY",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJQTEFOVEVEIjoxfQ.PLANTEDsignature",
    "odd": "PLANTED-plain-words-of-the-environment",
}


@pytest.mark.parametrize("streamed", [False, True])
def test_planted_secrets_are_in_no_file(
    streamed: bool, path: Path, senytl: Senytl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBSCURE_PROVIDER_API_KEY", SECRETS["odd"])
    texts = [
        f"my key is {SECRETS['openai']} or {SECRETS['anthropic']}, {SECRETS['google']}",
        f"aws: {SECRETS['aws']} {SECRETS['aws_secret']}; Authorization: Bearer PLANTEDbearer",
        "set-cookie: session=PLANTEDcookie; Path=/",
        "see https://user:PLANTEDpass@host.example/x?key=PLANTEDquery&a=1",
        f"a token {SECRETS['jwt']} and {SECRETS['odd']}.",
    ]
    members = {
        "api_key": "PLANTED one",
        "nested": [{"authorization": "PLANTED two", "Password": "PLANTED three"}],
        "deep": {"er": {"token": "PLANTED four", "client_secret": "PLANTED five"}},
        "arguments": json.dumps({"secret": "PLANTED 6", "in": json.dumps({"token": "PLANTED 7"})}),
    }
    with (
        echo_server() as url,
        openai.OpenAI(api_key=SECRETS["openai"], base_url=url, max_retries=0) as client,
        senytl.record(path),
    ):
        headers = {"Cookie": "PLANTED=1", "X-Api-Key": "PLANTEDheader"}
        for text in texts:
            reply = chat(
                client,
                text,
                stream=streamed,
                extra_body={"tool_context": members},
                extra_headers=headers,
                extra_query={"key": "PLANTEDparameter"},
            )
            if streamed:
                said = "".join(chunk.choices[0].delta.content or "" for chunk in reply)
                assert "PLANTED" in said  # the code under test is not disturbed
    written = path.read_text()
    assert "PLANTED" not in written
    assert "PLANT" not in written
    for secret in SECRETS.values():
        assert secret[-6:] not in written
    assert written.count("[secret]") > 20
    # It can be replayed: the requests lose their secrets before they are compared.
    with openai_client(CLOSED) as client, senytl.replay(path, speed=None):
        for text in texts:
            reply = chat(client, text, stream=streamed, extra_body={"tool_context": members})
            chunks = [chunk.choices[0].delta for chunk in reply] if streamed else []
            said = "".join(chunk.content or "" for chunk in chunks)
            said = said or reply.choices[0].message.content
            assert "[secret]" in said
            assert "PLANTED" not in said


@contextmanager
def echo_server() -> Iterator[str]:
    """A server whose replies repeat the prompt; streams bring it in parts of four letters."""

    class Handler(_Faulty):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            said = request["messages"][0]["content"]
            head = {"id": "chatcmpl-1", "created": 1, "model": "gpt-4o"}
            echo = {"echo": request.get("tool_context"), "headers": str(self.headers)}
            if not request.get("stream"):
                message = {"role": "assistant", "content": said}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                reply = head | {"object": "chat.completion", "choices": [choice]} | echo
                self._send(200, reply, {"set-cookie": "sid=PLANTEDcookie"})
                return
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            parts = [said[start : start + 4] for start in range(0, len(said), 4)]
            frames = b": PLANTED comment, api_key=PLANTEDcomment\n\n".replace(b"PLANTED c", b"a c")
            for number, part in enumerate([*parts, ""]):
                choice = {"index": 0, "delta": {"content": part}, "finish_reason": None}
                document = head | {"object": "chat.completion.chunk", "choices": [choice]}
                if number == 1:
                    document |= echo
                frames += f"data: {json.dumps(document)}\n\n".encode()
            frames += b"data: [DONE]\n\n"
            for start in range(0, len(frames), 100):  # chunks that cut through events
                piece = frames[start : start + 100]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_address[1]}"
        finally:
            running.shutdown()
            thread.join()


@pytest.mark.parametrize(("run", "users"), [(run_threads, 20), (run_tasks, 50)])
def test_a_session_replayed_under_load_gives_the_same_tokens_dollars_and_times(
    run: Any, users: int, server: ModelServer, path: Path, senytl: Senytl
) -> None:
    with senytl.record(path):
        recorded = run(server.url, 2)
    assert recorded.failed_requests == 0
    assert recorded.streamed_calls == 8
    served = len(server.served)
    apart = []
    for _ in range(3):  # the machine may be busy with something else
        with senytl.replay(path):
            replayed = run(CLOSED, users)
        assert replayed.failed_requests == 0, replayed.errors
        assert replayed.streamed_calls == 4 * users
        # Each reply that was recorded has tokens of its own, and all are given equally often.
        assert replayed.total_tokens == recorded.total_tokens * users // 2
        assert replayed.avg_tokens_per_request == recorded.avg_tokens_per_request
        assert recorded.total_cost > 0
        assert replayed.total_cost == pytest.approx(recorded.total_cost * users / 2)
        medians = [statistics.median(one.ttfts) for one in (recorded, replayed)]
        apart.append(abs(medians[0] - medians[1]))
        if apart[-1] < 0.010:
            break
    assert min(apart) < 0.010
    assert len(server.served) == served
