"""The plugin's command line and ini options, read once and checked before anything runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import pytest

if TYPE_CHECKING:
    from senytl.performance.sla import SLA

__all__ = ["BUDGET_TOTALS", "CONFIG", "PluginConfig", "ProgressMode", "RecordMode", "add_options"]

T = TypeVar("T")

ProgressMode = Literal["auto", "live", "plain", "off"]
"""How load tests are shown while they run."""
_PROGRESS_MODES: tuple[ProgressMode, ...] = ("auto", "live", "plain", "off")

RecordMode = Literal["none", "once", "all"]
"""Which recordings are made: none, those that are missing, or all."""
_RECORD_MODES: tuple[RecordMode, ...] = ("none", "once", "all")

CONFIG: pytest.StashKey[PluginConfig] = pytest.StashKey()

BUDGET_TOTALS: dict[str, Literal["cost", "tokens", "failed_requests"]] = {
    "total_cost": "cost",
    "total_tokens": "tokens",
    "failed_requests": "failed_requests",
}
"""The metrics that may be limited for a whole session, by the name of their sum over its tests."""


class _CollectOnly(argparse.Action):
    """A flag that implies ``--collect-only``, so that xdist starts no workers for it either."""

    def __init__(self, option_strings: list[str], dest: str, **settings: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **{**settings, "default": False})

    def __call__(self, parser: object, namespace: argparse.Namespace, *_: object) -> None:
        setattr(namespace, self.dest, True)
        namespace.collectonly = True


def add_options(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("senytl", "senytl: performance and SLAs of LLM agents")
    group.addoption(
        "--senytl-perf-report",
        action="append",
        default=[],
        metavar="PATH",
        help="write the figures of all measured tests to PATH; its suffix is the format: "
        ".json, .md or .txt (may be repeated)",
    )
    group.addoption(
        "--senytl-record",
        choices=_RECORD_MODES,
        default="none",
        help="what tests marked senytl_recording do: none replays their recordings (the default), "
        "once also records those that are missing, all records all anew",
    )
    group.addoption(
        "--senytl-perf-budget",
        metavar="DOLLARS",
        help="the dollars that all LLM calls of the session may cost, those of mocks and replays "
        "included; once they are spent further calls are refused, and the session fails",
    )
    group.addoption(
        "--senytl-perf-plan",
        action=_CollectOnly,
        help="show what each load test and benchmark of the session would do, and run none",
    )
    group.addoption(
        "--senytl-perf-progress",
        choices=_PROGRESS_MODES,
        default="auto",
        help="how load tests are shown while they run: live draws a line anew, where stdout is a "
        "terminal; plain writes a line every 10 s; auto (the default) does one of the two; off",
    )
    parser.addini(
        "senytl_sla",
        "limits on every measured test, one 'metric=limit' a line; marks come before them",
        type="linelist",
    )
    parser.addini(
        "senytl_goodput",
        "limits on each single request, for the metric goodput, one 'name=limit' a line; marks "
        "come before them",
        type="linelist",
    )
    parser.addini(
        "senytl_pricing",
        "prices of models in dollars per 1M tokens, one 'model: prompt=5.0 completion=10.0' a line",
        type="linelist",
    )
    parser.addini(
        "senytl_carry_context",
        "whether an agent's own threads get the context of the code that starts them, so that "
        "their LLM calls can be attributed (default: true)",
        type="bool",
        default=True,
    )
    parser.addini(
        "senytl_allow_inconclusive",
        "whether load tests pass whose verdict is inconclusive because the load generator was the "
        "bottleneck (default: false)",
        type="bool",
        default=False,
    )
    parser.addini(
        "senytl_budget",
        "limits on all measured tests together, one 'metric=limit' a line; of "
        + ", ".join(BUDGET_TOTALS),
        type="linelist",
    )


class PluginConfig(NamedTuple):  # a dataclass takes a millisecond more of every session's start
    """What the options say, validated.

    Args:
        report_paths: Where to write reports, absolute, in the order given.
        limits: The project's limits on each measured test, by metric name.
        request_limits: The project's limits on each request, by the name of what they limit.
        pricing: The project's prices, as `estimate_cost` takes them.
        budget: Limits on all measured tests together.
        carry_context: Whether an agent's own threads get the context of what starts them.
        record: Which recordings of marked tests are made.
        progress: How load tests are shown while they run.
        allow_inconclusive: Whether a load test passes whose verdict is inconclusive.
        dollars: What all LLM calls of the session may cost; None for any amount.
    """

    report_paths: tuple[Path, ...]
    limits: Mapping[str, float]
    request_limits: Mapping[str, float]
    pricing: Mapping[str, Mapping[str, float]]
    budget: tuple[SLA, ...]
    carry_context: bool
    record: RecordMode = "none"
    progress: ProgressMode = "auto"
    allow_inconclusive: bool = False
    dollars: float | None = None

    @classmethod
    def from_pytest_config(cls, config: pytest.Config) -> PluginConfig:
        """Read and check the options.

        Raises:
            pytest.UsageError: If one makes no sense; it names the option.
        """
        return cls(
            report_paths=_read_report_paths(config),
            limits={sla.metric: sla.limit for sla in _read_limits(config, "senytl_sla")},
            request_limits=_read_request_limits(config),
            pricing=_read_pricing(config.getini("senytl_pricing")),
            budget=_read_budget(config),
            carry_context=config.getini("senytl_carry_context"),
            record=config.getoption("senytl_record"),
            progress=config.getoption("senytl_perf_progress"),
            allow_inconclusive=config.getini("senytl_allow_inconclusive"),
            dollars=_read_dollars(config.getoption("senytl_perf_budget")),
        )


def _read_report_paths(config: pytest.Config) -> tuple[Path, ...]:
    names: list[str] = config.getoption("senytl_perf_report")
    # A worker writes no report, and what its controller checked needs no second look.
    if not names or hasattr(config, "workerinput"):
        return ()
    from senytl.performance.report import format_for
    from senytl.performance.report.writing import check_writable

    paths = tuple(dict.fromkeys(config.invocation_params.dir / name for name in names))
    for path in paths:
        try:
            format_for(path)
            if not config.option.collectonly:
                check_writable(path)
        except (ValueError, OSError) as error:
            raise pytest.UsageError(f"--senytl-perf-report={path}: {error}") from None
    return paths


def _read_limits(config: pytest.Config, option: str) -> list[SLA]:
    lines = _content(config.getini(option))
    if not lines:
        return []
    from senytl.performance.sla import SLA

    return list(_read_lines(option, lines, "metric", SLA).values())


def _read_request_limits(config: pytest.Config) -> Mapping[str, float]:
    lines = _content(config.getini("senytl_goodput"))
    if not lines:
        return {}
    from senytl.performance.request_limits import check_limits

    def check(name: str, limit: float) -> float:
        return check_limits({name: limit})[name]

    return _read_lines("senytl_goodput", lines, "name", check)


def _read_lines(
    option: str, lines: Iterable[str], key: str, make: Callable[[str, float], T]
) -> dict[str, T]:
    """What the lines of an option stand for, each of the form ``key=limit``."""
    read: dict[str, T] = {}
    for line in lines:
        name, equals, limit = (part.strip() for part in line.partition("="))
        try:
            if not equals:
                raise ValueError(f"it is not of the form '{key}=limit'")
            if name in read:
                raise ValueError(f"{name} has a limit already")
            read[name] = make(name, _read_number(limit))
        except ValueError as error:
            raise pytest.UsageError(f"ini option {option}: cannot use {line!r}: {error}") from None
    return read


def _read_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


def _read_budget(config: pytest.Config) -> tuple[SLA, ...]:
    for line in _content(config.getini("senytl_budget")):
        metric = line.partition("=")[0].strip()
        if metric not in BUDGET_TOTALS:
            raise pytest.UsageError(
                f"ini option senytl_budget: cannot use {line!r}: a budget limits sums over all "
                f"tests, which are {', '.join(BUDGET_TOTALS)}"
            )
    return tuple(_read_limits(config, "senytl_budget"))


def _read_dollars(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        dollars = _read_number(text)
        if not 0 < dollars < float("inf"):
            raise ValueError(f"{text} is no amount of money above 0")
    except ValueError as error:
        raise pytest.UsageError(
            f"--senytl-perf-budget={text}: {error}; it is a number of dollars, such as 5 or 0.50"
        ) from None
    return dollars


def _read_pricing(lines: Iterable[str]) -> Mapping[str, Mapping[str, float]]:
    lines = _content(lines)
    if not lines:
        return {}
    from senytl.performance.pricing import parse_pricing

    try:
        return parse_pricing("\n".join(lines))
    except ValueError as error:
        raise pytest.UsageError(f"ini option {error}") from None


def _content(lines: Iterable[str]) -> list[str]:
    return [stripped for line in lines if (stripped := line.strip())]
