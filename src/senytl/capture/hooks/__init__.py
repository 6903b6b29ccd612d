"""Hooks on HTTP libraries and threads, there while at least one scope is open.

A library that is not imported yet is hooked when it is; nothing is imported for a hook's sake.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from types import ModuleType

from senytl.capture.calls import warn
from senytl.capture.hooks import (
    aiohttp_request,
    aiohttp_restacking,
    botocore_send,
    httpx_send,
    requests_send,
    subprocess_start,
    thread_start,
    websockets_and_grpc,
)
from senytl.capture.hooks.patching import Seat, put_on_top, take_off
from senytl.capture.unseen import warn_anew

__all__ = ["install", "uninstall"]


def _aiohttp(module: ModuleType) -> Iterable[Seat]:
    yield from aiohttp_request.seats(module)
    yield from websockets_and_grpc.aiohttp_seats(module)


_SEATS: dict[str, Callable[[ModuleType], Iterable[Seat]]] = {
    "httpx": httpx_send.seats,
    "httpx2": httpx_send.seats,
    "aiohttp": _aiohttp,
    "botocore.httpsession": botocore_send.seats,
    "requests": requests_send.seats,
    "threading": thread_start.thread_seats,
    "concurrent.futures.thread": thread_start.pool_seats,
    "websockets.client": websockets_and_grpc.websockets_seats,
    "grpc._channel": websockets_and_grpc.grpc_seats,
    "grpc.aio._channel": websockets_and_grpc.grpc_aio_seats,
    "subprocess": subprocess_start.seats,
    "multiprocessing.process": subprocess_start.process_seats,
    "vcr.cassette": aiohttp_restacking.vcr_seats,
    "aioresponses.core": aiohttp_restacking.aioresponses_seats,
}

_lock = threading.Lock()
_installed = False
_taken: list[Seat] = []  # kept, since the modules may be others when the hooks are taken off
_awaited: set[str] = set()  # libraries whose import is watched; that cannot be undone


def install() -> None:
    """Hook the libraries that are imported, and watch for the import of the others."""
    global _installed
    warn_anew()
    with _lock:
        _installed = True
        for name in _SEATS:
            module = sys.modules.get(name)
            if module is not None:  # None keeps a library from being imported
                _hook(name, module)
        missing = [name for name in _SEATS if name not in sys.modules and name not in _awaited]
        _awaited.update(missing)
    for name in missing:
        _watch_import(name)


def uninstall() -> None:
    """Restore what was there, where our hook is on top; elsewhere it stays and passes calls on."""
    global _installed
    with _lock:
        _installed = False
        for seat in _taken:
            take_off(seat)
        _taken.clear()


def _watch_import(name: str) -> None:
    import wrapt

    @wrapt.when_imported(name)
    def imported(module: ModuleType) -> None:
        with _lock:
            _awaited.discard(name)  # once only; it may be imported anew in a later scope
            if _installed:
                _hook(name, module)


def _hook(name: str, module: ModuleType) -> None:
    try:
        for seat in _SEATS[name](module):
            put_on_top(seat)
            _taken.append(seat)
    except AttributeError as error:  # a stand-in, or a version that has changed
        warn(
            f"senytl cannot see LLM calls made through {name}, which is not as senytl knows it "
            f"({error}): they are missing from every figure. Use a version of it that senytl "
            "supports where you measure."
        )
