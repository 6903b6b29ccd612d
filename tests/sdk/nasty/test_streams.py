"""Streams that are left, lost, spoilt, compressed, read slowly, or that count no tokens."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import zlib
from contextlib import closing, nullcontext, suppress
from typing import Any

import anthropic
import openai
import pytest
import requests
from google import genai
from tests.sdk.nasty.streaming import (
    PATHS,
    VENDORS,
    client_of,
    first_chunk,
    paused,
    pieces_of,
    stream_of,
)
from tests.sdk.nasty.ways import (
    STREAMING,
    WAYS,
    chat,
    google,
)
from tests.sdk.wires import written

from senytl import performance
from senytl.capture import flush, open_scope
from senytl.models import TokenUsage

pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)

TEXT = "Hello, you."
TOKENS = TokenUsage(1117, 246)


@pytest.mark.parametrize("how", ["closed", "dropped", "kept"])
@pytest.mark.parametrize("vendor", VENDORS)
def test_nasty_07_a_stream_that_is_abandoned(
    vendor: str, how: str, url: str, script: Any, answered: Any, sink: Any, once: Any
) -> None:
    """A `break` leaves it; it is closed, or garbage, or still there at the end of the test."""
    script(paused(answered, pieces_of(vendor), pause=0.02))
    with closing(client_of(vendor, url)) as client, open_scope(unattributed=sink):
        stream = stream_of(client)
        for event in stream:
            if "Hello" in str(event):
                break
        if how == "closed":
            stream.close()
        elif how == "dropped":
            del stream, event
            gc.collect()
        else:
            assert sink.calls == []
            flush(sink)
        call = once(usage=None)
        assert (call.outcome, call.error, call.status) == ("abandoned", None, 200)
        assert call.response.text == TEXT[:5]
        assert call.chunks == 1
        assert 0 < call.ttft <= call.duration_seconds
        if how == "kept":
            list(stream)  # what it yields later on is not another call
        assert once(usage=None) is call


@pytest.mark.parametrize("vendor", VENDORS)
def test_nasty_07_a_stream_that_is_never_iterated(
    vendor: str, url: str, sink: Any, once: Any, server: Any
) -> None:
    with closing(client_of(vendor, url)) as client, open_scope(unattributed=sink):
        stream = stream_of(client)
        del stream
        gc.collect()
        if vendor == "google":  # its streams are generators: nothing was sent
            assert (server.requests, sink.calls) == ([], [])
            return
        call = once(usage=None)
    assert (call.outcome, call.error, call.status) == ("abandoned", None, 200)
    assert (call.ttft, call.chunks, call.usage) == (None, 0, None)


@pytest.mark.parametrize("when", ["before the reply", "in the middle"])
@pytest.mark.parametrize("way", ["openai", "anthropic", "google", "google-over-httpx2"])
def test_nasty_07_a_stream_that_is_cancelled(
    way: str, when: str, url: str, script: Any, answered: Any, sink: Any, once: Any
) -> None:
    vendor = way.partition("-")[0]
    middle = when == "in the middle"
    script(paused(answered, pieces_of(vendor), pause=0.3, delay=0.0 if middle else 0.5))

    async def read(client: Any, came: asyncio.Event) -> None:
        async for event in await stream_of(client):
            if "Hello" in str(event):
                came.set()

    async def run() -> None:
        client: Any
        if vendor == "openai":
            client = openai.AsyncOpenAI(api_key="none", base_url=url + "/v1", max_retries=0)
        elif vendor == "anthropic":
            client = anthropic.AsyncAnthropic(api_key="none", base_url=url, max_retries=0)
        else:
            client = google(url).aio
        came = asyncio.Event()
        task = asyncio.create_task(read(client, came))
        await (came.wait() if middle else asyncio.sleep(0.2))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await (client.aclose() if vendor == "google" else client.close())

    with open_scope(unattributed=sink):
        asyncio.run(run())
    call = once(usage=None)
    assert (call.outcome, call.error_kind) == ("cancelled", None)
    assert call.status == (200 if middle else None)
    assert call.response.text == (TEXT[:5] if middle else "")
    assert (call.ttft is not None) == middle


@pytest.mark.parametrize("way", STREAMING)
def test_nasty_07_a_stream_that_is_cut_off(
    way: str, url: str, script: Any, answered: Any, sink: Any, once: Any
) -> None:
    """The connection is lost after the first chunk; the caller gets its SDK's own error."""
    vendor = way.partition("-")[0]
    pieces = pieces_of(vendor)
    first = first_chunk(pieces)
    answer = paused(answered, pieces[: first + 1], pause=0.0, cut_off=True)
    script(answer, answer)
    errors = []
    with WAYS[way](url) as ask:
        for scoped in (False, True):
            scope = open_scope(unattributed=sink) if scoped else nullcontext()
            with scope, pytest.raises(Exception) as caught:  # noqa: PT011
                ask(stream=True)
            errors.append((type(caught.value), str(caught.value)))
    assert errors[0] == errors[1]
    call = sink.only
    assert (call.outcome, call.error_kind, call.status) == ("failed", "connection", 200)
    assert call.response.text == TEXT[:5]
    assert call.chunks == 1


@pytest.mark.parametrize("way", STREAMING)
def test_nasty_07_a_stream_that_ends_too_early(way: str, url: str, script: Any, sink: Any) -> None:
    """The server ends the body in order, but without the event that ends the reply."""
    pieces = pieces_of(way.partition("-")[0])
    first = first_chunk(pieces)
    script(pieces[: first + 1])
    with open_scope(unattributed=sink), WAYS[way](url) as ask:
        assert ask(stream=True) == TEXT[:5]
    call = sink.only
    assert (call.outcome, call.error_kind, call.status) == ("failed", "truncated", 200)
    assert call.response.text == TEXT[:5]


ERRORS = {
    "openai": b'data: {"error": {"type": "server_error", "message": "Busy."}}\n\n',
    "anthropic": b"event: error\ndata: "
    b'{"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}}\n\n',
    "google": b'data: {"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}}\n\n',
}
RAISED: dict[str, type[Exception]] = {
    "openai": openai.APIError,
    "anthropic": anthropic.APIError,
    "google": genai.errors.APIError,
}


@pytest.mark.parametrize("way", STREAMING)
def test_nasty_08_an_error_event_inside_a_200_stream(
    way: str, url: str, script: Any, sink: Any, once: Any
) -> None:
    vendor = way.partition("-")[0]
    pieces = pieces_of(vendor)
    first = first_chunk(pieces)
    script([*pieces[: first + 1], ERRORS[vendor]])
    with (
        open_scope(unattributed=sink),
        WAYS[way](url) as ask,
        pytest.raises(RAISED[vendor], match=r"Busy\."),
    ):
        ask(stream=True)
    call = once(usage=None)
    assert (call.status, call.outcome, call.error_kind) == (200, "failed", "stream_error")
    assert "Busy." in call.error
    assert call.response.text == TEXT[:5]
    assert call.ttft is not None


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("way", STREAMING)
def test_nasty_09_a_compressed_event_stream(
    way: str, encoding: str, url: str, script: Any, answered: Any, sink: Any, once: Any
) -> None:
    packer = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
    pieces = [
        packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
        for piece in pieces_of(way.partition("-")[0])
    ]
    pieces[-1] += packer.flush()
    script(paused(answered, pieces, headers={"content-encoding": encoding}))
    with open_scope(unattributed=sink), WAYS[way](url) as ask:
        assert ask(stream=True) == TEXT
    call = once()
    assert call.chunks == 2
    assert call.chunk_gaps[0] > 0.01  # as they came, not all at the end
    assert call.ttft < call.duration_seconds - 0.01


@pytest.mark.parametrize("way", [name for name in WAYS if name != "boto3"])  # it reads none
def test_nasty_09_a_compressed_reply(
    way: str, url: str, server: Any, answered: Any, sink: Any, once: Any
) -> None:
    plain = server.answer

    def answer(path: str, body: Any) -> Any:
        packed = gzip.compress(b"".join(plain(path, body).pieces))
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        return answered([packed[:20], packed[20:]], headers=headers)

    server.answer = answer
    with open_scope(unattributed=sink), WAYS[way](url) as ask:
        assert ask() == TEXT
    once()


@pytest.mark.parametrize("read", ["iter_lines", "iter_content", "raw"])
def test_nasty_09_a_compressed_event_stream_of_requests(
    read: str, url: str, script: Any, answered: Any, sink: Any, once: Any
) -> None:
    packer = zlib.compressobj(wbits=31)
    pieces = [
        packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces_of("openai")
    ]
    pieces[-1] += packer.flush()
    script(paused(answered, pieces, headers={"content-encoding": "gzip"}))
    address = url + "/v1/chat/completions"
    with (
        open_scope(unattributed=sink),
        requests.post(address, json=chat(stream=True), stream=True, timeout=9) as response,
    ):
        if read == "raw":
            body = b"".join(response.raw.stream(64, decode_content=True))
        elif read == "iter_lines":
            body = b"\n".join(response.iter_lines())
        else:
            body = b"".join(response.iter_content(None))
    assert b"[DONE]" in body
    call = once()
    assert call.chunks == 2
    if read == "iter_content":
        assert call.chunk_gaps[0] > 0.01


@pytest.mark.parametrize(
    ("way", "stream"), [(way, False) for way in WAYS] + [(way, True) for way in STREAMING]
)
def test_nasty_14_usage_missing_or_null(
    way: str, stream: bool, url: str, script: Any, answered: Any, sink: Any, server: Any
) -> None:
    """No usage is none, not zero tokens; a run counts them itself, and says so."""
    vendor = way.partition("-")[0]
    vendor = vendor if vendor in PATHS else "bedrock" if way == "boto3" else "openai"
    for replacement in (b"null", None):
        script(without_usage(vendor, stream, replacement, answered))
    with open_scope(unattributed=sink), WAYS[way](url) as ask:
        assert [ask(stream), ask(stream)] == [TEXT, TEXT]
        script(without_usage(vendor, stream, None, answered))

        @performance.benchmark(iterations=1, warmup=0)
        def agent() -> None:
            ask(stream)

        agent()
    [metrics] = agent._performance_metrics  # type: ignore[attr-defined]
    assert [call.usage for call in sink.calls] == [None, None]
    assert [call.outcome for call in sink.calls] == ["completed"] * 2
    assert len(server.requests) == 3
    assert metrics.llm_calls == 1
    assert "provider" not in metrics.token_sources
    assert metrics.guessed_calls == metrics.token_sources.get("estimate", 0)
    assert metrics.token_usage[0].completion_tokens > 0


def without_usage(vendor: str, stream: bool, replacement: bytes | None, answered: Any) -> Any:
    """A whole reply with its usage taken out, or set to null."""
    paths = PATHS | {"bedrock": "/model/any/converse"}
    path = paths[vendor] if stream else paths[vendor].replace("streamGen", "gen")
    pieces = written(path, {"stream": True} if stream else {}, TEXT, (1117, 246))
    kind = "text/event-stream" if stream else "application/json"
    head = b"data: " if stream else b""
    changed = []
    for piece in pieces:
        before, _, text = piece.partition(head) if stream else (b"", b"", piece)
        with suppress(ValueError):
            document = json.loads(text)
            for place in (document, document.get("message") or {}):
                for name in ("usage", "usageMetadata"):
                    if place.pop(name, None) is not None and replacement is not None:
                        place[name] = None
            text = json.dumps(document).encode() + (b"\n\n" if stream else b"")
        changed.append(before + head + text)
    return answered(changed, headers={"content-type": kind})
