"""What every decorator of measured functions does to them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from senytl.performance.runlog import RunLog

__all__ = ["attach", "check_function", "name_of"]


def check_function(function: object, decorator: str) -> None:
    """Refuse what cannot be measured by calling it.

    Args:
        function: What is decorated.
        decorator: The decorator's name, as it is written: ``"@benchmark"``.

    Raises:
        TypeError: If it is no function, or a generator.
    """
    if not callable(function) or isinstance(function, type):
        raise TypeError(
            f"{decorator} measures a function, not {function!r}; its settings are given by name"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{decorator} measures a function, not the generator {function!r}")


def name_of(function: Callable[..., Any]) -> str:
    """The name that a run of this function has in reports."""
    return getattr(function, "__qualname__", repr(function))


def attach(wrapper: Callable[..., Any], plan: object) -> RunLog:
    """Give a decorated function its ``_performance_metrics`` and its ``_senytl_plan``."""
    log = RunLog(wrapper)
    vars(wrapper).update(_performance_metrics=log, _senytl_plan=plan)
    return log
