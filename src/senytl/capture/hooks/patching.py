"""Putting a wrapper on a method or a function, and taking it off without harming other people's."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

__all__ = ["Seat", "put_on_top", "take_off"]

# Our wrappers by identity, each with what it covers. Neither an attribute of the wrapper, which
# another library's `functools.wraps` would copy onto its own, nor a dict by equality, since the
# proxies of wrapt are equal to what they wrap.
_covered: dict[int, tuple[Callable[..., Any], Callable[..., Any]]] = {}


@dataclass(frozen=True, slots=True)
class Seat:
    """A method to wrap, or a function.

    Args:
        owner: The class that defines it, or the module.
        name: Its name.
        wrap: Makes the wrapper from what is there.
    """

    owner: type | ModuleType
    name: str
    wrap: Callable[[Callable[..., Any]], Callable[..., Any]]


def put_on_top(seat: Seat) -> None:
    """Wrap the method, unless one of our wrappers is on top already."""
    current = seat.owner.__dict__.get(seat.name)
    if current is None or _below(current) is not None:
        return
    wrapper = functools.wraps(current)(seat.wrap(current))
    _covered[id(wrapper)] = (wrapper, current)
    setattr(seat.owner, seat.name, wrapper)


def take_off(seat: Seat) -> None:
    """Restore what our wrapper covers if it is on top; else leave it, since others call it."""
    current = seat.owner.__dict__.get(seat.name)
    below = _below(current)
    if below is not None:
        setattr(seat.owner, seat.name, below)
        del _covered[id(current)]


def _below(current: object) -> Callable[..., Any] | None:
    """What our wrapper covers; None where `current` is not ours."""
    wrapper, below = _covered.get(id(current), (None, None))
    return below if wrapper is current else None
