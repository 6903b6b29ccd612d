"""What every decorator of measured functions does to them."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from senytl.models import PerformanceError
from senytl.performance.runlog import RunLog

__all__ = ["attach", "check_function", "check_result", "name_of"]


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


def check_result(result: object, kind: str) -> None:
    """Refuse a body that has not run when its call is over.

    Args:
        result: What the body gave.
        kind: What measured it, for the message: ``"benchmarked"``.

    Raises:
        PerformanceError: If somebody would have to await it.
    """
    if not isinstance(result, Awaitable):
        return
    if inspect.iscoroutine(result):
        result.close()
    raise PerformanceError(
        f"the {kind} function returned {type(result).__name__} that nothing awaits, so "
        "nothing was measured: declare it with async def"
    )


def name_of(function: Callable[..., Any]) -> str:
    """The name that a run of this function has in reports."""
    return getattr(function, "__qualname__", repr(function))


def attach(wrapper: Callable[..., Any], plan: object) -> RunLog:
    """Give a decorated function its ``_performance_metrics`` and its ``_senytl_plan``."""
    log = RunLog(wrapper)
    vars(wrapper).update(_performance_metrics=log, _senytl_plan=plan)
    return log
