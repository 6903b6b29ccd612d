"""What a load keeps of requests whose single latencies it forgets: their distribution."""

from __future__ import annotations

from threading import Lock

from senytl.performance.distribution import MOST_EXACT, Distribution
from senytl.performance.request_columns import COLUMNS, Columns

__all__ = ["LEAST_BATCH", "MOST_BATCH", "Forgotten", "batch_of"]

MOST_BATCH = 65_536
"""How many bodies a user runs at the most before it looks whether latencies are to be forgotten."""

LEAST_BATCH = 256
"""How many a user of an open model runs, and anyone at the least."""


def batch_of(users: int) -> int:
    """How many bodies each user runs between two looks, so that all users together keep little."""
    return max(LEAST_BATCH, min(MOST_BATCH, 2 * MOST_EXACT // max(1, users)))


class Forgotten:
    """The distributions of all that was forgotten; any user's thread adds to it.

    Attributes:
        columns: For each column of a recorder, what was in it.
        wanted: Whether single latencies are to be forgotten: there are too many of them.
    """

    def __init__(self) -> None:
        self.columns = {name: Distribution(most_exact=0) for name in COLUMNS}
        self.wanted = False
        self._lock = Lock()
        self._kept = 0
        self._fresh: list[Columns] = []

    def note_batch(self, bodies: int) -> None:
        """Note that a user has run so many bodies more; from a number on, `wanted` is True."""
        self._kept += bodies  # two users at once may lose one of the two: it is no exact bound
        if self._kept > MOST_EXACT:
            self.wanted = True

    def take(self, seen: Columns, unseen: Columns) -> None:
        """Take what a recorder forgets.

        Args:
            seen: What the load's watch has seen of it.
            unseen: What it has not, and is told of by `fresh`.
        """
        with self._lock:
            self._fresh.append(unseen)
            for name, distribution in self.columns.items():
                distribution.extend(getattr(seen, name))
                distribution.extend(getattr(unseen, name))

    def fresh(self) -> list[Columns]:
        """What the watch had not seen when it was forgotten; each is told once."""
        with self._lock:
            fresh, self._fresh = self._fresh, []
        return fresh
