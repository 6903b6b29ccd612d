"""`@load_test`: run a function as many users at once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, Protocol, overload

from senytl.performance.decorated import attach, check_function, name_of
from senytl.performance.load.plan import DEFAULT_GRACE, LoadPlan
from senytl.performance.load.tasks import run_tasks
from senytl.performance.load.threads import run_threads
from senytl.performance.load.users import Load
from senytl.performance.metrics import PerformanceMetrics

__all__ = ["load_test"]

P = ParamSpec("P")


class _LoadTest(Protocol):
    """What `load_test` gives: a decorator of sync and async functions."""

    @overload  # a function that gives a coroutine is an async one, whatever else it may be
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[P, Coroutine[Any, Any, Any]], /
    ) -> Callable[P, Coroutine[Any, Any, PerformanceMetrics]]: ...
    @overload
    def __call__(self, function: Callable[P, object], /) -> Callable[P, PerformanceMetrics]: ...


def load_test(
    misplaced: object = None,
    /,
    *,
    concurrent_users: int | None = None,
    duration: float | None = None,
    iterations: int | None = None,
    ramp_up: float = 0.0,
    grace: float = DEFAULT_GRACE,
) -> _LoadTest:
    """Run a function as many users at once, and measure every request.

    Each user calls the function again as soon as its last call has ended (a closed model).
    The users of a sync function are threads, those of an async one tasks on the loop that awaits
    it (asyncio or trio). All get the arguments of the call, and the context variables that are
    set where it is made. The decorated function runs the load and returns its
    `PerformanceMetrics`, which are also appended to its ``_performance_metrics``.

    An exception that leaves the function is a failed request, and its user goes on. What says
    nothing about the agent (`PerformanceError`, a skip, KeyboardInterrupt) stops all users: the
    figures so far are kept, and it is raised from the call. ``assert_*`` inside the function
    states a limit, which is checked on all requests together when the load has ended.

    Throughput counts the requests that ended, by the time from the release of the users to the
    end of the last request, ramp-up included, and at least the whole `duration`.

    Args:
        misplaced: Nothing; settings are given by name.
        concurrent_users: How many users there are, at least 1.
        duration: How long they start requests, in seconds. Not together with `iterations`.
        iterations: How many times each user calls the function; once where neither is given.
        ramp_up: Seconds over which the users start, evenly spaced; shorter than `duration`.
        grace: Seconds that requests in flight at the end of `duration` may take to end. After
            that async ones are cancelled and threads left behind; both count as interrupted.

    Raises:
        TypeError: If the number of users is not given, or what is decorated is no function.
        ValueError: If a value makes no sense, or contradicts another.
        SLAViolationError: From a call, if limits do not hold.
    """
    if misplaced is not None or concurrent_users is None:
        raise TypeError(
            "@load_test takes its settings by name, and needs the number of users: "
            "@performance.load_test(concurrent_users=10, duration=60)"
        )
    plan = LoadPlan(
        concurrent_users=concurrent_users,
        duration=duration,
        iterations=iterations,
        ramp_up=ramp_up,
        grace=grace,
    )
    return functools.partial(_decorate, plan)


def _decorate(plan: LoadPlan, function: Callable[..., Any], /) -> Callable[..., Any]:
    check_function(function, "@load_test")
    name = name_of(function)
    wrapper: Callable[..., Any]

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> PerformanceMetrics:
            __tracebackhide__ = True
            with Load(name, plan, log) as load:
                await run_tasks(load, _body(function, args, kwargs))
            return load.metrics

        wrapper = run_async
    else:

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> PerformanceMetrics:
            __tracebackhide__ = True
            with Load(name, plan, log) as load:
                run_threads(load, _body(function, args, kwargs))
            return load.metrics

        wrapper = run
    log = attach(wrapper, plan)
    return wrapper


def _body(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[[], Any]:
    """The function without arguments; itself where it has none, which is cheapest to call."""
    return functools.partial(function, *args, **kwargs) if args or kwargs else function
