"""Which tests are measured, as far as that can be said before anything of senytl is loaded.

Every test of every session passes through here. What its marks ask for is read by
`senytl.pytest_plugin.planning`, for measured tests only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from senytl.pytest_plugin.measuring import Attempt
    from senytl.pytest_plugin.planning import TestPlan

__all__ = [
    "ATTEMPT",
    "DESCRIPTIONS",
    "FOREIGN_KEYWORDS",
    "TEST_PLAN",
    "WORKER_PROBLEM",
    "forget_attempt",
    "functions_of",
    "is_foreign_benchmark",
    "is_measured",
    "own_current_metrics",
    "plan_recording",
    "plan_test",
    "refuse_bad_marks",
]

DESCRIPTIONS = (
    "benchmark(iterations=1, warmup=0): measure each run of the test's function with senytl; "
    "other keywords are those of other plugins, as are tests that use a fixture named benchmark.",
    "load_test(concurrent_users=None, duration=None, iterations=None, rate=None, ...): "
    "let many users run the test's function at once, or start it so many times a second; the "
    "keywords are those of senytl.performance.load_test.",
    "sla(metric=limit, ...): limits on the test's figures, such as p95_latency=2.0 (seconds), "
    "avg_cost_per_request=0.05 (dollars), success_rate=0.98; the closest mark wins. With "
    "confidence=0.95 they hold for the whole confidence intervals of percentiles and rates.",
    "goodput(limit, ...): what each request must keep to count for the metrics goodput and "
    "goodput_rps: latency, ttft, tpot (seconds), tokens, cost (dollars), llm_calls.",
    "senytl_recording(name=None, *, speed=1.0, ignore=()): answer the test's LLM calls from a "
    "recording, or make it with --senytl-record; its name is the test's unless given.",
)

FOREIGN_KEYWORDS = frozenset(
    # pytest-benchmark 5 and pytest-codspeed 5, whose marker of the same name takes these.
    (
        *("calibration_precision", "confidence", "cprofile", "disable_gc", "group", "max_rounds"),
        *("max_time", "min_rounds", "min_time", "precision", "timer", "warmup_iterations"),
        "warmup_time",
    )
)

TEST_PLAN: pytest.StashKey[TestPlan] = pytest.StashKey()
ATTEMPT: pytest.StashKey[Attempt] = pytest.StashKey()
"""The latest attempt at a measured test; a test that uses `perf` has one from its setup on."""
_PROBLEM: pytest.StashKey[str] = pytest.StashKey()
_RECORDING_PROBLEM: pytest.StashKey[str] = pytest.StashKey()

WORKER_PROBLEM = "senytl_usage_error"
"""Where an xdist worker's output tells its controller which tests cannot be measured."""


def plan_test(item: pytest.Function) -> None:
    """Note how a collected test is measured, if its marks or its decorator say that it is."""
    mark = None if is_foreign_benchmark(item) else item.get_closest_marker("benchmark")
    if not (
        mark is not None
        or item.get_closest_marker("sla") is not None
        or item.get_closest_marker("load_test") is not None
        or item.get_closest_marker("goodput") is not None
        or any("_senytl_plan" in vars(function) for function in functions_of(item))
    ):
        return
    from senytl.pytest_plugin.planning import BadMarkError, TestPlan

    try:
        item.stash[TEST_PLAN] = TestPlan.from_pytest_item(item)
    except BadMarkError as problem:
        item.stash[_PROBLEM] = str(problem)
    if mark is not None and (mark.args or set(mark.kwargs) - FOREIGN_KEYWORDS):
        # pytest-benchmark and pytest-codspeed refuse a mark that holds keywords of ours.
        theirs = {name: mark.kwargs[name] for name in mark.kwargs if name in FOREIGN_KEYWORDS}
        item.add_marker(pytest.mark.benchmark(**theirs), append=False)


def plan_recording(item: pytest.Function) -> None:
    """Note how the calls of a collected test are recorded or replayed, if it is marked so."""
    if item.get_closest_marker("senytl_recording") is None:
        return
    from senytl.pytest_plugin import recordings

    try:
        recordings.plan_test(item)
    except recordings.BadRecordingMarkError as problem:
        item.stash[_RECORDING_PROBLEM] = str(problem)


def is_measured(item: pytest.Item) -> bool:
    """Whether a test is measured: by its marks, its decorator, or the `perf` fixture."""
    return TEST_PLAN in item.stash or ATTEMPT in item.stash


@contextmanager
def own_current_metrics() -> Iterator[None]:
    """Let the figures that a test gives to `set_current_metrics` end with it.

    The next test must not pass on them. Those that a fixture set are there again afterwards.
    """

    def variable() -> ContextVar[Any] | None:
        current = sys.modules.get("senytl.performance.current")
        return None if current is None else current.explicit_metrics

    before = None if (metrics := variable()) is None else metrics.get()
    try:
        yield
    finally:
        if (metrics := variable()) is not None and metrics.get() is not before:
            metrics.set(before)


def forget_attempt(item: pytest.Item) -> None:
    """Let the next attempt at a test start anew."""
    if ATTEMPT in item.stash:
        del item.stash[ATTEMPT]


def refuse_bad_marks(config: pytest.Config, items: list[pytest.Item]) -> None:
    """End the session if a selected test cannot be measured as it is marked.

    Raises:
        pytest.UsageError: If there is one; it names each of them and what is wrong.
    """
    lines: list[str] = []
    for key, what in ((_PROBLEM, "measure"), (_RECORDING_PROBLEM, "replay")):
        problems = [f"  {item.nodeid}: {item.stash[key]}" for item in items if key in item.stash]
        if problems:
            lines += [f"senytl cannot {what} these tests as they are written:", *problems]
    if not lines:
        return
    text = "\n".join(lines)
    if hasattr(config, "workeroutput"):
        # What a worker raises is lost; its controller raises it again.
        config.workeroutput[WORKER_PROBLEM] = text
    raise pytest.UsageError(text)


def is_foreign_benchmark(item: pytest.Function) -> bool:
    """Whether the mark named benchmark belongs to the fixture of that name, which is not ours."""
    return "benchmark" in item.fixturenames


def functions_of(item: pytest.Function) -> Iterator[Any]:
    """The test's function, and those that it wraps."""
    function: Any = item.function
    while hasattr(function, "__dict__"):
        yield function
        handle = vars(function).get("hypothesis")
        function = getattr(handle, "inner_test", vars(function).get("__wrapped__"))
