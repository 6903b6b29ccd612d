"""Hooks that keep our hook on aiohttp above those of vcrpy and aioresponses.

Both put their own function in the place in which our hook sits, and it calls on down to aiohttp
only if it has no answer, or past our hook. So when they have come or gone, our hook goes on top
again. With other HTTP libraries they sit below our hooks.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from senytl.capture.hooks import aiohttp_request
from senytl.capture.hooks.patching import Seat, put_on_top, take_off
from senytl.capture.scope import is_open

__all__ = ["aioresponses_seats", "vcr_seats"]


def vcr_seats(module: ModuleType) -> Iterator[Seat]:
    """The methods of `vcr.cassette` to wrap."""
    yield Seat(module.CassetteContextDecorator, "__enter__", _restack)
    yield Seat(module.CassetteContextDecorator, "__exit__", _restack)


def aioresponses_seats(module: ModuleType) -> Iterator[Seat]:
    """The methods of `aioresponses.core` to wrap."""
    yield Seat(module.aioresponses, "start", _restack)
    yield Seat(module.aioresponses, "stop", _restack)


def _restack(original: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        module = sys.modules.get("aiohttp")
        if module is None or not is_open():
            return original(self, *args, **kwargs)
        seats = list(aiohttp_request.seats(module))
        for seat in seats:
            take_off(seat)
        try:
            return original(self, *args, **kwargs)
        finally:
            for seat in seats:
                put_on_top(seat)

    return method
