"""Memory of the process during the run."""

from __future__ import annotations

import math
from typing import Any

from senytl.performance.metric import Direction, Metric
from senytl.performance.metric.units import write_count, write_figure

__all__ = ["MemoryMetrics"]

_NO_SAMPLE = "no memory sample was taken"
_TOO_FEW = "too few memory samples were taken"


def _growth(run: Any) -> float | None:
    from senytl.performance.leaks.sampled import settled_growth
    from senytl.performance.memory import memory_growth

    if run.leak_evidence is not None:
        growth: float = run.leak_evidence.finding.growth
        return None if math.isnan(growth) else growth
    if not run.kind:  # of figures made by hand nobody knows what was warm-up
        return memory_growth(run.memory_snapshots)
    return settled_growth([snapshot.rss_mb for snapshot in run.memory_snapshots])


def _why(run: Any) -> str:
    snapshots = run.memory_snapshots
    return (
        f"resident memory went from {write_figure(snapshots[0].rss_mb, 'MB')} to "
        f"{write_figure(snapshots[-1].rss_mb, 'MB')} over {len(snapshots):,} samples"
    )


def _per_user(run: Any) -> float | None:
    snapshots = run.memory_snapshots
    if not run.concurrent_users or len(snapshots) < 2:
        return None
    largest = max(snapshot.rss_mb for snapshot in snapshots)
    # The first sample, taken before there is any user, is one of them: this is not below 0.
    share: float = (largest - snapshots[0].rss_mb) / run.concurrent_users
    return share


def _why_per_user(run: Any) -> str:
    snapshots = run.memory_snapshots
    largest = max(snapshot.rss_mb for snapshot in snapshots)
    return (
        f"resident memory was {write_figure(snapshots[0].rss_mb, 'MB')} before the load and at "
        f"most {write_figure(largest, 'MB')} with {write_count(run.concurrent_users, 'user')}"
    )


class MemoryMetrics:
    """Resident memory (RSS) in MB of 2**20 bytes, and its growth."""

    avg_memory_mb = Metric[float](
        unit="MB",
        direction=Direction.LOWER,
        formula=lambda run: (
            math.fsum(snapshot.rss_mb for snapshot in run.memory_snapshots)
            / len(run.memory_snapshots)
            if len(run.memory_snapshots)
            else None
        ),
        absent=math.nan,
        missing=_NO_SAMPLE,
        why=_why,
        doc="The mean resident memory of the samples.",
    )
    max_memory_mb = Metric[float](
        unit="MB",
        direction=Direction.LOWER,
        formula=lambda run: max((s.rss_mb for s in run.memory_snapshots), default=None),
        absent=math.nan,
        missing=_NO_SAMPLE,
        why=_why,
        doc="The largest resident memory of the samples.",
    )
    memory_per_user = Metric[float](
        unit="MB",
        direction=Direction.LOWER,
        formula=_per_user,
        absent=math.nan,
        missing=lambda run: (
            _TOO_FEW
            if run.concurrent_users
            else "only a load test has concurrent users whose memory it could be"
        ),
        why=_why_per_user,
        doc="The largest resident memory of the samples less that of the first one, which is taken "
        "before there is any user, for each concurrent user of a load test.",
    )
    memory_growth = Metric[float](
        unit="ratio",
        direction=Direction.LOWER,
        formula=_growth,
        absent=math.nan,
        missing=_TOO_FEW,
        why=_why,
        doc="By how much memory grew after the warm-up, as a share of what it was then; 0.2 is "
        "20 %. Read between rounds of requests where a leak check was asked for, else from the "
        "later half of the samples.",
    )
