"""When a user of a closed model starts the next body: at once, after a pause, or on a schedule."""

from __future__ import annotations

import math
from random import Random
from typing import Protocol

from senytl.performance.load.plan import LoadPlan

__all__ = ["Pacer", "Pacing", "ThinkTime", "pacer_of"]


class Pacer(Protocol):
    """Says when bodies start, by the same clock as it is told when they end.

    Attributes:
        intends: Whether a body that starts later than it says is late, so that its latency counts
            from there.
    """

    intends: bool

    def next(self, end: float) -> float:
        """When the next body is to start.

        Args:
            end: When the last one ended; for the first one, when the user begins.
        """
        ...

    def put_back(self, moment: float) -> None:
        """Take back what `next` gave: nothing was started then, and it is due in the next stint."""
        ...

    def give_up(self, until: float) -> None:
        """Drop the starts that were due before a moment, and have not been made."""
        ...

    def begin_anew(self) -> None:
        """Forget when starts were due, since the user was away."""
        ...

    def shift(self, seconds: float) -> None:
        """Let everything be due so much later, since the user was held."""
        ...

    @property
    def dropped(self) -> int:
        """How many starts have been given up so far."""
        ...


class ThinkTime:
    """A pause after each body, before the next; none before the first.

    Args:
        least: Seconds.
        most: Seconds; in between, each pause is as likely as any other.
        random: Draws them.
    """

    intends = False
    dropped = 0

    def __init__(self, least: float, most: float, random: Random) -> None:
        self._range = least, most
        self._random = random
        self._due: float | None = -math.inf

    def next(self, end: float) -> float:
        """After the pause."""
        if self._due is not None:
            due, self._due = self._due, None
            return max(end, due)
        least, most = self._range
        return end + (least if least == most else self._random.uniform(least, most))

    def put_back(self, moment: float) -> None:
        """The pause goes on."""
        self._due = moment

    def shift(self, seconds: float) -> None:
        """The rest of the pause comes later."""
        if self._due is not None:
            self._due += seconds

    def give_up(self, until: float) -> None:
        """Nothing is due but after a body."""

    def begin_anew(self) -> None:
        """No pause before the first body."""
        self._due = -math.inf


class Pacing:
    """Starts at even intervals, whatever the bodies take.

    A start that is due while the last body still runs is made when that has ended, and is late.
    Where several are due by then, only the last of them is made: the others are dropped. So are
    those that are due before the user stops, and that it was too busy to make.

    Args:
        interval: Seconds from one start to the next.
    """

    intends = True

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._first = math.nan
        self._number = 0
        self.dropped = 0

    def next(self, end: float) -> float:
        """The next start of the schedule, which may be in the past."""
        if math.isnan(self._first):
            self._first = end
            return end
        self._number += 1
        overdue = math.floor((end - self._first) / self._interval)
        if overdue > self._number:
            self.dropped += overdue - self._number
            self._number = overdue
        # Counted from the first one, so that errors do not add up.
        return self._first + self._number * self._interval

    def put_back(self, moment: float) -> None:
        """The start is still to be made."""
        self._number -= 1

    def give_up(self, until: float) -> None:
        """Those of the schedule after the last one that was made."""
        if math.isfinite(until) and until > self._first:
            due = math.ceil((until - self._first) / self._interval) - 1
            if due > self._number:
                self.dropped += due - self._number
                self._number = due

    def shift(self, seconds: float) -> None:
        """The rest of the schedule comes later."""
        self._first += seconds

    def begin_anew(self) -> None:
        """The schedule begins with the next start."""
        self._first = math.nan
        self._number = 0


def pacer_of(plan: LoadPlan, user: int) -> Pacer | None:
    """What paces a user of a plan; None where the next body follows at once, whatever it took."""
    if plan.pacing is not None:
        return Pacing(plan.pacing)
    think = plan.think_time
    least, most = think if isinstance(think, tuple) else (think, think)
    if not most and plan.timeout is None:
        return None
    return ThinkTime(least, most, Random(f"senytl think time {plan.seed} {user}"))
