"""The start of a call: what every hook asks before it sends a request."""

from __future__ import annotations

import sys
from contextvars import ContextVar, Token
from types import TracebackType

from senytl.capture.cassettes import is_cassette_active
from senytl.capture.exchange import Exchange, Target
from senytl.capture.playback import Playback
from senytl.capture.recognition import recognise
from senytl.capture.scope import ask, listeners_of_new_call, may_answer

__all__ = ["Sending", "Target", "ask_for", "begin"]

_outer: ContextVar[Exchange | None] = ContextVar("senytl_outer_exchange", default=None)


def begin(target: Target) -> Exchange | None:
    """Begin a call, if the request may be one that is to be seen or answered.

    A request that is made while another call is being sent belongs to that call: clients send
    through inner clients, and httpx runs over aiohttp in some SDKs. Only the outermost counts. But
    one with another body is a call that somebody makes to answer the outer one, which then went to
    an agent of this process.

    Whether the body is that of an LLM call is looked into at once only where somebody may answer
    it; else when the record is read, since parsing it costs as much as all the rest.

    Args:
        target: Where the request goes, and its body.
    """
    outer = _outer.get()
    if outer is not None and outer.is_sending and outer.is_llm_call:
        if outer.target.body == target.body or type(outer.target.body) is not type(target.body):
            return None
        if recognise(target.host, target.path, target.query, target.body) is None:
            return None
        outer.disown()
    sink, observers, answers = listeners_of_new_call()
    if sink is None and not observers and not answers:
        return None
    # A body that is no bytes may be changed by its owner meanwhile.
    if answers or observers or type(target.body) is not bytes:
        recognised = recognise(target.host, target.path, target.query, target.body)
        return None if recognised is None else Exchange(recognised, target, sink, observers)
    return Exchange(None, target, sink, observers)


def ask_for(exchange: Exchange) -> Playback | None:
    """The answer that is to be played in the provider's place; None to send the request.

    What an answerer raises ends the exchange and is raised here.
    """
    __tracebackhide__ = True
    if not may_answer() or not exchange.is_llm_call:
        return None
    try:
        answer = ask(exchange.call)
        playback = None if answer is None else answer.play(exchange.recognised)
    except BaseException as error:
        exchange.refused(error)
        raise
    if playback is not None:
        exchange.answered(playback)
    return playback


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
        if "vcr" in sys.modules and is_cassette_active() and not self._exchange.mocked:
            self._exchange.timing_valid = False
        try:  # noqa: SIM105  # suppress() would cost every call another microsecond
            _outer.reset(self._token)
        except ValueError:  # a coroutine that is thrown away ends in another context
            pass
