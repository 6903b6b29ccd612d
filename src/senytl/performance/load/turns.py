"""One user's part in the rounds of a load: what to run next, and when to wait for the others."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import repeat
from operator import length_hint
from typing import TYPE_CHECKING

from senytl.performance.load.rounds import NAP, Round
from senytl.performance.recording import clock

if TYPE_CHECKING:
    from senytl.performance.load.plan import Stint
    from senytl.performance.load.users import User

__all__ = ["Turn"]

_TRIES = 10
"""Bodies after which a user whose requests all fail has had its chance to state a limit."""


class Turn:
    """One user's work in one stint, cut where rounds end.

    Its life: as long as it is not `over`, `tickets` for what to run next, then `arrive`, which may
    give a pause to wait for; at last `leave`.

    Args:
        user: Whose it is.
        stint: When it works.
        is_last: Whether that is its last stint.

    Attributes:
        over: Whether the stint's work is done.
        round: The round that the user works in.
        arrived_at: When the user came to its end, by `clock`.
    """

    __slots__ = (
        "_drawn", "_is_last", "_left", "_load", "_rounds", "_stint", "_takes_part", "_tries",
        "_user", "arrived_at", "over", "round",
    )  # fmt: skip

    def __init__(self, user: User, stint: Stint, *, is_last: bool) -> None:
        self.over = False
        self.round: Round | None = None
        self.arrived_at = 0.0
        self._load = load = user.load
        self._rounds = rounds = load.rounds
        self._user = user
        self._stint = stint
        self._tries = self._drawn = 0
        self._is_last = is_last
        self._left: float = math.inf if stint.iterations is None else stint.iterations
        # Not known until the user had a chance to state a limit, in its first bodies.
        self._takes_part: bool | None = None
        if not stint.counts or not rounds.are_worth_it or load.plan.leak_check is False:
            self._takes_part = False
        else:
            self._decide()

    def tickets(self) -> Iterator[object]:
        """One item for each body that the user may run next; sets until when."""
        load, user = self._load, self._user
        if self._takes_part is False:
            return load.tickets(user, self._stint, self._left)
        if self._takes_part is None:
            self._tries += 1
            self._left -= 1
            return load.tickets(user, self._stint, 1)
        if load.plan.is_timed:
            self.round = self._rounds.current
            user.until = min(self._ends_at, load.started + self.round.boundary)
            if load.stopped:  # in the moment in which this was set
                user.until = -math.inf
            return load.tickets(user, self._stint, math.inf)
        self._drawn = self._rounds.draw(self, self._left)
        if self._drawn <= 0:
            return iter(())
        self._left -= self._drawn
        return load.batch(user, self._stint, repeat(None, self._drawn))

    def arrive(self) -> Round | None:
        """Come to the end of what `tickets` gave; gives the pause to wait for, if there is one."""
        if self._load.stopped or self._user.closed or self._takes_part is False:
            self.over = True
        elif self._takes_part is None:
            self.over = self._is_used_up or clock() >= self._user.until
            self._decide()
        elif self._load.plan.is_timed:
            assert self.round is not None
            self.over = self._load.started + self.round.boundary >= self._ends_at
            return self._end() if self.over else self._rounds.arrive(self)
        elif self._drawn < 0:
            return NAP
        elif self._drawn == 0:
            self.over = self._is_used_up
            return self._end() if self.over else self._rounds.arrive(self)
        return None

    def _end(self) -> Round | None:
        if not self._is_last:
            return None
        self._takes_part = False
        self._user.idle = True
        self._user.active = False
        return self._rounds.finish(self._user)

    def leave(self) -> None:
        """Have no more to do with the rounds."""
        if self._takes_part:
            self._rounds.leave()

    def _decide(self) -> None:
        if self._rounds.wanted:
            self._takes_part = True
            self._rounds.enter()
        elif len(self._user.measured.latencies) or self._tries >= _TRIES:
            self._takes_part = False
            self._rounds.set_free()

    @property
    def _ends_at(self) -> float:
        return min(self._load.deadline, self._load.started + self._stint.end)

    @property
    def _is_used_up(self) -> bool:
        shared = self._load.shared_iterations
        return self._left <= 0 or (shared is not None and not length_hint(shared))
