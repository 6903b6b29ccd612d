"""What a metric is, and the registry of all of them.

A metric is declared once, as an attribute of one of the classes in this folder, with its unit,
its direction and its formula. `senytl.performance.PerformanceMetrics` inherits those classes, so
that the metric's name is at once an attribute of a run, the keyword of an SLA and a column of a
report. To add metrics: a class in a file of its own, and its name among the bases of
`PerformanceMetrics`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from senytl.models import MisuseError
from senytl.performance.confidence import percentile_interval, rate_interval
from senytl.performance.nearest import nearest
from senytl.performance.series import in_order

if TYPE_CHECKING:
    from senytl.performance.metrics import PerformanceMetrics

__all__ = ["Direction", "Metric", "UnknownMetricError", "all_metrics", "find_metric"]

Number = TypeVar("Number", int, float)

_REGISTRY: dict[str, Metric[Any]] = {}


class Direction(Enum):
    """Which way a metric gets better; an SLA is an upper limit where lower is better."""

    LOWER = "lower"
    HIGHER = "higher"


class UnknownMetricError(MisuseError):
    """No metric has this name. Its message says which one may be meant."""


class Metric(Generic[Number]):
    """A named figure of a run; a descriptor whose value is computed when it is read.

    Reading it from a `PerformanceMetrics` gives the figure, or `absent` where it was not
    measured; reading it from the class gives the metric itself.

    Args:
        unit: ``"s"``, ``"tokens"``, ``"tokens/s"``, ``"USD"``, ``"req/s"``, ``"MB"``,
            ``"ratio"``, ``"requests"`` or ``"calls"``; `senytl.performance.metric.units` writes
            figures of each.
        direction: Which way is better.
        formula: The figure of a run, or None where it was not measured.
        absent: What reading it gives where it was not measured: NaN for averages and
            percentiles, 0 for counts and sums.
        missing: What was not measured, for the error of an SLA that cannot be judged: a clause
            such as "no request succeeded", or a function of the run that gives one.
        why: A clause that explains the figure of a run in terms of its other figures.
        quantile: From 0 to 1, for a percentile.
        population: Of how many of what a percentile is, as a noun in the singular; the
            successful requests unless it is given.
        sample: The values that a percentile is taken over, in any order; the latencies of
            successful requests unless it is given.
        trials: What a rate is the share of, for its confidence interval: how many count, and of
            how many that are independent of each other.
        at_most: The largest limit that makes sense, for shares of a whole.
        stored: Whether it may be assigned; its formula then reads the run's ``__dict__``.
        doc: What the figure is, in a sentence.
    """

    def __init__(
        self,
        *,
        unit: str,
        direction: Direction,
        formula: Callable[[Any], Number | None],
        absent: Number,
        missing: str | Callable[[Any], str],
        why: Callable[[Any], str],
        doc: str,
        quantile: float | None = None,
        population: Callable[[Any], tuple[int, str]] | None = None,
        sample: Callable[[Any], Sequence[float]] = lambda run: run.latencies,
        trials: Callable[[Any], tuple[int, int]] | None = None,
        at_most: float | None = None,
        stored: bool = False,
    ) -> None:
        self.name = ""
        self.unit = unit
        self.direction = direction
        self.quantile = quantile
        self.at_most = at_most
        self.why = why
        self.__doc__ = doc
        self._population = population
        self._sample = sample
        self._trials = trials
        self._formula: Callable[[Any], Number | None] = formula
        self._absent: Number = absent
        self._missing = missing
        self._stored = stored

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        _REGISTRY[name] = self

    @overload
    def __get__(self, run: None, owner: type) -> Metric[Number]: ...
    @overload
    def __get__(self, run: object, owner: type) -> Number: ...
    def __get__(self, run: object | None, owner: type) -> Number | Metric[Number]:
        if run is None:
            return self
        value = self._formula(run)
        return self._absent if value is None else value

    def __set__(self, run: object, value: Number) -> None:
        if self._stored:
            run.__dict__[self.name] = value
            return
        raise AttributeError(
            f"{self.name} is computed from the run's requests; assign to those instead "
            "(latencies, token_usage, costs, memory_snapshots, ...)"
        )

    def measure(self, run: PerformanceMetrics) -> Number | None:
        """The figure of a run, or None where it was not measured."""
        value: Number | None = self._formula(run)
        return value

    def population(self, run: PerformanceMetrics) -> tuple[int, str]:
        """Of how many of what a percentile of this run is."""
        if self._population is not None:
            return self._population(run)
        return len(run.latencies), "request"

    @property
    def is_rate(self) -> bool:
        """Whether it is the share of independent trials that came out one way."""
        return self._trials is not None

    @property
    def has_interval(self) -> bool:
        """Whether it has a confidence interval: percentiles and rates do."""
        return self.is_rate or self.quantile is not None

    def interval(self, run: PerformanceMetrics, confidence: float) -> tuple[float, float] | None:
        """The confidence interval of a figure that was measured, with infinity for an open end.

        Args:
            run: The run.
            confidence: Between 0 and 1; 0.95 for 95 %.

        Returns:
            None if this metric has none.
        """
        if self._trials is not None:
            return rate_interval(*self._trials(run), confidence)
        if self.quantile is None:
            return None
        return percentile_interval(in_order(self._sample(run)), self.quantile, confidence)

    def missing(self, run: PerformanceMetrics) -> str:
        """What was not measured in a run that has no such figure."""
        return self._missing if isinstance(self._missing, str) else self._missing(run)

    def __repr__(self) -> str:
        return f"<Metric {self.name} [{self.unit}], {self.direction.value} is better>"


def all_metrics() -> Mapping[str, Metric[Any]]:
    """Every metric by its name."""
    from senytl.performance import metrics as _declare  # noqa: F401  # its import fills the registry

    return MappingProxyType(_REGISTRY)


def find_metric(name: str) -> Metric[Any]:
    """The metric of this name.

    Raises:
        UnknownMetricError: If there is none; the message names the nearest, or lists all where
            none is near.
    """
    metrics = all_metrics()
    if name not in metrics:
        near = nearest(name, metrics)
        raise UnknownMetricError(
            f"there is no metric named {name!r}"
            + (
                f" (did you mean {near}?); docs/reference/metrics.md lists all"
                if near
                else f"; the metrics are: {', '.join(sorted(metrics))}"
            )
        )
    return metrics[name]
