"""How a limit on the growth of memory is judged: by the leak check, not by a figure alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from senytl.performance.leaks.check import limits_of
from senytl.performance.leaks.frames import short_path
from senytl.performance.metric.units import write_bytes, write_figure

if TYPE_CHECKING:
    from senytl.performance.leaks.detector import Finding
    from senytl.performance.leaks.evidence import LeakEvidence
    from senytl.performance.metrics import PerformanceMetrics
    from senytl.performance.sla import SLA, Judgement

__all__ = ["judge_growth"]

_NOT_READ = (
    "whether memory leaks could not be told, since it was not read between rounds of requests: "
    "state the limit in the test, by a mark or in its body, or give leak_check=True"
)


def judge_growth(sla: SLA, run: PerformanceMetrics) -> Judgement | None:
    """Hold a limit on the growth of memory against a run.

    Returns:
        The outcome; None for figures made by hand, of which only the figure itself is known.
    """
    from senytl.performance.sla import Judgement

    evidence = run.leak_evidence
    if evidence is None:
        if not run.kind:
            return None
        growth = run.memory_growth
        if growth > sla.limit:
            return Judgement(sla, growth, False, "it grew all through the later half of the run")
        actual = None if math.isnan(growth) else growth
        return _unclear(sla, actual, _NOT_READ)
    finding = evidence.judge(limits_of(sla))
    actual = None if math.isnan(finding.growth) else finding.growth
    if finding.outcome == "unclear":
        return _unclear(sla, actual, finding.why)
    if finding.outcome == "stable":
        return Judgement(sla, actual, True, finding.why)
    why = _why(finding, evidence, sla.limit)
    return Judgement(sla, actual, False, why, outcome=describe_leak(finding))


def _unclear(sla: SLA, actual: float | None, why: str) -> Judgement:
    from senytl.performance.sla import Judgement

    return Judgement(
        sla, actual, True, "", doubt=why, doubt_is_failure=False, outcome="a leak cannot be told"
    )


def describe_leak(finding: Finding) -> str:
    """``leaks 152 B (1.0 blocks) a request``."""
    parts = []
    if finding.bytes_per_request > 0:
        parts.append(write_bytes(finding.bytes_per_request))
    if finding.blocks_per_request >= 0.05:  # as written, more than none
        blocks = f"{finding.blocks_per_request:.1f} blocks"
        parts.append(f"({blocks})" if parts else blocks)
    return f"leaks {' '.join(parts)} a request" if parts else "leaks"


def _why(finding: Finding, evidence: LeakEvidence, threshold: float) -> str:
    why = finding.why
    left = finding.requests_to_threshold
    if math.isfinite(left) and left >= 1:  # else it is past it
        why += f"; it reaches +{write_figure(threshold, 'ratio')} after {left:,.0f} more requests"
    if evidence.sites:
        site = evidence.sites[0]
        line = site.location
        source = f": {line.source}" if line.source else ""
        why += f"; most of it at {short_path(line.file)}:{line.line}{source}"
    elif evidence.sites_note:
        why += f"; {evidence.sites_note}"
    return why
