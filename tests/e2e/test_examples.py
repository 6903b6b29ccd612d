"""The examples, as the README's first command runs them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy of the examples, out of reach of this project's own configuration."""
    return Path(shutil.copytree(ROOT / "examples", tmp_path / "examples"))


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "utf8", *command],
        cwd=folder, capture_output=True, encoding="utf-8", timeout=180, check=False,
    )  # fmt: skip


def test_examples_pass_and_show_the_report(examples: Path) -> None:
    done = run(
        examples.parent, "-m", "pytest", "examples", "-p", "no:asyncio",
        "--senytl-perf-report=report.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 passed" in done.stdout
    session = json.loads((examples.parent / "report.json").read_text(encoding="utf-8"))
    tests = {test["nodeid"].rpartition("::")[2]: test for test in session["tests"]}
    assert set(tests) == set(re.findall(r"::(test_\w+)", done.stdout)) >= {"test_under_load"}
    for name, test in tests.items():
        # On a machine that is busy otherwise memory may not be read as often as it takes.
        assert test["verdict"] == "passed" or name == "test_memory"
        assert test["verdict"] != "failed"
        assert test["tokens"]["sources"].keys() == {"provider"}
        assert {sla["metric"] for sla in test["slas"]} >= {"avg_latency", "success_rate"}
    # Tokens as the mocked model states them: 86 + 17 for the tool's call, 131 + 14 for the answer.
    assert tests["test_order_lookup"]["tokens"]["avg_per_request"] == 248
    assert tests["test_order_lookup"]["requests"]["total"] == 50
    assert tests["test_conversation"]["tokens"]["total"] == 95 + 248 + 95
    # Eighty milliseconds to the first token, five for each of the others, a tenth more or less.
    streaming = tests["test_streamed_answer"]["streaming"]
    assert streaming["streams"] == streaming["timed"] == 10
    assert 0.07 < streaming["ttft"]["p50"] < 0.3
    assert 0.004 < streaming["tpot"]["p50"] < 0.05
    assert tests["test_streamed_answer"]["goodput"]["good"] == 10
    assert tests["test_under_load"]["users"] == 20
    assert tests["test_under_load"]["requests"]["total"] >= 20
    # Sixty starts are expected in two seconds; with this seed there are as many.
    assert tests["test_rush_hour"]["requests"]["total"] == 60
    assert tests["test_rush_hour"]["starts"]["made"] == 60
    assert tests["test_rush_hour"]["starts"]["dropped"] == 0
    assert tests["test_customers"]["users"] == 10
    assert tests["test_customers"]["starts"]["made"] is None


def test_readme_shows_the_output_of_the_examples(examples: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^test_support_agent\.py::(\w+)$", readme, re.M)
    source = (examples / "test_support_agent.py").read_text(encoding="utf-8")
    assert shown == re.findall(r"^(?:async )?def (test_\w+)", source, re.M)


def test_demo_prints_a_report(examples: Path) -> None:
    done = run(examples.parent, "examples/performance_demo.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Performance Report\n") == 2
    assert "Success Rate:    100.0%" in done.stdout
    saved = examples.parent / ".senytl" / "performance" / "load_test_report.json"
    assert json.loads(saved.read_text(encoding="utf-8"))["users"] == 20
