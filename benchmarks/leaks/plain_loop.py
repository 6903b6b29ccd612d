"""What each workload really leaves behind, in a plain loop without senytl.

    python benchmarks/leaks/plain_loop.py [--only NAME ...] [--requests N]

Each runs in a process of its own. Prints bytes a request, by tracemalloc, or for native memory by
what malloc or the system says is in use: of a leaking one over the last 40 % of the requests; of a
stable one, long after anything has filled, from the most that was in use in one stretch to the
most in a later one. Exits with 1 where that is not what the workload says of itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator

import psutil
from corpus import Agent, Workload
from every_workload import WORKLOADS

TOLERANCE = 0.25
SLACK = 20.0
SLACK_OF_STABLE = 250.0
"""Bytes a request that are no leak: free lists, and sizes that are drawn at random."""

LONGER = 3
"""How many times the planned requests stable workloads are served."""


def serve(agent: Agent, workload: Workload, requests: int, read: Callable[[int], None]) -> None:
    for number in range(1, requests + 1):
        with contextlib.suppress(RuntimeError):
            agent.run(number % workload.users)
        read(number)


async def serve_async(
    agent: Agent, workload: Workload, requests: int, read: Callable[[int], None]
) -> None:
    for number in range(1, requests + 1):
        with contextlib.suppress(RuntimeError):
            await agent.run_async(number % workload.users)
        if number % 20 == 0:
            await asyncio.sleep(0.005)
            read(number)


def in_use(workload: Workload) -> float:
    gc.collect()
    if workload.native == "heap":
        heap = psutil.heap_info()
        return float(heap.heap_used + heap.mmap_used)
    if workload.native == "pages":
        return float(psutil.Process().memory_info().rss)
    return float(tracemalloc.get_traced_memory()[0])


def measure(workload: Workload, form: str, planned: int) -> float:
    """Bytes that a request leaves behind."""
    requests = planned if workload.leaks else planned * LONGER
    readings: dict[int, float] = {}
    marks = set(range(requests - requests * 2 // 5, requests + 1, 20)) | {requests}

    def read(number: int) -> None:
        if number in marks and (not workload.leaks or number in (min(marks), requests)):
            readings[number] = in_use(workload)

    agent = workload.agent(planned)
    agent.pause = min(agent.pause, 0.0001)
    if not workload.native:
        tracemalloc.start()
    if form == "async":
        asyncio.run(serve_async(agent, workload, requests, read))
    else:
        serve(agent, workload, requests, read)
    tracemalloc.stop()
    agent.close()
    halves = list(_halves(readings))
    if workload.leaks:
        return (readings[max(readings)] - readings[min(readings)]) / (max(readings) - min(readings))
    return (max(halves[1]) - max(halves[0])) / (requests / 5)


def _halves(readings: dict[int, float]) -> Iterator[list[float]]:
    values = [readings[number] for number in sorted(readings)]
    yield values[: len(values) // 2]
    yield values[len(values) // 2 :]


def fits(workload: Workload, each: float) -> bool:
    if not workload.leaks:
        return abs(each) <= SLACK_OF_STABLE
    return abs(each - workload.leaks) <= max(SLACK, TOLERANCE * workload.leaks)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="names of workloads")
    parser.add_argument("--requests", type=int, default=1200, help="a multiple of 200")
    parser.add_argument("--here", nargs=2, metavar=("NAME", "FORM"), help="one, in this process")
    options = parser.parse_args()
    if options.here:
        name, form = options.here
        print(measure(WORKLOADS[name], form, options.requests))
        return 0
    wrong = 0
    print(f"{'':34}{'':8}{'measured':>12}{'said':>12}  bytes a request")
    for workload in WORKLOADS.values():
        if (options.only and workload.name not in options.only) or not workload.alone:
            continue
        for form in workload.forms:
            if form == "benchmark":
                continue
            command = [sys.executable, __file__, "--here", workload.name, form]
            command += ["--requests", str(options.requests)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{workload.name:34}{form:8}FAILED\n{done.stderr}", flush=True)
                wrong += 1
                continue
            each = float(done.stdout.split()[-1])
            wrong += not fits(workload, each)
            text = f"{workload.name:34}{form:8}{each:12,.0f}{workload.leaks:12,.0f}"
            print(text + ("" if fits(workload, each) else "  DIFFERS"), flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
