"""The garbage collector while a load runs: what was there before is none of its business.

A full collection looks at every object of the process: half a million of them in a test session
that has imported some SDKs, which took 100 ms at a time (measured), and all users wait for it.
"""

from __future__ import annotations

import gc

__all__ = ["SetAside"]


_OF_THE_INTERPRETER = 1_000
"""More objects than an interpreter sets aside by itself: Python 3.12 begins with some 400."""


class SetAside:
    """Takes the objects that exist out of the garbage collector's sight, until it is closed.

    Objects that come later are collected as ever. Where somebody has set objects aside already,
    as a load around this one, nothing is done. Interpreters that cannot do it do without.
    """

    def __init__(self) -> None:
        self._is_ours = hasattr(gc, "freeze") and gc.get_freeze_count() < _OF_THE_INTERPRETER
        self.extend()

    def extend(self) -> None:
        """Set aside what has come since."""
        if self._is_ours:
            gc.freeze()

    def close(self) -> None:
        """Let the garbage collector see all objects again."""
        if self._is_ours:
            self._is_ours = False
            gc.unfreeze()
