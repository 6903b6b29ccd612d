"""Answers in the place of a server."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from senytl.capture import (
    PendingCall,
    open_scope,
)
from senytl.models import MockResponse, SenytlError, TokenUsage

ANSWER = MockResponse("Hello there, my friend.", usage=TokenUsage(11, 5, cached_tokens=4))


def test_an_answer_is_returned_in_place_of_the_real_one(
    way: Any, sink: Any, server: Any, chat: Any, answers: Any
) -> None:
    answerer = answers(ANSWER)
    with open_scope(unattributed=sink, answerer=answerer):
        response = way.post(server.url(), chat)
    assert type(response) is way.module.Response
    assert str(response.request.url) == server.url()
    assert response.json()["choices"][0]["message"]["content"] == ANSWER.text
    assert server.requests == []
    assert answerer.asked == [PendingCall("openai-chat", "openai", "gpt-4o", chat, False)]
    call = sink.only
    assert call.mocked
    assert call.response is ANSWER
    assert call.usage is ANSWER.usage
    assert (call.status, call.error) == (200, None)


def test_an_answer_is_streamed_in_pieces(way: Any, sink: Any, chat: Any, answers: Any) -> None:
    with open_scope(unattributed=sink, answerer=answers(ANSWER)):
        pieces: list[bytes] = []
        body = chat | {"stream": True}
        whole = way.stream("https://api.openai.com/v1/chat/completions", body)
        pieces.append(way.stream("https://api.openai.com/v1/chat/completions", body, limit=2))
    assert whole.endswith(b"data: [DONE]\n\n")
    assert b"Hello " in pieces[0]
    assert b"there" not in pieces[0]
    # The second was left after two pieces, and tells of what came by then.
    assert [call.usage for call in sink.calls] == [ANSWER.usage, None]
    assert [call.streamed for call in sink.calls] == [True, True]
    assert sink.calls[1].response.text == "Hello "


def test_an_unanswered_call_goes_to_the_real_api(
    way: Any, sink: Any, server: Any, chat: Any, answers: Any
) -> None:
    with open_scope(unattributed=sink, answerer=answers(None)):
        way.post(server.url(), chat)
    assert len(server.requests) == 1
    assert not sink.only.mocked


def test_the_newest_scope_is_asked_first(
    sink: Any, server: Any, chat: Any, plain: Any, answers: Any
) -> None:
    old, new, none = answers(MockResponse("old")), answers(MockResponse("new")), answers(None)
    with (
        open_scope(answerer=old),
        open_scope(answerer=new),
        open_scope(answerer=none),
        open_scope(),
    ):
        response = plain.post(server.url(), chat)
    assert response.json()["choices"][0]["message"]["content"] == "new"
    assert (len(none.asked), len(new.asked), len(old.asked)) == (1, 1, 0)


def test_the_users_event_hooks_see_an_answer(
    way: Any, server: Any, chat: Any, answers: Any
) -> None:
    seen: list[str] = []

    def on_request(request: Any) -> None:
        seen.append(request.method)

    def on_response(response: Any) -> None:
        seen.append(f"{response.status_code} {response.request.method}")

    async def on_request_async(request: Any) -> None:
        on_request(request)

    async def on_response_async(response: Any) -> None:
        on_response(response)

    hooks: dict[str, list[Any]] = {"request": [on_request], "response": [on_response]}
    if way.is_async:
        hooks = {"request": [on_request_async], "response": [on_response_async]}
    with open_scope(answerer=answers(ANSWER)):
        way.post(server.url(), chat, way.client(event_hooks=hooks))
    assert seen == ["POST", "200 POST"]


def test_an_answerers_error_reaches_the_caller(
    way: Any, sink: Any, server: Any, chat: Any, answers: Any
) -> None:
    error = SenytlError("no mock for gpt-4o")
    with (
        open_scope(unattributed=sink, answerer=answers(error)),
        pytest.raises(SenytlError, match="no mock for gpt-4o"),
    ):
        way.post(server.url(), chat)
    assert server.requests == []
    assert (sink.only.error, sink.only.mocked) == ("SenytlError: no mock for gpt-4o", True)


def test_a_closed_client_stays_closed_under_an_answerer(
    sink: Any, server: Any, chat: Any, answers: Any
) -> None:
    client = httpx2.Client()
    client.close()
    with (
        open_scope(answerer=answers(ANSWER)),
        pytest.raises(RuntimeError, match="client has been closed"),
    ):
        client.post(server.url(), json=chat)


def test_answered_calls_give_way_to_other_tasks(sink: Any, chat: Any, answers: Any) -> None:
    turns: list[str] = []

    async def agent(name: str) -> None:
        async with httpx2.AsyncClient() as client:
            for _ in range(3):
                await client.post("http://localhost/v1/chat/completions", json=chat)
                turns.append(name)

    async def run() -> None:
        await asyncio.gather(agent("a"), agent("b"))

    with open_scope(answerer=answers(ANSWER)):
        asyncio.run(run())
    assert "".join(turns) not in ("aaabbb", "bbbaaa")


def test_trio_runs_answered_calls_too(sink: Any, chat: Any, answers: Any) -> None:
    import trio

    async def run() -> int:
        async with httpx2.AsyncClient() as client:
            url = "http://localhost/v1/chat/completions"
            return int((await client.post(url, json=chat)).status_code)

    with open_scope(unattributed=sink, answerer=answers(ANSWER)):
        assert trio.run(run) == 200
    assert sink.only.mocked
