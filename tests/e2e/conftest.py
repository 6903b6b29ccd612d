from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import httpcore  # noqa: F401
import httpcore2  # noqa: F401
import psutil  # noqa: F401
import pytest
import wrapt

import senytl

# After a session in this process pytester forgets the modules that it imported. Had some of
# senytl's been imported before it and others not, the next session would mix old and new ones.
# httpx and httpx2 load their cores late, and would go on with exceptions of the forgotten ones.
for module in walk_packages(senytl.__path__, "senytl."):
    import_module(module.name)

# It also restores the finders of modules, of which wrapt makes one at its first use, and only then.
wrapt.register_post_import_hook(lambda module: None, "a_module_that_is_never_imported")

# Plugins that have tests of their own in test_plugin_neighbours.py.
_NEIGHBOURS = ("benchmark", "codspeed", "cov", "hypothesispytest", "rerunfailures")


@pytest.fixture(autouse=True)
def outside_xdist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sessions under test not take themselves for workers of the session around them."""
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)


@dataclass(frozen=True)
class Session:
    """A pytest session that ran, and the JSON report that senytl wrote of it."""

    result: pytest.RunResult
    report: dict[str, Any]

    @property
    def exit_code(self) -> int:
        return int(self.result.ret)

    @property
    def tests(self) -> dict[str, dict[str, Any]]:
        """The measured tests by what follows the file's name in their node id."""
        return {test["nodeid"].partition("::")[2]: test for test in self.report["tests"]}

    @property
    def output(self) -> str:
        return str(self.result.stdout) + str(self.result.stderr)


Run = Callable[..., Session]


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run a test file as a session of its own, with every warning an error.

    In this process, unless `workers` or `apart` ask for others; with no plugin loaded that
    measures too, unless `neighbours` are asked for.
    """

    def run_session(
        source: str = "",
        *arguments: str,
        ini: str = "",
        workers: int = 0,
        apart: bool = False,
        neighbours: bool = False,
    ) -> Session:
        if source:
            pytester.makepyfile(test_it=source)
        if "no:asyncio" not in arguments:  # which warns without, and is not there to read it
            ini = f"asyncio_default_fixture_loop_scope = function\n{ini}"
        pytester.makeini(f"[pytest]\naddopts = --strict-markers\n{ini}")
        report = Path(pytester.path, "figures.json")
        report.unlink(missing_ok=True)
        command = ["-W", "error", f"--senytl-perf-report={report}", *arguments]
        if not neighbours:
            command += [word for name in _NEIGHBOURS for word in ("-p", f"no:{name}")]
        if workers:
            command += ["-n", str(workers)]
        if workers or apart:
            result = pytester.runpytest_subprocess(*command, timeout=60)
        else:
            result = pytester.runpytest_inprocess(*command)
        return Session(result, json.loads(report.read_text()) if report.exists() else {})

    return run_session
