"""Hooks that only notice: LLM calls over WebSockets and gRPC, which are not read.

What is hooked is what every use comes down to, however the SDKs import it: the opening handshake of
`websockets`, which its asyncio, threading and trio clients share, aiohttp's `ws_connect`, and the
methods of gRPC's stubs, so that channels made before the scope count too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any

from senytl.capture.hooks.patching import Seat
from senytl.capture.recognition import provider_of
from senytl.capture.unseen import Unseen, note_unseen

__all__ = ["aiohttp_seats", "grpc_aio_seats", "grpc_seats", "websockets_seats"]

# OpenAI's Realtime and Responses, and those who speak like them; Gemini's Live.
_OPENAI_PATH = re.compile(r"/(?:realtime|responses)/?$")
_GEMINI_PATH = re.compile(r"BidiGenerateContent\w*$")
_GRPC_METHODS = {
    "google": re.compile(
        r"/google\.(?:ai\.generativelanguage|cloud\.aiplatform)\."
        r".*/(?:\w*GenerateContent|GenerateAnswer|\w*EmbedContents?|\w*Predict)$"
    ),
    "x-ai": re.compile(r"/xai_api\.\w+/"),
}
_GRPC_CALLS = {
    "_UnaryUnaryMultiCallable": ("__call__", "with_call", "future"),
    "_UnaryStreamMultiCallable": ("__call__",),
    "_SingleThreadedUnaryStreamMultiCallable": ("__call__",),
    "_StreamStreamMultiCallable": ("__call__",),
}
_GRPC_AIO_CALLS = {
    "UnaryUnaryMultiCallable": ("__call__",),
    "UnaryStreamMultiCallable": ("__call__",),
    "StreamStreamMultiCallable": ("__call__",),
}


def websockets_seats(module: ModuleType) -> Iterator[Seat]:
    """The method of `websockets.client` to wrap."""
    protocol = getattr(module, "ClientProtocol", None)
    if protocol is not None:
        yield Seat(protocol, "connect", _handshake)


def aiohttp_seats(module: ModuleType) -> Iterator[Seat]:
    """The method of aiohttp to wrap."""
    yield Seat(module.ClientSession, "ws_connect", _ws_connect)


def grpc_seats(module: ModuleType) -> Iterator[Seat]:
    """The methods of `grpc._channel` to wrap: the public classes are abstract."""
    return _stub_seats(module, _GRPC_CALLS)


def grpc_aio_seats(module: ModuleType) -> Iterator[Seat]:
    """The methods of `grpc.aio._channel` to wrap."""
    return _stub_seats(module, _GRPC_AIO_CALLS)


def _stub_seats(module: ModuleType, names: Mapping[str, tuple[str, ...]]) -> Iterator[Seat]:
    for name, methods in names.items():
        kind = getattr(module, name, None)
        if kind is not None:
            for method in methods:
                yield Seat(kind, method, _stub_method)


def _handshake(original: Callable[..., Any]) -> Callable[..., Any]:
    def connect(self: Any) -> Any:
        with suppress(AttributeError):  # what is noticed must not disturb
            _note_websocket(self.uri.host, self.uri.path)
        return original(self)

    return connect


def _ws_connect(original: Callable[..., Any]) -> Callable[..., Any]:
    def ws_connect(self: Any, url: Any, **kwargs: Any) -> Any:
        with suppress(AssertionError, AttributeError, TypeError, ValueError):
            full = self._build_url(url)
            _note_websocket(full.host or "", full.raw_path)
        return original(self, url, **kwargs)

    return ws_connect


def _stub_method(original: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        method = getattr(self, "_method", b"")
        name = method.decode("utf-8", "replace") if isinstance(method, bytes) else str(method)
        for vendor, pattern in _GRPC_METHODS.items():
            if pattern.match(name):
                note_unseen(Unseen("gRPC", vendor))
        return original(self, *args, **kwargs)

    return call


def _note_websocket(host: str, path: str) -> None:
    vendor = "openai" if _OPENAI_PATH.search(path) else ""
    vendor = "google" if _GEMINI_PATH.search(path) else vendor
    # These two serve nothing but models, whatever the path.
    served_by = provider_of(host, path, vendor)
    if vendor or served_by in ("openai", "anthropic"):
        note_unseen(Unseen("WebSocket", served_by))
