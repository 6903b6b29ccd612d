"""Memory of the process during the run."""

from __future__ import annotations

import math
from typing import Any

from senytl.performance.metric import Direction, Metric
from senytl.performance.metric.units import write_figure

__all__ = ["MemoryMetrics"]

_NO_SAMPLE = "no memory sample was taken"


def _growth(run: Any) -> float | None:
    from senytl.performance.memory import memory_growth

    return memory_growth(run.memory_snapshots)


def _why(run: Any) -> str:
    snapshots = run.memory_snapshots
    return (
        f"resident memory went from {write_figure(snapshots[0].rss_mb, 'MB')} to "
        f"{write_figure(snapshots[-1].rss_mb, 'MB')} over {len(snapshots):,} samples"
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
    memory_growth = Metric[float](
        unit="ratio",
        direction=Direction.LOWER,
        formula=_growth,
        absent=math.nan,
        missing="fewer than two memory samples were taken",
        why=_why,
        doc="By how much mean resident memory grew from the first tenth of the samples to the "
        "last; 0.2 is 20 %.",
    )
