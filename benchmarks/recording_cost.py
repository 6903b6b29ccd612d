"""What it costs to record a request: load tests of a no-op, a bare loop and Locust, in turn.

    python benchmarks/recording_cost.py --locust-python /path/to/a/venv/with/locust/bin/python

Each round runs all of them one after the other, so that a machine that is busy for a while slows
down all; ratios are taken within a round, and their median is what counts. Exits with 1 if a
target is missed. Without Locust its part is left out, and said to be.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from senytl import performance

MOST_TIMES_BARE = 3.0
LEAST_TIMES_LOCUST = 10.0


def body() -> None:
    pass


async def async_body() -> None:
    pass


def bare(requests: int) -> float:
    """Seconds per request of two clock readings and a call."""
    start = perf_counter()
    for _ in range(requests):
        perf_counter()
        body()
        perf_counter()
    return (perf_counter() - start) / requests


async def bare_async(requests: int) -> float:
    start = perf_counter()
    for _ in range(requests):
        perf_counter()
        await async_body()
        perf_counter()
    return (perf_counter() - start) / requests


def of_run(run: performance.PerformanceMetrics, requests: int) -> float:
    """Seconds per request of a load test, from the release of its users to the last end."""
    assert run.total_requests == requests, run
    return run.duration_seconds / requests


def locust(python: str, users: int, per_task: int) -> tuple[float, str] | None:
    """Seconds per request of Locust, and its version; None where it is not installed."""
    if subprocess.run([python, "-c", "import gevent, locust"], capture_output=True).returncode:
        return None
    script = Path(__file__).with_name("locust_noop.py")
    command = [python, str(script), f"--users={users}", f"--per-task={per_task}"]
    answer: dict[str, Any] = json.loads(subprocess.check_output(command, text=True))
    return answer["seconds"] / answer["requests"], answer["version"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--requests", type=int, default=2_000_000, help="of each load test")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--locust-python", default=sys.executable, help="a Python that can import Locust"
    )
    options = parser.parse_args()
    users, each = options.users, options.requests // options.users
    requests = users * each

    load = performance.load_test(concurrent_users=users, iterations=each)
    threads, tasks = load(body), load(async_body)
    threads()  # whatever is imported on first use
    costs: dict[str, list[float]] = {}
    version = ""
    for _ in range(options.rounds):
        costs.setdefault("bare loop", []).append(bare(requests))
        costs.setdefault("senytl, threads", []).append(of_run(threads(), requests))
        costs.setdefault("bare loop, async", []).append(asyncio.run(bare_async(requests)))
        costs.setdefault("senytl, tasks", []).append(of_run(asyncio.run(tasks()), requests))
        for name, per_task in (("Locust", 1), ("Locust, events only", 1_000)):
            if (measured := locust(options.locust_python, users, per_task)) is not None:
                costs.setdefault(name, []).append(measured[0])
                version = measured[1]

    print(f"{users} users, {requests:,} requests, {options.rounds} rounds\n")
    for name, seconds in costs.items():
        print(f"{name:22} {statistics.median(seconds) * 1e6:7.3f} us a request")
    print()
    failed = False

    def ratio(what: str, above: str, below: str, most: float = 0, least: float = 0) -> None:
        nonlocal failed
        pairs = zip(costs[above], costs[below], strict=True)
        value = statistics.median(one / other for one, other in pairs)
        missed = bool(most and value > most) or value < least
        failed |= missed
        target = f"(target: at most {most:g})" if most else f"(target: at least {least:g})"
        print(f"{what:60} {value:7.2f}  {target if most or least else ''}{' MISSED' * missed}")

    ratio("threads: cost, in bare loops", "senytl, threads", "bare loop", most=MOST_TIMES_BARE)
    ratio("tasks: cost, in bare async loops", "senytl, tasks", "bare loop, async",
          most=MOST_TIMES_BARE)  # fmt: skip
    if not version:
        print(
            f"Locust: skipped, {options.locust_python} cannot import it; make a virtual "
            "environment with `pip install locust` and pass its Python as --locust-python"
        )
        return int(failed)
    print(f"against Locust {version}:")
    for name in ("Locust", "Locust, events only"):
        for ours in ("threads", "tasks"):
            what = f"{ours}: requests a second, in those of {name}"
            least = LEAST_TIMES_LOCUST if name == "Locust" else 0
            ratio(what, name, f"senytl, {ours}", least=least)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
