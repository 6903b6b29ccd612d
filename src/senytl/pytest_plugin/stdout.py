"""The session's stdout as it is outside pytest's capture, written to while pytest captures."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import pytest

__all__ = ["Stdout", "uncaptured_stdout"]


class Stdout:
    """Writes to where pytest writes.

    Args:
        stream: What takes the text.
        column: Says how many characters pytest has written on its current line.

    Attributes:
        column: The same; who knows better may replace it.
        is_terminal: Whether it is one.
        ascii: Whether it takes ASCII only.
        line_ended: Whether `write_line` has ended the line that pytest had begun.
    """

    def __init__(self, stream: TextIO, column: Callable[[], int]) -> None:
        self.column = column
        self.is_terminal = stream.isatty()
        self.ascii = not _can_write(stream, "·…µ")
        self.line_ended = False
        self._stream: TextIO | None = stream

    @property
    def width(self) -> int:
        """How many columns it has now."""
        columns = 0
        if self._stream is not None:
            try:
                columns = os.get_terminal_size(self._stream.fileno()).columns
            except (OSError, ValueError):  # no terminal, or one that does not know
                columns = 0
        return columns or shutil.get_terminal_size().columns

    def write(self, text: str) -> None:
        """Write at once; nothing any more after an error, which nobody could be told of."""
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None

    def write_line(self, line: str) -> None:
        """Write a line of its own."""
        begin = "\n" if not self.line_ended and self.column() else ""
        self.line_ended = True
        self.write(f"{begin}{line}\n")


@contextmanager
def uncaptured_stdout(config: pytest.Config) -> Iterator[Stdout]:
    """The stdout behind pytest's capture, for as long as the block runs.

    pytest captures by leading file descriptor 1 elsewhere, so this is a copy of the descriptor.
    Made before the capture of a test's call begins, or in no test at all.
    """
    writer = config.get_terminal_writer()
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    with nullcontext() if capture is None else capture.global_and_fixture_disabled():
        sys.stdout.flush()
        theirs, ours = sys.stdout, _copy(sys.stdout)
    try:
        yield Stdout(ours or theirs, lambda: writer.width_of_current_line)
    finally:
        if ours is not None:
            with suppress(OSError):  # what could not be written is lost
                ours.close()


def _copy(stream: TextIO) -> TextIO | None:
    try:
        descriptor = os.dup(stream.fileno())
    except (OSError, ValueError):
        return None  # it is no file, and capture by descriptors passes it by
    return open(descriptor, "w", encoding=stream.encoding, errors="replace", newline="")


def _can_write(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
