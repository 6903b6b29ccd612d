"""Where users hang that do not come back: the line of code that they are at."""

from __future__ import annotations

import sys
import sysconfig
from types import FrameType

__all__ = ["line_of_coroutine", "line_of_thread"]

_STANDARD_LIBRARY = sysconfig.get_path("stdlib")


def line_of_thread(ident: int) -> str | None:
    """The innermost line that a thread runs, apart from the standard library's, which only waits.

    Returns:
        ``agent.py:12 in run``, with the file's whole path; None if the thread has ended.
    """
    innermost = frame = sys._current_frames().get(ident)
    while frame is not None and _only_waits(frame):
        frame = frame.f_back
    found = frame or innermost
    return None if found is None else _written(found)


def line_of_coroutine(coroutine: object) -> str | None:
    """The same of a coroutine that is suspended, whose frames are on no stack."""
    found: FrameType | None = None
    awaited: object = coroutine
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None)
        if frame is not None and not _only_waits(frame):
            found = frame
        awaited = getattr(awaited, "cr_await", None)
    return None if found is None else _written(found)


def _only_waits(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return file.startswith(_STANDARD_LIBRARY) and "site-packages" not in file


def _written(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
