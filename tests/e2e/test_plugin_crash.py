"""What was measured is reported, however the session ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


def test_figures_survive_the_crash_of_a_worker(run: Run) -> None:
    session = run(
        """
        import os

        def test_before(perf):
            perf.record_request(0.5)

        def test_crash(perf):
            os._exit(1)

        def test_after(perf):
            perf.record_request(1.5)
        """,
        workers=1,
    )
    assert session.exit_code == 1
    session.result.stdout.fnmatch_lines(["*worker 'gw0' crashed while running*test_crash*"])
    assert {name: t["latencies"]["avg"] for name, t in session.tests.items()} == {
        "test_before": 0.5,
        "test_after": 1.5,
    }


@pytest.mark.parametrize("interruption", ["KeyboardInterrupt", "pytest.exit('enough')"])
def test_an_interrupted_session_reports_what_was_measured(run: Run, interruption: str) -> None:
    session = run(
        f"""
        import pytest

        def test_before(perf):
            perf.record_request(0.5)

        def test_interrupted(perf):
            perf.record_request(1.5)
            raise {interruption}
        """.replace("raise pytest", "pytest"),
        apart=True,
    )
    assert session.exit_code == pytest.ExitCode.INTERRUPTED
    assert {name: t["latencies"]["avg"] for name, t in session.tests.items()} == {
        "test_before": 0.5,
        "test_interrupted": 1.5,
    }
    session.result.stdout.fnmatch_lines(["*test_before*"])


def test_an_interrupted_load_reports_what_it_measured(run: Run) -> None:
    session = run(
        """
        import _thread, itertools, time, pytest

        requests = itertools.count()

        @pytest.mark.load_test(concurrent_users=2, duration=30)
        def test_it():
            if next(requests) == 10:
                _thread.interrupt_main()
            time.sleep(0.01)
        """,
        apart=True,
    )
    assert session.exit_code == pytest.ExitCode.INTERRUPTED
    assert session.tests["test_it"]["requests"]["total"] >= 8


def test_the_first_failure_may_end_the_session(run: Run) -> None:
    session = run(
        """
        import pytest

        @pytest.mark.sla(max_latency=0)
        def test_violation():
            pass

        def test_after(perf):
            pass
        """,
        "-x",
    )
    assert session.exit_code == 1
    assert list(session.tests) == ["test_violation"]


def test_a_broken_fixture_teardown_leaves_the_figures(run: Run) -> None:
    session = run(
        """
        import pytest

        @pytest.fixture
        def broken():
            yield
            raise RuntimeError

        def test_it(broken, perf):
            perf.record_request(0.5)
        """
    )
    session.result.assert_outcomes(passed=1, errors=1)
    assert session.tests["test_it"]["requests"]["total"] == 1
