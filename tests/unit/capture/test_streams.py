"""Streams of real clients, against a server on 127.0.0.1."""

from __future__ import annotations

import asyncio
import gc
import gzip
import time
import zlib
from typing import Any

import httpx2
import pytest

from senytl.capture import (
    CaptureScope,
    flush,
)
from senytl.models import TokenUsage


def test_a_stream_is_recorded_when_it_ends(
    way: Any, scope: CaptureScope, sink: Any, server: Any, chat: Any, events: list[bytes]
) -> None:
    server.reply(*events, pause=0.02, content_type="text/event-stream")
    assert way.stream(server.url(), chat | {"stream": True}) == b"".join(events)
    call = sink.only
    assert call.streamed
    assert call.response.text == "Hello"
    assert call.usage == TokenUsage(7, 2)
    assert call.duration_seconds > 0.08


def test_a_compressed_stream_is_read(
    way: Any, scope: CaptureScope, sink: Any, server: Any, chat: Any, events: list[bytes]
) -> None:
    packed = gzip.compress(b"".join(events))
    server.reply(packed[:40], packed[40:], content_encoding="gzip")
    assert way.stream(server.url(), chat | {"stream": True}) == b"".join(events)
    assert sink.only.response.text == "Hello"


def test_a_stream_that_is_closed_early_is_recorded_as_far_as_it_came(
    way: Any, scope: CaptureScope, sink: Any, server: Any, chat: Any, events: list[bytes]
) -> None:
    server.reply(*events, pause=0.05, content_type="text/event-stream")
    way.stream(server.url(), chat | {"stream": True}, limit=1)
    call = sink.only
    assert call.response.text == "Hel"
    assert (call.usage, call.error, call.status) == (None, None, 200)


def test_a_timeout_in_the_middle_of_a_stream_is_recorded_and_raised(
    way: Any, scope: CaptureScope, sink: Any, server: Any, chat: Any, events: list[bytes]
) -> None:
    server.reply(*events, pause=0.6, content_type="text/event-stream")
    with pytest.raises(way.module.ReadTimeout):
        way.stream(server.url(), chat | {"stream": True}, client=way.client(timeout=0.2))
    call = sink.only
    assert (call.status, call.response.text) == (200, "Hel")
    assert call.error.startswith("ReadTimeout")


def test_a_stream_that_the_server_breaks_off_is_recorded_and_raised(
    way: Any, scope: CaptureScope, sink: Any, server: Any, chat: Any, events: list[bytes]
) -> None:
    server.reply(*events[:2], content_type="text/event-stream")
    server.cut_off = True
    with pytest.raises(way.module.RemoteProtocolError):
        way.stream(server.url(), chat | {"stream": True})
    assert sink.only.response.text == "Hello"
    assert sink.only.error.startswith("RemoteProtocolError: ")


def test_a_dropped_stream_is_recorded_by_the_garbage_collector(
    scope: CaptureScope, sink: Any, server: Any, chat: Any, events: list[bytes]
) -> None:
    server.reply(*events, pause=0.1, content_type="text/event-stream")
    client = httpx2.Client()
    request = client.build_request("POST", server.url(), json=chat | {"stream": True})
    response = client.send(request, stream=True)
    next(response.iter_bytes())
    del response
    gc.collect()
    assert sink.only.response.text == "Hel"
    client.close()


def test_flush_finishes_open_streams_of_its_sink_once(
    scope: CaptureScope, sink: Any, server: Any, chat: Any, events: list[bytes]
) -> None:
    server.reply(*events, content_type="text/event-stream")
    with httpx2.Client() as client:
        request = client.build_request("POST", server.url(), json=chat | {"stream": True})
        response = client.send(request, stream=True)
        pieces = response.iter_bytes()
        next(pieces)
        flush(type(sink)())
        assert sink.calls == []
        flush(sink)
        assert sink.only.response.text.startswith("Hel")
        list(pieces)
        response.close()
        flush(sink)
    assert len(sink.calls) == 1


def test_a_stream_that_is_never_read_is_recorded(
    way: Any, scope: CaptureScope, sink: Any, server: Any, chat: Any
) -> None:
    async def run() -> None:
        async with way.client() as client, client.stream("POST", server.url(), json=chat):
            pass

    if way.is_async:
        asyncio.run(run())
    else:
        with way.client() as client, client.stream("POST", server.url(), json=chat):
            pass
    assert (sink.only.status, sink.only.error, sink.only.usage) == (200, None, None)


def test_a_response_that_a_hook_has_read_is_recorded(
    scope: CaptureScope, sink: Any, server: Any, chat: Any, plain: Any, events: list[bytes]
) -> None:
    server.reply(*events, content_type="text/event-stream")
    hooks = {"response": [lambda response: response.read()]}
    body = chat | {"stream": True}
    read = plain.stream(server.url(), body, client=httpx2.Client(event_hooks=hooks))
    assert read == b"".join(events)
    assert sink.only.usage == TokenUsage(7, 2)


def test_a_response_that_is_dropped_unread_is_recorded_by_the_garbage_collector(
    scope: CaptureScope, sink: Any, server: Any, chat: Any
) -> None:
    with httpx2.Client() as client:
        request = client.build_request("POST", server.url(), json=chat)
        response = client.send(request, stream=True)
        assert sink.calls == []
        del response
        gc.collect()
        assert (sink.only.status, sink.only.usage) == (200, None)


def test_a_stream_that_nobody_reads_on_ended_with_its_last_piece(
    scope: CaptureScope, sink: Any, server: Any, chat: Any, events: list[bytes]
) -> None:
    server.reply(*events, content_type="text/event-stream")
    with httpx2.Client() as client:
        request = client.build_request("POST", server.url(), json=chat | {"stream": True})
        response = client.send(request, stream=True)
        pieces = response.iter_bytes()
        next(pieces)
        time.sleep(1.5)
        flush(sink)
        response.close()
    assert sink.only.duration_seconds < 1.5


def test_a_compressed_stream_that_broke_off_is_read_as_far_as_it_came(
    way: Any, scope: CaptureScope, sink: Any, server: Any, chat: Any, events: list[bytes]
) -> None:
    packer = zlib.compressobj(wbits=31)
    first = packer.compress(events[0]) + packer.flush(zlib.Z_SYNC_FLUSH)
    server.reply(first, b"\xff" * 20, pause=0.05, content_encoding="gzip")
    with pytest.raises(way.module.DecodingError):
        way.stream(server.url(), chat | {"stream": True})
    assert sink.only.response.text == "Hel"


def test_what_the_library_keeps_on_a_stream_stays_in_reach(
    way: Any, scope: CaptureScope, server: Any, chat: Any
) -> None:
    elapsed: list[float] = []

    async def run() -> None:
        async with way.client() as client, client.stream("POST", server.url(), json=chat) as reply:
            await reply.aread()
        elapsed.append(reply.elapsed.total_seconds())

    if way.is_async:
        asyncio.run(run())
    else:
        with way.client() as client, client.stream("POST", server.url(), json=chat) as reply:
            reply.read()
        elapsed.append(reply.elapsed.total_seconds())
    assert elapsed[0] > 0
