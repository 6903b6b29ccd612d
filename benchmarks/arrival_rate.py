"""Whether requests start when they should: the open model at set rates, in threads and in tasks.

    python benchmarks/arrival_rate.py

Beside each rate stands what the machine itself can do at that moment: a bare thread, or a bare
task, that sleeps until each start is due and does nothing else. On a machine that is busy with
other work its lag says how much of senytl's is not senytl's own. Exits with 1 if a target is
missed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from time import perf_counter
from typing import Any

from targets import Targets

from senytl import performance
from senytl.performance.series import Series, percentiles

LEAST_MADE = 0.999
MOST_LAG = 2.0


def bare_thread(rate: float, seconds: float) -> Series:
    """How late one thread is that waits for each start."""
    lags, began = [], perf_counter()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        while (left := due - perf_counter()) > 0:
            time.sleep(left)
        lags.append(perf_counter() - due)
    return Series(lags)


def bare_task(rate: float, seconds: float) -> Series:
    """The same of a task, which makes all starts that are due when it wakes."""

    async def run() -> Series:
        lags, began = [], perf_counter()
        for number in range(int(rate * seconds)):
            due = began + number / rate
            if (left := due - perf_counter()) > 0:
                await asyncio.sleep(left)
            lags.append(perf_counter() - due)
        return Series(lags)

    return asyncio.run(run())


def bodies(seconds: float) -> dict[str, Callable[[], Any]]:
    """A sync and an async body that take so long."""

    def no_op() -> None:
        pass

    async def async_no_op() -> None:
        pass

    def sleeping() -> None:
        time.sleep(seconds)

    async def async_sleeping() -> None:
        await asyncio.sleep(seconds)

    if not seconds:
        return {"threads": no_op, "tasks": async_no_op}
    return {"threads": sleeping, "tasks": async_sleeping}


def show_lags(targets: Targets, who: str, lags: Any, *, held_to: bool) -> None:
    p50, p99, largest = (value * 1000 for value in percentiles(lags, 0.50, 0.99, 1.0))
    targets.show(f"  {who}: lag p50", p50, unit="ms")
    targets.show(f"  {who}: lag p99", p99, unit="ms", most=MOST_LAG if held_to else None)
    targets.show(f"  {who}: lag, the largest", largest, unit="ms")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rates", nargs="+", type=float, default=[1000, 10_000])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--bodies", nargs="+", type=float, default=[0.0, 0.02],
                        help="seconds that the bodies sleep, one after the other")  # fmt: skip
    parser.add_argument("--users", type=int, default=1000, help="who may be busy at once")
    parser.add_argument("--engines", nargs="+", choices=("threads", "tasks"),
                        default=["threads", "tasks"])  # fmt: skip
    options = parser.parse_args()
    targets = Targets()
    for rate in options.rates:
        for engine in options.engines:
            print(f"\n{rate:,.0f} starts a second for {options.seconds:g} s, {engine}")
            bare = bare_thread if engine == "threads" else bare_task
            lags = bare(rate, options.seconds)
            show_lags(targets, f"bare {engine.removesuffix('s')}", lags, held_to=False)
            for takes in options.bodies:
                load: Callable[[], Any] = performance.load_test(
                    rate=rate, duration=options.seconds, concurrent_users=options.users
                )(bodies(takes)[engine])
                run = asyncio.run(load()) if engine == "tasks" else load()
                what = f"sleep of {takes * 1000:g} ms" if takes else "no-op"
                planned = round(rate * options.seconds)
                made = run.total_requests + run.interrupted_requests
                targets.show(f"  {what}: share of starts made", made / planned, least=LEAST_MADE)
                show_lags(targets, what, run.start_lags, held_to=True)
                generator = run.generator
                assert generator is not None
                print(
                    f"  {what}: {run.dropped_starts:,} dropped; {run.concurrent_users:,} users; "
                    f"{generator.cpu_share * 100:.0f} % of a core; "
                    f"{generator.gc_pauses} gc pauses, the longest {generator.longest_gc:.3f} s"
                )
    return targets.exit_code()


if __name__ == "__main__":
    sys.exit(main())
