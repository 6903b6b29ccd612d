"""`@load_test`: run a function as many users at once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, ParamSpec, Protocol, overload

from senytl.performance.decorated import attach, check_function, name_of
from senytl.performance.load.abort import AbortRule
from senytl.performance.load.further import run_further, run_further_async
from senytl.performance.load.own_loops import run_in_own_loops
from senytl.performance.load.plan import DEFAULT_GRACE, Arrivals, Engine, LoadPlan
from senytl.performance.load.running import Load
from senytl.performance.load.tasks import run_tasks
from senytl.performance.load.threads import run_threads
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
    total_iterations: int | None = None,
    ramp_up: float = 0.0,
    ramp_down: float = 0.0,
    stages: Sequence[tuple[float, int]] | None = None,
    rate: float | Sequence[tuple[float, float]] | None = None,
    arrivals: Arrivals = "even",
    think_time: float | tuple[float, float] = 0.0,
    pacing: float | None = None,
    warmup: float = 0,
    grace: float = DEFAULT_GRACE,
    timeout: float | None = None,
    seed: int = 0,
    engine: Engine | None = None,
    abort_on: Mapping[str, float] | None = None,
    abort_after: float = 0.0,
    allow_inconclusive: bool = False,
    leak_check: bool | None = None,
) -> _LoadTest:
    """Run a function as many users at once, or so many times a second, and measure every request.

    In the closed model there are users, each of whom calls the function again as soon as the last
    call has ended. With `rate` the model is open: calls start at set times, whether or not earlier
    ones have ended, and latencies count from the start that was intended.

    The users of a sync function are threads, those of an async one tasks on the loop that awaits
    it (asyncio or trio). All get the arguments of the call, and the context variables that are
    set where it is made. The decorated function runs the load and returns its
    `PerformanceMetrics`, which are also appended to its ``_performance_metrics``.

    An exception that leaves the function is a failed request, and its user goes on. What says
    nothing about the agent (`PerformanceError`, a skip, KeyboardInterrupt) stops all users: the
    figures so far are kept, and it is raised from the call. ``assert_*`` inside the function
    states a limit, which is checked on all requests together when the load has ended.

    Throughput counts the requests that ended, by the time from the release of the users, or the
    end of the warm-up, to the end of the last request, ramps included, and at least the whole
    `duration`.

    Args:
        misplaced: Nothing; settings are given by name.
        concurrent_users: How many users there are, at least 1. In the open model, how many
            requests may be in flight at once (1,000 unless given): a start that finds all of them
            busy is dropped and counted.
        duration: How long users start requests, in seconds. A load ends by one of `duration`,
            `iterations`, `total_iterations`, `stages`, and a `rate` in stages.
        iterations: How many times each user calls the function; once where nothing else ends the
            load.
        total_iterations: How many times all users together call it; whoever is free is next.
        ramp_up: Seconds over which the users start, evenly spaced, or the rate rises from 0; part
            of the duration.
        ramp_down: Seconds at the end over which users leave, the last to come first, or the rate
            falls to 0; part of the duration.
        stages: How many users there are over time: a list of (seconds, users at their end). The
            number changes evenly from 0 on; a stage of 0 seconds is a jump.
        rate: Starts a second of the open model: a number, with a `duration`, or stages of
            (seconds, starts a second at their end).
        arrivals: How starts are spaced: ``"even"``, or ``"poisson"`` as independent callers would.
        think_time: Seconds that a user pauses after each request, or the least and the most of
            them, drawn evenly.
        pacing: Seconds from one start of a user to the next, whatever requests take. Starts keep
            to an absolute schedule, from which latencies count; those that a user is too busy to
            make are dropped and counted.
        warmup: What is run first and left out of all figures: seconds before the `duration`, the
            first seconds of stages, or iterations before `iterations` or `total_iterations`. What
            started in the warm-up does not count.
        grace: Seconds that requests in flight at the end of the time may take to end. After
            that async ones are cancelled and threads left behind; both count as interrupted.
        timeout: Seconds after which a request has failed. Async ones are cancelled then; a thread
            goes on when its call returns.
        seed: Of the Poisson starts, the think times, and the users' random generators.
        engine: ``"threads"`` runs the users of an async function in threads too, each with an
            event loop of its own. Unless given, the function decides.
        abort_on: Limits by metric name, as SLAs are stated. They are judged at the end as any
            SLA; and as soon as one is broken beyond repair, whatever is still to come, the load
            ends.
        abort_after: Seconds in which none of them ends it.
        allow_inconclusive: Whether it is no failure if an SLA cannot be judged, because the load
            generator was too slow itself.
        leak_check: Whether memory is read between rounds of requests, and a leak proven by further
            ones. Unless given, a limit on ``memory_growth`` asks for it, such as
            `assert_no_memory_leaks` in the function.

    Raises:
        TypeError: If the number of users is not given, or what is decorated is no function.
        ValueError: If a value makes no sense, or contradicts another.
        SLAViolationError: From a call, if limits do not hold.
        InconclusiveError: From a call, if limits cannot be judged.
    """
    if misplaced is not None or (concurrent_users is None and stages is None and rate is None):
        raise TypeError(
            "@load_test takes its settings by name, and needs the number of users: "
            "@performance.load_test(concurrent_users=10, duration=60)"
        )
    if abort_on is not None:
        AbortRule(abort_on, abort_after)
    plan = LoadPlan(
        concurrent_users=concurrent_users,
        duration=duration,
        iterations=iterations,
        total_iterations=total_iterations,
        ramp_up=ramp_up,
        ramp_down=ramp_down,
        stages=stages,
        rate=rate,
        arrivals=arrivals,
        think_time=think_time,
        pacing=pacing,
        warmup=warmup,
        grace=grace,
        timeout=timeout,
        seed=seed,
        engine=engine,
        abort_on=tuple((abort_on or {}).items()),
        abort_after=abort_after,
        allow_inconclusive=allow_inconclusive,
        leak_check=leak_check,
    )
    return functools.partial(_decorate, plan)


def _decorate(plan: LoadPlan, function: Callable[..., Any], /) -> Callable[..., Any]:
    check_function(function, "@load_test")
    name = name_of(function)
    wrapper: Callable[..., Any]

    if inspect.iscoroutinefunction(function):
        run_users = run_in_own_loops if plan.engine == "threads" else run_tasks

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> PerformanceMetrics:
            __tracebackhide__ = True
            body = _body(function, args, kwargs)
            with Load(name, plan, log) as load:
                await run_users(load, body)
                await run_further_async(load, body)
            return load.metrics

        wrapper = run_async
    elif plan.engine == "tasks":
        raise ValueError(
            f"engine is {plan.engine!r} and {name} is no async function: it would keep the loop to "
            "itself; declare it with async def, or leave the engine to it"
        )
    else:

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> PerformanceMetrics:
            __tracebackhide__ = True
            body = _body(function, args, kwargs)
            with Load(name, plan, log) as load:
                run_threads(load, body)
                run_further(load, body)
            return load.metrics

        wrapper = run
    log = attach(wrapper, plan)
    return wrapper


def _body(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[[], Any]:
    """The function without arguments; itself where it has none, which is cheapest to call."""
    return functools.partial(function, *args, **kwargs) if args or kwargs else function
