"""The hook on real sessions of requests, against a server on 127.0.0.1."""

from __future__ import annotations

import gc
import gzip
import io
import json
import shutil
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import requests

from senytl.capture import CaptureScope, flush, open_scope
from senytl.capture.playback import Playback
from senytl.models import MockResponse, SenytlError, TokenUsage

ANSWER = MockResponse("Hello there, my friend.", usage=TokenUsage(11, 5))
SSE = {"content_type": "text/event-stream"}


@pytest.fixture
def streaming(chat: dict[str, Any]) -> dict[str, Any]:
    """The body of a chat request that asks for a stream."""
    return chat | {"stream": True}


def test_a_call_is_recorded_whole(scope: CaptureScope, sink: Any, server: Any, chat: Any) -> None:
    response = requests.post(server.url(), json=chat, timeout=5)
    assert response.json()["choices"][0]["message"]["content"] == "Hello!"
    call = sink.only
    assert (call.provider, call.model, call.api) == ("openai", "gpt-4o", "openai-chat")
    assert call.request == chat
    assert (call.response.text, call.usage) == ("Hello!", TokenUsage(9, 3))
    assert (call.status, call.error, call.mocked, call.streamed) == (200, None, False, False)
    assert len(server.requests) == 1


def test_sessions_and_bound_methods_made_before_are_seen(sink: Any, server: Any, chat: Any) -> None:
    with requests.Session() as session:
        post = session.post
        with open_scope(unattributed=sink):
            post(server.url(), data=json.dumps(chat))
    assert sink.only.status == 200


def by_content(response: requests.Response) -> bytes:
    return b"".join(response.iter_content(None))


def by_bytes(response: requests.Response) -> bytes:
    return b"".join(response.iter_content(1))


def by_line(response: requests.Response) -> bytes:
    return b"\n".join(response.iter_lines()) + b"\n"


def at_once(response: requests.Response) -> bytes:
    return response.content


def raw_lines(response: requests.Response) -> bytes:
    return b"".join(response.raw)


def raw_read(response: requests.Response) -> bytes:
    read: list[bytes] = []
    while piece := response.raw.read(16):
        read.append(piece)
    return b"".join(read)


def raw_read1(response: requests.Response) -> bytes:
    read: list[bytes] = []
    while piece := response.raw.read1(64):
        read.append(piece)
    return b"".join(read)


def raw_buffered(response: requests.Response) -> bytes:
    return io.BufferedReader(response.raw).read()


def raw_copied(response: requests.Response) -> bytes:
    response.raw.decode_content = True
    file = io.BytesIO()
    shutil.copyfileobj(response.raw, file)
    return file.getvalue()


def raw_chunked(response: requests.Response) -> bytes:
    with response.raw as raw:
        return b"".join(raw.read_chunked())


READERS = [by_content, by_bytes, by_line, at_once, raw_lines, raw_read, raw_read1, raw_buffered]
READERS += [raw_copied, raw_chunked]


@pytest.mark.parametrize("read", READERS)
def test_a_stream_is_recorded_however_it_is_read(
    read: Callable[[requests.Response], bytes],
    scope: CaptureScope,
    sink: Any,
    server: Any,
    streaming: Any,
    events: list[bytes],
) -> None:
    server.reply(*events, **SSE)
    with requests.post(server.url(), json=streaming, stream=True, timeout=5) as response:
        assert read(response).strip() == b"".join(events).strip()
    call = sink.only
    assert call.streamed
    assert (call.response.text, call.usage) == ("Hello", TokenUsage(7, 2))
    assert (call.outcome, call.error) == ("completed", None)


def test_chunks_are_timed_as_they_come(
    scope: CaptureScope, sink: Any, server: Any, streaming: Any, events: list[bytes]
) -> None:
    server.reply(*events, pause=0.1, **SSE)
    with requests.post(server.url(), json=streaming, stream=True, timeout=5) as response:
        list(response.iter_lines())
    call = sink.only
    assert call.chunks == 2
    assert call.ttft < 0.1
    assert 0.08 < call.chunk_gaps[0] < 0.2
    assert call.duration_seconds > 0.35


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
@pytest.mark.parametrize("decode", [True, False])
def test_a_compressed_stream_is_read(
    compress: Callable[[bytes], bytes],
    decode: bool,
    scope: CaptureScope,
    sink: Any,
    server: Any,
    streaming: Any,
    events: list[bytes],
) -> None:
    encoding = "gzip" if compress is gzip.compress else "deflate"
    packed = compress(b"".join(events))
    server.reply(packed[:40], packed[40:], content_encoding=encoding, **SSE)
    with requests.post(server.url(), json=streaming, stream=True, timeout=5) as response:
        read = by_content(response) if decode else response.raw.read(decode_content=False)
    assert read == (b"".join(events) if decode else packed)
    assert (sink.only.response.text, sink.only.usage) == ("Hello", TokenUsage(7, 2))


def closed(response: requests.Response, sink: Any) -> None:
    response.close()


def dropped(response: requests.Response, sink: Any) -> None:
    del response
    gc.collect()


def kept(response: requests.Response, sink: Any) -> None:
    assert response.raw.closed  # urllib3 closes chunked responses when the loop is left


def flushed(response: requests.Response, sink: Any) -> None:
    flush(sink)


@pytest.mark.parametrize("leave", [closed, dropped, kept, flushed])
def test_a_stream_that_is_left_early_is_recorded_as_far_as_it_came(
    leave: Callable[[requests.Response, Any], None],
    scope: CaptureScope,
    sink: Any,
    server: Any,
    streaming: Any,
    events: list[bytes],
) -> None:
    server.reply(*events, pause=0.2, **SSE)
    responses = [requests.post(server.url(), json=streaming, stream=True, timeout=5)]
    for _ in responses[0].iter_content(None):
        break
    leave(responses.pop(), sink)
    call = sink.only
    assert (call.response.text, call.usage, call.outcome) == ("Hel", None, "abandoned")
    assert call.duration_seconds < 0.2


def test_errors_are_recorded(
    scope: CaptureScope, sink: Any, server: Any, streaming: Any, events: list[bytes]
) -> None:
    with pytest.raises(requests.ConnectionError):
        requests.post("http://127.0.0.1:9/v1/chat/completions", json=streaming, timeout=5)
    server.reply(*events, pause=0.5, **SSE)
    with pytest.raises(requests.ConnectionError):
        list(requests.post(server.url(), json=streaming, stream=True, timeout=0.2).iter_lines())
    server.cut_off = True
    server.reply(events[0], **SSE)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.post(server.url(), json=streaming, timeout=5)
    server.cut_off = False
    server.reply(b'{"error": {"message": "Slow down", "type": "tokens"}}', status=429)
    requests.post(server.url(), json=streaming, timeout=5)
    kinds = [(call.status, call.outcome, call.error_kind) for call in sink.calls]
    assert kinds == [
        (None, "failed", "connection"),
        (200, "failed", "timeout"),
        (None, "failed", "connection"),
        (429, "failed", "rate_limit"),
    ]
    assert sink.calls[1].response.text == "Hel"


def test_attempts_at_one_call_are_grouped(
    scope: CaptureScope, sink: Any, server: Any, chat: Any
) -> None:
    server.reply(b"{}", status=503)
    requests.post(server.url(), json=chat, timeout=5)
    requests.post(server.url(), json=chat, timeout=5)
    requests.post(server.url(), json=chat | {"model": "gpt-5"}, timeout=5)
    assert [call.attempt for call in sink.calls] == [1, 2, 1]
    first, second, third = (call.logical_id for call in sink.calls)
    assert first == second != third


def test_a_redirected_call_is_one_call(
    scope: CaptureScope, sink: Any, server: Any, chat: Any
) -> None:
    body = server.pieces[0]

    def on_response(response: requests.Response, **options: Any) -> None:
        server.reply(body)

    server.reply(b"", status=307, location=server.url("/elsewhere/v1/chat/completions"))
    hooks = {"response": on_response}
    response = requests.post(server.url(), json=chat, hooks=hooks, timeout=5)
    assert [path for path, _ in server.requests] == [
        "/v1/chat/completions",
        "/elsewhere/v1/chat/completions",
    ]
    assert len(response.history) == 1
    assert (sink.only.status, sink.only.usage) == (200, TokenUsage(9, 3))


def test_a_response_hook_may_read_the_stream(
    scope: CaptureScope, sink: Any, server: Any, streaming: Any, events: list[bytes]
) -> None:
    def read(response: requests.Response, **options: Any) -> None:
        assert response.content

    def iterate(response: requests.Response, **options: Any) -> None:
        list(response.iter_content(None))

    server.reply(*events, **SSE)
    for hook in (read, iterate):
        hooks = {"response": hook}
        requests.post(server.url(), json=streaming, stream=True, hooks=hooks, timeout=5)
    assert [call.usage for call in sink.calls] == [TokenUsage(7, 2), None]


def test_other_traffic_passes_unseen(scope: CaptureScope, sink: Any, server: Any) -> None:
    url = server.url()
    requests.post(server.url("/other"), json={"model": "gpt-4o", "messages": []}, timeout=5)
    requests.post(url, json={}, timeout=5)
    requests.post(url, timeout=5)
    requests.post(url, data=io.BytesIO(b"{}"), timeout=5)
    assert requests.get(url, timeout=5).status_code == 200
    assert sink.calls == []


def test_an_answer_is_returned_in_place_of_the_real_one(sink: Any, answers: Any, chat: Any) -> None:
    seen: list[int] = []

    def on_response(response: requests.Response, **options: Any) -> None:
        seen.append(response.status_code)

    url = "https://api.openai.com/v1/chat/completions"
    with open_scope(unattributed=sink, answerer=answers(ANSWER)), requests.Session() as session:
        session.hooks["response"].append(on_response)
        response = session.post(url, json=chat)
    assert type(response) is requests.Response
    assert (response.url, response.request.method, response.reason) == (url, "POST", "OK")
    assert response.json()["choices"][0]["message"]["content"] == ANSWER.text
    assert seen == [200]
    assert (sink.only.mocked, sink.only.usage, sink.only.provider) == (True, ANSWER.usage, "openai")


@pytest.mark.parametrize("by_session", [True, False])
def test_an_answer_is_streamed_with_its_times(
    sink: Any, answers: Any, streaming: Any, events: list[bytes], by_session: bool
) -> None:
    answer = Playback(
        headers={"content-type": "text/event-stream"},
        pieces=events,
        moments=[0.1, 0.2, 0.2, 0.3, 0.3],
    )
    begun = time.perf_counter()
    with open_scope(unattributed=sink, answerer=answers(answer)), requests.Session() as session:
        session.stream = by_session
        options: Any = {} if by_session else {"stream": True}
        response = session.post("http://localhost/v1/chat/completions", json=streaming, **options)
        assert time.perf_counter() - begun < 0.1
        assert b"".join(response.iter_content(None)) == b"".join(events)
    call = sink.only
    assert (call.response.text, call.usage, call.chunks) == ("Hello", TokenUsage(7, 2), 2)
    assert 0.1 <= call.ttft < 0.15
    assert 0.3 <= call.duration_seconds < 0.4


@pytest.mark.parametrize(
    ("ending", "stream", "pieces", "error"),
    [
        ("timeout", False, 0, requests.ReadTimeout),
        ("disconnect", False, 0, requests.ConnectionError),
        ("timeout", True, 1, requests.ConnectionError),
        ("disconnect", True, 1, requests.exceptions.ChunkedEncodingError),
    ],
)
def test_an_answer_fails_as_the_library_would(
    sink: Any,
    answers: Any,
    streaming: Any,
    events: list[bytes],
    ending: Any,
    stream: bool,
    pieces: int,
    error: type[Exception],
) -> None:
    answer = Playback(pieces=events[:pieces], ending=ending, ends_at=0.05)
    with (
        open_scope(unattributed=sink, answerer=answers(answer)),
        pytest.raises(error) as caught,
    ):
        list(
            requests.post(
                "http://localhost/v1/chat/completions", json=streaming, stream=stream, timeout=5
            ).iter_lines()
        )
    if not pieces:
        request: Any = getattr(caught.value, "request", None)
        assert request.url == "http://localhost/v1/chat/completions"
    call = sink.only
    kind = "timeout" if ending == "timeout" else "connection"
    assert (call.mocked, call.outcome, call.error_kind) == (True, "failed", kind)
    assert call.response.text == ("Hel" if pieces else "")
    assert call.duration_seconds >= 0.05


def test_an_answerers_error_reaches_the_caller(sink: Any, answers: Any, chat: Any) -> None:
    with (
        open_scope(unattributed=sink, answerer=answers(SenytlError("no mock"))),
        pytest.raises(SenytlError, match="no mock"),
    ):
        requests.post("http://localhost/v1/chat/completions", json=chat, timeout=5)
    assert sink.only.error == "SenytlError: no mock"


def test_another_patch_above_ours_keeps_working_after_the_scope(
    monkeypatch: pytest.MonkeyPatch, sink: Any, server: Any, chat: Any
) -> None:
    seen: list[str] = []
    original = vars(requests.Session)["send"]
    scope = open_scope(unattributed=sink)
    ours = vars(requests.Session)["send"]

    def send(self: Any, request: Any, **kwargs: Any) -> Any:
        seen.append(request.method)
        return ours(self, request, **kwargs)

    monkeypatch.setattr(requests.Session, "send", send)
    requests.post(server.url(), json=chat, timeout=5)
    scope.close()
    requests.post(server.url(), json=chat, timeout=5)
    assert (len(seen), len(sink.calls)) == (2, 1)
    monkeypatch.undo()
    with open_scope():
        pass
    assert vars(requests.Session)["send"] is original
