"""What the tests of SDKs share: a server, an event loop, and the table that they fill.

``SENYTL_COMPAT`` names the environment, ``newest`` or ``frameworks``; without it none of these
tests are collected. ``SENYTL_COMPAT_OUT`` names a file into which the cells' outcomes go.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import importlib.metadata
import json
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.compat.row import Row
from tests.compat.server import running_server
from tests.compat.watching import Watcher, noted_stacks

collect_ignore_glob = [] if os.environ.get("SENYTL_COMPAT") else ["test_cells.py"]

CELL = "compat_cell"
_rows = pytest.StashKey[dict[str, dict[str, Any]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{CELL}(column): fills a cell of docs/reference/sdks.md")
    config.stash[_rows] = {}
    if os.environ.get("SENYTL_COMPAT"):
        # What SDKs leave open and warn of is their own business. What senytl warns of is checked.
        config.addinivalue_line("filterwarnings", "ignore")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    marker = item.get_closest_marker(CELL)
    if marker is not None and (call.when == "call" or not report.passed):
        row: Row = item.callspec.params["row"]  # type: ignore[attr-defined]
        found = item.config.stash[_rows].setdefault(row.name, _describe(row))
        outcomes = found["cells"].setdefault(marker.args[0], {})
        outcomes[str(item.callspec.params["style"])] = report.outcome  # type: ignore[attr-defined]
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    target = os.environ.get("SENYTL_COMPAT_OUT")
    if not target:
        return
    found = session.config.stash[_rows]
    document = {"environment": os.environ["SENYTL_COMPAT"], "rows": list(found.values())}
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    Path(target).write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")


def _describe(row: Row) -> dict[str, Any]:
    try:
        version = importlib.metadata.version(row.package)
    except importlib.metadata.PackageNotFoundError:
        version = "not installed"
    return {
        "name": row.name,
        "package": row.package,
        "version": version.partition(".")[0],
        "stream_usage": row.stream_usage,
        "without": dict(row.without),
        "stacks": {},
        "cells": {},
    }


@pytest.fixture(scope="session")
def _watching() -> Iterator[Watcher]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.lower().endswith("_proxy"):
                patch.delenv(name)
        for name, value in _SWITCHES.items():
            patch.setenv(name, value)
        loop = asyncio.new_event_loop()
        # Some clients are kept by their frameworks from one call to the next, and so is the loop.
        with running_server() as server, noted_stacks() as stacks:
            yield Watcher(server, loop, stacks)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        gc.collect()  # what SDKs left open warns here, where such warnings are ignored


_SWITCHES = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # it fetches prices over the network otherwise
    "LANGSMITH_TRACING": "false",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture
def watcher(_watching: Watcher, row: Row, request: pytest.FixtureRequest) -> Iterator[Watcher]:
    """Runs a row's calls; skips where its SDK is not installed."""
    pytest.importorskip(row.module, exc_type=ModuleNotFoundError)
    yield _watching
    found = request.config.stash[_rows].setdefault(row.name, _describe(row))
    for style in row.styles:
        if not style.streams:
            stacks = _watching.stacks_of(row, style)
            if stacks:
                found["stacks"][str(style)] = stacks
