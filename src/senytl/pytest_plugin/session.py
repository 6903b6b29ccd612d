"""The session's report: figures collected from every test, judged, written and shown.

It lives in the process that has the terminal: the only one, or the controller of pytest-xdist.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from senytl.pytest_plugin.markers import WORKER_PROBLEM

if TYPE_CHECKING:
    from pathlib import Path

    from senytl.performance.report.schema import RunDocument, SessionDocument
    from senytl.pytest_plugin.options import PluginConfig

__all__ = ["FIGURES", "SessionReport"]

FIGURES = "senytl_figures"
"""The attribute of a test's report that carries its figures, as a JSON string."""


class SessionReport:
    """The figures of all measured tests.

    Its life: tests' reports bring figures while the session runs, in any order and from any
    process; when the last test has ended the budget is judged and the files are written, also
    where the session was interrupted; then the terminal shows it all.

    Args:
        config: The session's configuration.
        settings: The plugin's own part of it.
    """

    def __init__(self, config: pytest.Config, settings: PluginConfig) -> None:
        self._config = config
        self._settings = settings
        self._tests: dict[tuple[str, str], tuple[int, RunDocument]] = {}
        self._written: list[Path] = []
        self._failures: list[str] = []

    def add(self, figures: str, worker: str = "") -> None:
        """Take the figures of a test; those of a later attempt replace those of an earlier.

        Args:
            figures: The JSON text of the test's place in the session and its document.
            worker: The process that ran it, since all may run every test.
        """
        index, document = json.loads(figures)
        self._tests[worker, document["nodeid"]] = index, document

    def document(self) -> SessionDocument:
        """The document of the session, with the tests in the order of their collection."""
        from senytl.performance.report.document import describe_session

        tests = sorted(self._tests.items(), key=lambda entry: (entry[1][0], entry[0]))
        return describe_session([document for _, (_, document) in tests])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the figures that came with a test's report."""
        figures = getattr(report, FIGURES, None)
        if figures is not None:
            self.add(figures, getattr(report, "worker_id", ""))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Judge the budget and write the files when no more test will run, however that came."""
        try:
            return (yield)
        finally:
            if not self._config.option.collectonly:
                self._conclude(session)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the figures, if there are any and pytest is not told twice to be quiet."""
        if self._tests and self._config.get_verbosity() > -2:
            from senytl.pytest_plugin.terminal import write_table

            write_table(terminalreporter, self.document())
        for path in self._written:
            terminalreporter.write_line(f"senytl: wrote {path}")
        for failure in self._failures:
            terminalreporter.write_line(f"senytl: {failure}", red=True)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell an xdist worker whom to tell of its load tests."""
        from senytl.pytest_plugin.progress_relay import tell_worker

        tell_worker(self._config, node)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Refuse the session if an xdist worker found tests that cannot be measured."""
        problem = getattr(node, "workeroutput", {}).get(WORKER_PROBLEM)
        if problem is not None:
            raise pytest.UsageError(problem)

    def _conclude(self, session: pytest.Session) -> None:
        if self._settings.budget and self._tests:
            from senytl.pytest_plugin.budget import judge_budget

            self._failures += judge_budget(self._settings.budget, self.document()["totals"])
        for path in self._settings.report_paths:
            try:
                self._write(path)
            except OSError as error:
                self._failures.append(f"could not write {path}: {error.strerror or error}")
            else:
                self._written.append(path)
        # Failed like this, the session ends with pytest's exit code for failed tests.
        session.testsfailed += len(self._failures)

    def _write(self, path: Path) -> None:
        from senytl.performance.report import format_for
        from senytl.performance.report.writing import write_whole

        write_whole(path, format_for(path).render_session(self.document()))
