"""The hook on botocore's HTTP session, without a service above it; tests/sdk has Bedrock itself."""

from __future__ import annotations

import json
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.httpsession import URLLib3Session  # type: ignore[import-untyped]
from urllib3 import exceptions as urllib3_errors

from senytl.capture import CaptureScope, CaptureWarning, open_scope
from senytl.capture.hooks import botocore_send
from senytl.capture.playback import Playback
from senytl.models import MockResponse, SenytlError, TokenUsage

ANSWER = MockResponse("Hello there, my friend.", usage=TokenUsage(11, 5))
URL = "http://localhost/v1/chat/completions"


def send(url: str, body: Any, *, stream: bool = False, headers: Any = None) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = AWSRequest(method="POST", url=url, data=data, headers=headers or {})
    request.stream_output = stream
    return URLLib3Session(timeout=0.5).send(request.prepare())


def test_a_call_is_recorded_whole(scope: CaptureScope, sink: Any, server: Any, chat: Any) -> None:
    assert json.loads(send(server.url(), chat).content)["model"] == "gpt-4o-2024-08-06"
    call = sink.only
    assert (call.model, call.api, call.request) == ("gpt-4o", "openai-chat", chat)
    assert (call.response.text, call.usage, call.status) == ("Hello!", TokenUsage(9, 3), 200)


def test_a_stream_is_recorded_as_it_is_read(
    scope: CaptureScope, sink: Any, server: Any, chat: Any, events: list[bytes]
) -> None:
    server.reply(*events, pause=0.05)
    response = send(server.url(), chat | {"stream": True}, stream=True)
    assert sink.calls == []
    assert b"".join(response.raw.stream()) == b"".join(events)
    call = sink.only
    assert (call.response.text, call.usage, call.chunks) == ("Hello", TokenUsage(7, 2), 2)
    assert call.chunk_gaps[0] > 0.04


def test_a_stream_that_is_left_is_recorded_as_far_as_it_came(
    scope: CaptureScope, sink: Any, server: Any, chat: Any, events: list[bytes]
) -> None:
    server.reply(*events, pause=0.1)
    response = send(server.url(), chat | {"stream": True}, stream=True)
    next(response.raw.stream())
    response.raw.close()
    assert (sink.only.response.text, sink.only.outcome) == ("Hel", "abandoned")


def test_errors_are_recorded(
    scope: CaptureScope, sink: Any, server: Any, chat: Any, events: list[bytes]
) -> None:
    with pytest.raises(EndpointConnectionError):
        send("http://127.0.0.1:9/v1/chat/completions", chat)
    server.reply(*events, pause=1)
    response = send(server.url(), chat | {"stream": True}, stream=True)
    with pytest.raises(urllib3_errors.ReadTimeoutError):
        b"".join(response.raw.stream())
    assert [call.error_kind for call in sink.calls] == ["connection", "timeout"]
    assert sink.calls[1].response.text == "Hel"


def test_the_attempts_number_of_the_header_decides(
    scope: CaptureScope, sink: Any, server: Any, chat: Any
) -> None:
    server.reply(b"{}", status=503)
    for attempt in ("attempt=1", b"ttl=20261125T000000Z; attempt=2; max=3", "attempt=1"):
        send(server.url(), chat, headers={"amz-sdk-request": attempt})
    assert [call.attempt for call in sink.calls] == [1, 2, 1]
    first, second, third = (call.logical_id for call in sink.calls)
    assert first == second != third


def test_other_traffic_passes_unseen(scope: CaptureScope, sink: Any, server: Any) -> None:
    send(server.url("/other"), {"model": "gpt-4o", "messages": []})
    send(server.url(), {})
    send(server.url(), b"")
    assert sink.calls == []


def test_an_answer_is_returned_in_place_of_the_real_one(sink: Any, answers: Any, chat: Any) -> None:
    with open_scope(unattributed=sink, answerer=answers(ANSWER)):
        response = send(URL, chat)
    assert (response.url, response.status_code) == (URL, 200)
    assert response.headers["Content-Type"] == "application/json"
    assert json.loads(response.content)["choices"][0]["message"]["content"] == ANSWER.text
    assert (sink.only.mocked, sink.only.usage) == (True, ANSWER.usage)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("ending", "error"), [("timeout", ReadTimeoutError), ("disconnect", ConnectionClosedError)]
)
def test_an_answer_that_never_begins_fails_as_the_library_would(
    sink: Any, answers: Any, chat: Any, ending: Any, error: type[Exception], stream: bool
) -> None:
    answer = Playback(ending=ending, ends_at=0.05)
    with (
        open_scope(unattributed=sink, answerer=answers(answer)),
        pytest.raises(error, match=URL),
    ):
        send(URL, chat, stream=stream)
    kind = "timeout" if ending == "timeout" else "connection"
    assert (sink.only.mocked, sink.only.error_kind) == (True, kind)
    assert sink.only.duration_seconds >= 0.05


@pytest.mark.parametrize(
    ("ending", "whole", "streamed"),
    [
        ("timeout", ReadTimeoutError, urllib3_errors.ReadTimeoutError),
        ("disconnect", ConnectionClosedError, urllib3_errors.ProtocolError),
    ],
)
def test_an_answer_that_breaks_off_fails_as_the_library_would(
    sink: Any,
    answers: Any,
    chat: Any,
    events: list[bytes],
    ending: Any,
    whole: type[Exception],
    streamed: type[Exception],
) -> None:
    answer = Playback(pieces=events[:1], ending=ending)
    with open_scope(unattributed=sink, answerer=answers(answer)):
        with pytest.raises(whole):
            send(URL, chat)
        response = send(URL, chat | {"stream": True}, stream=True)
        with pytest.raises(streamed):
            b"".join(response.raw.stream())
    assert [call.outcome for call in sink.calls] == ["failed", "failed"]
    assert sink.calls[1].response.text == "Hel"


def test_an_answerers_error_reaches_the_caller(sink: Any, answers: Any, chat: Any) -> None:
    with (
        open_scope(unattributed=sink, answerer=answers(SenytlError("no mock"))),
        pytest.raises(SenytlError, match="no mock"),
    ):
        send(URL, chat)
    assert sink.only.error == "SenytlError: no mock"


@pytest.mark.parametrize("members", [{}, {"URLLib3Session": object}])
def test_a_botocore_that_cannot_be_seen_is_named(members: dict[str, Any]) -> None:
    future: ModuleType = SimpleNamespace(**members)  # type: ignore[assignment]
    with pytest.warns(CaptureWarning, match="cannot see LLM calls made through this version"):
        assert list(botocore_send.seats(future)) == []
