from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from senytl.capture import CaptureScope, CaptureWarning, PendingCall, flush, open_scope
from senytl.capture.hooks import aiohttp_answers, aiohttp_request
from senytl.capture.pacing import Pace
from senytl.capture.playback import Playback
from senytl.capture.recognition import Recognised
from senytl.models import MockResponse, SenytlError, TokenUsage

USAGE = {"promptTokenCount": 7, "candidatesTokenCount": 2, "totalTokenCount": 9}
CHUNKS = [
    {"candidates": [{"content": {"parts": [{"text": "Hel"}]}, "index": 0}]},
    {
        "candidates": [{"content": {"parts": [{"text": "lo"}]}, "finishReason": "STOP"}],
        "usageMetadata": USAGE,
        "modelVersion": "gemini-2.5-flash-001",
    },
]
EVENTS = [f"data: {json.dumps(chunk)}\r\n\r\n".encode() for chunk in CHUNKS]
BODY = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
PATH = "/v1beta/models/gemini-2.5-flash:generateContent"
STREAM_PATH = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
ANSWER = MockResponse("Hello there, my friend.", usage=TokenUsage(11, 5))


class Answers:
    def __init__(self, answer: MockResponse | Exception = ANSWER) -> None:
        self._answer = answer

    def answer(self, call: PendingCall) -> Answers:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self

    def play(self, recognised: Recognised) -> Playback:
        assert isinstance(self._answer, MockResponse)
        return recognised.play(self._answer)


def in_session(use: Callable[[aiohttp.ClientSession], Awaitable[Any]], **options: Any) -> Any:
    async def run() -> Any:
        async with aiohttp.ClientSession(**options) as session:
            return await use(session)

    return asyncio.run(run())


def test_a_call_is_recorded(scope: CaptureScope, sink: Any, server: Any) -> None:
    server.reply(json.dumps(CHUNKS[1]).encode(), content_type="application/json")

    async def use(session: aiohttp.ClientSession) -> Any:
        async with session.post(server.url(PATH), data=json.dumps(BODY)) as response:
            return await response.json()

    assert in_session(use) == CHUNKS[1]
    call = sink.only
    assert (call.api, call.provider, call.model) == ("gemini", "google", "gemini-2.5-flash")
    assert call.request == BODY
    assert (call.response.text, call.usage) == ("lo", TokenUsage(7, 2))
    assert (call.status, call.error, call.response_model) == (200, None, "gemini-2.5-flash-001")
    assert call.duration_seconds > 0


async def by_any(content: Any) -> bytes:
    return b"".join([piece async for piece in content.iter_any()])


async def by_line(content: Any) -> bytes:
    return b"".join([line async for line in content])


async def by_count(content: Any) -> bytes:
    return b"".join([piece async for piece in content.iter_chunked(16)])


async def by_chunk(content: Any) -> bytes:
    return b"".join([piece async for piece, _ in content.iter_chunks()])


async def by_exact_counts(content: Any) -> bytes:
    whole = b"".join(EVENTS)
    assert await content.readexactly(5) == whole[:5]
    assert await content.readuntil(b"\r\n\r\n") == EVENTS[0][5:]
    return whole[: len(EVENTS[0])] + bytes(await content.read())


@pytest.mark.parametrize("read", [by_any, by_line, by_count, by_chunk, by_exact_counts])
def test_a_stream_is_recorded_however_it_is_read(
    read: Callable[[Any], Awaitable[bytes]], scope: CaptureScope, sink: Any, server: Any
) -> None:
    server.reply(*EVENTS, pause=0.02, content_type="text/event-stream")

    async def use(session: aiohttp.ClientSession) -> bytes:
        async with session.post(server.url(STREAM_PATH), json=BODY) as response:
            return await read(response.content)

    assert in_session(use) == b"".join(EVENTS)
    assert sink.only.streamed
    assert (sink.only.response.text, sink.only.usage) == ("Hello", TokenUsage(7, 2))


def test_a_stream_that_is_left_early_is_recorded_as_far_as_it_came(
    scope: CaptureScope, sink: Any, server: Any
) -> None:
    server.reply(*EVENTS, pause=0.1, content_type="text/event-stream")

    async def use(session: aiohttp.ClientSession) -> None:
        async with session.post(server.url(STREAM_PATH), json=BODY) as response:
            await response.content.readany()

    in_session(use)
    assert (sink.only.response.text, sink.only.usage, sink.only.error) == ("Hel", None, None)


def test_a_call_is_recorded_when_its_last_byte_is_read(
    scope: CaptureScope, sink: Any, server: Any
) -> None:
    server.reply(json.dumps(CHUNKS[1]).encode())

    async def use(session: aiohttp.ClientSession) -> None:
        response = await session.post(server.url(PATH), json=BODY)
        assert sink.calls == []
        await response.read()
        assert sink.only.usage == TokenUsage(7, 2)
        response.release()

    in_session(use)
    assert len(sink.calls) == 1


def test_a_call_is_recorded_when_its_response_is_closed(
    scope: CaptureScope, sink: Any, server: Any
) -> None:
    server.reply(*EVENTS, pause=0.2)

    async def use(session: aiohttp.ClientSession) -> None:
        response = await session.post(server.url(STREAM_PATH), json=BODY)
        await response.content.readany()
        response.close()
        assert sink.only.response.text == "Hel"

    in_session(use)


def test_an_open_stream_is_recorded_by_flush(scope: CaptureScope, sink: Any, server: Any) -> None:
    server.reply(*EVENTS, content_type="text/event-stream")

    async def use(session: aiohttp.ClientSession) -> None:
        async with session.post(server.url(STREAM_PATH), json=BODY) as response:
            flush(sink)
            assert sink.only.status == 200
            await response.read()

    in_session(use)
    assert len(sink.calls) == 1


def test_errors_are_recorded(scope: CaptureScope, sink: Any, server: Any) -> None:
    error = {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}
    server.reply(json.dumps({"error": error}).encode(), status=429)

    async def use(session: aiohttp.ClientSession) -> None:
        async with session.post(server.url(PATH), json=BODY) as response:
            await response.text()
        with pytest.raises(aiohttp.ClientResponseError):
            await session.post(server.url(PATH), json=BODY, raise_for_status=True)
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.post("http://127.0.0.1:9" + PATH, json=BODY)

    in_session(use)
    errors = [(call.status, call.error.partition(":")[0]) for call in sink.calls]
    assert errors == [
        (429, "RESOURCE_EXHAUSTED"),
        (429, "ClientResponseError"),
        (None, "ClientConnectorError"),
    ]


def test_a_timeout_in_the_middle_of_a_stream_is_recorded(
    scope: CaptureScope, sink: Any, server: Any
) -> None:
    server.reply(*EVENTS, pause=0.6, content_type="text/event-stream")

    async def use(session: aiohttp.ClientSession) -> None:
        timeout = aiohttp.ClientTimeout(sock_read=0.2)
        async with session.post(server.url(STREAM_PATH), json=BODY, timeout=timeout) as response:
            await response.read()

    with pytest.raises(TimeoutError):
        in_session(use)
    assert sink.only.error.startswith("SocketTimeoutError")


def test_other_traffic_passes_unseen(scope: CaptureScope, sink: Any, server: Any) -> None:
    async def use(session: aiohttp.ClientSession) -> None:
        for path, data in [("/other", b"{}"), (PATH, b"{}"), (PATH, None), (PATH, b"[1]")]:
            async with session.post(server.url(path), data=data) as response:
                assert response.status == 200
        async with session.get(server.url(PATH)) as response:
            assert response.status == 200

    in_session(use)
    assert sink.calls == []


def test_base_url_and_params_count(sink: Any, server: Any) -> None:
    async def use(session: aiohttp.ClientSession) -> str:
        path = "/v1/models/gemini-pro:streamGenerateContent"
        async with session.post(path, json=BODY, params={"alt": "sse"}) as response:
            return await response.text()

    with open_scope(unattributed=sink, answerer=Answers()):
        assert in_session(use, base_url=server.url("/")).startswith("data: ")
    assert sink.only.model == "gemini-pro"


@pytest.mark.parametrize("debug", [False, True])
def test_an_answer_is_returned_in_place_of_the_real_one(sink: Any, debug: bool) -> None:
    seen: list[str] = []

    async def run() -> None:
        tracing = aiohttp.TraceConfig()

        async def on_end(session: Any, context: Any, params: Any) -> None:
            seen.append(f"{params.method} {params.response.status} {context.trace_request_ctx}")

        tracing.on_request_end.append(on_end)
        url = "https://generativelanguage.googleapis.com" + PATH
        async with (
            aiohttp.ClientSession(trace_configs=[tracing]) as session,
            session.post(url, json=BODY, trace_request_ctx="mine") as response,
        ):
            assert type(response) is aiohttp.ClientResponse
            assert str(response.url) == url
            document = await response.json()
        assert document["candidates"][0]["content"]["parts"] == [{"text": ANSWER.text}]

    with open_scope(unattributed=sink, answerer=Answers()):
        asyncio.run(run(), debug=debug)
    assert seen == ["POST 200 mine"]
    assert (sink.only.mocked, sink.only.usage, sink.only.provider) == (True, ANSWER.usage, "google")


def test_a_long_answer_is_streamed_whole_to_a_slow_reader(sink: Any) -> None:
    long = MockResponse("word " * 20_000, usage=TokenUsage(1, 1))

    async def use(session: aiohttp.ClientSession) -> list[bytes]:
        async with session.post("http://localhost" + STREAM_PATH, json=BODY) as response:
            pieces = []
            async for piece in response.content.iter_any():
                pieces.append(piece)
                await asyncio.sleep(0)
            return pieces

    with open_scope(unattributed=sink, answerer=Answers(long)):
        pieces = in_session(use)
    assert len(pieces) > 10
    assert b"".join(pieces).count(b"word ") == 20_000


def test_an_answer_waits_for_its_reader(sink: Any) -> None:
    long = MockResponse("word " * 20_000, usage=TokenUsage(1, 1))

    async def use(session: aiohttp.ClientSession) -> None:
        async with session.post("http://localhost" + STREAM_PATH, json=BODY) as response:
            await asyncio.sleep(0.5)
            held = response.content.total_bytes
            assert 0 < held < len(await response.read())

    with open_scope(unattributed=sink, answerer=Answers(long)):
        in_session(use)


def test_an_answered_stream_may_be_left_early(sink: Any) -> None:
    async def use(session: aiohttp.ClientSession) -> None:
        async with session.post("http://localhost" + STREAM_PATH, json=BODY) as response:
            await response.content.readany()

    with open_scope(unattributed=sink, answerer=Answers()):
        in_session(use)
    assert sink.only.mocked


def test_an_answerers_error_reaches_the_caller(sink: Any) -> None:
    async def use(session: aiohttp.ClientSession) -> None:
        await session.post("http://localhost" + PATH, json=BODY)

    error = SenytlError("no mock")
    with (
        open_scope(unattributed=sink, answerer=Answers(error)),
        pytest.raises(SenytlError, match="no mock"),
    ):
        in_session(use)
    assert sink.only.error == "SenytlError: no mock"


def test_an_aiohttp_that_cannot_be_answered_through_is_named() -> None:
    future = SimpleNamespace(__version__="9.0", BaseConnector=object)
    with pytest.raises(SenytlError, match=r"cannot answer calls made through aiohttp 9\.0"):
        aiohttp_answers._connector_type.__wrapped__(future)


def test_an_aiohttp_that_cannot_be_seen_is_named() -> None:
    future = SimpleNamespace(__version__="9.0", ClientSession=object)
    with pytest.warns(CaptureWarning, match=r"cannot see LLM calls made through aiohttp 9\.0"):
        assert list(aiohttp_request.seats(future)) == []  # type: ignore[arg-type]


def test_a_body_that_is_changed_after_the_call_is_recorded_as_it_was_sent(
    scope: CaptureScope, sink: Any, server: Any
) -> None:
    body: Any = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}

    async def use(session: aiohttp.ClientSession) -> None:
        async with session.post(server.url(PATH), json=body) as response:
            await response.read()
        body["contents"].append({"role": "model", "parts": []})

    in_session(use)
    assert len(sink.only.request["contents"]) == 1


def test_a_mocked_answer_respects_the_session_s_timeout_and_its_view_of_errors(sink: Any) -> None:
    class Late(Answers):
        def play(self, recognised: Recognised) -> Playback:
            return recognised.play(ANSWER, Pace(latency=5.0))

    class Refused(Answers):
        def play(self, recognised: Recognised) -> Playback:
            return recognised.refuse(500, "no")

    async def use(session: aiohttp.ClientSession) -> None:
        async with session.post(f"https://generativelanguage.googleapis.com{PATH}", json=BODY):
            pass

    with open_scope(unattributed=sink, answerer=Late()), pytest.raises(TimeoutError):
        in_session(use, timeout=aiohttp.ClientTimeout(total=0.1))
    with (
        open_scope(unattributed=sink, answerer=Refused()),
        pytest.raises(aiohttp.ClientResponseError),
    ):
        in_session(use, raise_for_status=True)
    assert [call.outcome for call in sink.calls] == ["failed", "failed"]


def test_a_compressed_reply_is_read_where_the_session_does_not_decompress(
    scope: CaptureScope, sink: Any, server: Any
) -> None:
    server.reply(gzip.compress(json.dumps(CHUNKS[1]).encode()), content_encoding="gzip")

    async def use(session: aiohttp.ClientSession) -> bytes:
        async with session.post(server.url(PATH), json=BODY) as response:
            return await response.read()

    assert in_session(use, auto_decompress=False).startswith(b"\x1f\x8b")
    assert sink.only.response.text == "lo"
