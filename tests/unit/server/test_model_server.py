"""The server's life, and what it answers over plain HTTP."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import pytest

from senytl import Senytl
from senytl.capture import Answer, PendingCall
from senytl.mocking import MockRules
from senytl.models import LLMCallRecord, MockResponse, SenytlError, TokenUsage
from senytl.server import ModelServer

CHAT = "/v1/chat/completions"
EIGHT = "one two three four five six seven eight"


def chat(prompt: str = "hello", model: str = "gpt-4o", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": prompt}], **more}


def connect(server: ModelServer) -> socket.socket:
    parts = urlsplit(server.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


def post(document: Any, path: str = CHAT, version: str = "1.1") -> bytes:
    body = json.dumps(document).encode()
    head = f"POST {path} HTTP/{version}\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def read_all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def calls_of(server: ModelServer, count: int) -> list[LLMCallRecord]:
    """The calls, once there are so many: what a client breaks off ends later on the server."""
    deadline = time.perf_counter() + 5
    while len(server.calls) < count and time.perf_counter() < deadline:
        time.sleep(0.005)
    assert len(server.calls) == count
    return server.calls


# Its life


def test_it_runs_from_start_to_stop_and_both_may_come_twice() -> None:
    server = ModelServer()
    with pytest.raises(SenytlError, match="does not run"):
        server.url  # noqa: B018
    server.stop()
    server.start()
    url = server.url
    server.start()
    assert server.url == url
    connect(server).close()
    server.stop()
    server.stop()
    with pytest.raises(SenytlError, match="does not run"):
        server.env  # noqa: B018
    assert not [one for one in threading.enumerate() if one.name.startswith("senytl")]


def test_it_may_start_again() -> None:
    server = ModelServer()
    for _ in range(2):
        with server:
            connect(server).close()


def test_a_taken_port_is_an_error_that_names_it(server: ModelServer) -> None:
    port = urlsplit(server.url).port
    assert port is not None
    with pytest.raises(SenytlError, match=rf"port {port} of 127\.0\.0\.1 is taken"):
        ModelServer(port=port).start()
    assert [one.name for one in threading.enumerate()].count("senytl-server") == 1


def test_an_address_that_is_not_this_machine_s_is_an_error() -> None:
    with pytest.raises(SenytlError, match=r"cannot listen at 192\.0\.2\.1"):
        ModelServer(host="192.0.2.1").start()


def test_without_aiohttp_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(SenytlError, match="pip install aiohttp, or install senytl"):
        ModelServer().start()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": -1}, "port is -1"),
        ({"port": 70000}, "port is 70000"),
        ({"port": "80"}, "port is '80'"),
        ({"speed": 0}, "speed is 0"),
        ({"speed": float("nan")}, "speed is nan"),
        ({"speed": True}, "speed is True"),
    ],
)
def test_senseless_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelServer(**options)


def test_an_address_for_all_of_the_machine_s_is_shown_as_one_that_clients_can_call() -> None:
    with ModelServer(host="0.0.0.0") as server:
        assert server.url.startswith("http://127.0.0.1:")
        connect(server).close()


def test_stop_cuts_what_is_still_being_answered() -> None:
    server = ModelServer()
    server.mock("gpt-4o").respond(EIGHT, ttft=0.01, tokens_per_second=0.5)
    server.start()
    with connect(server) as connection:
        connection.sendall(post(chat(stream=True)))
        assert connection.recv(100)
        start = time.perf_counter()
        server.stop()
        assert time.perf_counter() - start < 3
        assert not read_all(connection).endswith(b"0\r\n\r\n")
    [call] = server.calls
    assert call.outcome == "abandoned"


# What answers


def test_it_answers_from_the_mocks_of_a_session_that_is_not_installed() -> None:
    senytl = Senytl(seed=3)
    senytl.mock("gpt-4o").respond("From the session.")
    with ModelServer(senytl) as server, connect(server) as connection:
        server.mock("other").respond("Stated later.")
        connection.sendall(post(chat(), version="1.0"))
        assert b"From the session." in read_all(connection)
        assert senytl.answerer.answer(PendingCall("openai-chat", "openai", "other", {}, False))


def test_it_answers_from_rules() -> None:
    rules = MockRules()
    with ModelServer(rules) as server, connect(server) as connection:
        server.mock("gpt-4o").respond("From rules.")
        connection.sendall(post(chat(), version="1.0"))
        assert b"From rules." in read_all(connection)


def test_it_answers_from_any_answerer_which_takes_no_mocks() -> None:
    from senytl.mocking.answers import Said

    class Echo:
        def answer(self, call: PendingCall) -> Answer | None:
            return Said(MockResponse(f"echo of {call.model}", usage=TokenUsage(3, 4)))

    with ModelServer(Echo()) as server, connect(server) as connection:
        connection.sendall(post(chat(), version="1.0"))
        assert b"echo of gpt-4o" in read_all(connection)
        assert server.calls[0].usage == TokenUsage(3, 4)
        with pytest.raises(SenytlError, match="answers from Echo, which takes no mocks"):
            server.mock("gpt-4o")


@pytest.mark.parametrize("fallback", ["pass", "error"])
def test_a_call_that_nothing_answers_is_refused_with_the_mocks_that_there_are(
    fallback: Any,
) -> None:
    senytl = Senytl(fallback=fallback)
    senytl.mock("gpt-4o").when(contains="order").respond("Shipped.")
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz123456"
    with ModelServer(senytl) as server, connect(server) as connection:
        connection.sendall(post(chat(f"Who are you? {key}"), version="1.0"))
        reply = read_all(connection)
        assert reply.startswith(b"HTTP/1.0 404")
        error = json.loads(reply.partition(b"\r\n\r\n")[2])["error"]
        for words in ("'gpt-4o'", "Who are you?", "when(contains='order')", "State one"):
            assert words in error["message"]
        assert key not in error["message"]
        assert b"x-should-retry: false" in reply.lower()
        [call] = server.calls
    assert (call.status, call.outcome, call.error_kind) == (404, "failed", "invalid_request")


def test_an_exhausted_sequence_is_a_refusal(server: ModelServer, ask: Any) -> None:
    server.mock("gpt-4o").respond_sequence(["only once"])
    assert ask(chat()).status == 200
    second = ask(chat())
    assert second.status == 400
    assert "called once too often" in second.document["error"]["message"]


def test_a_function_that_raises_is_an_error_of_the_server_which_is_logged(
    server: ModelServer, ask: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def reply(call: PendingCall) -> str:
        raise KeyError("no such city")

    server.mock("gpt-4o").respond(reply)
    with caplog.at_level(logging.ERROR, "senytl"):
        answer = ask(chat())
    assert answer.status == 500
    assert "KeyError: 'no such city'" in answer.document["error"]["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert "no such city" in caplog.text


def test_a_function_that_takes_its_time_holds_up_no_other_call(server: ModelServer) -> None:
    asked = threading.Event()
    may_go = threading.Event()

    def reply(call: PendingCall) -> str:
        asked.set()
        assert may_go.wait(10)
        return "At last."

    server.mock("slow").respond(reply)
    server.mock("fast").respond("At once.")
    with connect(server) as slow, connect(server) as fast:
        slow.sendall(post(chat(model="slow"), version="1.0"))
        assert asked.wait(5)
        fast.sendall(post(chat(model="fast"), version="1.0"))
        assert b"At once." in read_all(fast)
        may_go.set()
        assert b"At last." in read_all(slow)


# Its formats, and what else it serves


@pytest.mark.parametrize(
    ("path", "document", "find"),
    [
        (CHAT, chat(), lambda d: d["choices"][0]["message"]["content"]),
        ("/openai/v1/chat/completions", chat(), lambda d: d["choices"][0]["message"]["content"]),
        ("/v1/responses", {"model": "gpt-4o", "input": "x"},
         lambda d: d["output"][0]["content"][0]["text"]),
        ("/v1/messages", chat(max_tokens=9), lambda d: d["content"][0]["text"]),
        ("/anthropic/v1/messages", chat(max_tokens=9), lambda d: d["content"][0]["text"]),
        ("/v1beta/models/gpt-4o:generateContent", {"contents": [{"parts": [{"text": "x"}]}]},
         lambda d: d["candidates"][0]["content"]["parts"][0]["text"]),
        ("/api/chat", chat(stream=False), lambda d: d["message"]["content"]),
        ("/model/gpt-4o/converse", {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
         lambda d: d["output"]["message"]["content"][0]["text"]),
    ],
)  # fmt: skip
def test_every_path_is_answered_in_its_own_format(
    path: str, document: Any, find: Callable[[Any], str], server: ModelServer, ask: Any
) -> None:
    server.mock("gpt-4o").respond("The same.", usage=(11, 7))
    answer = ask(document, path)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert find(answer.document) == "The same."
    [call] = server.calls
    assert call.usage == TokenUsage(11, 7)
    assert (call.model, call.status, call.mocked) == ("gpt-4o", 200, True)
    assert call.provider in ("openai", "anthropic", "google", "ollama", "aws")


def test_health_and_models_can_be_asked_for(server: ModelServer, ask: Any) -> None:
    server.mock("gpt-4o").respond("x")
    server.mock("claude-*").fail(429)
    for path in ("/", "/health"):
        assert ask(path=path, method="GET").document["status"] == "ok"
    models = ask(path="/v1/models", method="GET").document
    assert models["object"] == "list"
    assert [model["id"] for model in models["data"]] == ["gpt-4o", "claude-*"]
    ask(chat())
    assert ask(path="/health", method="GET").document["calls"] == 1


def test_what_it_does_not_serve_is_404_with_what_it_does(server: ModelServer, ask: Any) -> None:
    for method, path in (("POST", "/nowhere"), ("GET", "/nowhere"), ("DELETE", "/v1/models")):
        answer = ask({} if method == "POST" else None, path, method)
        message = answer.document["error"]["message"]
        assert answer.status == 404
        assert f"{method} {path}" in message
        assert "/v1/messages" in message or "/messages" in message
    assert server.calls == []


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"model": "gpt-4o"}'])
def test_a_body_that_is_no_call_is_400(body: bytes, server: ModelServer, ask: Any) -> None:
    answer = ask(body)
    assert answer.status == 400
    assert "is no call of a model" in answer.document["error"]["message"]


def test_a_prompt_of_many_megabytes_is_taken(server: ModelServer, ask: Any) -> None:
    server.mock("gpt-4o").respond("Long.", usage=(1, 1))
    assert ask(chat("x" * 5_000_000)).status == 200


# Times


def test_chunks_come_one_by_one_at_the_times_that_are_stated(server: ModelServer) -> None:
    server.mock("gpt-4o").respond(EIGHT, usage=(5, 8), ttft=0.2, tokens_per_second=20)
    with connect(server) as connection:
        start = time.perf_counter()
        connection.sendall(post(chat(stream=True)))
        received: list[tuple[float, bytes]] = []
        while not received or not received[-1][1].endswith(b"0\r\n\r\n"):
            part = connection.recv(65536)
            received.append((time.perf_counter() - start, part))
    words = [f'"content": "{word}'.encode() for word in EIGHT.split()]
    at = [moment for moment, part in received for word in words if word in part]
    assert len(set(at)) == len(words)  # each in a packet of its own
    assert 0.19 <= at[0] < 1
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert 0.04 <= median(gaps) < 0.1
    [call] = server.calls
    assert (call.streamed, call.chunks) == (True, 8)
    assert call.ttft == pytest.approx(at[0], abs=0.3)
    assert median(call.chunk_gaps) == pytest.approx(0.05, abs=0.02)


def test_a_reply_that_is_no_stream_comes_when_it_is_stated(server: ModelServer, ask: Any) -> None:
    server.mock("gpt-4o").respond("Late.", latency=0.3)
    answer = ask(chat())
    assert 0.29 <= answer.times[0] < 1
    assert "content-length" in answer.headers
    duration = server.calls[0].duration_seconds
    assert duration is not None
    assert duration >= 0.29


@pytest.mark.parametrize(("speed", "least", "most"), [(4.0, 0.24, 0.9), (float("inf"), 0.0, 0.9)])
def test_speed_scales_all_times(speed: float, least: float, most: float) -> None:
    with ModelServer(speed=speed) as server, connect(server) as connection:
        server.mock("gpt-4o").respond("Scaled.", latency=1.0)
        start = time.perf_counter()
        connection.sendall(post(chat(), version="1.0"))
        assert b"Scaled." in read_all(connection)
        assert least <= time.perf_counter() - start < most


def test_fifty_streams_at_once_each_keep_their_pace(server: ModelServer) -> None:
    server.mock("gpt-4o").respond(EIGHT, usage=(5, 8), ttft=0.3, tokens_per_second=10)

    def stream(number: int) -> bytes:
        with connect(server) as connection:
            connection.sendall(post(chat(f"number {number}", stream=True), version="1.0"))
            return read_all(connection)

    start = time.perf_counter()
    with ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(stream, range(50)))
    elapsed = time.perf_counter() - start
    assert all(body.rstrip().endswith(b"data: [DONE]") for body in replies)
    assert 1.0 <= elapsed < 10  # one alone takes 1.0 s; one after the other, 50 s
    ttfts = [call.ttft or 0.0 for call in server.calls]
    assert len(ttfts) == 50
    assert median(ttfts) < 0.6
    assert min(ttfts) >= 0.29


# Connections and faults


def test_a_connection_is_kept_for_more_calls(server: ModelServer) -> None:
    server.mock("gpt-4o").respond("Kept.")
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    ports = set()
    for stream in (False, True, False):
        connection.request("POST", CHAT, json.dumps(chat(stream=stream)))
        ports.add(connection.sock.getsockname()[1])
        assert b"Kept." in connection.getresponse().read()
    connection.close()
    assert len(ports) == 1
    assert len(server.calls) == 3


def test_a_connection_that_is_lost_in_the_middle_ends_without_the_stream_s_end(
    server: ModelServer,
) -> None:
    server.mock("gpt-4o").disconnect(after_chunks=3).respond(EIGHT)
    with connect(server) as connection:
        connection.sendall(post(chat(stream=True)))
        reply = read_all(connection)
    assert reply.startswith(b"HTTP/1.1 200")
    assert b"three" in reply
    assert b"four" not in reply
    assert not reply.endswith(b"0\r\n\r\n")
    [call] = server.calls
    assert (call.outcome, call.error_kind, call.chunks) == ("failed", "connection", 3)


def test_a_connection_may_be_lost_before_anything_is_said(server: ModelServer) -> None:
    server.mock("gpt-4o").disconnect().respond("Never.")
    with connect(server) as connection:
        connection.sendall(post(chat()))
        assert read_all(connection) == b""
    [call] = server.calls
    assert (call.status, call.outcome, call.error_kind) == (None, "failed", "connection")


def test_a_timeout_lasts_until_the_client_hangs_up(server: ModelServer) -> None:
    server.mock("gpt-4o").timeout(0.05)
    with connect(server) as connection:
        connection.sendall(post(chat()))
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert server.calls == []
    [call] = calls_of(server, 1)
    assert (call.outcome, call.error_kind) == ("failed", "timeout")
    assert (call.duration_seconds or 0.0) >= 0.29


def test_a_client_that_leaves_in_the_middle_has_abandoned_the_call(server: ModelServer) -> None:
    server.mock("gpt-4o").respond(EIGHT, ttft=0.0, tokens_per_second=20)
    with connect(server) as connection:
        connection.sendall(post(chat(stream=True)))
        reply = b""
        while b"three" not in reply:
            reply += connection.recv(65536)
    [call] = calls_of(server, 1)
    assert (call.outcome, call.error) == ("abandoned", None)
    assert 3 <= call.chunks < 8


def test_refusals_have_their_status_and_say_when_to_try_again(
    server: ModelServer, ask: Any
) -> None:
    server.mock("gpt-4o").fail(429, times=1, retry_after=2).respond("Now.")
    first = ask(chat())
    assert (first.status, first.headers["retry-after"]) == (429, "2")
    assert ask(chat()).status == 200
    assert [call.error_kind for call in server.calls] == ["rate_limit", None]


def test_attempts_that_an_sdk_numbers_are_one_logical_call(server: ModelServer, ask: Any) -> None:
    server.mock("gpt-4o").fail(500, times=2).respond("Now.")
    for number in range(3):
        ask(chat(), headers={"x-stainless-retry-count": str(number)})
    ask(chat(), headers={"x-stainless-retry-count": "0"})
    assert [call.attempt for call in server.calls] == [1, 2, 3, 1]
    first, second, third, other = (call.logical_id for call in server.calls)
    assert first == second == third != other
    assert server.calls[1].retry_wait_seconds is not None


# Its records


def test_calls_can_be_listened_to_and_need_not_be_kept() -> None:
    heard: list[LLMCallRecord] = []
    with ModelServer(keep_calls=False, on_call=heard.append) as server:
        server.mock("gpt-4o").respond("Heard.")
        with connect(server) as connection:
            connection.sendall(post(chat(), version="1.0"))
            read_all(connection)
        assert server.calls == []
    assert [call.response.text for call in heard] == ["Heard."]


def test_whoever_has_the_reply_finds_the_call_counted(server: ModelServer, ask: Any) -> None:
    server.mock("gpt-4o").respond("x")
    for number in range(100):
        ask(chat(stream=bool(number % 2)))
        assert len(server.calls) == number + 1


def test_no_header_of_a_request_is_kept(server: ModelServer, ask: Any) -> None:
    server.mock("gpt-4o").respond("x")
    ask(chat(), headers={"authorization": "Bearer sk-planted-secret"})
    [call] = server.calls
    assert "planted" not in repr([getattr(call, name) for name in LLMCallRecord.__slots__])
