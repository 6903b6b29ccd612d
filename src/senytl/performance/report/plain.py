"""Text of unknown origin (names of tests, error messages, models) made safe to show."""

from __future__ import annotations

__all__ = ["one_line"]

_ASCII = str.maketrans({"…": "...", "µ": "u", "–": "-", "“": '"', "”": '"', "‘": "'", "’": "'"})


def one_line(text: str, *, ascii_only: bool = False) -> str:
    """The text on one line, with its control characters shown as escapes instead of obeyed.

    So an error message can neither colour nor overwrite the terminal, and neither can a
    bidirectional override turn a line round.

    Args:
        text: The text.
        ascii_only: Whether other than ASCII characters are shown as escapes too.
    """
    line = "".join(
        character if character.isprintable() else _escape(character)
        for character in " ".join(text.split())
    )
    return _escape_all(line.translate(_ASCII)) if ascii_only else line


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _escape_all(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")
