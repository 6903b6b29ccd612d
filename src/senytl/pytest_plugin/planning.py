"""How a test is measured: what its marks, its decorator and the project's options ask for."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pytest

from senytl import performance
from senytl.performance.benchmarking import BenchmarkPlan
from senytl.performance.load import LoadPlan
from senytl.performance.request_limits import check_limits
from senytl.performance.sla import slas_from_limits
from senytl.pytest_plugin.markers import FOREIGN_KEYWORDS, functions_of, is_foreign_benchmark
from senytl.pytest_plugin.options import CONFIG

if TYPE_CHECKING:
    from senytl.performance.sla import SLA

__all__ = ["BadMarkError", "TestPlan"]

Kind = Literal["benchmark", "load_test"]
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
Work = BenchmarkPlan | LoadPlan

_KINDS: tuple[Kind, ...] = ("benchmark", "load_test")
_OWN_LEVEL = 1
_CONFIDENCE = "confidence"


class BadMarkError(Exception):
    """A test cannot be measured as it is written."""


@dataclass(frozen=True, slots=True)
class TestPlan:
    """How a test is measured.

    Args:
        kind: What kind of test it is.
        decorate: Makes the measured function of the test's own; None where that is measured as
            it is, because its author decorated it.
        work: What a run of it does.
        slas: The limits from marks and options, checked when its run ends.
        request_limits: The limits on each request from marks and options.
    """

    __test__ = False

    kind: Kind
    decorate: Decorator | None
    work: Work
    slas: tuple[SLA, ...]
    request_limits: Mapping[str, float]

    @classmethod
    def from_pytest_item(cls, item: pytest.Function) -> TestPlan:
        """The plan of a test that is measured.

        Raises:
            BadMarkError: If its marks contradict each other or make no sense, or another
                runner would multiply its requests.
        """
        _refuse_foreign_runners(item)
        limits = (_read_slas(item), _read_request_limits(item))
        written = _decorated_plan(item)
        asked = _closest_kind(item, own_only=written is not None)
        if written is None:
            kind, settings = asked or ("benchmark", {})
            decorate = _make_decorator(kind, settings)
            return cls(kind, decorate, _plan_of(item, kind, decorate), *limits)
        kind = _kind_of(written)
        if asked is not None and _plan_of(item, asked[0], _make_decorator(*asked)) != written:
            raise BadMarkError(
                f"it is decorated by @performance.{kind} and marked {_write_mark(*asked)}, "
                "which are not the same; keep one of them"
            )
        return cls(kind, None, written, *limits)


def _read_slas(item: pytest.Function) -> tuple[SLA, ...]:
    marked: dict[str, SLA] = {}
    for stated in _read_limits(
        item, "sla", "the metric's name", "sla(p95_latency=2.0, success_rate=0.98)"
    ):
        confidence = stated.pop(_CONFIDENCE, None)
        if not stated:
            raise BadMarkError(
                "@pytest.mark.sla has a confidence and no limit that must hold with it; "
                "for example sla(p95_latency=2.0, confidence=0.95)"
            )
        try:
            slas = slas_from_limits(stated, confidence)
        except ValueError as error:
            raise BadMarkError(f"@pytest.mark.sla: {error}") from None
        marked = {**{sla.metric: sla for sla in slas}, **marked}
    project = slas_from_limits(item.config.stash[CONFIG].limits)
    return tuple({**{sla.metric: sla for sla in project}, **marked}.values())


def _read_request_limits(item: pytest.Function) -> Mapping[str, float]:
    limits: dict[str, Any] = {}
    for stated in _read_limits(item, "goodput", "name", "goodput(latency=2.0, ttft=0.5)"):
        limits = {**stated, **limits}
    try:
        return {
            **item.config.stash[CONFIG].request_limits,
            **(check_limits(limits) if limits else {}),
        }
    except ValueError as error:
        raise BadMarkError(f"@pytest.mark.goodput: {error}") from None


def _read_limits(
    item: pytest.Function, name: str, key: str, example: str
) -> Iterator[dict[str, Any]]:
    """The limits of each mark of a name, the closest first, which wins on the same thing."""
    for _, mark in _marks(item, name):
        if mark.args or not mark.kwargs:
            problem = f"not {mark.args[0]!r}" if mark.args else "and has none"
            raise BadMarkError(
                f"@pytest.mark.{name} takes limits by {key}, {problem}; for example {example}"
            )
        yield dict(mark.kwargs)


def _closest_kind(item: pytest.Function, *, own_only: bool) -> tuple[Kind, dict[str, Any]] | None:
    """What the closest benchmark or load_test mark asks for: the kind, and our keywords of it.

    Args:
        item: The test.
        own_only: Whether the marks of its class and module do not matter, because a decorator
            stands at the function itself.
    """
    closest = {
        kind: found
        for kind in _KINDS
        if not (kind == "benchmark" and is_foreign_benchmark(item))
        and (found := next(_marks(item, kind), None))
        and not (own_only and found[0] > _OWN_LEVEL)
    }
    if not closest:
        return None
    level = min(level for level, _ in closest.values())
    kinds = [kind for kind in closest if closest[kind][0] == level]
    if len(kinds) > 1:
        raise BadMarkError("it is marked benchmark and load_test, and can be only one of them")
    [kind] = kinds
    mark = closest[kind][1]
    if mark.args:
        raise BadMarkError(
            f"@pytest.mark.{kind} takes its settings by name, not {mark.args[0]!r}; "
            f"they are: {', '.join(_settings_of(kind))}"
        )
    foreign = FOREIGN_KEYWORDS if kind == "benchmark" else frozenset()
    return kind, {name: mark.kwargs[name] for name in mark.kwargs if name not in foreign}


def _marks(item: pytest.Function, name: str) -> Iterator[tuple[int, pytest.Mark]]:
    """A test's marks of this name with their level, the closest first.

    Level 0 are those of its parameters, 1 those of its function, and so on to its package.
    """
    callspec = getattr(item, "callspec", None)
    of_parameters = [mark for mark in callspec.marks if mark.name == name] if callspec else []
    yield from ((0, mark) for mark in of_parameters)
    level = _OWN_LEVEL
    node: object = item
    for owner, mark in item.iter_markers_with_node(name):
        if owner is not node:
            level, node = level + 1, owner
        if not (owner is item and mark in of_parameters):
            yield level, mark


def _make_decorator(kind: Kind, settings: Mapping[str, Any]) -> Decorator:
    """The decorator that a mark stands for.

    Raises:
        BadMarkError: If it cannot be made of these settings.
    """
    names = _settings_of(kind)
    for name in settings:
        if name not in names:
            raise BadMarkError(
                f"@pytest.mark.{kind} has no setting {name!r}; its settings are: {', '.join(names)}"
            )
    make: Callable[..., Decorator] = getattr(performance, kind)
    try:
        return make(**settings)
    except (TypeError, ValueError) as error:
        raise BadMarkError(f"@pytest.mark.{kind}: {error}") from None


def _settings_of(kind: Kind) -> list[str]:
    parameters = inspect.signature(getattr(performance, kind)).parameters.values()
    return [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]


def _plan_of(item: pytest.Function, kind: Kind, decorate: Decorator) -> Work:
    """What the decorator that a mark stands for makes of the test's function.

    Raises:
        BadMarkError: If that is no function which the decorator takes.
    """
    try:
        work: Work = vars(decorate(item.function))["_senytl_plan"]
    except (TypeError, ValueError) as error:
        raise BadMarkError(f"@pytest.mark.{kind}: {error}") from None
    return work


def _decorated_plan(item: pytest.Function) -> Work | None:
    """The plan that the test's author gave its function by a decorator, if so."""
    plans: list[Work] = []
    for function in functions_of(item):
        plan = vars(function).get("_senytl_plan")
        # A decorator that keeps to functools.wraps carries the same plan outwards.
        if plan is not None and not any(plan is known for known in plans):
            plans.append(plan)
    if len(plans) > 1:
        raise BadMarkError(
            "it is decorated twice, by "
            + " and ".join(f"@performance.{_kind_of(plan)}" for plan in plans)
            + "; keep one of them"
        )
    return plans[0] if plans else None


def _kind_of(plan: Work) -> Kind:
    return "benchmark" if isinstance(plan, BenchmarkPlan) else "load_test"


def _write_mark(kind: Kind, settings: Mapping[str, Any]) -> str:
    return f"{kind}({', '.join(f'{name}={value!r}' for name, value in settings.items())})"


def _refuse_foreign_runners(item: pytest.Function) -> None:
    if any(vars(function).get("is_hypothesis_test") for function in functions_of(item)):
        raise BadMarkError(
            "Hypothesis would run it once for each example, and its figures would mix them; "
            "measure a test without @given"
        )
    if _codspeed_runs(item):
        raise BadMarkError(
            "pytest-codspeed is on (--codspeed, or CODSPEED_ENV is set) and would run it many "
            "thousand times, which costs money with a live model; deselect it, or run without"
        )


def _codspeed_runs(item: pytest.Function) -> bool:
    option = item.config.getoption("codspeed", None)
    if option is None or not (option or "CODSPEED_ENV" in os.environ):
        return False
    names = ("benchmark", "codspeed_benchmark")
    return any(item.get_closest_marker(name) or name in item.fixturenames for name in names)
