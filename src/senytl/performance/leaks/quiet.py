"""Quiet for those who measure: a garbage collector with little to do, a loop with nothing ready.

A full collection looks at every object of the process: half a million of them in a test session
that has imported some SDKs, which took 100 ms at a time (measured), and all users wait for it.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["SetAside", "fill_thread_cache", "sleep_here", "take_turns"]

_TURNS = 5
_LAST_TURN = 0.001
"""How often others get the loop before memory is read, and seconds that timers get at last:
callbacks that are ready run meanwhile, and tasks that only have to end."""


_OF_THE_INTERPRETER = 1_000
"""More objects than an interpreter sets aside by itself: Python 3.12 begins with some 400."""


_CACHED_SIZES = range(513, 1032, 16)
_CACHED_OF_EACH = 7
"""What glibc keeps for each thread of what it has freed: so many chunks of each size up to 1,032
bytes, of which those up to 512 are seldom asked of it by Python."""


def fill_thread_cache() -> None:
    """Fill malloc's cache of the calling thread, so that it grows no more.

    What a thread has freed stays in its cache at first, and malloc counts that as in use: up to
    180 KB for each thread, which looks like a leak while it fills.
    """
    chunks = [bytearray(size) for size in _CACHED_SIZES for _ in range(_CACHED_OF_EACH)]
    del chunks


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


async def take_turns(sleep: Callable[[float], Awaitable[Any]]) -> None:
    """Let a loop run what is ready, and what follows from that.

    Args:
        sleep: That of the loop's library.
    """
    for _ in range(_TURNS):
        await sleep(0)
    await sleep(_LAST_TURN)


def sleep_here() -> Callable[[float], Awaitable[Any]]:
    """The sleep of the library whose loop runs here."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        sleep: Callable[[float], Awaitable[Any]] = trio.sleep
        return sleep
    return asyncio.sleep
