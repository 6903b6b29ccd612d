from __future__ import annotations

from pathlib import Path

import pytest

from senytl.performance.sla import SLA
from senytl.pytest_plugin.options import CONFIG, PluginConfig


@pytest.fixture
def configure(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    def read(ini: str = "", *arguments: str) -> PluginConfig:
        pytester.makeini(f"[pytest]\nasyncio_default_fixture_loop_scope = function\n{ini}")
        return pytester.parseconfigure(*arguments).stash[CONFIG]

    return read


def test_without_options_nothing_is_asked_for(configure) -> None:  # type: ignore[no-untyped-def]
    assert configure() == PluginConfig(
        report_paths=(), limits={}, request_limits={}, pricing={}, budget=(), carry_context=True
    )


def test_options_are_read(configure, pytester: pytest.Pytester) -> None:  # type: ignore[no-untyped-def]
    config = configure(
        "senytl_sla =\n\n  p95_latency = 2\n  # a comment\n  success_rate=0.98\n"
        "senytl_goodput =\n  latency = 2\n  ttft=0.5\n"
        "senytl_pricing =\n  my-model: prompt=5.0 completion=10.0\n  other: prompt=1 completion=2\n"
        "senytl_budget = total_cost=5\nsenytl_carry_context = false\n",
        "--senytl-perf-report=one.json",
        f"--senytl-perf-report={pytester.path / 'two.md'}",
        "--senytl-perf-report=one.json",
        "--senytl-perf-budget=0.50",
    )
    folder = Path.cwd()
    assert not config.carry_context
    assert config.report_paths == (folder / "one.json", pytester.path / "two.md")
    assert config.limits == {"p95_latency": 2.0, "success_rate": 0.98}
    assert config.request_limits == {"latency": 2.0, "ttft": 0.5}
    assert config.pricing == {
        "my-model": {"prompt": 5.0, "completion": 10.0},
        "other": {"prompt": 1.0, "completion": 2.0},
    }
    assert config.budget == (SLA("total_cost", 5.0),)
    assert config.dollars == 0.5


def test_options_of_a_toml_file_are_read(pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml(
        """
        [tool.pytest.ini_options]
        asyncio_default_fixture_loop_scope = "function"
        senytl_sla = ["p95_latency=2.0", "success_rate=0.98"]
        """
    )
    config = pytester.parseconfigure().stash[CONFIG]
    assert config.limits == {"p95_latency": 2.0, "success_rate": 0.98}


@pytest.mark.parametrize("mode", ["none", "once", "all"])
def test_the_mode_of_recordings_is_read(mode: str, configure) -> None:  # type: ignore[no-untyped-def]
    assert configure().record == "none"
    assert configure("", f"--senytl-record={mode}").record == mode
