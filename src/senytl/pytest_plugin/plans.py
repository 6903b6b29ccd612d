"""What the measured tests of a session would do, shown by `--senytl-perf-plan`; nothing runs."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from senytl.performance.benchmarking import BenchmarkPlan
from senytl.performance.load.describe import describe_plan
from senytl.performance.metric.units import write_count, write_figure
from senytl.performance.request_limits import LIMITS
from senytl.pytest_plugin.markers import TEST_PLAN
from senytl.pytest_plugin.planning import BadMarkError, TestPlan
from senytl.pytest_plugin.terminal import can_write

if TYPE_CHECKING:
    from senytl.pytest_plugin.planning import Work

__all__ = ["PlannedTest", "ShownPlans", "plan_of", "sum_up"]


@dataclass(frozen=True, slots=True)
class PlannedTest:
    """A measured test, and what it would do.

    Args:
        nodeid: Which test.
        work: What its run would do; None where it would not come to one.
        lines: All of it in words.
    """

    nodeid: str
    work: Work | None
    lines: tuple[str, ...]


class ShownPlans:
    """The hooks of a session that shows plans; its option implies ``--collect-only``.

    Its life: pytest collects and selects as ever, and refuses bad marks as ever; the tests that
    are left would run now, and are described below the output of the collection instead.
    """

    def __init__(self) -> None:
        self._tests: list[PlannedTest] | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Keep pytest from listing all tests, measured or not, as it does when it collects only."""
        option = session.config.option
        option.collectonly = False
        try:
            return (yield)
        finally:
            option.collectonly = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Describe the tests that would run; pytest itself runs none."""
        tests = (plan_of(item) for item in session.items if isinstance(item, pytest.Function))
        self._tests = [test for test in tests if test is not None]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the plans, unless the session was refused."""
        if self._tests is None:
            return
        writer = terminalreporter.config.get_terminal_writer()
        micro = "µ" if can_write(writer, "µ") else "u"
        terminalreporter.section("senytl: what would run", sep="=")
        for test in self._tests:
            terminalreporter.write_line(test.nodeid, bold=True)
            for line in test.lines:
                terminalreporter.write_line(f"    {line}".replace("µ", micro))
        terminalreporter.write_line("")
        terminalreporter.write_line(sum_up(test.work for test in self._tests))


def plan_of(item: pytest.Function) -> PlannedTest | None:
    """What a collected test would do; None for a test that is not measured.

    Args:
        item: The test, whose marks have been read if it has any.
    """
    plan = item.stash.get(TEST_PLAN, None)
    if plan is None and "perf" not in item.fixturenames:
        return None
    if item.get_closest_marker("skip") is not None:
        return PlannedTest(item.nodeid, None, ("marked skip: it does not run",))
    try:
        plan = plan or TestPlan.from_pytest_item(item)
    except BadMarkError as problem:
        return PlannedTest(item.nodeid, None, (f"it would fail: {problem}",))
    return PlannedTest(item.nodeid, plan.work, tuple(_describe(item, plan)))


def _describe(item: pytest.Function, plan: TestPlan) -> Iterator[str]:
    if isinstance(plan.work, BenchmarkPlan):
        warmup = f", after a warm-up of {plan.work.warmup:,}" if plan.work.warmup else ""
        yield f"benchmark: {write_count(plan.work.iterations, 'iteration')}{warmup}"
    else:
        yield from describe_plan(plan.work, is_async=inspect.iscoroutinefunction(item.function))
    if plan.slas:
        yield f"SLAs: {', '.join(str(sla) for sla in plan.slas)}"
    if plan.request_limits:
        limits = (
            f"{name} <= {write_figure(limit, LIMITS[name])}"
            for name, limit in plan.request_limits.items()
        )
        yield f"a good request: {', '.join(limits)}"


def sum_up(works: Iterable[Work | None]) -> str:
    """All plans in a line: ``2 load tests: 500 requests planned by 1 of them, 61 s of load``.

    Args:
        works: What the measured tests do; None for those that would not run.
    """
    planned = [work for work in works if work is not None]
    benchmarks = [work for work in planned if isinstance(work, BenchmarkPlan)]
    loads = [work for work in planned if not isinstance(work, BenchmarkPlan)]
    parts: list[str] = []
    if loads:
        known = [load.planned_requests for load in loads if load.planned_requests is not None]
        timed = [load.deadline for load in loads if load.is_timed]
        amounts = []
        for amount, tests in (
            (f"{write_count(sum(known), 'request')} planned", len(known)),
            (f"{sum(timed):,g} s of load", len(timed)),
        ):
            if tests:
                amounts.append(amount if tests == len(loads) else f"{amount} by {tests} of them")
        parts.append(f"{write_count(len(loads), 'load test')}: {', '.join(amounts)}")
    if benchmarks:
        iterations = sum(work.iterations + work.warmup for work in benchmarks)
        parts.append(
            f"{write_count(len(benchmarks), 'benchmark')}: {write_count(iterations, 'iteration')}"
        )
    return "; ".join(parts) or "no measured test would run"
