"""One workload under pytest-memray's `limit_leaks`, where that is installed.

    LEAK_WORKLOAD=NAME LEAK_REQUESTS=N python -m pytest --memray --trace-python-allocators \
        benchmarks/leaks/with_memray.py

Half of the requests are made before the test, as a warm-up; in the test each place may leak 64
bytes a request, as senytl's assertion has it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from every_workload import WORKLOADS

REQUESTS = int(os.environ["LEAK_REQUESTS"])
WORKLOAD = WORKLOADS[os.environ["LEAK_WORKLOAD"]]
AGENT = WORKLOAD.agent(REQUESTS)
AGENT.pause = 0.0


def serve(requests: int) -> None:
    for number in range(requests):
        with contextlib.suppress(RuntimeError):
            AGENT.run(number % WORKLOAD.users)


@pytest.fixture
def load() -> Callable[[int], None]:
    serve(REQUESTS // 2)
    return serve


@pytest.mark.limit_leaks(f"{64 * REQUESTS} B")
def test_workload(load: Callable[[int], None]) -> None:
    load(REQUESTS)
