"""How calls end that do not end well."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest

from senytl.capture import (
    CaptureScope,
    CaptureWarning,
    captured,
)


def test_an_error_status_is_recorded_with_its_message_and_without_keys(
    way: Any, scope: CaptureScope, sink: Any, server: Any, chat: Any
) -> None:
    error = {"message": "Incorrect API key provided: sk-abcdef1234567890", "type": "auth_error"}
    server.reply(json.dumps({"error": error}).encode(), status=401)
    assert way.post(server.url(), chat).status_code == 401
    call = sink.only
    assert call.status == 401
    assert call.error == "auth_error: Incorrect API key provided: [secret]"
    assert call.usage is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"Bad gateway", "HTTP 502: Bad gateway"),
        (b"", "HTTP 502"),
        (
            b'[{"error": {"status": "UNAVAILABLE", "message": "Try later"}}]',
            "UNAVAILABLE: Try later",
        ),
        (b'data: {"error": {"type": "overloaded", "message": "Busy"}}\n\n', "overloaded: Busy"),
    ],
)
def test_error_bodies_of_every_kind(
    scope: CaptureScope, sink: Any, server: Any, chat: Any, body: bytes, expected: str, plain: Any
) -> None:
    server.reply(body, status=502)
    plain.post(server.url(), chat)
    assert sink.only.error == expected


def test_a_refused_connection_is_recorded_and_raised(
    way: Any, scope: CaptureScope, sink: Any, chat: Any
) -> None:
    with pytest.raises(way.module.ConnectError):
        way.post("http://127.0.0.1:9/v1/chat/completions", chat)
    call = sink.only
    assert call.status is None
    assert call.error.startswith("ConnectError: ")


def test_a_cancelled_call_is_recorded(
    scope: CaptureScope, sink: Any, server: Any, chat: Any, events: list[bytes]
) -> None:
    server.reply(*events, pause=0.3, content_type="text/event-stream")

    async def run() -> None:
        async with httpx2.AsyncClient() as client:
            await asyncio.wait_for(client.post(server.url(), json=chat), 0.1)

    with pytest.raises(TimeoutError):
        asyncio.run(run())
    assert sink.only.error == "CancelledError"
    assert sink.only.status is None


def test_an_error_that_a_hook_raises_keeps_its_status(
    scope: CaptureScope, sink: Any, server: Any, chat: Any, plain: Any
) -> None:
    server.reply(b"{}", status=503)
    client = httpx2.Client(event_hooks={"response": [lambda response: response.raise_for_status()]})
    with pytest.raises(httpx2.HTTPStatusError):
        plain.post(server.url(), chat, client)
    assert sink.only.status == 503
    assert sink.only.error.startswith("HTTPStatusError: Server error '503 ")


@pytest.fixture
def fresh_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captured, "_warned_formats", set())


@pytest.mark.usefixtures("fresh_warnings")
def test_a_reply_that_cannot_be_read_warns_once_and_disturbs_nobody(
    scope: CaptureScope, sink: Any, server: Any, chat: Any, plain: Any
) -> None:
    server.reply(b"<html>surprise</html>")
    texts = [plain.post(server.url(), chat).text for _ in range(2)]
    with pytest.warns(CaptureWarning, match="could not read a reply of the format") as seen:
        found = [(call.status, call.error, call.usage) for call in sink.calls]
    assert texts == ["<html>surprise</html>"] * 2
    assert len(seen) == 1
    assert found == [(200, None, None)] * 2


@pytest.mark.usefixtures("fresh_warnings")
def test_where_warnings_are_errors_the_call_still_goes_through(
    scope: CaptureScope,
    sink: Any,
    server: Any,
    chat: Any,
    caplog: pytest.LogCaptureFixture,
    plain: Any,
) -> None:
    server.reply(b"<html>surprise</html>")
    assert plain.post(server.url(), chat).status_code == 200
    assert (sink.only.status, sink.only.error) == (200, None)
    assert "could not read a reply of the format openai-chat" in caplog.text
