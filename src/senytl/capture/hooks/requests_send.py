"""The hook on ``send`` of requests' sessions, and so on whatever sits on requests."""

from __future__ import annotations

import functools
import http.client
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from senytl.capture.begin import Sending, ask_for
from senytl.capture.exchange import Exchange
from senytl.capture.hooks.patching import Seat
from senytl.capture.hooks.urllib3_answers import open_answer, read_timeout
from senytl.capture.hooks.urllib3_calls import begin_call, finish, watch
from senytl.capture.playback import Playback

__all__ = ["seats"]


def seats(module: ModuleType) -> Iterator[Seat]:
    """The method of requests to wrap."""
    yield Seat(module.Session, "send", lambda send: _wrap(module, send))


def _wrap(module: ModuleType, original: Callable[..., Any]) -> Callable[..., Any]:
    def send(self: Any, request: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        exchange = begin_call(request.method, request.url, request.body, request.headers or {})
        if exchange is None:
            return original(self, request, **kwargs)
        playback = ask_for(exchange)
        try:
            with Sending(exchange):
                if playback is None:
                    response = original(self, request, **kwargs)
                else:
                    substitute = _answering_session(module, self, exchange, playback)
                    response = original(substitute, request, **kwargs)
        except BaseException as error:
            exchange.fail(error)
            raise
        if kwargs.get("stream", self.stream) and not response._content_consumed:
            watch(response, exchange)
            return response
        try:
            body = response.content or b""
        except RuntimeError:  # a response hook consumed the stream
            body = b""
        finish(response, body, exchange)
        return response

    return send


def _answering_session(
    module: ModuleType, session: Any, exchange: Exchange, playback: Playback
) -> Any:
    """A session that answers one call in the place of `session`.

    The user's response hooks are on the request.
    """
    adapter = _adapter_type(module)(exchange, playback)
    substitute = module.Session()
    substitute.trust_env = False
    substitute.stream = session.stream
    # Not mounted: libraries that mock requests replace the method that looks adapters up.
    substitute.get_adapter = lambda url: adapter
    return substitute


@functools.cache
def _adapter_type(module: ModuleType) -> type[Any]:
    base = module.adapters.HTTPAdapter

    def init(self: Any, exchange: Exchange, playback: Playback) -> None:
        base.__init__(self)
        self._senytl_call = exchange, playback

    def send(self: Any, request: Any, **options: Any) -> Any:
        exchange, playback = self._senytl_call
        playback = playback.for_patience(read_timeout(options.get("timeout")))
        try:
            raw = open_answer(playback, exchange.start)
        except TimeoutError as error:
            raise module.exceptions.ReadTimeout(error, request=request) from error
        except http.client.RemoteDisconnected as error:
            raise module.exceptions.ConnectionError(error, request=request) from error
        return self.build_response(request, raw)

    return type("AnsweringAdapter", (base,), {"__init__": init, "send": send})
