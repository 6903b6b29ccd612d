"""What the leak check costs a load: the same load with it and without it, in turn.

    python benchmarks/leaks/overhead.py [--rounds N] [--seconds S]

An agent that sleeps for 1 ms and one that computes for about 200 us, with 4 users in threads and
in tasks. Each round runs both ways, in random order; the figure is the median of the rounds'
ratios: requests by the clock, from the call to its return, pauses and all; and the throughput
that the load reports, of whose time pauses are no part. A load of a set number of requests, as
many as fit into the time without the check. Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from targets import Targets

from senytl import performance

USERS = 4
LEAST = 0.95
"""Of the throughput without the check."""

RATES = (3_500, 4_500)
"""About how many requests a second the agents serve: the sleeping one, the computing one."""


def compute() -> None:
    """About 200 us of Python, as an agent spends them on a prompt and a reply."""
    text = json.dumps([{"number": number, "text": "in transit " * 5} for number in range(80)])
    for entry in json.loads(text):
        entry["text"] = entry["text"].upper().split()


def sync_load(work: Callable[[], None], requests: int, *, leak_check: bool) -> Any:
    @performance.load_test(
        concurrent_users=USERS, iterations=requests // USERS, leak_check=leak_check
    )
    def load() -> None:
        work()

    return load()


def async_load(work: Callable[[], None] | None, requests: int, *, leak_check: bool) -> Any:
    @performance.load_test(
        concurrent_users=USERS, iterations=requests // USERS, leak_check=leak_check
    )
    async def load() -> None:
        await asyncio.sleep(0.001 if work is None else 0)
        if work is not None:
            work()

    return asyncio.run(load())


def rates(run: Callable[..., Any], requests: int, *, leak_check: bool) -> tuple[float, float]:
    """Requests a second by the clock, and as the load reports them."""
    start = time.perf_counter()
    metrics = run(requests=requests, leak_check=leak_check)
    return metrics.total_requests / (time.perf_counter() - start), metrics.throughput_rps


def compare(run: Callable[..., Any], requests: int, rounds: int) -> tuple[list[float], list[float]]:
    """Each round's rates with the check, as a share of those without it."""
    by_clock, reported = [], []
    rates(run, max(1000, requests // 10), leak_check=True)
    for _ in range(rounds):
        got = {}
        for leak_check in random.sample((False, True), 2):
            got[leak_check] = rates(run, requests, leak_check=leak_check)
        by_clock.append(got[True][0] / got[False][0])
        reported.append(got[True][1] / got[False][1])
    return by_clock, reported


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="about how long a load takes")
    options = parser.parse_args()
    loads: dict[str, tuple[Callable[..., Any], int]] = {
        "sleeps 1 ms, threads": (lambda **asked: sync_load(lambda: time.sleep(0.001), **asked), 0),
        "sleeps 1 ms, tasks": (lambda **asked: async_load(None, **asked), 0),
        "computes, threads": (lambda **asked: sync_load(compute, **asked), 1),
        "computes, tasks": (lambda **asked: async_load(compute, **asked), 1),
    }
    targets = Targets()
    for name, (run, kind) in loads.items():
        requests = int(RATES[kind] * options.seconds)
        by_clock, reported = compare(run, requests, options.rounds)
        for word, ratios in (("by the clock", by_clock), ("as reported", reported)):
            text = f"{name}, {word} ({min(ratios):.3f} to {max(ratios):.3f})"
            targets.show(text, statistics.median(ratios), least=LEAST)
    return targets.exit_code()


if __name__ == "__main__":
    sys.exit(main())
