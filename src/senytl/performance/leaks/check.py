"""The leak check of one run: it reads memory in quiet moments, and knows what was asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from senytl.models import MisuseError
from senytl.performance.leaks.detector import LeakLimits
from senytl.performance.leaks.evidence import LeakEvidence
from senytl.performance.leaks.limits import LEAK_METRIC
from senytl.performance.leaks.own import memory_of
from senytl.performance.leaks.quiet import fill_thread_cache
from senytl.performance.leaks.readings import MemoryReader, Readings

if TYPE_CHECKING:
    from senytl.performance.run import Run
    from senytl.performance.sla import SLA

__all__ = ["LeakCheck", "limits_of"]


def limits_of(sla: SLA) -> LeakLimits:
    """What growth an SLA calls a leak."""
    if sla.min_leak is None:
        return LeakLimits(threshold=sla.limit)
    return LeakLimits(threshold=sla.limit, min_leak=sla.min_leak)


class LeakCheck:
    """Reads a run's memory between its rounds.

    Args:
        run: The run.

    Attributes:
        evidence: What has been found so far.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        fill_thread_cache()
        self._readings = Readings()
        self.evidence = LeakEvidence(self._readings)
        self._reader: MemoryReader | None = None
        try:
            self._reader = MemoryReader(*run.watched)
        except MisuseError as error:  # the process that is watched has ended
            self.evidence.note = str(error)

    def read(self, requests: float, own_records: Iterable[object] = ()) -> None:
        """Read memory, in a moment in which no request is in flight.

        Args:
            requests: How many requests have ended.
            own_records: What senytl keeps of the run, besides its recorders.
        """
        self._note(self._readings, requests, own_records)

    def read_further(self, requests: float) -> None:
        """The same after one of the rounds that were run to prove a leak.

        Args:
            requests: How many requests these rounds had by now.
        """
        if not isinstance(self.evidence.further, Readings):
            self.evidence.further = Readings()
        self._note(self.evidence.further, requests, ())

    def replace_by_further(self) -> None:
        """Let the readings of further rounds stand for those of the run, which were too few."""
        if isinstance(self.evidence.further, Readings):
            self._readings = self.evidence.further
            self.evidence.readings = self._readings
            self.evidence.further = ()
            self.evidence.note = ""

    def note_failures(self, failed: int, requests: int) -> None:
        """Note how many of the further requests failed; if most did, they prove nothing."""
        if failed > requests / 2:
            self.evidence.further = ()
            self.evidence.note = (
                f"{failed:,} of {requests:,} further requests, which were to prove a leak, failed"
            )

    def note_pause(self, seconds: float) -> None:
        """Note that each user was held for so long."""
        self.evidence.pauses += 1
        self.evidence.paused_seconds += seconds
        self.evidence.longest_pause = max(self.evidence.longest_pause, seconds)

    @property
    def is_of_another_process(self) -> bool:
        """Whether the agent runs elsewhere, where only the system's own figures are known."""
        return self._run.watched[0] not in (None, os.getpid())

    def settle(self) -> None:
        """Let go of what has only not been collected yet, and read the LLM calls that wait."""
        self._run.read_calls()
        if self._reader is not None:
            self._reader.settle()

    @property
    def limits(self) -> list[LeakLimits]:
        """What growth the run's SLAs call a leak; the usual limits where there is none."""
        return [limits_of(one) for one in self._run.slas if one.metric == LEAK_METRIC] or [
            LeakLimits()
        ]

    def conclude(self) -> LeakEvidence:
        """The evidence, with the strictest limits of the run as its own."""
        self.evidence.limits = min(self.limits, key=lambda one: (one.min_leak, one.threshold))
        return self.evidence

    def _note(self, readings: Readings, requests: float, own_records: Iterable[object]) -> None:
        self.settle()
        if self._reader is None:
            return
        if self.is_of_another_process:
            readings.add(self._reader.read(requests))
            return
        own = memory_of(self._own_records(own_records))
        heap, blocks = own.bytes, own.blocks
        if (tokens := sys.modules.get("senytl.performance.tokens")) is not None:
            kept = tokens.kept_memory()
            heap, blocks = heap + kept[0], blocks + kept[1]
        reading = self._reader.read(requests, heap)
        readings.add(reading._replace(blocks=reading.blocks - blocks))

    def _own_records(self, others: Iterable[object]) -> Iterator[object]:
        yield from self._run.own_records()
        yield from others
