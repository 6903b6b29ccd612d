"""The pauses between rounds of a load in tasks: a task of its own reads memory in them."""

from __future__ import annotations

from senytl.performance.leaks.quiet import take_turns
from senytl.performance.load.crews import Crew, Event
from senytl.performance.load.running import Load

__all__ = ["Conductor"]

_STEP = 0.05
"""Seconds from one look at whether a pause waits for too long to the next."""


class Conductor:
    """Makes the pauses of a load, while its users wait.

    Args:
        load: The load, whose rounds tell it when no request is in flight.
        crew: Whose tasks the users are.
    """

    def __init__(self, load: Load, crew: Crew) -> None:
        self._load = load
        self._crew = crew
        self._ready: Event = crew.event()
        load.rounds.new_event = crew.event
        load.rounds.conduct_soon = self._call

    async def be_patient(self) -> None:
        """End pauses that wait for too long, until this is cancelled.

        One task looks now and then, in place of a timeout for each user in each pause: trio keeps
        those that are over for some time, which looks like a leak.
        """
        while True:
            await self._crew.sleep(_STEP)
            self._load.rounds.lose_patience()

    def _call(self) -> None:
        self._ready.set()

    async def conduct(self) -> None:
        """Make the pauses, until this is cancelled."""
        while True:
            await self._ready.wait()
            self._ready = self._crew.event()
            try:
                await take_turns(self._crew.sleep)
                self._load.rounds.conduct()
            except Exception as error:  # a mistake of ours must end the load, not go unseen
                self._load.stop(error)
