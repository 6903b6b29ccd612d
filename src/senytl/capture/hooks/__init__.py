"""Hooks on the HTTP libraries, there while at least one scope is open.

A library that is not imported yet is hooked when it is; nothing is imported for a hook's sake.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from types import ModuleType

from senytl.capture.hooks import aiohttp_request, httpx_send
from senytl.capture.hooks.patching import Seat, put_on_top, take_off

__all__ = ["install", "uninstall"]

_SEATS: dict[str, Callable[[ModuleType], Iterable[Seat]]] = {
    "httpx": httpx_send.seats,
    "httpx2": httpx_send.seats,
    "aiohttp": aiohttp_request.seats,
}

_lock = threading.Lock()
_installed = False
_awaited: set[str] = set()  # libraries whose import is watched; that cannot be undone


def install() -> None:
    """Hook the libraries that are imported, and watch for the import of the others."""
    global _installed
    with _lock:
        _installed = True
        for name in _SEATS:
            if name in sys.modules:
                _hook(name, sys.modules[name])
        missing = [name for name in _SEATS if name not in sys.modules and name not in _awaited]
        _awaited.update(missing)
    for name in missing:
        _watch_import(name)


def uninstall() -> None:
    """Restore what was there, where our hook is on top; elsewhere it stays and passes calls on."""
    global _installed
    with _lock:
        _installed = False
        for name, seats in _SEATS.items():
            module = sys.modules.get(name)
            if module is not None:
                for seat in seats(module):
                    take_off(seat)


def _watch_import(name: str) -> None:
    import wrapt

    @wrapt.when_imported(name)
    def imported(module: ModuleType) -> None:
        with _lock:
            if _installed:
                _hook(name, module)


def _hook(name: str, module: ModuleType) -> None:
    for seat in _SEATS[name](module):
        put_on_top(seat)
