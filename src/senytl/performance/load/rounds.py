"""The rounds of a load whose memory is checked: between them users are held while it is read.

A reading tells a leak from work that is under way only while no request is in flight. So users
who come to the end of a round wait for the others, memory is read, and all go on. What the plan
says of time is shifted by that pause, for all users alike: each goes on where it was, so that they
do not all start at once, and no latency, no intended start and no throughput knows of the pause.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from itertools import islice
from operator import length_hint
from typing import TYPE_CHECKING, Any

from senytl.performance.leaks.limits import FEWEST_REQUESTS, ROUNDS
from senytl.performance.leaks.quiet import fill_thread_cache
from senytl.performance.recording import clock

if TYPE_CHECKING:
    from senytl.performance.load.running import Load
    from senytl.performance.load.turns import Turn
    from senytl.performance.load.users import User

__all__ = ["NAP", "Round", "Rounds"]

_FEW_ROUNDS = 10
_BODIES_A_USER = 2
"""Of each user in a round, where there are enough for ten rounds: with fewer, most would wait."""

_PARTS = 4
"""Of what would be a user's share of the rest of a round, a quarter is given out at a time."""

_FREE = 0.5
_CHEAP, _DEAR = 0.1, 0.5
"""Seconds, and shares of a load's time: pauses that take no more than the seconds and the lower
share are made at the end of each round, and they never take more than the seconds and the higher
one."""

_LEAST_PATIENCE, _PATIENCE = 2.0, 0.25
"""How long a pause may wait for requests in flight: seconds, and a share of the load so far."""

_MOST_MISSED = 3
"""Pauses in which that was too long, after which no more are made."""


class Round:
    """A part of a load's work, and the pause at its end.

    Args:
        boundary: When it ends, on the plan's clock; infinite where a number of bodies ends it.
        left: How many bodies its users may still begin; infinite where time ends it.
        share: How many of them each user begins with.
        opened: An event that is set when the pause is over.

    Attributes:
        drawn: How many users have begun it, or need not be waited for.
        first_arrival: When the first user came to its end, by `clock`.
        shift: How long the pause was, for each user.
        patience: For how many seconds it waits for requests in flight.
    """

    def __init__(self, boundary: float, left: float, share: int, opened: Any) -> None:
        self.boundary = boundary
        self.left = left
        self.share = share
        self.opened = opened
        self.drawn = 0
        self.first_arrival = math.inf
        self.shift = 0.0
        self.patience = _LEAST_PATIENCE
        self.conducted = False


NAP = Round(math.inf, 0, 0, threading.Event())
"""Stands for no pause, but a moment in which others begin their part of the round."""


class Rounds:
    """Cuts a load into rounds, as soon as something asks for its memory to be checked.

    Args:
        load: The load.

    Attributes:
        new_event: Makes what a pause's end is waited for by.
        conduct_soon: Called when no request is in flight; has `conduct` called.
        paused: For how many seconds each user was held in all.
        current: The round that runs.
        has_read_last: Whether memory was read after the last request.
    """

    def __init__(self, load: Load) -> None:
        self.new_event: Callable[[], Any] = threading.Event
        self.conduct_soon: Callable[[], object] = bool
        self.paused = 0.0
        self._load = load
        self._lock = threading.Lock()
        self._present = self._arrived = self._missed = self._number = 0
        self._wanted = False
        self._some_are_free = False
        self._given_up = ""
        self.current = NAP
        self._last = NAP
        self.has_read_last = False
        self._finished: set[int] = set()
        self._some_wait = False

    @property
    def wanted(self) -> bool:
        """Whether memory is to be checked: the load's settings, or a limit by now, say so."""
        if not self._wanted and not self._some_are_free:
            plan = self._load.plan
            asked = plan.leak_check
            self._wanted = self._load.run.wants_leak_check if asked is None else asked
        return self._wanted

    @property
    def are_worth_it(self) -> bool:
        """Whether there may be enough requests to tell a leak."""
        planned = self._load.plan.planned_requests
        return planned is None or planned >= FEWEST_REQUESTS

    def begin(self) -> None:
        """Begin the first round: the users are released."""
        self._last = Round(math.inf, 0, 0, self.new_event())
        self._last.patience = math.inf
        self.current = self._next_round()

    def enter(self) -> None:
        """Count a user who is held from now on when a round ends; called by the user itself."""
        fill_thread_cache()
        with self._lock:
            self._present += 1

    def set_free(self) -> None:
        """Note that a user is not held at the end of rounds: then nobody need be."""
        self._some_are_free = True

    def leave(self) -> None:
        """Count one whose stint is over."""
        with self._lock:
            self._present -= 1
            ready = self._is_ready()
        if ready:
            self.conduct_soon()

    def draw(self, turn: Turn, own_left: float) -> int:
        """How many bodies a user runs next in a round that a number of them ends.

        Args:
            turn: The user's.
            own_left: How many it may run at the most.

        Returns:
            0 where the round has no more, -1 where others are to begin first.
        """
        shared = self._load.shared_iterations
        with self._lock:
            current = self.current
            if turn.round is not current:
                turn.round = current
                current.drawn += 1
                size: float = max(1, current.share // _PARTS)
            elif current.drawn < self._present:
                return -1 if current.left else 0
            else:
                # Less and less, so that all come to the end of the round at about the same time.
                size = max(1, current.left // (_PARTS * self._present))
            size = min(size, current.left, own_left)
            if shared is not None:
                size = min(size, length_hint(shared))
                deque(islice(shared, int(size)), maxlen=0)
            current.left -= size
            return int(size)

    def arrive(self, turn: Turn) -> Round | None:
        """Come to the end of a round; gives the pause to wait for, if there is one."""
        with self._lock:
            current = self.current
            if turn.round is not current:  # a pause did not wait for this user any longer
                return None
            self._arrived += 1
            turn.arrived_at = clock()
            if math.isfinite(current.boundary):  # who comes early waits anyway
                turn.arrived_at = max(turn.arrived_at, self._load.started + current.boundary)
            current.first_arrival = min(current.first_arrival, turn.arrived_at)
            ready = self._is_ready()
        if ready:
            self.conduct_soon()
        return current

    def _is_ready(self) -> bool:
        current = self.current
        if current.conducted or not self._arrived == self._present > 0:
            return False
        current.conducted = True
        return True

    def conduct(self) -> None:
        """Read memory, and let all users go on."""
        current = self.current
        if not self._load.stopped:
            self.read()
        if self._is_last():
            self.has_read_last = True
            self._last.opened.set()
        else:
            self._release(current)

    def read(self) -> None:
        """Read memory, while no request is in flight."""
        load = self._load
        with load.watch.probe.excused():
            requests = sum(user.measured.ended for user in load.users)
            load.run.leaks.read(requests, load.watch.own_records())

    @property
    def next_pause_at(self) -> float:
        """When the next pause of an open model is due, by `clock`; infinite where none is."""
        due = self._load.started + self.current.boundary
        worth = self.are_worth_it and due < self._load.deadline
        return due if worth and self.wanted else math.inf

    def read_last(self) -> None:
        """Read memory after the last request of an open model, while its users are still there."""
        if self.wanted and self.are_worth_it and not self._load.stopped:
            self.read()
            self.has_read_last = True

    def hold(self, boundary_at: float) -> None:
        """Make the pause of an open model, in which nobody is busy now.

        Args:
            boundary_at: When it was due, by `clock`.
        """
        self.current.first_arrival = boundary_at
        if not self._load.stopped:
            self.read()
        self._release(self.current)

    def finish(self, user: User) -> Round:
        """Come to the end of a user's work; gives a pause until all others have.

        Memory is read for the last time while all are still there: a thread that ends takes with it
        what it had.
        """
        with self._lock:
            self._present -= 1
            self._some_wait = True
            self._finished.add(user.number)
            ready = self._is_last() or self._is_ready()
        if ready:
            self.conduct_soon()
        return self._last

    def user_left(self, user: User) -> None:
        """Count a user whose work is over, so that nobody waits for one who never took part."""
        with self._lock:
            is_new = user.number not in self._finished
            self._finished.add(user.number)
            ready = is_new and self._some_wait and self._is_last()
        if ready:
            self.conduct_soon()

    def _is_last(self) -> bool:
        return len(self._finished) == len(self._load.users)

    def give_up(self, missed: Round) -> None:
        """Let the users go on without a reading: a request in flight took too long."""
        with self._lock:
            if missed.conducted or missed is not self.current:
                return
            missed.conducted = True
            self._missed += 1
            if self._missed >= _MOST_MISSED:
                self._given_up = (
                    "memory could not be read between rounds, since requests in flight took longer "
                    f"than {missed.patience:.1f} s"
                )
                self._load.run.leaks.evidence.note = self._given_up
        self._release(missed)

    def lose_patience(self) -> None:
        """Give up on the pause whose users have waited for too long, if they have."""
        current = self.current
        if clock() > current.first_arrival + current.patience:
            self.give_up(current)

    def open_all(self) -> None:
        """Let all go on, since the load was stopped."""
        self.current.opened.set()
        self._last.opened.set()

    def _release(self, held: Round) -> None:
        load = self._load
        with self._lock:
            if held is not self.current:
                return
            held.shift = max(0.0, clock() - held.first_arrival)
            self.paused += held.shift
            load.shift(held.shift)
            load.run.leaks.note_pause(held.shift)
            behind = self._present - self._arrived
            self._arrived = 0
            self.current = self._next_round(held.shift)
            self.current.drawn = behind  # who still works on the last round keeps nobody from this
        held.opened.set()

    def _next_round(self, last_pause: float = 0.0) -> Round:
        plan, load = self._load.plan, self._load
        length = 1
        elapsed = clock() - load.counts_from - self.paused if self._number else 0.0
        if self._number and elapsed > 0:
            one = elapsed / self._number
            cost = self.paused + last_pause - _FREE
            share = _CHEAP
            while length < ROUNDS and cost > share * (elapsed + one * length):
                length += 1
                share = _DEAR
        self._number += length
        left = boundary = math.inf
        each = 0
        if plan.is_timed:
            measured = plan.deadline - plan.warmup_seconds
            boundary = plan.warmup_seconds + measured * self._number / ROUNDS
        else:
            bodies = plan.planned_requests or 1
            rounds = min(ROUNDS, bodies // (_BODIES_A_USER * plan.users))
            rounds = max(1, min(max(rounds, _FEW_ROUNDS), bodies // plan.users))
            left = math.ceil(bodies / rounds) * length
            each = max(1, int(left) // plan.users)
        if self._given_up:
            left = boundary = math.inf
        new = Round(boundary, left, each, self.new_event())
        new.patience = max(_LEAST_PATIENCE, _PATIENCE * elapsed)
        return new
