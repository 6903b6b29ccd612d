"""Lines of code on the way to an allocation: whose they are, and which of them to show.

What leaks is a line of the user's, be it that a library allocates on its behalf. Above the user's
code stand pytest, an event loop and senytl, which tell nothing and are cut off. What senytl
allocates to measure is nobody's leak.
"""

from __future__ import annotations

import linecache
import os
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache
from pathlib import Path

__all__ = ["Frame", "Owner", "frame_at", "innermost_own", "owner_of", "seen_by_user", "short_path"]

_SENYTL = os.path.normcase(str(Path(__file__).parents[2]) + os.sep)
_PYTHON_FILES = (".py", ".pyw", ".pyx", "")
_INSTALLED = ("site-packages", "dist-packages")

_CALLERS = tuple(
    _SENYTL + os.path.normcase(name)
    for name in (
        "performance/leaks/further",
        "performance/load/",
        "performance/benchmarking.py",
        "performance/decorated.py",
        "pytest_plugin/",
    )
)
"""Files of senytl that call bodies: what is below them is the user's doing."""

_BETWEEN = tuple(_SENYTL + os.path.normcase(name) for name in ("capture/", "mocking/"))
"""Files of senytl that stand between the user and an SDK, and below which an SDK may go on."""

_RECORDERS = (*_BETWEEN, _SENYTL + os.path.normcase("performance/"))
"""Files of senytl that keep records of what they see."""

_LOOPS = tuple(
    os.path.normcase(name)
    for name in ("asyncio/events.py", "asyncio/runners.py", "trio/_core/_run.py")
)
"""Files from which event loops run callbacks and tasks: who started the loop is not to blame."""


def short_path(file: str) -> str:
    """A path from the working directory, where that is shorter; it also tells less of a machine."""
    if not os.path.isabs(file):
        return file
    try:
        relative = os.path.relpath(file)
    except (OSError, ValueError):  # the folder is gone, or on another drive
        return file
    return relative if len(relative) < len(file) else file


class Owner(Enum):
    """Whose code a file holds."""

    USER = "the user's own"
    LIBRARY = "installed"
    PYTHON = "Python's standard library"
    CALLER = "senytl, where it calls bodies"
    RECORDER = "senytl, where it keeps records"
    SENYTL = "senytl, where it acts for the user"
    NATIVE = "not Python"


@dataclass(frozen=True, slots=True)
class Frame:
    """A line of code that was running.

    Args:
        file: The file's path, as Python knows it.
        line: The line's number, from 1; 0 where it is not known.
        function: The function's name; empty where it is not known.
        source: The line itself, without space around it; empty where it is not known.
    """

    file: str
    line: int
    function: str = ""
    source: str = ""


def frame_at(file: str, line: int, function: str = "") -> Frame:
    """A frame, with its line of source where there is one."""
    try:
        source = linecache.getline(file, line).strip()
    except Exception:  # a file that is no text, or a loader with a fault
        source = ""
    return Frame(file, line, function, source)


@lru_cache(maxsize=4096)
def owner_of(file: str) -> Owner:
    """Whose code a file holds, by where it lies."""
    path = os.path.normcase(file)
    if path.startswith(_SENYTL):
        if path.startswith(_CALLERS):
            return Owner.CALLER
        return Owner.RECORDER if path.startswith(_RECORDERS) else Owner.SENYTL
    if path.startswith("<"):
        return Owner.PYTHON if path.startswith("<frozen") else Owner.LIBRARY
    if os.path.splitext(path)[1] not in _PYTHON_FILES:
        return Owner.NATIVE
    if any(f"{os.sep}{folder}{os.sep}" in path for folder in _INSTALLED):
        return Owner.LIBRARY
    if path.startswith(_folders("purelib", "platlib")):
        return Owner.LIBRARY
    return Owner.PYTHON if path.startswith(_folders("stdlib", "platstdlib")) else Owner.USER


def innermost_own(files: Sequence[str]) -> int:
    """The place of the innermost line that is the user's own, or -1.

    Args:
        files: The files of a traceback, the outermost first.
    """
    for place in range(len(files) - 1, -1, -1):
        if owner_of(files[place]) is Owner.USER:
            return place
    return -1


def seen_by_user(files: Sequence[str]) -> int | None:
    """From which line on a traceback tells the user something.

    Args:
        files: The files of the traceback, the outermost first.

    Returns:
        The place of the first line to show; None if senytl has allocated for its own records.
    """
    owners = [owner_of(file) for file in files]
    first = _last(owners, Owner.CALLER) + 1
    own = _last(owners, Owner.USER)
    if own < first:
        own = -1
    inner = owners[max(first, own + 1) :]
    if own < 0 and not inner:
        return None
    if _is_for_records(files[len(files) - len(inner) :], inner):
        return None
    if own < 0:
        return first
    for place in range(own - 1, first - 1, -1):
        if os.path.normcase(files[place]).endswith(_LOOPS):
            first = place + 1
            break
    while owners[first] is not Owner.USER:
        first += 1
    return first


def _is_for_records(files: Sequence[str], owners: Sequence[Owner]) -> bool:
    """Whether what runs below the user's innermost line is senytl's keeping of records.

    Measuring calls nothing of the user's, but tokenizers and price lists. Where an SDK goes on
    below capturing, what it allocates is the user's.
    """
    closest = True
    for file, owner in zip(reversed(files), reversed(owners), strict=True):
        if owner is Owner.RECORDER and (closest or not os.path.normcase(file).startswith(_BETWEEN)):
            return True
        closest = closest and owner in (Owner.PYTHON, Owner.NATIVE)
    return False


def _last(owners: Sequence[Owner], wanted: Owner) -> int:
    for place in range(len(owners) - 1, -1, -1):
        if owners[place] is wanted:
            return place
    return -1


@cache
def _folders(*names: str) -> tuple[str, ...]:
    """Folders of this interpreter, each as it is written and where links lead."""
    found = set()
    for name in names:
        folder = sysconfig.get_path(name)
        if folder:
            for path in (folder, os.path.realpath(folder)):
                found.add(os.path.normcase(path.rstrip(os.sep) + os.sep))
    return tuple(found)
