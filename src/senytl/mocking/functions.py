"""Functions that a test gives to a mock: they are asked about the call while it waits."""

from __future__ import annotations

import inspect

__all__ = ["read_function"]


def read_function(name: str, function: object) -> None:
    """Check that something is a plain function, which can be asked at once.

    Args:
        name: What it is given as.
        function: The function.

    Raises:
        ValueError: If it is none, or a coroutine function.
    """
    if not callable(function):
        raise ValueError(f"{name} is {function!r}; it must be a function of the call")
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 (asked for itself, not whether it is there)
    ):
        raise ValueError(f"{name} is an async function; give a plain one, which answers at once")
