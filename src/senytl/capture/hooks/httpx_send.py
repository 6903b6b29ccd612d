"""The hook on ``send`` of httpx's and httpx2's clients; the two libraries have the same shape.

``send`` is public, every request goes through it once, and patching the class reaches clients and
bound methods that were made before the hook came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from senytl.capture.answers import answering_async_client, answering_client, refusal
from senytl.capture.begin import Sending, Target, ask_for, begin
from senytl.capture.exchange import Exchange
from senytl.capture.hooks.patching import Seat
from senytl.capture.recognition import is_candidate
from senytl.capture.retries import retry_headers
from senytl.capture.scope import is_open
from senytl.capture.streams import async_recording, decoder, sync_recording

__all__ = ["seats"]

_STAINLESS = "x-stainless-lang"  # a header of every request of the SDKs that Stainless makes


def seats(module: ModuleType) -> Iterator[Seat]:
    """The methods of httpx or httpx2 to wrap."""
    yield Seat(module.Client, "send", lambda send: _sync_send(module, send))
    yield Seat(module.AsyncClient, "send", lambda send: _async_send(module, send))


def _sync_send(module: ModuleType, original: Callable[..., Any]) -> Callable[..., Any]:
    def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        exchange = _begin(module, request)
        if exchange is None:
            return original(self, request, *args, **kwargs)
        try:
            answer = ask_for(exchange)
        except Exception as error:
            return _refuse(module, request, error)
        stream = bool(kwargs.get("stream"))
        try:
            with Sending(exchange):
                if answer is None or self.is_closed:
                    response = original(self, request, *args, **kwargs)
                else:
                    substitute = answering_client(module, self, exchange, answer)
                    response = original(substitute, request, stream=stream)
        except BaseException as error:
            exchange.fail(error)
            raise
        _watch(module, response, exchange, sync_recording if stream else None)
        return response

    return send


def _async_send(module: ModuleType, original: Callable[..., Any]) -> Callable[..., Any]:
    async def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _begin(module, request)
        if exchange is None:
            return await original(self, request, *args, **kwargs)
        try:
            answer = ask_for(exchange)
        except Exception as error:
            return _refuse(module, request, error)
        stream = bool(kwargs.get("stream"))
        try:
            with Sending(exchange):
                if answer is None or self.is_closed:
                    response = await original(self, request, *args, **kwargs)
                else:
                    substitute = answering_async_client(module, self, exchange, answer)
                    response = await original(substitute, request, stream=stream)
        except BaseException as error:
            exchange.fail(error)
            raise
        _watch(module, response, exchange, async_recording if stream else None)
        return response

    return send


def _begin(module: ModuleType, request: Any) -> Exchange | None:
    if request.method != "POST" or not is_open():
        return None
    path: str
    path, _, query = request.url.raw_path.decode("ascii").partition("?")
    if not is_candidate("POST", path):
        return None
    try:
        body = request.content
    except module.RequestNotRead:  # an upload in pieces
        return None
    return begin(Target(request.url.host, path, query, body, request.headers))


def _refuse(module: ModuleType, request: Any, error: Exception) -> Any:
    """Let an answerer's error reach the caller; the library's own are the SDK's to handle."""
    if _STAINLESS in request.headers and not isinstance(error, module.HTTPError):
        return refusal(module, request, error)
    raise error


def _watch(
    module: ModuleType,
    response: Any,
    exchange: Exchange,
    recording: Callable[[ModuleType], type[Any]] | None,
) -> None:
    """End the exchange with a body that was read, or leave that to the stream that will be."""
    content_type = response.headers.get("content-type", "") if exchange.is_observed else ""
    if exchange.is_observed and response.status_code >= 400:
        exchange.retry_headers = retry_headers(response.headers)
    if recording is None or response.is_stream_consumed:
        try:
            body = response.content
        except module.ResponseNotRead:  # an event hook consumed the stream
            body = b""
        exchange.succeed(response.status_code, body, content_type)
        return
    encoding = response.headers.get("content-encoding", "")
    if encoding:
        exchange.stream(response.status_code, content_type, decoder(module, encoding))
    else:
        exchange.stream(response.status_code, content_type)
    response.stream = recording(module)(response.stream, exchange)
