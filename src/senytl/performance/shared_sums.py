"""Sums that several processes keep together: each writes its own part, and reads all of them."""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path
from typing import NamedTuple, Self

__all__ = ["SharedSums", "Sums"]

_PART_BYTES = 512
_MOST_PARTS = 1024
_NUMBER_BYTES = 8
_NUMBERS = 4
_TEXT_AT = _NUMBERS * _NUMBER_BYTES


class Sums(NamedTuple):
    """What was spent.

    Args:
        dollars: What the calls cost that have a price.
        calls: How many there were.
        refused: How many more were refused.
        unpriced_models: Models without a price, in alphabetical order.
    """

    dollars: float
    calls: int
    refused: int
    unpriced_models: tuple[str, ...]


class SharedSums:
    """Sums of one process or of many, in memory or in a file that all of them have mapped.

    A process writes nothing but its own part, and each number in one piece: that takes no lock,
    and what a process has written stays when it crashes. The first part holds how many there are.

    Args:
        file: The file; in the memory of this process alone without one.
        part: The number of this process's part, from 1 on.

    Raises:
        OSError: If the file cannot be mapped.
    """

    def __init__(self, file: Path | None = None, part: int = 1) -> None:
        self._file = file
        self._own = part
        if file is None:
            self._map = mmap.mmap(-1, _PART_BYTES * _MOST_PARTS)
        else:
            with file.open("r+b") as opened:
                self._map = mmap.mmap(opened.fileno(), 0)
        self._bytes = memoryview(self._map)
        self._numbers = self._bytes.cast("d")
        if not self._numbers[0]:
            self._numbers[0] = part

    @classmethod
    def in_file(cls, earlier: SharedSums) -> Self:
        """The same sums in a new file, for more processes to take part."""
        handle, name = tempfile.mkstemp(prefix="senytl-spending-")
        os.close(handle)
        file = Path(name)
        file.write_bytes(earlier._bytes)
        return cls(file)

    @property
    def file(self) -> Path | None:
        """The file that other processes need to take part."""
        return self._file

    def new_part(self) -> int:
        """The number of the part of one more process.

        Raises:
            OverflowError: If there are too many.
        """
        number = int(self._numbers[0]) + 1
        if number >= _MOST_PARTS:
            raise OverflowError(f"more than {_MOST_PARTS - 2:,} processes cannot share a budget")
        self._numbers[0] = number
        return number

    def write(self, dollars: float, calls: int, unpriced_models: list[str]) -> None:
        """Write what this process has spent so far."""
        at = self._own * _PART_BYTES // _NUMBER_BYTES
        self._numbers[at] = dollars
        self._numbers[at + 1] = calls
        text = "\n".join(unpriced_models).encode()[: _PART_BYTES - _TEXT_AT]
        if text:
            start = self._own * _PART_BYTES + _TEXT_AT
            self._bytes[start : start + len(text)] = text

    def write_refused(self, refused: int) -> None:
        """Write how many calls this process has refused so far."""
        self._numbers[self._own * _PART_BYTES // _NUMBER_BYTES + 2] = refused

    def dollars(self) -> float:
        """What all processes have spent."""
        step = _PART_BYTES // _NUMBER_BYTES
        parts = int(self._numbers[0])
        return sum(self._numbers[part * step] for part in range(1, parts + 1))

    def read(self) -> Sums:
        """What all processes have written."""
        step = _PART_BYTES // _NUMBER_BYTES
        calls = refused = 0
        models: set[str] = set()
        for part in range(1, int(self._numbers[0]) + 1):
            calls += int(self._numbers[part * step + 1])
            refused += int(self._numbers[part * step + 2])
            start = part * _PART_BYTES
            text = bytes(self._bytes[start + _TEXT_AT : start + _PART_BYTES]).rstrip(b"\0")
            models.update(text.decode("utf-8", "ignore").split("\n"))
        return Sums(self.dollars(), calls, refused, tuple(sorted(models - {""})))

    def close(self) -> None:
        """Let the memory go; the file stays. Closing twice does no harm."""
        self._numbers.release()
        self._bytes.release()
        self._map.close()
