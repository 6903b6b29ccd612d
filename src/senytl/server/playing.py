"""Playing an answer to a client: each piece at its time, the faults included."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from senytl.capture.playback import Playback, wait_async

if TYPE_CHECKING:
    from aiohttp import web

    from senytl.capture.exchange import Exchange

__all__ = ["play", "scaled"]

# The server's own business in each message.
_OWN_HEADERS = frozenset(
    ("connection", "content-length", "date", "keep-alive", "transfer-encoding")
)


def scaled(playback: Playback, speed: float) -> Playback:
    """An answer that is played faster, or slower.

    Args:
        playback: The answer.
        speed: 2 for half of its times; infinity for none.
    """
    if speed == 1:
        return playback
    return replace(
        playback,
        moments=[moment / speed for moment in playback.moments],
        head_at=playback.head_at / speed,
        ends_at=playback.ends_at / speed,
    )


async def play(playback: Playback, request: web.Request, exchange: Exchange) -> web.StreamResponse:
    """Play an answer, and note in the exchange what was sent when.

    The record of the call is delivered just before its last byte is sent: whoever has read the
    reply finds the call counted.

    Args:
        playback: What to play.
        request: The request that it answers.
        exchange: The call, whose times are counted from its start.

    Raises:
        CancelledError: When the client has hung up, or gets no whole answer; the caller then
            abandons the exchange.
    """
    try:
        return await _play(playback, request, exchange)
    except (asyncio.CancelledError, ConnectionError):
        if playback.ending == "timeout":
            exchange.fail(TimeoutError("the client waited in vain until it hung up"))
        raise


async def _play(playback: Playback, request: web.Request, exchange: Exchange) -> web.StreamResponse:
    if not playback.begins:
        return await _lose(playback, request, exchange)
    response = _response(playback, streamed=exchange.call.streamed)
    await wait_async(exchange.start + playback.head_at)
    exchange.stream(playback.status, playback.headers.get("content-type", ""))
    await response.prepare(request)
    pieces = playback.pieces
    moments = playback.moments or [playback.head_at] * len(pieces)
    count = min(len(pieces), len(moments))
    is_whole = playback.ending == "complete"
    for place in range(count):
        await wait_async(exchange.start + moments[place])
        exchange.received(pieces[place], exchange.times[-1])
        if is_whole and place == count - 1 and playback.ends_at <= moments[place]:
            exchange.end()
            await response.write_eof(pieces[place])
            return response
        await response.write(pieces[place])
    if not is_whole:
        return await _lose(playback, request, exchange)
    await wait_async(exchange.start + playback.ends_at)
    exchange.end()
    await response.write_eof()
    return response


def _response(playback: Playback, *, streamed: bool) -> web.StreamResponse:
    """A response of which nothing has been sent; one without a length is sent in chunks."""
    from aiohttp import web

    headers = {name: value for name, value in playback.headers.items() if name not in _OWN_HEADERS}
    response = web.StreamResponse(status=playback.status, headers=headers)
    if not streamed or playback.status >= 400:
        response.content_length = sum(map(len, playback.pieces))
    return response


async def _lose(playback: Playback, request: web.Request, exchange: Exchange) -> web.StreamResponse:
    """Cut the connection, or keep silent, and wait until it has gone."""
    if playback.ending == "disconnect":
        await wait_async(exchange.start + playback.ends_at)
        exchange.fail(ConnectionError("the connection was cut, as a mock says"))
        if request.transport is not None:
            request.transport.close()  # what was sent before still arrives
    gone: asyncio.Future[web.StreamResponse] = asyncio.get_running_loop().create_future()
    return await gone  # aiohttp cancels this when the connection is
