"""Answers in the provider's place, as responses of httpx and httpx2.

An answer is sent through a second client over the library's own mock transport, so that it is bound
to its request and the user's event hooks see it like any other response.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

from senytl.capture.exchange import Exchange
from senytl.models import MockResponse

__all__ = ["answering_async_client", "answering_client", "refusal"]


def answering_client(
    module: ModuleType, client: Any, exchange: Exchange, answer: MockResponse
) -> Any:
    """A sync client that answers one call in the place of `client`."""

    def handle(request: Any) -> Any:
        return _response(module, exchange, answer)

    transport = module.MockTransport(handle)
    return module.Client(transport=transport, event_hooks=client.event_hooks, trust_env=False)


def answering_async_client(
    module: ModuleType, client: Any, exchange: Exchange, answer: MockResponse
) -> Any:
    """An async client that answers one call in the place of `client`.

    It gives way to other tasks once, as a call over the network would: an agent in a loop of
    mocked calls must not keep its event loop to itself.
    """

    async def handle(request: Any) -> Any:
        from anyio.lowlevel import checkpoint  # httpx and httpx2 bring it

        await checkpoint()
        return _response(module, exchange, answer)

    transport = module.MockTransport(handle)
    return module.AsyncClient(transport=transport, event_hooks=client.event_hooks, trust_env=False)


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


def _response(module: ModuleType, exchange: Exchange, answer: MockResponse) -> Any:
    content_type, pieces = exchange.recognised.write(answer)
    headers = {"content-type": content_type}
    if not exchange.call.streamed:
        return module.Response(200, headers=headers, content=b"".join(pieces))
    return module.Response(200, headers=headers, stream=_stream_type(module)(pieces))


class _AnswerStream:
    """The pieces of a streamed answer, for sync and async clients."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


@functools.cache
def _stream_type(module: ModuleType) -> type[_AnswerStream]:
    return type("AnswerStream", (_AnswerStream, module.SyncByteStream, module.AsyncByteStream), {})
