"""What is drawn on a terminal, as an emulator of one shows it, and what is written elsewhere."""

from __future__ import annotations

import io
import sys
import time

import pyte
import pytest

from senytl.performance.load.progress import LoadProgress
from senytl.performance.report.progress import write_progress
from senytl.pytest_plugin import progress_displays
from senytl.pytest_plugin.progress_beside_prints import BesidePrints
from senytl.pytest_plugin.progress_displays import Lines, Panel
from senytl.pytest_plugin.stdout import Stdout


class Terminal(io.StringIO):
    """A terminal, and how many characters somebody has written on its current line."""

    def __init__(self, columns: int = 60, rows: int = 8) -> None:
        super().__init__()
        self.screen = pyte.Screen(columns, rows)
        self.column = 0
        self._stream = pyte.Stream(self.screen)

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._stream.feed(text)
        return len(text)

    def type(self, text: str) -> None:
        """Write as pytest does, which counts."""
        _, newline, rest = text.rpartition("\n")
        self.column = len(rest) + (0 if newline else self.column)
        self.write(text.replace("\n", "\r\n"))

    @property
    def shown(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display if line.strip()]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("COLUMNS", "60")
    return Terminal()


@pytest.fixture
def stdout(terminal: Terminal) -> Stdout:
    return Stdout(terminal, lambda: terminal.column)


def progress(name: str = "test_load", requests: int = 0) -> LoadProgress:
    return LoadProgress(
        name=f"test_it.py::{name}",
        phase="load",
        elapsed=1,
        remaining=None,
        users=2,
        requests=requests,
        failed=0,
        rps=float(requests),
    )


def line(requests: int, name: str = "test_load") -> str:
    return write_progress(progress(name, requests), width=59)


def test_a_line_is_drawn_below_and_pytest_goes_on_where_it_was(
    terminal: Terminal, stdout: Stdout
) -> None:
    panel = Panel(stdout)
    terminal.type("collected 2 items\n\ntest_it.py .")
    panel.show(1, progress(requests=10))
    panel.show(1, progress(requests=20))
    assert terminal.shown == [
        "collected 2 items",
        "test_it.py .",
        line(20),
    ]
    panel.end(1)
    assert terminal.shown == ["collected 2 items", "test_it.py ."]
    terminal.type(".   [100%]\nend\n")
    assert terminal.shown == ["collected 2 items", "test_it.py ..   [100%]", "end"]


@pytest.mark.parametrize("before", [0, 3, 6, 7, 20])
@pytest.mark.parametrize("width", [0, 1, 59, 60, 61, 120, 125])
def test_it_leaves_no_trace_wherever_the_cursor_was(
    monkeypatch: pytest.MonkeyPatch, before: int, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    texts = ["line\n" * before + "x" * width, "PASSED\n", "test_b.py ", "."]
    plain, drawn = Terminal(), Terminal()
    panel = Panel(Stdout(drawn, lambda: drawn.column))
    for text in texts:
        plain.type(text)
        drawn.type(text)
        panel.show("a", progress("test_a"))
        panel.show("b", progress("test_b"))
        panel.end("a")
        assert any("test_b: 0:01" in shown for shown in drawn.shown)
        panel.end("b")
    # Lines at the bottom may scroll the screen; what is on it must be the same text.
    assert drawn.shown == plain.shown[-len(drawn.shown) :]
    assert len(plain.shown) - len(drawn.shown) <= 2


def test_of_many_loads_the_newest_four_are_shown(terminal: Terminal, stdout: Stdout) -> None:
    panel = Panel(stdout)
    for number in range(6):
        panel.show(number, progress(f"test_{number}", requests=number))
    assert terminal.shown == [line(number, f"test_{number}") for number in (2, 3, 4, 5)]
    panel.end(5)
    panel.end(3)
    assert terminal.shown == [line(number, f"test_{number}") for number in (0, 1, 2, 4)]


def test_a_load_without_news_is_taken_for_ended(
    terminal: Terminal, stdout: Stdout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_displays, "_STALE", 0.05)
    panel = Panel(stdout)
    panel.show("lost", progress("test_lost"))
    time.sleep(0.1)
    panel.show("alive", progress("test_alive"))
    assert ["test_alive" in shown for shown in terminal.shown] == [True]


def test_while_it_is_paused_nothing_of_it_is_there(terminal: Terminal, stdout: Stdout) -> None:
    panel = Panel(stdout)
    terminal.type(".")
    panel.show(1, progress())
    with panel.paused():
        assert terminal.shown == ["."]
        terminal.type(".F")
    assert terminal.shown == ["..F"]
    panel.show(1, progress(requests=7))
    assert terminal.shown == ["..F", line(7)]


def test_closed_it_draws_no_more(terminal: Terminal, stdout: Stdout) -> None:
    panel = Panel(stdout)
    terminal.type(".")
    panel.show(1, progress())
    panel.close()
    panel.show(1, progress())
    assert terminal.shown == ["."]


def test_what_is_printed_meanwhile_stays_whole(
    terminal: Terminal, stdout: Stdout, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Printed(io.StringIO):
        """Like the real stdout, it holds text back until it is flushed."""

        def flush(self) -> None:
            terminal.write(self.getvalue().replace("\n", "\r\n"))
            self.seek(0)
            self.truncate()

    printed = Printed()
    monkeypatch.setattr(sys, "stdout", printed)
    terminal.type("test_it.py ")
    panel = Panel(stdout)
    beside = BesidePrints(panel, stdout)
    beside.begin()
    ours = sys.stdout
    assert ours is not printed
    panel.show(1, progress(requests=1))
    ours.write("Hello, ")
    panel.show(1, progress(requests=2))
    assert terminal.shown == ["test_it.py", "Hello,", line(2)]
    ours.write("world\n")
    ours.writelines(["a\n", "b\n"])
    panel.show(1, progress(requests=3))
    assert terminal.shown == [
        "test_it.py",
        "Hello, world",
        "a",
        "b",
        line(3),
    ]
    panel.close()
    beside.end()
    assert sys.stdout is printed
    beside.begin()
    assert sys.stdout is printed
    ours.write("late\n")
    ours.flush()
    assert terminal.shown == ["test_it.py", "Hello, world", "a", "b", "late"]


def test_streams_that_a_test_has_put_there_meanwhile_stay(
    stdout: Stdout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    beside = BesidePrints(Panel(stdout), stdout)
    beside.begin()
    sys.stdout = mine = io.StringIO()
    beside.end()
    assert sys.stdout is mine


def test_lines_come_when_a_load_has_run_long_and_then_at_intervals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    written: list[tuple[float, str]] = []
    lines = Lines(lambda text: written.append((now, text)), ascii=True)
    for quarter in range(101):
        now = 100 + quarter / 4
        lines.show("a", progress(requests=quarter))
        if quarter == 60:
            lines.end("b")
        if quarter >= 30:
            lines.show("b", progress("test_b"))
    assert [at for at, text in written if "test_load" in text] == [110, 120]
    assert [at for at, text in written if "test_b" in text] == [125]
    assert written[0][1] == "test_it.py::test_load: 0:01 | 2 users | 40.0 req/s | 40 requests"


def test_a_line_of_its_own_ends_the_line_that_was_begun_once() -> None:
    stream = io.StringIO()
    stdout = Stdout(stream, lambda: 11)
    stdout.write("test_it.py ")
    assert not stdout.line_ended
    stdout.write_line("one")
    stdout.write_line("two")
    assert stream.getvalue() == "test_it.py \none\ntwo\n"
    assert stdout.line_ended


def test_a_stdout_that_is_gone_disturbs_nobody() -> None:
    class Broken(io.StringIO):
        writes = 0

        def write(self, text: str) -> int:
            self.writes += 1
            raise BrokenPipeError

    broken = Broken()
    stdout = Stdout(broken, lambda: 0)
    stdout.write("a")
    stdout.write_line("b")
    assert broken.writes == 1
    assert stdout.width > 0
