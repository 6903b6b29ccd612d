"""Answers in the provider's place, as responses of httpx and httpx2.

An answer is sent through a second client over a transport that plays it, so that it is bound to its
request and the user's event hooks see it like any other response.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

from senytl.capture.exchange import Exchange
from senytl.capture.playback import Playback, play_async, play_sync, wait_async, wait_sync

__all__ = ["answering_async_client", "answering_client", "refusal"]


def answering_client(module: ModuleType, client: Any, exchange: Exchange, answer: Playback) -> Any:
    """A sync client that answers one call in the place of `client`."""

    def handle(request: Any) -> Any:
        played = _as_it_reaches(request, answer)
        if not played.begins:
            wait_sync(exchange.start + played.ends_at)
            raise _loss(module, played, request)
        wait_sync(exchange.start + played.head_at)
        return _response(module, exchange, played, request)

    transport = _transport_type(module)(handle)
    kind = _client_type(module.Client)
    return kind(transport=transport, event_hooks=client.event_hooks, trust_env=False)


def answering_async_client(
    module: ModuleType, client: Any, exchange: Exchange, answer: Playback
) -> Any:
    """An async client that answers one call in the place of `client`.

    It gives way to other tasks once, as a call over the network would: an agent in a loop of
    mocked calls must not keep its event loop to itself.
    """

    async def handle(request: Any) -> Any:
        from anyio.lowlevel import checkpoint  # httpx and httpx2 bring it

        await checkpoint()
        played = _as_it_reaches(request, answer)
        if not played.begins:
            await wait_async(exchange.start + played.ends_at)
            raise _loss(module, played, request)
        await wait_async(exchange.start + played.head_at)
        return _response(module, exchange, played, request)

    transport = _transport_type(module)(handle)
    kind = _client_type(module.AsyncClient)
    return kind(transport=transport, event_hooks=client.event_hooks, trust_env=False)


def _as_it_reaches(request: Any, answer: Playback) -> Playback:
    """The answer as far as the client's own read timeout lets it come."""
    return answer.for_patience(request.extensions.get("timeout", {}).get("read"))


# Not the library's own mock transport, and no look-up of transports: there vcrpy, respx and pook
# put themselves, who would answer instead.


class _AnswerTransport:
    def __init__(self, handle: Callable[[Any], Any]) -> None:
        self._handle = handle

    def handle_request(self, request: Any) -> Any:
        return self._handle(request)

    async def handle_async_request(self, request: Any) -> Any:
        return await self._handle(request)


@functools.cache
def _transport_type(module: ModuleType) -> type[Any]:
    bases = (_AnswerTransport, module.BaseTransport, module.AsyncBaseTransport)
    return type("AnswerTransport", bases, {})


@functools.cache
def _client_type(kind: type[Any]) -> type[Any]:
    members = {"_transport_for_url": lambda client, url: client._transport}
    return type("AnsweringClient", (kind,), members)


def _loss(module: ModuleType, answer: Playback, request: Any) -> Exception:
    """What the HTTP library raises where a response does not come to its end."""
    error: Exception
    if answer.ending == "timeout":
        error = module.ReadTimeout("The read operation timed out (mocked)", request=request)
    elif answer.begins:
        error = module.RemoteProtocolError(
            "peer closed connection without sending complete message body "
            "(incomplete chunked read; mocked)",
            request=request,
        )
    else:
        error = module.RemoteProtocolError(
            "Server disconnected without sending a response. (mocked)", request=request
        )
    return error


def refusal(module: ModuleType, request: Any, error: Exception) -> Any:
    """A response through which an answerer's error reaches the caller as it is.

    The SDKs made by Stainless (OpenAI's, Anthropic's, Groq's...) retry whatever `send` raises and
    then report a connection error. But each of them asks the response whether it is a success
    outside of that, so this response raises the error when it is asked.
    """
    return _refusal_type(module)(500, request=request, extensions={"senytl_error": error})


@functools.cache
def _refusal_type(module: ModuleType) -> type[Any]:
    def verdict(self: Any) -> None:
        __tracebackhide__ = True
        raise self.extensions["senytl_error"]

    members = {"raise_for_status": verdict, "is_success": property(verdict)}
    return type("Refusal", (module.Response,), members)


def _response(module: ModuleType, exchange: Exchange, answer: Playback, request: Any) -> Any:
    headers = dict(answer.headers)
    if exchange.call.streamed and answer.status < 400:
        loss = None if answer.ending == "complete" else _loss(module, answer, request)
        stream = _stream_type(module)(answer, exchange.start, loss)
        return module.Response(answer.status, headers=headers, stream=stream)
    return module.Response(answer.status, headers=headers, content=b"".join(answer.pieces))


class _AnswerStream:
    """The pieces of a streamed answer, for sync and async clients, each at its time."""

    def __init__(self, answer: Playback, start: float, loss: Exception | None) -> None:
        self._answer = answer
        self._start = start
        self._loss = loss

    def __iter__(self) -> Iterator[bytes]:
        yield from play_sync(self._answer, self._start)
        if self._loss is not None:
            raise self._loss

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in play_async(self._answer, self._start):
            yield piece
        if self._loss is not None:
            raise self._loss


@functools.cache
def _stream_type(module: ModuleType) -> type[_AnswerStream]:
    return type("AnswerStream", (_AnswerStream, module.SyncByteStream, module.AsyncByteStream), {})
