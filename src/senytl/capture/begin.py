"""The start of a call: what every hook asks before it sends a request."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any

from senytl.capture.exchange import Exchange
from senytl.capture.recognition import recognise
from senytl.capture.scope import may_answer, sink_of_new_call

__all__ = ["Sending", "begin"]

_outer: ContextVar[Exchange | None] = ContextVar("senytl_outer_exchange", default=None)


def begin(
    host: str, path: str, query: str, body: bytes | str | Mapping[str, Any]
) -> Exchange | None:
    """Begin a call, if the request is one that is to be seen or answered.

    A request that is made while another call is being sent belongs to that call: clients send
    through inner clients, and httpx runs over aiohttp in some SDKs. Only the outermost counts.

    Args:
        host: The host's name or address.
        path: The URL's path as it was sent, without its query.
        query: The query, without its question mark.
        body: The request's body.
    """
    outer = _outer.get()
    if outer is not None and outer.is_sending:
        return None
    recognised = recognise(host, path, query, body)
    if recognised is None:
        return None
    sink = sink_of_new_call()
    if sink is None and not may_answer():
        return None
    return Exchange(recognised, sink)


class Sending:
    """The time during which a call's request is being sent, as a context manager.

    Tasks that start meanwhile inherit the context for good; what they send later is no part of this
    call, so the exchange itself says whether it is still being sent.
    """

    __slots__ = ("_exchange", "_token")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __enter__(self) -> None:
        self._exchange.is_sending = True
        self._token: Token[Exchange | None] = _outer.set(self._exchange)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exchange.is_sending = False
        with suppress(ValueError):  # a coroutine that is thrown away ends in another context
            _outer.reset(self._token)
