"""One workload under psleak; prints a line of JSON. It runs where psleak is installed.

    PYTHONMALLOC=malloc python benchmarks/leaks/with_psleak.py NAME REQUESTS

psleak calls a function a few hundred times, and again somewhat more often while memory grows. So
that it has about as many requests to go by, half as many are its warm-up, and its measurements, of
which there are five at the most, take a tenth of them and up.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys

from every_workload import WORKLOADS
from psleak import Checkers, MemoryLeakError, MemoryLeakTestCase


class Case(MemoryLeakTestCase):
    checkers = Checkers.only("memory")

    def runTest(self) -> None:  # noqa: N802
        """Nothing: `execute` is called from outside."""


def main() -> None:
    name, requests = sys.argv[1], int(sys.argv[2])
    workload = WORKLOADS[name]
    agent = workload.agent(requests)
    agent.pause = 0.0
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1
        with contextlib.suppress(RuntimeError):
            agent.run(calls % workload.users)

    outcome = "passed"
    try:
        Case().execute(call, warmup_times=requests // 2, times=requests // 10, retries=5)
    except MemoryLeakError:
        outcome = "violated"
    print(json.dumps({"outcome": outcome, "calls": calls}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
