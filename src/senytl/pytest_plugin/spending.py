"""The session's budget of dollars: one for all of its processes, and the end of what exceeds it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from senytl.performance.shared_sums import SharedSums
from senytl.performance.spending import SessionBudget
from senytl.pytest_plugin.markers import is_measured

__all__ = ["SessionSpending"]

_FILE: Final = "senytl_spending_file"
_PART: Final = "senytl_spending_part"


class SessionSpending:
    """The hooks of a session with a budget; every process has its own, all share the sums.

    Its life: from the session's configuration to its end every LLM call of the process is priced,
    and refused once the budget is spent; measured tests whose turn comes after that fail. When the
    last test has ended, the process with the terminal judges the budget and says what was spent.

    Args:
        config: The session's configuration.
        limit: Dollars.

    Raises:
        pytest.UsageError: If this is a worker that cannot share the budget of its controller.
    """

    def __init__(self, config: pytest.Config, limit: float) -> None:
        self._config = config
        self._worker: dict[str, Any] | None = getattr(config, "workerinput", None)
        self._failures: list[str] = []
        self._budget = SessionBudget(limit, None if self._worker is None else _sums(self._worker))
        self._budget.open()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Give an xdist worker a part of the sums."""
        sums = self._budget.share()
        node.workerinput[_FILE] = str(sums.file)
        node.workerinput[_PART] = sums.new_part()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Fail a measured test, rather than run it, where its calls would all be refused."""
        if is_measured(item) and (reason := self._budget.spent_reason()) is not None:
            pytest.fail(f"not measured: {reason}", pytrace=False)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Judge the budget when no more test will run, however that came."""
        try:
            return (yield)
        finally:
            self._budget.settle()
            if self._worker is None:
                self._failures = self._budget.broken()
                # Failed like this, the session ends with pytest's exit code for failed tests.
                session.testsfailed += len(self._failures)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was spent."""
        for failure in self._failures:
            terminalreporter.write_line(f"senytl: {failure}", red=True)
        if not self._failures and self._config.get_verbosity() > -2:
            spent = self._budget.describe()
            if spent:
                terminalreporter.write_line(f"senytl: {spent}")

    def pytest_unconfigure(self) -> None:
        """Let calls pass again."""
        self._budget.close()
        file = self._budget.sums.file
        self._budget.sums.close()
        if file is not None and self._worker is None:
            with suppress(OSError):  # on Windows, while a worker that hangs has it mapped
                file.unlink()


def _sums(worker: dict[str, Any]) -> SharedSums:
    """A worker's part of the sums.

    Raises:
        pytest.UsageError: If its file is not on this machine.
    """
    try:
        return SharedSums(Path(worker[_FILE]), worker[_PART])
    except OSError as error:
        raise pytest.UsageError(
            f"--senytl-perf-budget: this worker cannot share the session's budget, whose file "
            f"{worker[_FILE]} is not on its machine: {error.strerror or error}"
        ) from None
