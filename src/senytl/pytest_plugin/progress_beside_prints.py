"""Keeping apart what a load test prints and what shows it, where nothing captures the prints."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from senytl.pytest_plugin.progress_displays import Panel
    from senytl.pytest_plugin.stdout import Stdout

__all__ = ["BesidePrints"]


class BesidePrints:
    """Lets a panel make way for what is written to `sys.stdout` and `sys.stderr`.

    Its life: `begin` takes the place of both streams, as they are within the test's call; `end`
    gives them back, unless the test has put others there meanwhile. Who keeps one of ours goes
    on writing to the stream that it stands for.

    Args:
        panel: What makes way.
        stdout: Where it is drawn; it learns from us in which column the cursor is.
    """

    def __init__(self, panel: Panel, stdout: Stdout) -> None:
        self._panel = panel
        self._stdout = stdout
        self._column: int | None = None  # unknown, since fixtures and users have printed too
        self._streams: dict[str, tuple[TextIO, TextIO]] = {}
        self._ended = False
        stdout.column = self._find_column

    def begin(self) -> None:
        """Stand between, from the first call on until the end."""
        with self._panel.lock:
            for name in () if self._streams or self._ended else ("stdout", "stderr"):
                theirs = getattr(sys, name)
                ours = cast("TextIO", _Stream(self, theirs))
                self._streams[name] = ours, theirs
                setattr(sys, name, ours)

    def write(self, stream: TextIO, text: str) -> int:
        """Write what the test wants to be written."""
        with self._panel.paused():
            written = stream.write(text)
            _, newline, rest = text.rpartition("\n")
            if newline:
                self._column = len(rest)
            elif self._column is not None:
                self._column += len(rest)
        return written

    def end(self) -> None:
        """Stand between no longer."""
        with self._panel.lock:
            for name, (ours, theirs) in self._streams.items():
                if getattr(sys, name) is ours:
                    setattr(sys, name, theirs)
            self._streams.clear()
            self._ended = True

    def _find_column(self) -> int:
        for _, theirs in self._streams.values():
            with suppress(OSError, ValueError):  # the test's own stream, which it may have closed
                theirs.flush()
        if self._column is None:
            self._stdout.write("\r\n")
            self._column = 0
        return self._column


class _Stream:
    def __init__(self, beside: BesidePrints, stream: TextIO) -> None:
        self._beside = beside
        self._stream = stream

    def write(self, text: str) -> int:
        return self._beside.write(self._stream, text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
