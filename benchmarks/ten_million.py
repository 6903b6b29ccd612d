"""What a very long load costs in memory, and how long its percentiles take.

    python benchmarks/ten_million.py

Runs 10 million no-op requests in a process of its own, after a small load that imports whatever
the first one does, and compares the most memory that the process ever had with what it had
before. Then it puts the exact latencies of a smaller load into the histogram that a long one is
counted in, and compares all percentiles. Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
from targets import Targets

from senytl import performance
from senytl.performance.distribution import RELATIVE_ERROR, Distribution
from senytl.performance.metrics import PerformanceMetrics
from senytl.performance.series import percentiles

MOST_MB = 100.0
MOST_SECONDS = 1.0
MB = 2**20


def body() -> None:
    pass


async def async_body() -> None:
    pass


def run(engine: str, users: int, iterations: int) -> PerformanceMetrics:
    load = performance.load_test(concurrent_users=users, iterations=iterations)
    if engine == "tasks":
        return asyncio.run(load(async_body)())
    return load(body)()


def most_memory() -> float:
    """MB that this process had at the most, so far or since `forget_most_memory`."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (MB if sys.platform == "darwin" else 1024)


def forget_most_memory() -> None:
    """Let the most begin anew, where the system can do that."""
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def measure(engine: str, users: int, requests: int) -> dict[str, Any]:
    run(engine, 2, 1000)
    gc.collect()
    idle = psutil.Process().memory_info().rss / MB
    forget_most_memory()
    start, cpu = time.perf_counter(), time.process_time()
    metrics = run(engine, users, requests // users)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    most = most_memory()
    start = time.perf_counter()
    names = ("p50", "p75", "p90", "p95", "p99", "min", "max", "avg")
    found = {name: getattr(metrics, f"{name}_latency", None) for name in names}
    took = time.perf_counter() - start
    assert metrics.total_requests == requests, metrics
    return {
        "idle": idle,
        "most": most,
        "kept": psutil.Process().memory_info().rss / MB,
        "seconds": seconds,
        "cpu": cpu,
        "percentiles": took,
        "latencies": found,
    }


def largest_error(requests: int) -> tuple[float, int]:
    """By how much the histogram's percentiles are off at the most, as a share; and of how many."""
    exact = run("threads", 10, requests // 10).latencies
    bucketed = Distribution(exact, most_exact=0)
    assert not bucketed.exact
    quantiles = [number / 1000 for number in range(1001)]
    pairs = zip(percentiles(exact, *quantiles), percentiles(bucketed, *quantiles), strict=True)
    return max(abs(found - true) / true for true, found in pairs if true), len(exact)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument("--users", nargs="+", type=int, default=[1, 100])
    parser.add_argument("--engines", nargs="+", choices=("threads", "tasks"),
                        default=["threads", "tasks"])  # fmt: skip
    parser.add_argument("--exact-requests", type=int, default=400_000)
    parser.add_argument("--measure", nargs=2, metavar=("ENGINE", "USERS"),
                        help="run one load in this process, and print its figures")  # fmt: skip
    options = parser.parse_args()
    if options.measure:
        engine, users = options.measure
        print(json.dumps(measure(engine, int(users), options.requests)))
        return 0

    targets = Targets()
    for engine in options.engines:
        for users in options.users:
            given = [f"--requests={options.requests}", "--measure", engine, str(users)]
            output = subprocess.check_output([sys.executable, __file__, *given], text=True)
            found = json.loads(output)
            print(f"\n{options.requests:,} requests of {users:,} users, {engine}")
            targets.show("  idle", found["idle"], unit="MB")
            added = found["most"] - found["idle"]
            targets.show("  added at the most", added, most=MOST_MB, unit="MB")
            targets.show("  added when it was over", found["kept"] - found["idle"], unit="MB")
            targets.show("  the load", found["seconds"], unit="s")
            targets.show("  its CPU time", found["cpu"], unit="s")
            targets.show(
                "  percentiles, least, most and mean", found["percentiles"], most=MOST_SECONDS,
                unit="s",
            )  # fmt: skip
    error, count = largest_error(options.exact_requests)
    print(f"\nthe histogram, against {count:,} exact latencies")
    targets.show("  largest error of 1,001 percentiles", error * 100,
                 most=RELATIVE_ERROR * 100, unit="%")  # fmt: skip
    return targets.exit_code()


if __name__ == "__main__":
    sys.exit(main())
