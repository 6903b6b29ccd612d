from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

_AGENT = """
import subprocess, sys

kept, child = [], None
print("ready", flush=True)
for line in sys.stdin:
    what, _, number = line.partition(" ")
    if what == "keep":
        kept.append(b"x" * (int(number) * 2**20))
    elif what == "start":
        taken = f"kept = b'x' * ({int(number)} * 2**20); print(1, flush=True); input()"
        child = subprocess.Popen(
            [sys.executable, "-c", taken], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        child.stdout.readline()
    elif what == "end":
        child.communicate(b"\\n")
    print("done", flush=True)
"""


class GrowingAgent:
    """An agent in a process of its own, which keeps what it is told to keep."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid
        self._await_answer()

    @property
    def rss_mb(self) -> float:
        """Its resident memory, as psutil sees it."""
        return float(psutil.Process(self.pid).memory_info().rss) / 2**20

    def keep(self, megabytes: int) -> None:
        """Take so much more memory."""
        self._ask(f"keep {megabytes}")

    def start_child(self, megabytes: int) -> None:
        """Start a process that takes so much memory."""
        self._ask(f"start {megabytes}")

    def end_child(self) -> None:
        """End that process."""
        self._ask("end 0")

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def end_unnoticed(self) -> None:
        """End it without asking how it ended: where there are zombies, it is one from now on."""
        self._process.kill()
        agent = psutil.Process(self.pid)
        while agent.is_running() and agent.status() != psutil.STATUS_ZOMBIE:
            pass

    def _ask(self, what: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        self._await_answer()

    def _await_answer(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline()


@pytest.fixture
def agent() -> Iterator[GrowingAgent]:
    """An agent that runs, and is ended afterwards."""
    with subprocess.Popen(
        [sys.executable, "-c", _AGENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield GrowingAgent(process)
        process.kill()
