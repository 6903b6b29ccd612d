"""`@benchmark`: measure each call of a function."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, overload

from senytl.capture import flush, open_scope
from senytl.performance.decorated import attach, check_function, check_result, name_of
from senytl.performance.failures import is_failure
from senytl.performance.leaks.limits import FEWEST_REQUESTS, ROUNDS, check_leak_check
from senytl.performance.leaks.quiet import SetAside, sleep_here, take_turns
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
        leak_check: Whether memory is checked for leaks; None where a limit on it decides.

    Raises:
        ValueError: If a value makes no sense.
    """

    iterations: int = 1
    warmup: int = 0
    leak_check: bool | None = None

    def __post_init__(self) -> None:
        for name, least in (("iterations", 1), ("warmup", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} is {value!r}; it must be an integer of at least {least}")
        check_leak_check(self.leak_check)


@overload
def benchmark(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def benchmark(
    *, iterations: int = 1, warmup: int = 0, leak_check: bool | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def benchmark(
    function: Callable[..., Any] | None = None,
    /,
    *,
    iterations: int = 1,
    warmup: int = 0,
    leak_check: bool | None = None,
) -> Any:
    """Measure each call of a function: latency, tokens, cost, memory.

    Works with and without parentheses, on functions and methods, sync and async. The decorated
    function returns what the last body returns; the figures of each call are appended to its
    ``_performance_metrics``.

    Args:
        function: The function; the decorator's only positional argument.
        iterations: How many times a call runs the function.
        warmup: How many times it runs the function before that, without measuring.
        leak_check: Whether memory is read after each thirtieth of the iterations, and a leak
            proven by further ones; that takes 1,000 iterations. Unless given, a limit on
            ``memory_growth`` asks for it, such as `assert_no_memory_leaks` in the function.

    Raises:
        ValueError: If a value makes no sense.
        TypeError: If what is decorated is no function.
        SLAViolationError: From a call, if an SLA stated around it does not hold.
    """
    plan = BenchmarkPlan(iterations, warmup, leak_check)
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
                    if body is None:
                        await take_turns(sleep_here())
                        continue
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
                for body in filter(None, measurement.bodies()):
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
        self._heap: SetAside | None = None

    def __enter__(self) -> _Measurement:
        self._run.start()
        return self

    def bodies(self) -> Iterator[_Body | None]:
        """The bodies to run, one after the other; the warm-up first, and last those for a leak.

        In between None asks for a pause in which what is ready may run, before memory is read.
        """
        warmup = Recorder(self._run, counts=False, user=self._recorder.user)
        for _ in range(self._plan.warmup):
            yield _Body(warmup)
        enough = self._plan.iterations >= FEWEST_REQUESTS
        every = math.ceil(self._plan.iterations / ROUNDS) if enough else self._plan.iterations
        for iteration in range(1, self._plan.iterations + 1):
            self._iteration = iteration
            yield _Body(self._recorder)
            if iteration % every == 0 and self._checks_leaks:
                yield None
                self._run.leaks.read(self._recorder.ended)
        if self._checks_leaks:
            yield from self._prove()

    @property
    def _checks_leaks(self) -> bool:
        asked = self._plan.leak_check
        wanted = self._run.wants_leak_check if asked is None else asked
        if wanted and self._heap is None and self._plan.iterations >= FEWEST_REQUESTS:
            self._heap = SetAside()  # a collection between rounds looks at what is new alone
        return wanted

    def _prove(self) -> Iterator[_Body | None]:
        """Further bodies, in no figure, where the memory of those before leaves doubt."""
        from senytl.performance.leaks.proof import prove

        self._run.stop_sampling()
        own = Recorder(self._run, counts=False, user=self._recorder.user)
        requests = self._recorder.ended
        for wish in prove(self._run.leaks, requests, self._recorder.body_seconds):
            end = clock() + wish.seconds
            before, failed = own.ended, 0
            each = math.ceil(wish.requests / wish.rounds * self._plan.iterations / requests)
            yield None
            goes_on = wish.between(0)
            for _ in range(wish.rounds):
                for _ in range(each if goes_on else 0):
                    yield _Body(own, forgives=True)
                if not goes_on or clock() > end:
                    break
                yield None
                failed += len(own.failed_latencies)
                own.discard()
                goes_on = wish.between(own.ended - before)
            if not wish.traces and len(self._recorder.failed_latencies) <= requests / 2:
                self._run.leaks.note_failures(failed, own.ended - before)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        if self._heap is not None:
            self._heap.close()
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

    Args:
        recorder: What records it.
        forgives: Whether a failure of the agent is no error: the body is in no figure.
    """

    __slots__ = ("_entered", "_forgives", "_recorder", "_scope")

    def __init__(self, recorder: Recorder, *, forgives: bool = False) -> None:
        self._recorder = recorder
        self._forgives = forgives

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
    ) -> bool:
        end = clock()
        self._entered.__exit__(None, None, None)
        self._scope.close()
        flush(self._recorder)
        self._recorder.end_body(end, error)
        return self._forgives and error is not None and is_failure(error)
