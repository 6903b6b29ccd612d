"""What a session has recorded, as the terminal tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

__all__ = ["RECORDED", "RecordedFiles"]

RECORDED = "senytl_recorded"
"""The attribute of a test's report that tells what became of its recording."""


class RecordedFiles:
    """The recordings that a session has written, and those that it has not.

    It lives in the process that has the terminal, in sessions that record: tests' reports tell it
    what was written, from any process, and it tells the terminal at the end.

    Args:
        config: The session's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._calls: dict[str, int] = {}
        self._tests: dict[str, dict[str, None]] = {}
        self._said: list[str] = []

    def say(self, line: str) -> None:
        """Take a line for the end of the session."""
        self._said.append(line)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect what a test's report tells."""
        recorded: dict[str, Any] | None = getattr(report, RECORDED, None)
        if recorded is None:
            return
        if "said" in recorded:
            self.say(recorded["said"])
            return
        path = recorded["path"]
        self._calls[path] = recorded["calls"]
        self._tests.setdefault(path, {})[recorded["test"]] = None

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell it, unless pytest is told twice to be quiet."""
        if self._config.get_verbosity() <= -2:
            return
        for path, calls in self._calls.items():
            count = "1 call" if calls == 1 else f"{calls:,} calls"
            terminalreporter.write_line(f"senytl: recorded {self._relative(path)} ({count})")
            tests = list(self._tests[path])
            if len(tests) > 1:  # only processes apart do not know of each other
                terminalreporter.write_line(
                    f"senytl: {self._relative(path)} was recorded by {' and '.join(tests)} on "
                    "different workers, and the last one stays: if they do not make the same "
                    "calls, give each its own name",
                    yellow=True,
                )
        for line in self._said:
            terminalreporter.write_line(line, yellow=True)

    def _relative(self, path: str) -> str:
        try:
            return Path(path).relative_to(self._config.invocation_params.dir).as_posix()
        except ValueError:
            return path
