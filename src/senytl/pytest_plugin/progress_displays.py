"""How loads that run are shown: drawn anew below pytest's own output, or line by line."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from senytl.performance.report.progress import write_progress

if TYPE_CHECKING:
    from senytl.performance.load.progress import LoadProgress
    from senytl.pytest_plugin.stdout import Stdout

__all__ = ["Display", "Lines", "Panel"]

_EVERY = 10.0  # seconds between two lines on a load, where what is written stays
_MOST_LINES = 4  # that are drawn anew
_STALE = 5.0  # seconds without news, after which a load is taken for one that ended


class Display(ABC):
    """Shows loads while they run; any thread may tell it of them.

    Attributes:
        lock: Held while something is written.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()

    @abstractmethod
    def show(self, key: Hashable, progress: LoadProgress) -> None:
        """Show how a load goes; its key tells it from others that run at the same time."""

    @abstractmethod
    def end(self, key: Hashable) -> None:
        """Show a load no more."""

    def hide(self) -> None:  # noqa: B027 - what stays cannot be hidden
        """Restore what was there, until there is news."""

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Restore what was there, and write nothing while the block runs."""
        with self.lock:
            self.hide()
            yield


class Panel(Display):
    """Lines below the one on which pytest writes, drawn anew with all news.

    The cursor always returns to where pytest left it, so that pytest's output stays what it is.
    Who else writes while lines are shown makes them go first, with `paused`.

    Args:
        stdout: The terminal; it must obey ANSI's escape sequences.
    """

    def __init__(self, stdout: Stdout) -> None:
        super().__init__()
        self._stdout = stdout
        self._loads: dict[Hashable, tuple[float, LoadProgress]] = {}
        self._shown = False
        self._closed = False

    def show(self, key: Hashable, progress: LoadProgress) -> None:
        """Draw all loads anew; of many, those that began last."""
        with self.lock:
            now = time.monotonic()
            for known, (told, _) in list(self._loads.items()):
                if now - told > _STALE:
                    del self._loads[known]
            self._loads[key] = now, progress
            self._draw()

    def end(self, key: Hashable) -> None:
        """Draw the other loads, or nothing."""
        with self.lock:
            if self._loads.pop(key, None) is not None:
                self._draw()

    def hide(self) -> None:
        """Erase the lines."""
        with self.lock:
            if self._shown:
                self._stdout.write("\x1b[J")
                self._shown = False

    def close(self) -> None:
        """Erase the lines, and draw no more."""
        with self.lock:
            self._closed = True
            self.hide()

    def _draw(self) -> None:
        if self._closed:
            return
        if not self._loads:
            self.hide()
            return
        width = self._stdout.width
        newest = list(self._loads.values())[-_MOST_LINES:]
        # The last column stays free: a terminal may break the line there.
        lines = [
            write_progress(one, width=width - 1, ascii=self._stdout.ascii) for _, one in newest
        ]
        full, column = divmod(self._stdout.column(), width)
        # On a line that is just full the cursor waits in its last column; this wraps it.
        text = " \r" if full and not column else ""
        text += "".join(f"\r\n{line}\x1b[K" for line in lines)
        text += f"\x1b[J\x1b[{len(lines)}A\r"
        if column:
            text += f"\x1b[{column}C"
        self._shown = True
        self._stdout.write(text)


class Lines(Display):
    """A line on each load every ten seconds, the first when it has run so long.

    Args:
        write_line: Writes a line of its own.
        ascii: Whether it must be ASCII.
    """

    def __init__(self, write_line: Callable[[str], object], *, ascii: bool) -> None:
        super().__init__()
        self._write_line = write_line
        self._ascii = ascii
        self._due: dict[Hashable, float] = {}

    def show(self, key: Hashable, progress: LoadProgress) -> None:
        """Write a line, if it is time."""
        with self.lock:
            now = time.monotonic()
            if now >= self._due.setdefault(key, now + _EVERY):
                self._due[key] = now + _EVERY
                self._write_line(write_progress(progress, ascii=self._ascii))

    def end(self, key: Hashable) -> None:
        """Forget when the load began."""
        with self.lock:
            self._due.pop(key, None)
