"""Taking snapshots: a block that keeps the runs inside it, and `match`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from senytl.agent import run_observer
from senytl.models import SenytlError, SenytlResponse
from senytl.snapshot.document import describe, difference, read, render
from senytl.snapshot.naming import Place, place_of

__all__ = [
    "Mode",
    "SnapshotBlock",
    "SnapshotMismatchError",
    "SnapshotMissingError",
    "match",
    "snapshot_mode",
]

Mode = Literal["update", "compare", "auto"]
"""Write the snapshot, compare with it, or write it where there is none and compare otherwise."""

_MODES: tuple[Mode, ...] = ("update", "compare", "auto")

_current_block: ContextVar[SnapshotBlock | None] = ContextVar("senytl_snapshot", default=None)


class SnapshotMismatchError(SenytlError, AssertionError):
    """Responses are not what their snapshot says."""


class SnapshotMissingError(SenytlError, AssertionError):
    """There is no snapshot to compare with, or nothing to take one of."""


def snapshot_mode(mode: Mode, name: str | None = None) -> SnapshotBlock:
    """A block in which snapshots are taken in this mode.

    When it ends, and nothing was raised in it, the responses of the wrapped agents that ran
    inside it become one snapshot, in the order in which they started, without those that were
    given to `match`. Runs in threads that the block starts count where the thread has a copy of
    the context.

    Args:
        mode: ``"update"`` writes the snapshot, ``"compare"`` compares with it, ``"auto"`` writes
            it where there is none and compares otherwise. In CI, use ``"compare"``: ``"auto"``
            passes where somebody forgot to commit the file.
        name: What tells this snapshot from others of the same test. Without it they are told
            apart by the order of their places in the test, so that those taken in a loop need
            a name each.

    Returns:
        A context manager, for sync and async code.

    Raises:
        ValueError: If there is no such mode.
    """
    if mode not in _MODES:
        raise ValueError(f"the mode is {mode!r}; it is one of {', '.join(map(repr, _MODES))}")
    return SnapshotBlock(mode, name, place_of(sys._getframe(1)))


def match(responses: Any, name: str | None = None) -> None:
    """Take a snapshot of responses now, in the mode of the block around, else in ``"auto"``.

    Args:
        responses: A response of a wrapped agent, a text, anything that has a text; or a list of
            these.
        name: What tells this snapshot from others of the same test.

    Raises:
        SnapshotMismatchError: If they differ from their snapshot.
        SnapshotMissingError: If there is none and the mode is ``"compare"``, or no response.
        TypeError: If one of them has no text.
    """
    __tracebackhide__ = True
    one = isinstance(responses, str | SenytlResponse) or not isinstance(responses, Iterable)
    given = [responses] if one or isinstance(responses, dict) else list(responses)
    block = _current_block.get()
    if block is not None:
        block.leave_out(given)
    if not given:
        raise SnapshotMissingError("snapshot.match was given no responses")
    _take(given, block.mode if block else "auto", place_of(sys._getframe(1)).path(name))


class SnapshotBlock:
    """A block in which snapshots are taken; made by `snapshot_mode`.

    Args:
        mode: What is done with the snapshot.
        name: What tells it from others of the same test.
        place: Where in the test it is taken.
    """

    def __init__(self, mode: Mode, name: str | None, place: Place) -> None:
        self.mode: Mode = mode
        self._name = name
        self._place = place
        self._lock = threading.Lock()
        self._runs: list[tuple[float, SenytlResponse]] = []
        self._left_out: list[Any] = []

    def leave_out(self, responses: Iterable[Any]) -> None:
        """Do not take these responses into the block's own snapshot; they have theirs."""
        with self._lock:
            self._left_out.extend(responses)

    def __enter__(self) -> Self:
        self._tokens = (_current_block.set(self), run_observer.set(self._observe))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        block, observer = self._tokens
        run_observer.reset(observer)
        _current_block.reset(block)
        if error is not None:
            return
        with self._lock:
            runs = [response for _, response in sorted(self._runs, key=lambda run: run[0])]
            left_out = list(self._left_out)
        responses = [run for run in runs if not any(run is other for other in left_out)]
        if responses:
            _take(responses, self.mode, self._place.path(self._name))
        elif not left_out:
            raise SnapshotMissingError(
                "there is nothing to take a snapshot of: no wrapped agent ran in this block; "
                "wrap the agent with senytl.wrap(agent), or give its answers to snapshot.match"
            )

    def _observe(self, response: SenytlResponse, started: float) -> None:
        with self._lock:
            self._runs.append((started, response))


def _take(responses: list[Any], mode: Mode, path: Path) -> None:
    __tracebackhide__ = True
    now = describe(responses)
    try:
        before = None if mode == "update" else read(path)
    except FileNotFoundError:
        before = None
        if mode == "compare":
            raise SnapshotMissingError(
                f"there is no snapshot {path}; run the test once under "
                'snapshot_mode("update") or snapshot_mode("auto"), review the file and commit it'
            ) from None
    except ValueError as error:
        raise SnapshotMismatchError(
            f"{path} cannot be read as a snapshot ({error}); write it anew under "
            'snapshot_mode("update")'
        ) from error
    if before is None:
        from senytl.performance.report.writing import write_whole

        write_whole(path, render(now))
    elif changed := difference(before, now):
        raise SnapshotMismatchError(
            f"the responses differ from the snapshot {path}:\n{changed}\n"
            'If this is as it should be, write it anew under snapshot_mode("update").'
        )
