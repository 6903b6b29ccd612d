"""`@benchmark`: measure each call of a function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload

from senytl.capture import flush, open_scope
from senytl.performance.decorated import attach, check_function, check_result, name_of
from senytl.performance.recording import Recorder, clock
from senytl.performance.run import Run
from senytl.performance.runlog import RunLog

__all__ = ["BenchmarkPlan", "benchmark"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class BenchmarkPlan:
    """What a benchmark does.

    Args:
        iterations: Bodies to measure, at least 1.
        warmup: Bodies to run first and leave out of the figures.

    Raises:
        ValueError: If a number makes no sense.
    """

    iterations: int = 1
    warmup: int = 0

    def __post_init__(self) -> None:
        for name, least in (("iterations", 1), ("warmup", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} is {value!r}; it must be an integer of at least {least}")


@overload
def benchmark(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def benchmark(
    *, iterations: int = 1, warmup: int = 0
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def benchmark(
    function: Callable[..., Any] | None = None, /, *, iterations: int = 1, warmup: int = 0
) -> Any:
    """Measure each call of a function: latency, tokens, cost, memory.

    Works with and without parentheses, on functions and methods, sync and async. The decorated
    function returns what the last body returns; the figures of each call are appended to its
    ``_performance_metrics``.

    Args:
        function: The function; the decorator's only positional argument.
        iterations: How many times a call runs the function.
        warmup: How many times it runs the function before that, without measuring.

    Raises:
        ValueError: If a number makes no sense.
        TypeError: If what is decorated is no function.
        SLAViolationError: From a call, if an SLA stated around it does not hold.
    """
    plan = BenchmarkPlan(iterations, warmup)
    if function is None:
        return lambda function: _decorate(function, plan)
    return _decorate(function, plan)


def _decorate(function: Callable[..., Any], plan: BenchmarkPlan) -> Callable[..., Any]:
    check_function(function, "@benchmark")
    name = name_of(function)
    wrapper: Callable[..., Any]

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            result = None
            with _Measurement(name, plan, log) as measurement:
                for body in measurement.bodies():
                    with body:
                        result = await function(*args, **kwargs)
            return result

        wrapper = run_async
    else:

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            result = None
            with _Measurement(name, plan, log) as measurement:
                for body in measurement.bodies():
                    with body:
                        result = function(*args, **kwargs)
                        check_result(result, "benchmarked")
            return result

        wrapper = run
    log = attach(wrapper, plan)
    return wrapper


class _Measurement:
    """One call of a benchmarked function: opens a run, hands out its bodies, concludes it."""

    def __init__(self, name: str, plan: BenchmarkPlan, log: RunLog) -> None:
        self._plan = plan
        self._log = log
        self._run = Run(name, "benchmark")
        self._recorder = self._run.new_recorder()
        self._iteration = 0

    def __enter__(self) -> _Measurement:
        self._run.start()
        return self

    def bodies(self) -> Iterator[_Body]:
        """The bodies to run, one after the other; the warm-up first."""
        warmup = Recorder(self._run, counts=False, user=self._recorder.user)
        for _ in range(self._plan.warmup):
            yield _Body(warmup)
        for iteration in range(1, self._plan.iterations + 1):
            self._iteration = iteration
            yield _Body(self._recorder)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        self._run.stop()
        metrics = self._run.finish(self._recorder.body_seconds, error)
        metrics.iterations = self._plan.iterations
        if metrics.failure is not None:
            metrics.ended_in_iteration = self._iteration
        self._log.append(metrics)
        self._run.conclude(metrics, error)


class _Body:
    """One body: enters its recorder and times what happens inside.

    Bodies come one after the other, so a call from a thread that the agent started itself, which
    has no context to tell whose it is, belongs to the body that runs.
    """

    __slots__ = ("_entered", "_recorder", "_scope")

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def __enter__(self) -> None:
        self._scope = open_scope(unattributed=self._recorder)
        self._entered = self._recorder.entered()
        self._entered.__enter__()
        self._recorder.begin_body()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        end = clock()
        self._entered.__exit__(None, None, None)
        self._scope.close()
        flush(self._recorder)
        self._recorder.end_body(end, error)
