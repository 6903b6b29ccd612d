from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from senytl.models import TokenUsage
from senytl.performance import CostEstimate, MemorySnapshot, PerformanceMetrics
from senytl.performance.leaks.evidence import LeakEvidence
from senytl.performance.leaks.readings import Reading, Readings
from senytl.performance.leaks.sites import Frame, LeakSite
from senytl.performance.load.health import GeneratorHealth
from senytl.performance.metrics import RequestError
from senytl.performance.request_limits import Goodput
from senytl.performance.sla import SLA, judge

MakeRun = Callable[..., PerformanceMetrics]
MakeEvidence = Callable[..., LeakEvidence]


def memory(*rss: float, began: float = 0.0) -> list[MemorySnapshot]:
    return [MemorySnapshot(mb, mb * 2, 1.0, began + at) for at, mb in enumerate(rss)]


@pytest.fixture
def example() -> PerformanceMetrics:
    """A run with the figures of the documentation's example."""
    run = PerformanceMetrics()
    run.latencies = [
        *[50.041278 / 48] * 48, 1.2, 1.2, *[1.3] * 42, 2.1, 2.1, 2.2, 2.2, 2.490722, 2.8,
    ]  # fmt: skip
    run.token_usage = [TokenUsage(300, 150)] * 10
    run.costs = [CostEstimate(0.009, 0.0135, 0.0225)] * 10
    run.throughput_rps = 67.5
    run.memory_snapshots = memory(120.0, *[873.3 / 7] * 7, 138.7, 121.0)
    run.total_requests = 100
    run.failed_requests = 2
    return run


@pytest.fixture
def make_run() -> MakeRun:
    """Makes the run of a test, with SLAs judged."""

    def make(
        name: str = "tests/test_agent.py::test_load",
        *,
        latencies: tuple[float, ...] = (0.5, 1.0, 1.5),
        failed: tuple[float, ...] = (),
        slas: dict[str, float] | None = None,
        priced: bool = True,
        calls: bool = True,
        **fields: Any,
    ) -> PerformanceMetrics:
        run = PerformanceMetrics(name=name, kind="load_test", **fields)
        requests = len(latencies) + len(failed)
        run.latencies = list(latencies)
        run.failed_latencies = list(failed)
        if failed and not run.errors:
            run.errors = [RequestError("RateLimitError", "429: slow down", len(failed))]
        if calls:
            run.llm_calls = requests
            run.token_usage = [TokenUsage(300, 150)] * requests
            run.token_sources = {"provider": requests}
            run.costs = [CostEstimate(0.009, 0.0135, 0.0225)] * (requests if priced else 0)
            run.unpriced_models = () if priced else ("my-model",)
        run.duration_seconds = 10.0
        run.throughput_rps = requests / 10.0
        run.started_at = 1_790_000_000.0
        run.memory_snapshots = memory(120.0, 121.0, began=run.started_at)
        judge(run, [SLA(metric, limit) for metric, limit in (slas or {}).items()])
        return run

    return make


@pytest.fixture
def busy(make_run: MakeRun) -> PerformanceMetrics:
    """A run of an agent that streams, calls tools, and is told to wait."""
    return make_run(
        "tests/test_agent.py::test_busy",
        latencies=(0.5,) * 40,
        ttfts=[0.2] * 20 + [0.22] * 20,
        first_outputs=[0.4] * 40,
        tpots=[0.048] * 40,
        chunk_gaps=[0.05] * 400,
        streamed_calls=44,
        late_first_tokens=4,
        calls_per_request=[1] * 39 + [2],
        tool_calls_per_request=[0] * 38 + [1, 3],
        tool_calls=4,
        retried_calls=3,
        rate_limited_calls=2,
        llm_errors_by_kind={"rate_limit": 2, "timeout": 1},
        agent_overheads=[0.012] * 40,
        request_verdicts=Goodput(
            limits={"latency": 2.0, "ttft": 0.5},
            good=36,
            bad=2,
            undetermined=2,
            broken={"latency": 2},
            unmeasured={"ttft": 2},
        ),
    )


@pytest.fixture
def unclear(make_run: MakeRun) -> PerformanceMetrics:
    """A run whose generator was late, so that one of its SLAs is inconclusive."""
    return make_run(
        "tests/test_agent.py::test_unclear",
        slas={"p95_latency": 1.46, "throughput_rps": 0.1},
        generator=GeneratorHealth(lags=[0.04] * 100, cpu_share=0.98),
        start_lags=[0.001] * 3,
        service_times=[0.4, 0.9, 1.4],
    )


@pytest.fixture
def make_evidence() -> MakeEvidence:
    """Makes what a leak check read: memory after each of 30 rounds of 40 requests."""

    def readings(size: float, blocks: float, begin: int, rounds: int) -> Readings:
        columns = Readings()
        for requests in range(0, (rounds + 1) * 40, 40):
            grown = begin + requests
            columns.add(
                Reading(
                    requests=requests,
                    heap=20e6 + size * grown,
                    blocks=300_000 + blocks * grown,
                    rss=100e6 + size * grown,
                    uss=90e6 + size * grown,
                )
            )
        return columns

    def make(
        size: float = 1200.0, blocks: float = 3.0, *, rounds: int = 30, **fields: Any
    ) -> LeakEvidence:
        return LeakEvidence(
            readings(size, blocks, 0, rounds),
            readings(size, blocks, rounds * 40, rounds) if fields.pop("further", False) else (),
            **fields,
        )

    return make


@pytest.fixture
def leaking(make_run: MakeRun, make_evidence: MakeEvidence) -> PerformanceMetrics:
    """A run whose memory leaks 1,200 B and 3 blocks a request, at four sites."""
    agent = str(Path("agent.py").resolve())
    frames = (
        *(Frame(agent, line, "", f"step_{line}()") for line in range(10, 17)),
        Frame(agent, 42, "", "self.history.append(message)"),
    )
    sites = [
        LeakSite(1126.4, 2.0, frames),
        LeakSite(60.0, 0.5, (Frame(agent, 7, "remember", ""),)),
        LeakSite(float("nan"), 0.3, (Frame(agent, 8, "", "x = []"),)),
        LeakSite(8.0, 0.1, (Frame(agent, 9, "", "never_shown()"),)),
    ]
    return make_run(
        "tests/test_agent.py::test_leaks",
        leak_evidence=make_evidence(
            further=True,
            pauses=29,
            paused_seconds=0.412,
            longest_pause=0.031,
            sites=sites,
            sites_by="tracemalloc",
            traced_requests=600,
        ),
        slas={"memory_growth": 0.2},
    )


@pytest.fixture
def headline(leaking: PerformanceMetrics) -> str:
    """What reports say of that."""
    assert leaking.leak_evidence is not None
    judged = leaking.leak_evidence.finding.requests
    return f"leaks 1.2 KB (3.0 blocks) a request, steadily over {judged:,.0f} requests"
