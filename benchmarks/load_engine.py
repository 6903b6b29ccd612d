"""What the load engine costs: senytl, Locust and a bare loop under the same loads, in turn.

    python benchmarks/load_engine.py --locust-python /path/to/a/venv/with/locust/bin/python

Three loads: a no-op at 1, 100 and 1,000 users; a sleep of 10 ms at 100, 1,000 and 10,000 (threads
to 1,000); and a real HTTP client against a server on 127.0.0.1 in a process of its own. Each
round runs everything that is compared one after the other, so that a machine that is busy for a
while slows down all; ratios are taken within a round, and their median is what counts. They are
ratios of CPU time, of which other work on the machine takes nothing away; the rates by the clock
stand beside them. Exits with 1 if a target is missed. Without Locust its part is left out, and
said to be.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple

from load_engine_clients import AIOHTTP, CLIENTS, bare_aiohttp
from loopback_server import loopback_server
from targets import Targets

from senytl import performance
from senytl.performance.metrics import PerformanceMetrics

MOST_TIMES_BARE = 2.0
LEAST_TIMES_LOCUST = 15.0
MOST_THREADS = 1000
SLEEP = 0.01


class Cost(NamedTuple):
    """What a load came to: `p50` and `p95` are NaN where latencies were not taken."""

    requests: int
    seconds: float
    cpu: float
    p50: float = float("nan")
    p95: float = float("nan")

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def per_core(self) -> float:
        """Requests per second of the load generator's CPU time."""
        return self.requests / self.cpu


Subject = Callable[[], Cost]


def body() -> None:
    pass


async def async_body() -> None:
    pass


def sleeping() -> None:
    time.sleep(SLEEP)


async def async_sleeping() -> None:
    await asyncio.sleep(SLEEP)


def bare(requests: int) -> Cost:
    """Two clock readings and a call, again and again."""
    cpu, start = process_time(), perf_counter()
    for _ in range(requests):
        perf_counter()
        body()
        perf_counter()
    return Cost(requests, perf_counter() - start, process_time() - cpu)


def bare_async(requests: int) -> Cost:
    async def run() -> Cost:
        cpu, start = process_time(), perf_counter()
        for _ in range(requests):
            perf_counter()
            await async_body()
            perf_counter()
        return Cost(requests, perf_counter() - start, process_time() - cpu)

    return asyncio.run(run())


def bare_sleeping(users: int, seconds: float) -> Cost:
    """So many tasks that do nothing but sleep and read the clock twice."""

    async def user(end: float) -> list[float]:
        latencies = []
        while (start := perf_counter()) < end:
            await asyncio.sleep(SLEEP)
            latencies.append(perf_counter() - start)
        return latencies

    async def run() -> Cost:
        cpu, start = process_time(), perf_counter()
        end = start + seconds
        lists = await asyncio.gather(*(user(end) for _ in range(users)))
        seconds_in_all, cpu = perf_counter() - start, process_time() - cpu
        latencies = sorted(latency for one in lists for latency in one)
        count = len(latencies)
        p50, p95 = latencies[count // 2], latencies[count * 95 // 100]
        return Cost(count, seconds_in_all, cpu, p50, p95)

    return asyncio.run(run())


def bare_sleeping_threads(users: int, seconds: float) -> Cost:
    """The same of threads."""
    latencies: list[float] = []

    def user(end: float) -> None:
        while (start := perf_counter()) < end:
            time.sleep(SLEEP)
            latencies.append(perf_counter() - start)

    cpu, start = process_time(), perf_counter()
    threads = [
        threading.Thread(target=user, args=(start + seconds,), daemon=True) for _ in range(users)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed, cpu = perf_counter() - start, process_time() - cpu
    count = len(latencies)
    latencies.sort()
    return Cost(count, elapsed, cpu, latencies[count // 2], latencies[count * 95 // 100])


def ours(function: Callable[[], Any], users: int, seconds: float) -> Cost:
    """A load test of a function."""
    load: Callable[[], Any] = performance.load_test(concurrent_users=users, duration=seconds)(
        function
    )
    is_async = asyncio.iscoroutinefunction(function)
    return cost_of(lambda: asyncio.run(load()) if is_async else load())


def cost_of(load: Callable[[], PerformanceMetrics]) -> Cost:
    """What a load test takes, with all that comes before its first request and after the last."""
    gc.collect()
    cpu = process_time()
    run = load()
    cpu = process_time() - cpu
    assert not run.failed_requests, run.errors
    return Cost(run.total_requests, run.duration_seconds, cpu, run.p50_latency, run.p95_latency)


def locust(python: str, kind: str, users: int, seconds: float, **settings: object) -> Cost:
    script = Path(__file__).with_name("locust_load.py")
    given = {"users": users, "seconds": seconds, **settings}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    output = subprocess.check_output(
        [python, str(script), kind, *options], text=True, stderr=subprocess.DEVNULL
    )
    answer = json.loads(output)
    assert not answer["failed"], answer
    return Cost(*(answer[name] for name in Cost._fields))


def compare(title: str, subjects: dict[str, Subject], rounds: int) -> dict[str, list[Cost]]:
    """Run all subjects in turn, and print the median of each figure."""
    costs: dict[str, list[Cost]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            costs[name].append(subject())
    print(f"\n{title}")
    print(f"{'':28} {'req/s':>11} {'req/CPU-s':>11} {'us CPU':>8} {'p50 ms':>9} {'p95 ms':>9}")
    for name, each in costs.items():
        rate, per_core, p50, p95 = (
            statistics.median(values)
            for values in zip(*((c.rate, c.per_core, c.p50, c.p95) for c in each), strict=True)
        )
        latencies = "" if p50 != p50 else f"{p50 * 1e3:9.2f} {p95 * 1e3:9.2f}"
        line = f"  {name:26} {rate:11,.0f} {per_core:11,.0f} {1e6 / per_core:8.2f} {latencies}"
        print(line.rstrip(), flush=True)
    return costs


def ratio(
    above: list[Cost], below: list[Cost], figure: Callable[[Cost], float] = lambda c: c.per_core
) -> float:
    """The median of the ratios within the rounds."""
    pairs = zip(above, below, strict=True)
    return statistics.median(figure(one) / figure(other) for one, other in pairs)


def compare_no_ops(options: argparse.Namespace, targets: Targets, python: str | None) -> None:
    seconds, loops = options.seconds, options.bare_requests
    for users in options.no_op_users:
        subjects: dict[str, Subject] = {
            "bare loop": partial(bare, loops),
            "senytl, threads": partial(ours, body, users, seconds),
            "bare loop, async": partial(bare_async, loops),
            "senytl, tasks": partial(ours, async_body, users, seconds),
        }
        if python is not None:
            for name, per_task in (("Locust", 1), ("Locust, events only", 1000)):
                subjects[name] = partial(locust, python, "no-op", users, seconds, per_task=per_task)
        costs = compare(f"a no-op, {users:,} users", subjects, options.rounds)
        for engine, loop in (("threads", "bare loop"), ("tasks", "bare loop, async")):
            mine = costs[f"senytl, {engine}"]
            targets.show(
                f"{engine}: CPU time, in bare loops", ratio(costs[loop], mine), most=MOST_TIMES_BARE
            )
            if python is None:
                continue
            targets.show(
                f"{engine}: requests per CPU-second, in those of Locust",
                ratio(mine, costs["Locust"]),
                least=LEAST_TIMES_LOCUST,
            )
            rates = ratio(mine, costs["Locust"], lambda c: c.rate)
            targets.show(f"{engine}: requests a second, in those of Locust", rates)
            events = ratio(mine, costs["Locust, events only"])
            targets.show(f"{engine}: per CPU-second, in those of Locust's events only", events)


def compare_sleeps(options: argparse.Namespace, targets: Targets, python: str | None) -> None:
    seconds = options.seconds
    for users in options.sleep_users:
        subjects: dict[str, Subject] = {"bare tasks": partial(bare_sleeping, users, seconds)}
        if users <= MOST_THREADS:
            subjects["bare threads"] = partial(bare_sleeping_threads, users, seconds)
            subjects["senytl, threads"] = partial(ours, sleeping, users, seconds)
        subjects["senytl, tasks"] = partial(ours, async_sleeping, users, seconds)
        if python is not None:
            subjects["Locust"] = partial(locust, python, "sleep", users, seconds, sleep=SLEEP)
        costs = compare(f"a sleep of 10 ms, {users:,} users", subjects, options.rounds)
        for engine in ("threads", "tasks"):
            mine = costs.get(f"senytl, {engine}")
            if mine is None:
                continue
            times = ratio(costs[f"bare {engine}"], mine)
            targets.show(f"{engine}: CPU time, in that of bare {engine}", times)
            if python is not None:
                times = ratio(mine, costs["Locust"])
                targets.show(f"{engine}: requests per CPU-second, in those of Locust", times)


def compare_clients(options: argparse.Namespace, targets: Targets, python: str | None) -> None:
    users, seconds = options.http_users, options.seconds
    with loopback_server() as url:
        subjects: dict[str, Subject] = {
            "aiohttp, bare tasks": lambda: Cost(*bare_aiohttp(url, users, seconds))
        }
        for name, client in CLIENTS.items():
            subjects[f"senytl, {name}"] = partial(cost_of, partial(client, url, users, seconds))
        if python is not None:
            for kind in ("HttpUser", "FastHttpUser"):
                subjects[f"Locust, {kind}"] = partial(
                    locust, python, kind, users, seconds, host=url
                )
        title = f"GET of 15 bytes from 127.0.0.1, {users:,} users"
        costs = compare(title, subjects, options.rounds)
    mine = costs[f"senytl, {AIOHTTP}"]
    targets.show("aiohttp: CPU time, in that of bare tasks",
                 ratio(costs["aiohttp, bare tasks"], mine))  # fmt: skip
    if python is None:
        return
    others = {name: each for name, each in costs.items() if name.startswith("Locust")}
    fastest = max(others, key=lambda name: statistics.median(c.per_core for c in others[name]))
    print(f"Locust's fastest user: {fastest}")
    targets.show(
        "aiohttp: requests per CPU-second, in its", ratio(mine, others[fastest]), least=1.0
    )
    targets.show(
        "aiohttp: requests a second, in its", ratio(mine, others[fastest], lambda c: c.rate)
    )
    targets.show(
        "aiohttp: median latency, in its",
        ratio(mine, others[fastest], lambda c: c.p50),
        most=1.0,
    )


PARTS = {"no-op": compare_no_ops, "sleep": compare_sleeps, "http": compare_clients}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="that each load lasts")
    parser.add_argument("--bare-requests", type=int, default=3_000_000, help="of a bare loop")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--no-op-users", nargs="+", type=int, default=[1, 100, 1000])
    parser.add_argument("--sleep-users", nargs="+", type=int, default=[100, 1000, 10_000])
    parser.add_argument("--http-users", type=int, default=20)
    parser.add_argument(
        "--locust-python", default=sys.executable, help="a Python that can import Locust"
    )
    options = parser.parse_args()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    python: str | None = options.locust_python
    find = [options.locust_python, "-c", "import locust; print(locust.__version__)"]
    found = subprocess.run(find, capture_output=True, text=True)
    if found.returncode:
        python = None
        print(
            f"Locust: left out, {options.locust_python} cannot import it; make a virtual "
            "environment with `pip install locust` and pass its Python as --locust-python"
        )
    else:
        print(f"Locust {found.stdout.strip()}; {options.rounds} rounds of {options.seconds:g} s")
    ours(body, 2, 0.1)  # whatever is imported on first use
    targets = Targets()
    for part in options.parts:
        PARTS[part](options, targets, python)
    return targets.exit_code()


if __name__ == "__main__":
    sys.exit(main())
