"""A load whose agent takes memory past Python: one user alone runs on until the line is found."""

from __future__ import annotations

import asyncio
import ctypes
import inspect
import sys
import threading
from typing import Any

import pytest

from senytl import performance
from senytl.performance import PerformanceMetrics, SLAViolationError
from senytl.performance.leaks import native
from senytl.performance.leaks.lines import HeapLines

if sys.platform == "win32" or not HeapLines.works_here():
    pytest.skip("needs the size of the heap", allow_module_level=True)

LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = ctypes.c_void_p


@pytest.fixture(autouse=True)
def _without_memray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "why_not_memray", lambda: "it is not installed")


class Agent:
    """Leaks 2 kB natively, and tells whom it has served line by line."""

    def __init__(self) -> None:
        self.traced: set[int] = set()

    def answer(self) -> None:
        if isinstance(getattr(sys.gettrace(), "__self__", None), HeapLines):
            self.traced.add(performance.current_user().number)
        text = " ".join(f"item {number}" for number in range(40))
        LIBC.malloc(2_000)
        assert text


def sites_line() -> int:
    lines, first = inspect.getsourcelines(Agent.answer)
    return first + [line.strip() for line in lines].index("LIBC.malloc(2_000)")


@pytest.mark.parametrize("form", ["threads", "tasks", "own loops"])
def test_the_line_is_found_by_the_first_user_alone(form: str) -> None:
    agent = Agent()
    settings: dict[str, Any] = {"concurrent_users": 3, "iterations": 400}
    measured: Any
    if form == "threads":

        @performance.load_test(**settings)
        def measured() -> None:
            performance.assert_no_memory_leaks()
            agent.answer()

    else:
        if form == "own loops":
            settings["engine"] = "threads"

        @performance.load_test(**settings)
        async def measured() -> None:
            performance.assert_no_memory_leaks()
            await asyncio.sleep(0)
            agent.answer()

    before = sys.gettrace(), threading.gettrace()
    with pytest.raises(SLAViolationError, match="leaks"):
        measured() if form == "threads" else asyncio.run(measured())

    metrics: PerformanceMetrics = measured._performance_metrics[-1]
    evidence = metrics.leak_evidence
    assert evidence is not None
    assert evidence.sites_by == "heap readings"
    assert evidence.sites[0].location.line == sites_line()
    assert evidence.sites[0].bytes_per_request == pytest.approx(2_016, rel=0.5)
    assert evidence.finding.bytes_per_request == pytest.approx(2_016, rel=0.1)
    assert len(agent.traced) == 1
    assert (sys.gettrace(), threading.gettrace()) == before
