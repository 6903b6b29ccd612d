"""One workload in this process, through the public API; prints a line of JSON.

python benchmarks/leaks/one_run.py NAME sync|async|benchmark REQUESTS
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import math
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corpus import Agent, Workload
from every_workload import WORKLOADS

from senytl import performance
from senytl.performance import PerformanceMetrics, SLAViolationError

NAIVE_LIMIT = 0.20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("form")
    parser.add_argument("requests", type=int)
    options = parser.parse_args()
    workload = WORKLOADS[options.name]
    agent = workload.agent(options.requests)
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    outcome, metrics = run(workload, agent, options.form, options.requests)
    seconds = time.perf_counter() - start
    row = {"name": workload.name, "form": options.form, "requests": options.requests}
    row |= {"leaks": workload.leaks, "outcome": outcome, "seconds": seconds}
    print(json.dumps(row | describe(workload, metrics)), flush=True)
    agent.close()
    os._exit(0)  # what was leaked need not be freed


def run(
    workload: Workload, agent: Agent, form: str, requests: int
) -> tuple[str, PerformanceMetrics]:
    """What comes of a run with the usual limits, and its figures."""
    settings: dict[str, Any] = {
        "concurrent_users": workload.users,
        "iterations": requests // workload.users,
        **workload.load,
    }
    measured: Any
    if form == "benchmark":

        @performance.benchmark(iterations=requests)
        def measured() -> None:
            performance.assert_no_memory_leaks()
            agent.run(0)

    elif form == "sync":

        @performance.load_test(**settings)
        def measured() -> None:
            performance.assert_no_memory_leaks()
            agent.run(performance.current_user().number)

    else:

        @performance.load_test(**settings)
        async def measured() -> None:
            performance.assert_no_memory_leaks()
            await agent.run_async(performance.current_user().number)

    try:
        if form == "async":
            asyncio.run(measured())
        else:
            measured()
    except SLAViolationError:
        return "violated", measured._performance_metrics[-1]
    metrics = measured._performance_metrics[-1]
    (judgement,) = metrics.judgements
    return "inconclusive" if judgement.doubt else "passed", metrics


def describe(workload: Workload, metrics: PerformanceMetrics) -> dict[str, Any]:
    """What was found, beside the truth."""
    evidence = metrics.leak_evidence
    growth = naive_growth([snapshot.rss_mb for snapshot in metrics.memory_snapshots])
    row: dict[str, Any] = {
        "throughput": metrics.throughput_rps,
        "load_seconds": metrics.duration_seconds,
        "judgements": [str(judgement) for judgement in metrics.judgements],
        "naive_growth": None if math.isnan(growth) else growth,
        "naive": "" if math.isnan(growth) else "violated" if growth > NAIVE_LIMIT else "passed",
    }
    if evidence is None:
        return row
    sites = evidence.sites[:3]
    true = [(Path(site.location.file).name, site.location.line) in workload.sites for site in sites]
    return row | {
        "finding": {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in dataclasses.asdict(evidence.finding).items()
        },
        "readings": len(evidence.readings),
        "further": len(evidence.further),
        "pauses": evidence.pauses,
        "paused_seconds": evidence.paused_seconds,
        "longest_pause": evidence.longest_pause,
        "sites_by": evidence.sites_by,
        "sites_note": evidence.sites_note,
        "sites": [
            {
                "at": f"{Path(site.location.file).name}:{site.location.line}",
                "bytes": site.bytes_per_request,
                "blocks": site.blocks_per_request,
            }
            for site in sites
        ],
        "true_site": true.index(True) + 1 if True in true else None,
    }


def naive_growth(rss: Sequence[float]) -> float:
    """The mean of the last tenth against that of the first tenth."""
    if len(rss) < 2:
        return math.nan
    tenth = max(1, len(rss) // 10)
    return (sum(rss[-tenth:]) / tenth) / (sum(rss[:tenth]) / tenth) - 1


if __name__ == "__main__":
    main()
