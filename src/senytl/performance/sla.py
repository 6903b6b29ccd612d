"""SLAs: limits on metrics, how they are judged, and the errors that name what does not hold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from senytl.models import MisuseError, PerformanceError
from senytl.performance.confidence import DEFAULT_CONFIDENCE, fewest_for_upper_end
from senytl.performance.doubts import doubt
from senytl.performance.leaks.limits import LEAK_METRIC
from senytl.performance.metric import Direction, find_metric
from senytl.performance.metric.units import write_figure, write_outcome

if TYPE_CHECKING:
    from senytl.performance.metric import Metric
    from senytl.performance.metrics import PerformanceMetrics

__all__ = [
    "SLA",
    "InconclusiveError",
    "Judgement",
    "SLAViolationError",
    "enforce",
    "judge",
    "slas_from_limits",
]


_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class SLA:
    """A limit on one metric: the most it may be where lower is better, else the least.

    The limit itself still holds: ``p95_latency=2.0`` allows 2.0 seconds.

    Args:
        metric: The metric's name, an attribute of `PerformanceMetrics`.
        limit: In the metric's unit.
        implied: Whether nobody stated it; then it is worth mention only where it does not hold.
        confidence: Between 0 and 1: the limit must hold for the whole confidence interval of the
            figure, at 0.95 for the one that holds the true figure in 95 % of all runs. None asks
            for the figure alone.
        min_leak: Only for ``memory_growth``: bytes that each request may leave behind; 64 where
            it is None. A steady leak of more breaks the limit however small the growth is by now.

    Raises:
        UnknownMetricError: If no metric has that name.
        MisuseError: If no run could be judged by the limit: not a finite number, negative, or a
            share above 1; or if the confidence makes no sense, or the metric has no interval. It
            is a ValueError too.
    """

    metric: str
    limit: float
    implied: bool = False
    confidence: float | None = None
    min_leak: float | None = None

    def __post_init__(self) -> None:
        metric = find_metric(self.metric)
        if self.min_leak is not None:
            _check_min_leak(self.metric, self.min_leak)
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
        if self.confidence is not None:
            _check_confidence(metric, self.limit, self.confidence)

    def __str__(self) -> str:
        metric = find_metric(self.metric)
        sign = "<=" if metric.direction is Direction.LOWER else ">="
        sure = "" if self.confidence is None else f" at {self.confidence * 100:.10g} % confidence"
        return f"{self.metric} {sign} {write_figure(self.limit, metric.unit)}{sure}"

    def judge(self, run: PerformanceMetrics) -> Judgement:
        """Hold this limit against a run."""
        metric = find_metric(self.metric)
        if self.metric == LEAK_METRIC:
            from senytl.performance.leaks.verdict import judge_growth

            verdict = judge_growth(self, run)
            if verdict is not None:
                return verdict
        actual = metric.measure(run)
        if actual is None or math.isnan(actual):
            return Judgement(self, None, False, metric.missing(run))
        interval = metric.interval(run, self.confidence or DEFAULT_CONFIDENCE)
        if interval is not None:
            # Of two requests the slowest is the least that p99 may be, and lies above its estimate.
            interval = min(interval[0], actual), max(interval[1], actual)
        judgement = Judgement(self, actual, False, metric.why(run), interval)
        held = self.allows(judgement.decisive)
        why = judgement.why
        if self.implied and not held:
            why += ". No SLA says how many may fail; state one, such as success_rate=0.95"
        if math.isinf(judgement.decisive) and metric.quantile is not None:
            count, noun = metric.population(run)
            fewest = fewest_for_upper_end(metric.quantile, self.confidence or DEFAULT_CONFIDENCE)
            why += (
                f"; the interval has no upper end below {fewest:,} {noun}s, and there are {count:,}"
            )
        return replace(judgement, held=held, why=why)

    def allows(self, actual: float) -> bool:
        """Whether a figure keeps this limit."""
        # Sums of fractions may miss the limit that they are by their last bit.
        if math.isclose(actual, self.limit, rel_tol=_ROUNDING):
            return True
        lower = find_metric(self.metric).direction is Direction.LOWER
        return actual < self.limit if lower else actual > self.limit


def _check_min_leak(name: str, min_leak: object) -> None:
    if name != LEAK_METRIC:
        raise MisuseError(f"min_leak is for {LEAK_METRIC} alone, and the limit is on {name}")
    if isinstance(min_leak, bool) or not isinstance(min_leak, int | float):
        raise MisuseError(f"min_leak is {min_leak!r}; it must be a number of bytes a request")
    if not 0 < min_leak < math.inf:
        raise MisuseError(f"min_leak is {min_leak}; it must be above 0 bytes a request, and finite")


def _check_confidence(metric: Metric[float], limit: float, confidence: object) -> None:
    name = metric.name
    if isinstance(confidence, bool) or not isinstance(confidence, int | float):
        raise MisuseError(f"the confidence for {name} is {confidence!r}; it must be a number")
    if not 0 < confidence < 1:
        raise MisuseError(
            f"the confidence for {name} is {confidence}; it lies between 0 and 1, "
            "such as 0.95 for 95 %"
        )
    if not metric.has_interval:
        raise MisuseError(
            f"{name} has no confidence interval, and so no confidence can be asked of it: "
            "percentiles have one, and rates such as success_rate; state this limit apart"
        )
    unreachable = 0.0 if metric.direction is Direction.LOWER else 1.0
    if metric.is_rate and limit == unreachable:
        raise MisuseError(
            f"no number of requests can show with {confidence * 100:.10g} % confidence that {name} "
            f"is {limit:g}; leave room, or leave the confidence out"
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of holding an SLA against a run.

    Args:
        sla: The limit.
        actual: The figure; None where it was not measured.
        held: Whether the figure keeps the limit, and its interval too where the SLA asks for that;
            a figure that was not measured never does.
        why: The figures behind it, or what was not measured.
        interval: The confidence interval of a percentile or a rate, with infinity for an open
            end; at the confidence that the SLA asks for, else at 95 %. None for other metrics.
        doubt: Why that says little, because the load generator may be to blame, or there was too
            little to go by; empty where there is no doubt. What is in doubt neither holds nor is
            violated: it is inconclusive.
        doubt_is_failure: Whether an inconclusive outcome fails the test; else it is a warning.
        outcome: What came out, where the figure alone does not say it.
    """

    sla: SLA
    actual: float | None
    held: bool
    why: str
    interval: tuple[float, float] | None = None
    doubt: str = ""
    doubt_is_failure: bool = True
    outcome: str = ""

    @property
    def decisive(self) -> float:
        """What the limit is held against: the figure, or the end of its interval.

        NaN where it was not measured.
        """
        if self.actual is None:
            return math.nan
        if self.sla.confidence is None or self.interval is None:
            return self.actual
        lower = find_metric(self.sla.metric).direction is Direction.LOWER
        return self.interval[1] if lower else self.interval[0]

    def __str__(self) -> str:
        if self.actual is None and not self.outcome:
            return f"{self.sla}: not measured; {self.why}"
        outcome = self.outcome or self._write_outcome(self.actual or 0.0)
        text = f"{self.sla}: {outcome}" if self.held else f"{self.sla}: {outcome}; {self.why}"
        return f"{text}; inconclusive: {self.doubt}" if self.doubt else text

    def _write_outcome(self, actual: float) -> str:
        return write_outcome(
            actual,
            self.sla.limit,
            find_metric(self.sla.metric).unit,
            held=self.held,
            decisive=self.decisive,
            interval=self.interval,
            confidence=self.sla.confidence or DEFAULT_CONFIDENCE,
        )


class SLAViolationError(PerformanceError, AssertionError):
    """One or more SLAs do not hold.

    Args:
        violations: The judgements that did not hold, in the order in which they were stated.
        name: The test's name.
        inconclusive: Judgements of the same run that say nothing, because of the load generator.

    Attributes:
        violations: The same, as a tuple.
        inconclusive: The same, as a tuple.
    """

    def __init__(
        self,
        violations: Iterable[Judgement],
        name: str = "",
        inconclusive: Iterable[Judgement] = (),
    ) -> None:
        self.violations = tuple(violations)
        self.inconclusive = tuple(inconclusive)
        self.name = name
        lines = [_listed(self.violations, "violated")]
        if self.inconclusive:
            lines.append(_listed(self.inconclusive, "inconclusive", always_headed=True))
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type, tuple[tuple[Judgement, ...], str, tuple[Judgement, ...]]]:
        return type(self), (self.violations, self.name, self.inconclusive)


class InconclusiveError(SLAViolationError):
    """SLAs of a load test can be judged neither way, because its generator was the bottleneck.

    It is a violation too, of the demand that limits be shown to hold: whoever handles those
    handles this.

    Args:
        inconclusive: Those that are in doubt.
        name: The test's name.

    Attributes:
        violations: Those of them whose figure does not keep the limit.
    """

    def __init__(self, inconclusive: Iterable[Judgement], name: str = "") -> None:
        doubtful = tuple(inconclusive)
        super().__init__((one for one in doubtful if not one.held), name, doubtful)
        self.args = (_listed(doubtful, "inconclusive"),)

    def __reduce__(self) -> tuple[type, tuple[tuple[Judgement, ...], str]]:  # type: ignore[override]
        return type(self), (self.inconclusive, self.name)


def _listed(judgements: tuple[Judgement, ...], what: str, *, always_headed: bool = False) -> str:
    if len(judgements) == 1 and not always_headed:
        return str(judgements[0])
    metrics = ", ".join(one.sla.metric for one in judgements)
    count = f"{len(judgements)} SLA{'' if len(judgements) == 1 else 's'}"
    return "\n".join([f"{count} {what}: {metrics}", *(f"  {one}" for one in judgements)])


# Where users import them from, and what tracebacks and pytest's summary call them.
SLAViolationError.__module__ = "senytl.performance"
InconclusiveError.__module__ = "senytl.performance"


def slas_from_limits(limits: Mapping[str, float], confidence: float | None = None) -> list[SLA]:
    """SLAs from limits by metric name, as the ini option and `perf.sla` give them.

    Args:
        limits: The limits.
        confidence: What all of them must hold with; see `SLA`.
    """
    return [SLA(metric, limit, confidence=confidence) for metric, limit in limits.items()]


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
    places = []
    for sla in dict.fromkeys(slas):
        outcome = sla.judge(run)
        if (sla.implied and outcome.held) or (ended_early and outcome.actual is None):
            continue
        known = [one.sla for one in run.judgements]
        if sla in known:
            place = known.index(sla)
            run.judgements[place] = outcome
        else:
            place = len(known)
            run.judgements.append(outcome)
        places.append(place)
    # One limit may settle what another leaves in doubt, so all are judged by now.
    for place in places:
        outcome = run.judgements[place]
        run.judgements[place] = replace(outcome, doubt=outcome.doubt or doubt(outcome, run) or "")
    return [run.judgements[place] for place in places]


def enforce(run: PerformanceMetrics, slas: Iterable[SLA]) -> None:
    """Judge SLAs, and raise all that do not hold together.

    Raises:
        SLAViolationError: If a figure breaks its limit; figures that were not measured, and those
            that are in doubt, are listed with it.
        PerformanceError: If none is broken, but a figure was not measured.
        InconclusiveError: If nothing else is wrong, but a figure is in doubt, and the run does not
            allow that.
    """
    __tracebackhide__ = True
    outcomes = judge(run, slas)
    doubtful = [one for one in outcomes if one.doubt and one.doubt_is_failure]
    broken = [one for one in outcomes if not one.held and not one.doubt]
    if any(one.actual is not None or one.outcome for one in broken):
        raise SLAViolationError(broken, run.name, doubtful)
    if broken:
        raise PerformanceError("\n".join(str(one) for one in [*broken, *doubtful]))
    if doubtful and not run.allow_inconclusive:
        raise InconclusiveError(doubtful, run.name)
