"""What the parts of the terminal's report are written on: so many cells, such characters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from senytl.performance.report.plain import one_line

__all__ = ["Marks", "Sheet"]


@dataclass(frozen=True, slots=True)
class Marks:
    """The characters that are neither letters nor digits."""

    held: str
    broken: str
    doubtful: str
    unknown: str
    ellipsis: str
    rule: str
    separator: str


_UNICODE = Marks("✓", "✗", "?", "–", "…", "─", " · ")
_ASCII = Marks(" ", "x", "?", "-", "...", "-", ", ")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A terminal's width and characters, and how text is made to fit them.

    Args:
        width: Cells of a line; wide characters, such as Chinese ones, take two.
        ascii: Whether it shows ASCII only.
    """

    width: int
    ascii: bool = False

    @property
    def marks(self) -> Marks:
        """The characters that it can show."""
        return _ASCII if self.ascii else _UNICODE

    def plain(self, text: str) -> str:
        """Text of unknown origin, safe to show here."""
        return one_line(text, ascii_only=self.ascii)

    def keep_end(self, text: str, cells: int) -> str:
        """The end of a text that is longer, such as a node id, which is known by its end."""
        return self._cut(text, cells, lambda text, cut: self.marks.ellipsis + text[cut:])

    def keep_start(self, text: str, cells: int) -> str:
        """The start of a text that is longer, such as a message."""
        return self._cut(text, cells, lambda text, cut: text[:-cut].rstrip() + self.marks.ellipsis)

    def _cut(self, text: str, cells: int, shorten: Callable[[str, int], str]) -> str:
        from rich.cells import cell_len

        if cell_len(text) <= cells:
            return text
        first = max(len(text) - cells, 1)
        cuts = (shorten(text, cut) for cut in range(first, len(text)))
        return next((short for short in cuts if cell_len(short) <= cells), self.marks.ellipsis)
