"""Answers in real time: sync ones wait, async ones let the others go on."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import trio

from senytl.capture import open_scope
from senytl.capture.playback import Playback, play_async, play_sync

EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
STREAM = Playback(
    headers={"content-type": "text/event-stream"},
    pieces=[EVENT] * 4,
    moments=[0.05, 0.10, 0.15, 0.20],
)
URL = "https://api.openai.com/v1/chat/completions"


def test_pieces_come_at_their_moments() -> None:
    start = time.perf_counter()
    came = [time.perf_counter() - start for _ in play_sync(STREAM, start)]
    assert all(at >= moment for at, moment in zip(came, STREAM.moments, strict=True))
    assert came == sorted(came)


def test_a_late_reader_is_not_delayed_further() -> None:
    start = time.perf_counter() - 1.0
    began = time.perf_counter()
    assert list(play_sync(STREAM, start)) == [EVENT] * 4
    assert time.perf_counter() - began < 0.15


def test_tasks_play_at_the_same_time() -> None:
    async def one() -> int:
        return len([piece async for piece in play_async(STREAM, time.perf_counter())])

    async def many() -> tuple[list[int], float]:
        start = time.perf_counter()
        return await asyncio.gather(*(one() for _ in range(50))), time.perf_counter() - start

    counts, seconds = asyncio.run(many())
    assert counts == [4] * 50
    assert 0.2 <= seconds < 50 * 0.2 / 4


def test_it_plays_on_trio() -> None:
    async def run() -> float:
        start = time.perf_counter()
        async for _ in play_async(STREAM, start):
            pass
        return time.perf_counter() - start

    assert trio.run(run) >= 0.2


def test_a_streamed_answer_is_timed_like_a_real_one(
    way: Any, sink: Any, chat: Any, answers: Any
) -> None:
    with open_scope(unattributed=sink, answerer=answers(STREAM)):
        way.stream(URL, chat | {"stream": True})
    call = sink.only
    assert call.mocked
    assert call.ttft >= 0.05
    assert len(call.chunk_gaps) == 3
    assert sum(call.chunk_gaps) > 0.1


def test_a_whole_answer_takes_its_time(way: Any, sink: Any, chat: Any, answers: Any) -> None:
    answer = Playback(
        headers={"content-type": "application/json"}, pieces=[b"{}"], moments=[0.1], head_at=0.1
    )
    with open_scope(unattributed=sink, answerer=answers(answer)):
        assert way.post(URL, chat).json() == {}
    assert sink.only.duration_seconds >= 0.1


@pytest.mark.parametrize(
    ("ending", "pieces", "error", "kind"),
    [
        ("timeout", 0, "ReadTimeout", "timeout"),
        ("timeout", 2, "ReadTimeout", "timeout"),
        ("disconnect", 0, "RemoteProtocolError", "connection"),
        ("disconnect", 2, "RemoteProtocolError", "connection"),
    ],
)
def test_an_answer_may_fail_as_the_network_does(
    way: Any, sink: Any, chat: Any, answers: Any, ending: Any, pieces: int, error: str, kind: str
) -> None:
    answer = Playback(
        headers=STREAM.headers, pieces=[EVENT] * pieces, moments=[0.01] * pieces, ending=ending,
        ends_at=0.1,
    )  # fmt: skip
    with (
        open_scope(unattributed=sink, answerer=answers(answer)),
        pytest.raises(getattr(way.module, error)),
    ):
        way.stream(URL, chat | {"stream": True})
    call = sink.only
    assert (call.outcome, call.error_kind) == ("failed", kind)
    assert call.response.text == "x" * pieces
    assert call.duration_seconds >= 0.1


def test_an_http_error_is_played_with_its_headers(
    way: Any, sink: Any, chat: Any, answers: Any
) -> None:
    answer = Playback(
        status=429,
        headers={"content-type": "application/json", "retry-after": "7"},
        pieces=[b'{"error": {"type": "requests", "message": "slow down"}}'],
    )
    with open_scope(unattributed=sink, answerer=answers(answer)):
        response = way.post(URL, chat)
    assert (response.status_code, response.headers["retry-after"]) == (429, "7")
    assert (sink.only.status, sink.only.error) == (429, "requests: slow down")


def test_a_client_waits_no_longer_than_its_patience(
    way: Any, sink: Any, chat: Any, answers: Any
) -> None:
    answer = Playback(headers=STREAM.headers, pieces=[EVENT] * 3, moments=[0.05, 0.1, 5.0])
    with (
        open_scope(unattributed=sink, answerer=answers(answer)),
        pytest.raises(way.module.ReadTimeout),
    ):
        way.stream(URL, chat | {"stream": True}, client=way.client(timeout=0.2))
    assert sink.only.error_kind == "timeout"
    assert 0.3 <= sink.only.duration_seconds < 4
    assert sink.only.response.text == "xx"


def test_patience_cuts_an_answer_where_the_client_gives_up() -> None:
    assert STREAM.for_patience(None) is STREAM
    assert STREAM.for_patience(1.0) is STREAM
    late = Playback(pieces=[b"x"], moments=[3.0], head_at=3.0)
    assert late.for_patience(2.0) == Playback(ending="timeout", ends_at=2.0)
    cut = STREAM.for_patience(0.04)
    assert (cut.pieces, cut.moments, cut.ending, cut.ends_at) == ([], [], "timeout", 0.04)
    silent = Playback(ending="timeout", ends_at=9.0)
    assert silent.for_patience(2.0) == Playback(ending="timeout", ends_at=2.0)
