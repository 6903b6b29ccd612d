"""The SLA report in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

TESTS = """
    import pytest

    def test_fast(perf):
        for _ in range(20):
            perf.record_request(0.25)

    @pytest.mark.sla(p95_latency=1.0)
    def test_slow(perf):
        perf.record_request(1.5)

    def test_not_measured():
        pass
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_table_shows_each_measured_test_and_each_violation(run: Run, workers: int) -> None:
    session = run(TESTS, workers=workers)
    session.result.stdout.fnmatch_lines(
        [
            "=* senytl =*",
            "*test_it.py::test_fast*",
            "*20*passed*",
            "*test_it.py::test_slow*",
            "*failed*",
            "*p95_latency*1.0*1.5*",
            "*2 tests*1 passed*1 failed*21 requests*",
            "senytl: wrote *figures.json",
            "=* short test summary info =*",
        ]
    )
    assert "test_not_measured" not in session.output


def test_nothing_is_printed_where_nothing_was_measured(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="def test_it(): pass")
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1)
    assert not any("senytl" in line for line in result.outlines if "plugins:" not in line)


def test_the_table_is_shown_unless_pytest_is_told_twice_to_be_quiet(run: Run) -> None:
    assert "21 requests" in run(TESTS, "-q").output
    session = run("", "-qq")
    assert session.exit_code == 1
    assert "21 requests" not in session.output
    assert " senytl ===" not in session.output


def test_a_quiet_session_still_says_why_it_failed(run: Run) -> None:
    session = run(
        "def test_it(perf): perf.record_request(1, error='x')",
        "-qq",
        ini="senytl_budget = failed_requests=0",
    )
    assert session.exit_code == 1
    session.result.stdout.fnmatch_lines(["senytl: the session exceeds its budget: *"])


@pytest.mark.parametrize("columns", [80, 120])
def test_it_fits_the_terminal(run: Run, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    session = run(TESTS)
    lines = session.result.outlines
    [start] = [number for number, line in enumerate(lines) if " senytl ===" in line]
    [end] = [number for number, line in enumerate(lines) if line.startswith("senytl: wrote")]
    assert max(len(line) for line in lines[start:end]) <= columns
    assert len(lines[start]) == columns


def test_it_is_coloured_where_pytest_is(run: Run) -> None:
    def report(session: Any) -> str:
        return str(session.output).partition(" senytl ")[2].partition("figures.json")[0]

    assert "\x1b[" in report(run(TESTS, "--color=yes"))
    assert "\x1b[" not in report(run(TESTS, "--color=no"))


def test_an_ascii_terminal_gets_ascii(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setenv("PYTHONUTF8", "0")
    session = run(TESTS, apart=True)
    session.result.stdout.fnmatch_lines(["*2 tests*1 passed*1 failed*"])
    assert session.output.isascii()
    assert "\\u" not in session.output


def test_a_terminal_reporter_is_not_needed(run: Run) -> None:
    session = run(TESTS, "-p", "no:terminal")
    assert session.exit_code == 1
    assert session.report["totals"]["requests"] == 21
