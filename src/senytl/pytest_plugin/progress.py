"""Showing a load test while it runs: where, in which way, and who is told of it.

Loaded when the first load test starts, or by the controller of pytest-xdist when a worker tells
it of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from senytl.pytest_plugin.progress_choice import WORKER_ADDRESS, is_shown, takes_panel
from senytl.pytest_plugin.progress_displays import Display, Lines, Panel
from senytl.pytest_plugin.stdout import Stdout, uncaptured_stdout

if TYPE_CHECKING:
    from senytl.performance.load.progress import LoadProgress
    from senytl.pytest_plugin.progress_beside_prints import BesidePrints

__all__ = ["Told", "controller_display", "shown_progress"]


class Told(NamedTuple):
    """Who is told of a load, as `RunSettings` takes it.

    Args:
        of_progress: Told how the load goes, by any thread.
        of_end: Told that it is over.
    """

    of_progress: Callable[[LoadProgress], None]
    of_end: Callable[[], None]


@contextmanager
def shown_progress(item: pytest.Item) -> Iterator[Told | None]:
    """Show the load of a test for as long as the block runs; None where nobody is to see it.

    Args:
        item: The test; the block surrounds pytest's capture of its call.
    """
    workerinput = getattr(item.config, "workerinput", None)
    if workerinput is not None and WORKER_ADDRESS in workerinput:
        from senytl.pytest_plugin.progress_relay import Sender

        sender = Sender(workerinput[WORKER_ADDRESS], workerinput["workerid"], item.nodeid)
        try:
            yield Told(sender.show, sender.end)
        finally:
            sender.close()
    elif workerinput is None and is_shown(item.config):
        with uncaptured_stdout(item.config) as stdout:
            if takes_panel(item.config, stdout):
                with _panel(item, stdout) as told:
                    yield told
            else:
                with _lines(item, stdout) as told:
                    yield told
    else:
        yield None


@contextmanager
def _panel(item: pytest.Item, stdout: Stdout) -> Iterator[Told]:
    panel = Panel(stdout)
    prints: BesidePrints | None = None
    if item.config.getoption("capture") in ("no", "tee-sys"):
        from senytl.pytest_plugin import progress_beside_prints

        prints = progress_beside_prints.BesidePrints(panel, stdout)

    def show(progress: LoadProgress) -> None:
        if prints is not None:
            prints.begin()
        panel.show(item.nodeid, progress)

    def end() -> None:
        panel.end(item.nodeid)
        if prints is not None:
            prints.end()

    debugger = _Debugger(panel)
    item.config.pluginmanager.register(debugger)
    try:
        yield Told(show, end)
    finally:
        item.config.pluginmanager.unregister(debugger)
        panel.close()
        end()


class _Debugger:
    """Leaves the terminal to a debugger that the test enters, for the rest of the load."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    def pytest_enter_pdb(self) -> None:
        self._panel.close()


@contextmanager
def _lines(item: pytest.Item, stdout: Stdout) -> Iterator[Told]:
    lines = Lines(stdout.write_line, ascii=stdout.ascii)
    try:
        yield Told(
            lambda progress: lines.show(item.nodeid, progress), lambda: lines.end(item.nodeid)
        )
    finally:
        if stdout.line_ended:
            # Let pytest begin its own line anew, which was ended behind its back.
            reporter: Any = item.config.pluginmanager.get_plugin("terminalreporter")
            reporter.currentfspath = None
            if reporter.showfspath and not reporter.showlongtestinfo:
                reporter.write_fspath_result(item.nodeid, "")


@contextmanager
def controller_display(config: pytest.Config) -> Iterator[Display]:
    """What shows the load tests of xdist's workers, for as long as the block runs."""
    with uncaptured_stdout(config) as stdout:
        if takes_panel(config, stdout):
            panel = Panel(stdout)
            try:
                yield panel
            finally:
                panel.close()
        else:
            reporter: Any = config.pluginmanager.get_plugin("terminalreporter")

            def write_line(line: str) -> None:
                reporter.ensure_newline()
                if stdout.column():  # which dots do not count as a line
                    reporter.line("")
                reporter.line(line)
                reporter.flush()

            yield Lines(write_line, ascii=stdout.ascii)
