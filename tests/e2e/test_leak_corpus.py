"""Leaking agents are found out, their lines are named, and others pass: a part of the benchmark.

`benchmarks/leaks` has many more of them. Each runs in a process of its own, through the public
API, at 1,200 requests; two at a time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(__file__).parents[2] / "benchmarks" / "leaks"
REQUESTS = 1200

STABLE = (
    ("cache_fills_at_60", "sync"),
    ("cyclic_garbage", "async"),
    ("bursts", "sync"),
    ("tasks_that_end", "async"),
    ("lru_ring", "benchmark"),
)
LEAKING = (
    ("list_of_strings", "sync"),
    ("growing_conversation", "async"),
    ("tasks_that_never_end", "async"),
    ("each_50th_request", "benchmark"),
    ("helper_module", "sync"),
)
NATIVE = ("native_copy_of_1_kb", "sync")

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="benchmarks/leaks is not there")

Runs = dict[tuple[str, str], "Future[subprocess.CompletedProcess[str]]"]


def start(name: str, form: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CORPUS / "one_run.py"), name, form, str(REQUESTS)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[Runs]:
    """The runs of all workloads that are asked for, begun together."""
    items = [item for item in request.session.items if item.path == request.node.path]
    asked = [
        (str(item.callspec.params["name"]), str(item.callspec.params["form"]))
        for item in items
        if isinstance(item, pytest.Function)
    ]
    with ThreadPoolExecutor(2) as pool:
        yield {run: pool.submit(start, *run) for run in asked}


def outcome(runs: Runs, name: str, form: str) -> dict[str, Any]:
    done = runs[name, form].result()
    assert done.returncode == 0, done.stderr
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


@pytest.mark.parametrize(("name", "form"), STABLE)
def test_an_agent_that_only_warms_up_passes(runs: Runs, name: str, form: str) -> None:
    row = outcome(runs, name, form)
    assert row["outcome"] == "passed", row["judgements"]


@pytest.mark.parametrize(("name", "form"), LEAKING)
def test_a_leaking_line_is_found(runs: Runs, name: str, form: str) -> None:
    row = outcome(runs, name, form)
    assert row["outcome"] == "violated", row["judgements"]
    assert row["true_site"] in (1, 2, 3), row["sites"]
    assert len(row["sites"]) <= 3


@pytest.mark.parametrize(("name", "form"), [NATIVE])
def test_memory_lost_by_native_code_is_found(runs: Runs, name: str, form: str) -> None:
    row = outcome(runs, name, form)
    assert row["outcome"] == "violated", row["judgements"]
    assert row["finding"]["signal"] in ("heap", "uss")
    assert 900 < row["finding"]["bytes_per_request"] < 1_500
    if find_spec("memray") is None:
        assert "pip install 'senytl[memray]'" in row["sites_note"]
    else:
        assert row["sites_by"] == "memray"
        assert row["true_site"] == 1, row["sites"]
