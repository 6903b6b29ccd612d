"""SLAs: limits on metrics, how they are judged, and the error that names every violation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from senytl.models import MisuseError, PerformanceError
from senytl.performance.metric import Direction, find_metric
from senytl.performance.metric.units import write_beside, write_change, write_figure

if TYPE_CHECKING:
    from senytl.performance.metrics import PerformanceMetrics

__all__ = ["SLA", "Judgement", "SLAViolationError", "enforce", "judge", "slas_from_limits"]


_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class SLA:
    """A limit on one metric: the most it may be where lower is better, else the least.

    The limit itself still holds: ``p95_latency=2.0`` allows 2.0 seconds.

    Args:
        metric: The metric's name, an attribute of `PerformanceMetrics`.
        limit: In the metric's unit.
        implied: Whether nobody stated it; then it is worth mention only where it does not hold.

    Raises:
        UnknownMetricError: If no metric has that name.
        MisuseError: If no run could be judged by the limit: not a finite number, negative, or a
            share above 1. It is a ValueError too.
    """

    metric: str
    limit: float
    implied: bool = False

    def __post_init__(self) -> None:
        metric = find_metric(self.metric)
        if isinstance(self.limit, bool) or not isinstance(self.limit, int | float):
            raise MisuseError(f"the limit of {self.metric} is {self.limit!r}; it must be a number")
        if not math.isfinite(self.limit) or self.limit < 0:
            raise MisuseError(
                f"the limit of {self.metric} is {self.limit}; it must be finite and not negative"
            )
        if metric.at_most is not None and self.limit > metric.at_most:
            raise MisuseError(
                f"the limit of {self.metric} is {self.limit}; it is a share, so it lies "
                f"between 0 and {metric.at_most:g}"
            )

    def __str__(self) -> str:
        metric = find_metric(self.metric)
        sign = "<=" if metric.direction is Direction.LOWER else ">="
        return f"{self.metric} {sign} {write_figure(self.limit, metric.unit)}"

    def judge(self, run: PerformanceMetrics) -> Judgement:
        """Hold this limit against a run."""
        metric = find_metric(self.metric)
        actual = metric.measure(run)
        if actual is None or math.isnan(actual):
            return Judgement(self, None, False, metric.missing(run))
        held = self.allows(actual)
        why = metric.why(run)
        if self.implied and not held:
            why += ". No SLA says how many may fail; state one, such as success_rate=0.95"
        return Judgement(self, actual, held, why)

    def allows(self, actual: float) -> bool:
        """Whether a figure keeps this limit."""
        # Sums of fractions may miss the limit that they are by their last bit.
        if math.isclose(actual, self.limit, rel_tol=_ROUNDING):
            return True
        lower = find_metric(self.metric).direction is Direction.LOWER
        return actual < self.limit if lower else actual > self.limit


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of holding an SLA against a run.

    Args:
        sla: The limit.
        actual: The figure; None where it was not measured.
        held: Whether the figure keeps the limit; a figure that was not measured never does.
        why: The figures behind it, or what was not measured.
    """

    sla: SLA
    actual: float | None
    held: bool
    why: str

    def __str__(self) -> str:
        if self.actual is None:
            return f"{self.sla}: not measured; {self.why}"
        metric = find_metric(self.sla.metric)
        figure = write_beside(self.actual, self.sla.limit, metric.unit)
        if self.held:
            return f"{self.sla}: {figure}"
        change = write_change(self.actual, self.sla.limit, metric.unit)
        return f"{self.sla}: {figure} ({change}); {self.why}"


class SLAViolationError(PerformanceError, AssertionError):
    """One or more SLAs do not hold.

    Args:
        violations: The judgements that did not hold, in the order in which they were stated.
        name: The test's name.

    Attributes:
        violations: The same, as a tuple.
    """

    def __init__(self, violations: Iterable[Judgement], name: str = "") -> None:
        self.violations = tuple(violations)
        self.name = name
        if len(self.violations) == 1:
            message = str(self.violations[0])
        else:
            metrics = ", ".join(one.sla.metric for one in self.violations)
            lines = (f"  {one}" for one in self.violations)
            message = "\n".join([f"{len(self.violations)} SLAs violated: {metrics}", *lines])
        super().__init__(message)

    def __reduce__(self) -> tuple[type, tuple[tuple[Judgement, ...], str]]:
        return type(self), (self.violations, self.name)


# Where users import it from, and what tracebacks and pytest's summary call it.
SLAViolationError.__module__ = "senytl.performance"


def slas_from_limits(limits: Mapping[str, float]) -> list[SLA]:
    """SLAs from limits by metric name, as the marker, the ini option and `perf.sla` give them."""
    return [SLA(metric, limit) for metric, limit in limits.items()]


def judge(
    run: PerformanceMetrics, slas: Iterable[SLA], *, ended_early: bool = False
) -> list[Judgement]:
    """Hold SLAs against a run, and note the outcome in its ``judgements``.

    An SLA that was judged before is judged anew, and takes the earlier outcome's place.

    Args:
        run: The run.
        slas: The limits.
        ended_early: Whether an error ended the run; what was not measured then follows from that,
            and is left out.
    """
    outcomes = []
    for sla in dict.fromkeys(slas):
        outcome = sla.judge(run)
        if (sla.implied and outcome.held) or (ended_early and outcome.actual is None):
            continue
        known = [one.sla for one in run.judgements]
        if sla in known:
            run.judgements[known.index(sla)] = outcome
        else:
            run.judgements.append(outcome)
        outcomes.append(outcome)
    return outcomes


def enforce(run: PerformanceMetrics, slas: Iterable[SLA]) -> None:
    """Judge SLAs, and raise all that do not hold together.

    Raises:
        SLAViolationError: If a figure breaks its limit; figures that were not measured are
            listed with it.
        PerformanceError: If none is broken, but a figure was not measured.
    """
    __tracebackhide__ = True
    broken = [one for one in judge(run, slas) if not one.held]
    if not broken:
        return
    if any(one.actual is not None for one in broken):
        raise SLAViolationError(broken, run.name)
    raise PerformanceError("\n".join(str(one) for one in broken))
