"""`--senytl-perf-report`: files of the session's figures."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

TEST = """
    def test_it(perf):
        perf.record_request(0.5)
        perf.sla(p95_latency=1)
"""


def test_one_file_for_each_option_in_the_format_of_its_suffix(
    run: Run, pytester: pytest.Pytester
) -> None:
    session = run(
        TEST,
        "--senytl-perf-report=deep/er/perf.md",
        "--senytl-perf-report=perf.txt",
        "--senytl-perf-report=perf.JSON",
        "--senytl-perf-report=./perf.txt",
    )
    assert session.exit_code == 0
    folder = pytester.path
    assert "test_it.py::test_it" in (folder / "deep/er/perf.md").read_text(encoding="utf-8")
    assert (folder / "deep/er/perf.md").read_text(encoding="utf-8").startswith("#")
    assert "0.500" in (folder / "perf.txt").read_text(encoding="utf-8")
    assert json.loads((folder / "perf.JSON").read_text()) == session.report
    assert session.report["schema"] == "senytl-perf/1"
    assert session.report["totals"]["tests"] == 1
    assert session.report["environment"]["pytest"] == pytest.__version__
    wrote = [line for line in session.result.outlines if line.startswith("senytl: wrote ")]
    assert len(wrote) == 4, "the same file named twice is written once"


def test_paths_are_relative_to_where_pytest_was_called(run: Run, pytester: pytest.Pytester) -> None:
    run(TEST)
    below = pytester.mkdir("below")
    os.chdir(below)
    pytester.runpytest_inprocess("../test_it.py", "--senytl-perf-report=perf.json")
    assert (below / "perf.json").exists()


def test_a_session_that_measured_nothing_writes_an_empty_report(run: Run) -> None:
    session = run("def test_it(): pass")
    assert session.exit_code == 0
    assert session.report["tests"] == []
    assert session.report["totals"]["tests"] == 0


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("perf.pdf", "*.pdf*.json*.md*"),
        ("perf", "*suffix*.json*"),
        ("taken/perf.json", "*taken*"),
        ("folder.json", "*folder.json*"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_before_anything_runs(
    run: Run, pytester: pytest.Pytester, path: str, message: str, workers: int
) -> None:
    if workers and path != "perf.pdf":
        pytest.skip("one is enough to see that workers do not change it")
    Path(pytester.path, "taken").touch()
    Path(pytester.path, "folder.json").mkdir()
    session = run(TEST, f"--senytl-perf-report={path}", workers=workers)
    assert session.exit_code == pytest.ExitCode.USAGE_ERROR
    session.result.stderr.fnmatch_lines([f"ERROR: --senytl-perf-report={message}"])
    assert "passed" not in session.output
    assert session.report == {}


def test_collecting_writes_nothing(run: Run, pytester: pytest.Pytester) -> None:
    session = run(TEST, "--collect-only", "--senytl-perf-report=deep/perf.md")
    assert session.exit_code == 0
    assert session.report == {}
    assert not (pytester.path / "deep").exists()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_failure_to_write_fails_the_session_and_spares_the_other_reports(
    run: Run, pytester: pytest.Pytester, workers: int
) -> None:
    session = run(
        """
        from pathlib import Path

        def test_it(perf):
            Path("folder").touch()  # where the report's folder should be
        """,
        "--senytl-perf-report=folder/perf.md",
        "--senytl-perf-report=perf.txt",
        workers=workers,
    )
    assert session.exit_code == 1
    session.result.assert_outcomes(passed=1)
    lines = [line for line in session.result.outlines if "could not write" in line]
    assert len(lines) == 1
    assert lines[0].startswith("senytl: could not write ")
    assert "folder/perf.md" in lines[0]
    assert (pytester.path / "perf.txt").exists()
    assert list(session.tests) == ["test_it"]
