"""Whether the figures are true: loads whose latencies are known beforehand.

    python benchmarks/accuracy.py

First, bodies that sleep for times drawn from a log-normal distribution. The truth is what was
asked for, not what the machine made of it. Limits of 1.2 times the true p50, p95 and p99 are then
judged: each figure must be within 2 % and 1 ms of the truth, unless the verdict on its limit is
inconclusive. The same again while something else keeps the load generator from its work (a thread
that computes, a coroutine that blocks the loop), where verdicts should be.

Second, a server that serves one request at a time in 5 ms, and freezes once for 2 s in 10 s at 50
requests a second. Its queue is arithmetic, so that the true latencies of all requests are known.
In the open model p90 and p99 must be within 5 % of them; what closed loops see stands beside it.
Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import perf_counter
from typing import Any, cast

from targets import Targets

from senytl import performance
from senytl.performance.metrics import PerformanceMetrics
from senytl.performance.series import Series, percentiles
from senytl.performance.sla import SLA, judge

ENGINES = ("threads", "tasks")
QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
LIMIT = 1.2
SHARE, SECONDS = 0.02, 0.001
ITERATIONS = {1: 100, 10: 50, 100: 30, 500: 20}

RATE, LASTS = 50, 10.0
SERVICE, FREEZES_AT, FREEZE = 0.005, 4.0, 2.0
ORACLE_ERROR = 5.0


@contextmanager
def computing(threads: int = 2) -> Iterator[None]:
    """Threads that want the interpreter all the time."""
    over = False

    def compute() -> None:
        while not over:
            sum(range(1000))

    for _ in range(threads):
        threading.Thread(target=compute, daemon=True).start()
    try:
        yield
    finally:
        over = True


@asynccontextmanager
async def blocking(seconds: float = 0.03, every: float = 0.1) -> AsyncIterator[None]:
    """A task that keeps the loop to itself again and again."""

    async def block() -> None:
        while True:
            await asyncio.sleep(every - seconds)
            time.sleep(seconds)  # it is meant to block

    task = asyncio.create_task(block())
    try:
        yield
    finally:
        task.cancel()


def run_sleeps(
    engine: str, users: int, iterations: int, median: float, sigma: float, *, disturbed: bool
) -> tuple[PerformanceMetrics, Series]:
    """The figures of a load of sleeps, and the seconds that were asked for."""
    asked: list[float] = []
    load = performance.load_test(concurrent_users=users, iterations=iterations, seed=users)

    def draw() -> float:
        seconds = performance.current_user().random.lognormvariate(math.log(median), sigma)
        asked.append(seconds)
        return seconds

    if engine == "threads":
        with computing() if disturbed else contextlib.nullcontext():
            run = load(lambda: time.sleep(draw()))()
    else:

        async def body() -> None:
            await asyncio.sleep(draw())

        async def run_tasks() -> PerformanceMetrics:
            async with blocking() if disturbed else contextlib.nullcontext():
                return await load(body)()

        run = asyncio.run(run_tasks())
    assert run.total_requests == len(asked) == users * iterations
    return run, Series(asked)


def compare_sleeps(options: argparse.Namespace, targets: Targets) -> None:
    print("sleeps, in ms: asked for, measured, and the verdict on a limit of 1.2 times that")
    for disturbed in (False, True):
        for engine in options.engines:
            for users in options.users:
                iterations = max(1, round(ITERATIONS.get(users, 20) * options.scale))
                run, asked = run_sleeps(
                    engine, users, iterations, options.median, options.sigma,
                    disturbed=disturbed,
                )  # fmt: skip
                how = ", disturbed" if disturbed else ""
                assert run.generator is not None
                print(
                    f"\n{engine}, {users:,} users, {len(asked):,} requests{how}: "
                    f"{run.generator.describe(0.95)}"
                )
                for name, truth in zip(
                    QUANTILES, percentiles(asked, *QUANTILES.values()), strict=True
                ):
                    judge_one(targets, run, name, truth)


def judge_one(targets: Targets, run: PerformanceMetrics, name: str, truth: float) -> None:
    """Judge one limit by itself, as the only one that a test states."""
    found = getattr(run, f"{name}_latency")
    run.judgements = []
    judge(run, [SLA(f"{name}_latency", LIMIT * truth)])
    judgement = run.judgements[0]
    error = found - truth
    verdict = "inconclusive" if judgement.doubt else "held" if judgement.held else "broken"
    near = abs(error) <= SHARE * truth + SECONDS
    targets.note(
        f"  {name} {truth * 1000:8.2f} {found * 1000:8.2f} "
        f"({error * 1000:+7.2f} ms, {error / truth * 100:+6.2f} %) {verdict:12}"
        f"{'' if near else ' off'}",
        held=near or bool(judgement.doubt),
    )


class FrozenServer:
    """Serves one request at a time, and not at all for a while: says when each is done.

    Args:
        began: When its time began, by the same clock as the arrivals.
    """

    def __init__(self, began: float) -> None:
        self._free = began
        self._freezes = began + FREEZES_AT
        self._lock = threading.Lock()

    def serve(self, arrival: float) -> float:
        """When a request is done that arrives then, after all that arrived before."""
        with self._lock:
            start = max(arrival, self._free)
            thaws = self._freezes + FREEZE
            if self._freezes <= start < thaws:
                start = thaws
            done = start + SERVICE
            if start < self._freezes < done:
                done += FREEZE
            self._free = done
            return done


def true_latencies() -> Series:
    """Of all requests of the open model, had each started when it should."""
    server = FrozenServer(0.0)
    arrivals = [number / RATE for number in range(round(RATE * LASTS))]
    return Series([server.serve(arrival) - arrival for arrival in arrivals])


def run_against_frozen(engine: str, **plan: Any) -> PerformanceMetrics:
    servers: list[FrozenServer] = []
    made = threading.Lock()

    def server() -> FrozenServer:
        with made:
            if not servers:
                servers.append(FrozenServer(perf_counter()))
        return servers[0]

    load: Callable[..., Any] = performance.load_test(duration=LASTS, **plan)
    if engine == "threads":

        def body() -> None:
            now = perf_counter()
            time.sleep(max(0.0, server().serve(now) - now))

        return cast("PerformanceMetrics", load(body)())

    async def async_body() -> None:
        now = perf_counter()
        await asyncio.sleep(max(0.0, server().serve(now) - now))

    return cast("PerformanceMetrics", asyncio.run(load(async_body)()))


def compare_frozen(options: argparse.Namespace, targets: Targets) -> None:
    truth = true_latencies()
    p90, p99 = percentiles(truth, 0.90, 0.99)
    print(f"\na server that freezes once, in truth: p90 {p90 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms")
    for engine in options.engines:
        run = run_against_frozen(engine, rate=RATE)
        for name, true in (("p90", p90), ("p99", p99)):
            found = getattr(run, f"{name}_latency")
            print(f"  open model, {engine}: {name} {found * 1e3:.1f} ms")
            error = abs(found - true) / true * 100
            targets.show(f"  open model, {engine}: {name}, off by", error,
                         most=ORACLE_ERROR, unit="%")  # fmt: skip
        service = percentiles(run.service_times, 0.90, 0.99)
        print(
            f"  open model, {engine}: service times p90 {service[0] * 1e3:.1f} ms, "
            f"p99 {service[1] * 1e3:.1f} ms; {run.total_requests} requests, "
            f"{run.dropped_starts} dropped"
        )
    engine = options.engines[0]
    gap = 1 / RATE
    for what, plan in {
        "closed loop, 1 user who pauses": {"think_time": gap - SERVICE},
        "closed loop, 1 user on a schedule": {"pacing": gap},
    }.items():
        run = run_against_frozen(engine, concurrent_users=1, **plan)
        print(
            f"  {what}: p90 {run.p90_latency * 1e3:.1f} ms, p99 {run.p99_latency * 1e3:.1f} ms; "
            f"{run.total_requests} requests, {run.dropped_starts} dropped"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--users", nargs="+", type=int, default=list(ITERATIONS))
    parser.add_argument("--median", type=float, default=0.1, help="seconds that bodies sleep")
    parser.add_argument("--sigma", type=float, default=0.5, help="of the log-normal distribution")
    parser.add_argument("--scale", type=float, default=1.0, help="how many iterations, times this")
    parser.add_argument("--parts", nargs="+", choices=("sleeps", "frozen"),
                        default=["sleeps", "frozen"])  # fmt: skip
    options = parser.parse_args()
    targets = Targets()
    if "sleeps" in options.parts:
        compare_sleeps(options, targets)
    if "frozen" in options.parts:
        compare_frozen(options, targets)
    return targets.exit_code()


if __name__ == "__main__":
    sys.exit(main())
