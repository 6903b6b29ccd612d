"""`--senytl-perf-plan`: what tests would do, without anything being run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

SUITE = """
    import os
    import pathlib
    import pytest
    from senytl import performance

    def note(what):
        with pathlib.Path(RAN).open("a") as file:
            file.write(f"{what}\\n")

    @pytest.fixture(autouse=True, scope="session")
    def everywhere():
        note("session fixture")

    @pytest.fixture
    def agent():
        note("fixture")

    @performance.load_test(concurrent_users=10, duration=60, warmup=5, abort_on={"max_latency": 9})
    def test_threads(agent):
        note("body")

    @pytest.mark.load_test(rate=20, duration=3, allow_inconclusive=True)
    @pytest.mark.sla(p95_latency=2.0, success_rate=0.99)
    @pytest.mark.goodput(latency=0.0005)
    async def test_tasks(agent):
        note("body")

    class TestMarked:
        @pytest.mark.benchmark(iterations=10, warmup=2)
        @pytest.mark.parametrize("number", [1, 2])
        def test_benchmark(self, agent, number):
            note("body")

    @performance.benchmark
    async def test_async(agent):
        note("body")

    def test_fixture(perf):
        note("body")

    @pytest.mark.skip
    @pytest.mark.load_test(concurrent_users=10, duration=60)
    def test_skipped():
        note("body")

    def test_unmeasured(agent):
        note("body")
"""

PLANS = """
test_it.py::test_threads
    closed model: 10 users for 60 s, after a warm-up of 5 s
    65 s of load with its warm-up, then up to 30 s for requests in flight
    ends early once max_latency is beyond 9.000 s for good
    run by 10 threads
    SLAs: avg_latency <= 4.000 s
test_it.py::test_tasks
    open model: 20 requests/s for 3 s, evenly spaced
    60 requests to measure
    3 s of load, then up to 30 s for requests in flight
    an inconclusive verdict is no failure
    run by up to 1,000 tasks on the test's event loop
    SLAs: avg_latency <= 4.000 s, p95_latency <= 2.000 s, success_rate >= 99 %
    a good request: latency <= 500.0 µs
test_it.py::TestMarked::test_benchmark[1]
    benchmark: 10 iterations, after a warm-up of 2
    SLAs: avg_latency <= 4.000 s
test_it.py::TestMarked::test_benchmark[2]
    benchmark: 10 iterations, after a warm-up of 2
    SLAs: avg_latency <= 4.000 s
test_it.py::test_async
    benchmark: 1 iteration
    SLAs: avg_latency <= 4.000 s
test_it.py::test_fixture
    benchmark: 1 iteration
    SLAs: avg_latency <= 4.000 s
test_it.py::test_skipped
    marked skip: it does not run

2 load tests: 60 requests planned by 1 of them, 68 s of load; 4 benchmarks: 26 iterations
"""

INI = "senytl_sla = avg_latency = 4.0"


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """The file in which the suite notes whatever of it runs."""
    return tmp_path / "ran"


def suite(ran: Path) -> str:
    return SUITE.replace("RAN", repr(str(ran)))


@pytest.mark.parametrize("workers", [0, 2])
def test_plans_are_shown_and_nothing_runs(run: Run, ran: Path, workers: int) -> None:
    session = run(
        suite(ran), "--senytl-perf-plan", "--senytl-perf-budget=1", ini=INI, workers=workers
    )
    assert session.exit_code == 0
    assert PLANS in f"{session.output}\n"
    assert not ran.exists()
    assert session.report == {}
    # Neither pytest's own list of all tests, nor anything of workers.
    assert "test_unmeasured" not in session.output
    assert "<Function" not in session.output
    assert "workers" not in session.output
    assert "8 tests collected" in session.output


def test_the_same_suite_runs_without_the_option(run: Run, ran: Path) -> None:
    session = run(suite(ran), "-k", "test_fixture or test_unmeasured", ini=INI)
    assert session.exit_code == 0
    assert ran.read_text().splitlines() == ["session fixture", "body", "fixture", "body"]


def test_only_selected_tests_are_shown(run: Run, ran: Path) -> None:
    session = run(suite(ran), "--senytl-perf-plan", "-k", "tasks", "-m", "load_test")
    assert session.exit_code == 0
    assert "test_it.py::test_tasks\n" in session.output
    assert "test_it.py::test_threads" not in session.output
    assert "\n1 load test: 60 requests planned, 3 s of load\n" in session.output


@pytest.mark.parametrize("quiet", ["-q", "-qq"])
def test_plans_are_shown_to_the_quiet_too(run: Run, ran: Path, quiet: str) -> None:
    session = run(suite(ran), "--senytl-perf-plan", quiet, ini=INI)
    assert session.exit_code == 0
    assert PLANS in f"{session.output}\n"


def test_a_terminal_without_the_greek_gets_the_plans_too(
    run: Run, ran: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    session = run(suite(ran), "--senytl-perf-plan", ini=INI, apart=True)
    assert PLANS.replace("µ", "u") in f"{session.output}\n"


def test_a_session_without_measured_tests_has_no_plans(run: Run) -> None:
    session = run("def test_it(): pass", "--senytl-perf-plan")
    assert session.exit_code == 0
    assert "\nno measured test would run\n" in session.output


def test_a_session_without_tests_is_one_as_ever(run: Run) -> None:
    session = run("", "--senytl-perf-plan")
    assert session.exit_code == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ("load_test(concurrent_users=0)", "concurrent_users is 0; it must be an integer"),
        ("load_test(concurrent_users=5, engine='tasks')", "test_bad is no async function"),
        ("sla(p59_latency=2)", "p59_latency"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--senytl-perf-plan",)])
def test_bad_marks_are_refused_with_and_without_it(
    run: Run, mark: str, message: str, options: tuple[str, ...]
) -> None:
    source = f"""
        import pytest

        @pytest.mark.{mark}
        def test_bad():
            pass
    """
    session = run(source, *options)
    assert session.exit_code == pytest.ExitCode.USAGE_ERROR
    assert "senytl cannot measure these tests as they are written:" in session.output
    assert message in session.output
    assert "what would run" not in session.output


def test_what_would_fail_for_itself_is_said(run: Run) -> None:
    source = """
        from hypothesis import given, strategies

        @given(strategies.integers())
        def test_property(perf, number):
            pass
    """
    session = run(source, "--senytl-perf-plan", neighbours=True)
    assert session.exit_code == 0
    assert "    it would fail: Hypothesis would run it once for each example" in session.output
    assert "\nno measured test would run\n" in session.output


def test_a_module_that_cannot_be_collected_fails_the_session(run: Run) -> None:
    session = run("import nothing_of_that_name", "--senytl-perf-plan")
    assert session.exit_code == pytest.ExitCode.INTERRUPTED
    assert "nothing_of_that_name" in session.output
