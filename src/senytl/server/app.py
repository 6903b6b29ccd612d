"""The server's HTTP: which request is a call, and what else can be asked of it."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from senytl import __version__
from senytl.capture.exchange import Exchange, Target
from senytl.capture.providers import SUFFIXES
from senytl.capture.recognition import Recognised, is_candidate, recognise
from senytl.capture.retries import RETRY_HEADER
from senytl.server.attempts import Attempts
from senytl.server.counting import Address, Counting, Served
from senytl.server.playing import play

if TYPE_CHECKING:
    from aiohttp import web

    from senytl.capture.playback import Playback
    from senytl.server.answering import Answering

__all__ = ["App"]

# Whatever name a container or a proxy gives the server, it is nobody's: the wire format alone
# says whose model answers, and so what it costs.
_HOST = "127.0.0.1"
_THREADS = 16
"""How many answers may be made at once; playing them takes no thread."""


class App:
    """The requests of one server, all of them on its event loop.

    Its life: `make` gives aiohttp's application, once; `hang_up` cuts what is still being
    answered; `close` when nothing is any more.

    Args:
        answering: What calls are answered with.
        counting: Who gets their records.
    """

    def __init__(self, answering: Answering, counting: Counting) -> None:
        self._answering = answering
        self._counting = counting
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="senytl-answers")
        self._connected: WeakKeyDictionary[asyncio.BaseTransport, float] = WeakKeyDictionary()
        self._under_way: set[asyncio.Transport] = set()
        self._attempts = Attempts()
        self._served = 0

    def make(self) -> web.Application:
        """Make the application that aiohttp serves."""
        from aiohttp import web

        app = web.Application(client_max_size=0)  # prompts may hold images
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    def hang_up(self) -> None:
        """Cut the connections of clients that still wait for the rest of an answer."""
        for transport in list(self._under_way):
            transport.abort()

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return await self._post(request)
        if request.method in ("GET", "HEAD"):
            return self._get(request)
        return _not_found(request)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        arrived = time.perf_counter()
        body = await request.read()
        path, query = request.rel_url.raw_path, request.rel_url.raw_query_string
        recognised = recognise(_HOST, path, query, body)
        if recognised is None:
            return _unreadable(request) if is_candidate("POST", path) else _not_found(request)
        transport = request.transport
        if transport is None:  # the client has gone already
            raise ConnectionResetError
        self._under_way.add(transport)
        context = self._attempts.context_of(body, request.headers.get(RETRY_HEADER))
        answer = self._answer(request, recognised, arrived, body)
        try:
            return await asyncio.get_running_loop().create_task(answer, context=context)
        finally:
            self._under_way.discard(transport)

    async def _answer(
        self, request: web.Request, recognised: Recognised, arrived: float, body: bytes
    ) -> web.StreamResponse:
        self._served += 1
        retries = request.headers.get(RETRY_HEADER)
        headers = None if retries is None else {RETRY_HEADER: retries}  # no key is kept
        target = Target(_HOST, request.path, request.query_string, body, headers)
        sink = self._sink_of(request, arrived)
        exchange = Exchange(recognised, target, sink, sink.observers)
        exchange.start = arrived
        exchange.mocked = True
        try:
            playback = await self._ask(recognised)
            exchange.answered(playback)
            return await play(playback, request, exchange)
        finally:
            exchange.abandon()  # nothing, where it has ended otherwise
            self._attempts.note_end(exchange, body, copy_context())

    async def _ask(self, recognised: Recognised) -> Playback:
        """Ask for the answer on a thread, since functions that the user wrote may take their time.

        In this context's copy: a context cannot be in two threads at once.
        """
        context = copy_context()
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, context.run, self._answering.answer, recognised
        )

    def _sink_of(self, request: web.Request, arrived: float) -> Served:
        transport = request.transport
        if transport is None:
            return self._counting.sink_of(None, arrived)
        seen = self._connected.setdefault(transport, arrived)
        peer = transport.get_extra_info("peername")
        address: Address | None = (peer[0], peer[1]) if isinstance(peer, tuple) else None
        return self._counting.sink_of(address, seen)

    def _get(self, request: web.Request) -> web.Response:
        from aiohttp import web

        path = request.path.rstrip("/")
        if path in ("", "/health"):
            document = {"status": "ok", "senytl": __version__, "calls": self._served}
            return web.json_response(document)
        if path.endswith("/models"):
            models = [
                {"id": name, "object": "model", "created": 0, "owned_by": "senytl"}
                for name in self._answering.models
            ]
            return web.json_response({"object": "list", "data": models})
        return _not_found(request)


def _not_found(request: web.Request) -> web.Response:
    endpoints = ", ".join(f"POST ...{suffix}" for suffix in dict.fromkeys(SUFFIXES))
    return _error(
        404,
        f"{request.method} {request.path} is nothing that this server of senytl serves. It serves "
        f"calls of models ({endpoints}), GET /v1/models and GET /health.",
    )


def _unreadable(request: web.Request) -> web.Response:
    return _error(
        400,
        f"the body of POST {request.path} is no call of a model: it must be a JSON object with "
        "what the API at this path requires, the model and the messages among it.",
    )


def _error(status: int, message: str) -> web.Response:
    from aiohttp import web

    error = {"type": "invalid_request_error", "code": status, "message": message}
    return web.json_response({"error": error}, status=status)
