"""What is known of a run's memory when it has ended: readings, pauses, and where it leaks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from senytl.performance.leaks.detector import Finding, LeakLimits, confirm, examine

if TYPE_CHECKING:
    from senytl.performance.leaks.readings import Reading
    from senytl.performance.leaks.sites import LeakSite

__all__ = ["LeakEvidence"]


@dataclass(eq=False)
class LeakEvidence:
    """How the memory of a run grew, read between rounds of its work.

    Args:
        readings: Memory after each round of the run.
        further: After each of the further rounds, which were run where the first ones left
            doubt; empty where there were none.
        limits: What growth is a leak, unless a limit says otherwise.
        pauses: How often the users were held while memory was read.
        paused_seconds: How long each was held in all.
        longest_pause: How long it was held at a time, at the most.
        sites: The lines of code that leak, the worst first.
        sites_by: What found them: ``"tracemalloc"``, ``"memray"``, ``"heap readings"``, or
            empty.
        sites_note: Why none was looked for or found, or what they do not explain.
        traced_requests: How many requests were run to find them.
        note: Why memory was not read as it should have been; empty where it was.
    """

    readings: Sequence[Reading]
    further: Sequence[Reading] = ()
    limits: LeakLimits = field(default_factory=LeakLimits)
    pauses: int = 0
    paused_seconds: float = 0.0
    longest_pause: float = 0.0
    sites: list[LeakSite] = field(default_factory=list)
    sites_by: str = ""
    sites_note: str = ""
    traced_requests: int = 0
    note: str = ""

    @cached_property
    def finding(self) -> Finding:
        """What comes of the readings, under the run's own limits."""
        return self.judge(self.limits)

    def judge(self, limits: LeakLimits) -> Finding:
        """What comes of the readings under some limits."""
        finding = examine(self.readings, limits)
        if len(self.further):
            finding = confirm(finding, self.further, limits)
        if self.note and finding.outcome != "stable":
            # What looks like a leak may be a cache that fills: further rounds were to tell.
            why = f"{self.note}; {finding.why}"
            finding = replace(finding, outcome="unclear", why=why)
        if finding.outcome == "leak":
            finding = self._with_traced_bytes(finding)
        return finding

    def _with_traced_bytes(self, finding: Finding) -> Finding:
        """The finding with what was traced, where that is more than the heap tells.

        Of small objects only their number is known until they are traced.
        """
        from senytl.performance.leaks.lines import HeapLines

        if self.sites_by == HeapLines.name:
            return finding  # which knows no more than the heap told
        traced = math.fsum(site.bytes_per_request for site in self.sites)
        known = finding.bytes_per_request
        if not traced > (0.0 if math.isnan(known) else known):
            return finding
        left = finding.requests_to_threshold * known / traced
        if not math.isfinite(left):
            left = math.nan
        return replace(finding, bytes_per_request=traced, requests_to_threshold=left)
