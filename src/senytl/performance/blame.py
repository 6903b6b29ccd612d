"""Raise an error where its cause is written: at the line of the test that states a limit.

A limit of a load test, of a mark or of the project is judged when the run is over, far from the
code that states it. A traceback into senytl would help nobody.
"""

from __future__ import annotations

import ast
import sys
from types import CodeType, FrameType
from typing import NamedTuple, NoReturn

__all__ = ["Place", "place_of_caller", "raise_at"]


class Place(NamedTuple):
    """A line of the user's code.

    Args:
        code: The function it is in.
        line: Its number in the file, from 1.
    """

    code: CodeType
    line: int

    @classmethod
    def top_of(cls, code: CodeType) -> Place:
        """A function's first line, which is that of its first decorator."""
        return cls(code, code.co_firstlineno)


def place_of_caller() -> Place | None:
    """The innermost line of the running code that is not senytl's own."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] != "senytl":
            return Place(frame.f_code, frame.f_lineno)
        frame = frame.f_back
    return None


def raise_at(error: BaseException, place: Place) -> NoReturn:
    """Raise an error from a frame that stands at a place in the user's code.

    Tracebacks, and pytest, then show that line. Template engines do the same for the lines of
    their templates.
    """
    __tracebackhide__ = True
    first = place.code.co_firstlineno
    tree = ast.parse("raise error.with_traceback(None) from error.__cause__")
    # Line numbers are kept relative to the first line, which is set last.
    ast.increment_lineno(tree, place.line - first)
    for node in ast.walk(tree):  # the columns are those of the raise, and would underline nonsense
        if "col_offset" in node._attributes:
            vars(node).update(col_offset=0, end_col_offset=0)
    code = compile(tree, place.code.co_filename, "exec").replace(
        co_name=place.code.co_name, co_firstlineno=first
    )
    exec(code, {"error": error})
    raise AssertionError("unreachable")
