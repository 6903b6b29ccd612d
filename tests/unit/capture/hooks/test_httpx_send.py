"""The hook on real clients of httpx and httpx2, against a server on 127.0.0.1."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import httpx
import httpx2
import pytest

from senytl.capture import (
    CaptureScope,
    current_sink,
    exchange,
    open_scope,
)
from senytl.models import MockResponse, TokenUsage


def test_a_call_is_recorded_whole(
    way: Any, scope: CaptureScope, sink: Any, server: Any, chat: Any
) -> None:
    response = way.post(server.url(), chat)
    assert response.json()["choices"][0]["message"]["content"] == "Hello!"
    call = sink.only
    assert (call.provider, call.model, call.api) == ("openai", "gpt-4o", "openai-chat")
    assert call.request == chat
    assert call.response == MockResponse("Hello!", (), TokenUsage(9, 3), finish_reason="stop")
    assert call.usage == TokenUsage(9, 3)
    assert call.response_model == "gpt-4o-2024-08-06"
    assert (call.status, call.error, call.mocked, call.streamed) == (200, None, False, False)
    assert call.duration_seconds > 0
    assert len(server.requests) == 1


def test_other_traffic_passes_unseen(way: Any, scope: CaptureScope, sink: Any, server: Any) -> None:
    assert way.post(server.url("/api/chat"), {"model": "gpt-4o", "messages": []}).status_code == 200
    assert way.post(server.url(), {"messages": []}).status_code == 200
    assert way.post(server.url(), None).status_code == 200
    assert sink.calls == []


def test_calls_outside_a_scope_are_not_seen(way: Any, sink: Any, server: Any, chat: Any) -> None:
    with open_scope(unattributed=sink):
        pass
    way.post(server.url(), chat)
    assert sink.calls == []


def test_a_call_goes_to_the_sink_of_its_context(
    way: Any, scope: CaptureScope, sink: Any, server: Any, chat: Any
) -> None:
    mine = type(sink)()
    token = current_sink.set(mine)
    try:
        way.post(server.url(), chat)
    finally:
        current_sink.reset(token)
    assert mine.only.model == "gpt-4o"
    assert sink.calls == []


def test_the_innermost_scope_with_a_sink_gets_unattributed_calls(
    sink: Any, server: Any, chat: Any, plain: Any
) -> None:
    inner = type(sink)()
    with open_scope(unattributed=sink), open_scope(unattributed=inner), open_scope():
        plain.post(server.url(), chat)
    assert (len(inner.calls), len(sink.calls)) == (1, 0)


def test_a_call_nobody_wants_is_not_even_read(way: Any, server: Any, chat: Any) -> None:
    with open_scope():
        way.post(server.url(), chat)
    assert not exchange._unfinished


def test_clients_and_bound_methods_made_before_are_seen(sink: Any, server: Any, chat: Any) -> None:
    with httpx2.Client() as client:
        post = client.post
        with open_scope(unattributed=sink):
            post(server.url(), json=chat)
    assert sink.only.status == 200


def test_a_client_that_sends_through_another_is_one_call(
    scope: CaptureScope, sink: Any, server: Any, chat: Any
) -> None:
    class Outer(httpx2.Client):
        def send(self, request: httpx2.Request, **kwargs: Any) -> httpx2.Response:
            return super().send(request, **kwargs)

    class Relay(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            with httpx.Client() as inner:
                relayed = inner.post(server.url(), content=request.content)
            return httpx2.Response(relayed.status_code, content=relayed.content)

    with Outer(transport=Relay()) as client:
        client.post(server.url(), json=chat)
        client.post(server.url(), json=chat)
    assert [call.usage for call in sink.calls] == [TokenUsage(9, 3)] * 2


def test_tasks_started_while_a_call_is_sent_make_calls_of_their_own(
    scope: CaptureScope, sink: Any, server: Any, chat: Any
) -> None:
    async def run() -> None:
        started: list[asyncio.Task[Any]] = []

        async def later() -> None:
            await asyncio.sleep(0.1)
            async with httpx2.AsyncClient() as other:
                await other.post(server.url(), json=chat | {"model": "second"})

        async def hook(request: httpx2.Request) -> None:
            started.append(asyncio.create_task(later()))

        async with httpx2.AsyncClient(event_hooks={"request": [hook]}) as client:
            await client.post(server.url(), json=chat)
        await started[0]

    asyncio.run(run())
    assert [call.model for call in sink.calls] == ["gpt-4o", "second"]


def test_another_patch_above_ours_keeps_working_after_the_scope(
    monkeypatch: pytest.MonkeyPatch, sink: Any, server: Any, chat: Any, plain: Any
) -> None:
    seen: list[str] = []

    def patch(below: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(below)
        def send(self: Any, request: Any, **kwargs: Any) -> Any:
            seen.append(request.method)
            return below(self, request, **kwargs)

        return send

    original = vars(httpx2.Client)["send"]
    first = open_scope(unattributed=sink)
    monkeypatch.setattr(httpx2.Client, "send", patch(vars(httpx2.Client)["send"]))
    first.close()
    plain.post(server.url(), chat)
    assert (len(seen), len(sink.calls)) == (1, 0)
    with open_scope(unattributed=sink):  # ours above theirs above our old one
        plain.post(server.url(), chat)
    assert (len(seen), len(sink.calls)) == (2, 1)
    monkeypatch.undo()  # theirs is gone: our old one is on top, and inert
    plain.post(server.url(), chat)
    assert (len(seen), len(sink.calls)) == (2, 1)
    with open_scope():
        pass
    assert vars(httpx2.Client)["send"] is original


def test_a_call_made_to_answer_another_shows_that_the_other_went_to_an_agent(
    scope: CaptureScope, sink: Any, server: Any, chat: Any
) -> None:
    """An agent with an endpoint like OpenAI's, called inside this process."""

    def agent(request: httpx2.Request) -> httpx2.Response:
        question = {"model": "gpt-4o", "messages": [{"role": "user", "content": "The real one"}]}
        with httpx2.Client() as client:
            return httpx2.Response(200, json=client.post(server.url(), json=question).json())

    told: list[str] = []
    with (
        open_scope(observer=lambda exchange: told.append(str(exchange.call.request))),
        httpx2.Client(transport=httpx2.MockTransport(agent)) as client,
    ):
        client.post("http://agent/v1/chat/completions", json=chat)
    assert sink.only.request["messages"][0]["content"] == "The real one"
    assert len(told) == 1
    assert "The real one" in told[0]
