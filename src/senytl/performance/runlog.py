"""The figures of each call of a decorated function: its ``_performance_metrics``."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, SupportsIndex, overload

from senytl.models import PerformanceError
from senytl.performance.metrics import PerformanceMetrics

__all__ = ["RunLog"]


class RunLog(list[PerformanceMetrics]):
    """A list that runs the function once when it is asked for figures and has none yet.

    So ``metrics = test_agent._performance_metrics[-1]`` works right below the function, as the
    documentation has it, and also after any number of calls.

    Args:
        function: The decorated function; each call of it appends the figures of its run.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self._function = function

    @overload
    def __getitem__(self, index: SupportsIndex) -> PerformanceMetrics: ...
    @overload
    def __getitem__(self, index: slice) -> list[PerformanceMetrics]: ...
    def __getitem__(
        self, index: SupportsIndex | slice
    ) -> PerformanceMetrics | list[PerformanceMetrics]:
        if not self and not isinstance(index, slice):
            self._run_function()
        return super().__getitem__(index)

    def _run_function(self) -> None:
        name = self._function.__qualname__
        needed = [
            parameter.name
            for parameter in inspect.signature(self._function).parameters.values()
            if parameter.default is parameter.empty
            and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        ]
        if needed:
            raise PerformanceError(
                f"{name} has not run yet, and takes arguments ({', '.join(needed)}): "
                "call it before you ask for its figures"
            )
        if not inspect.iscoroutinefunction(self._function):
            self._function()
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run(self._function())
        else:
            raise PerformanceError(
                f"{name} has not run yet: await it before you ask for its figures"
            )
