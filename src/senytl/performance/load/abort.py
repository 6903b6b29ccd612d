"""When a limit is broken beyond repair: whatever is still to come, it will not hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, overload

from senytl.models import MisuseError
from senytl.performance.distribution import RELATIVE_ERROR
from senytl.performance.metric import find_metric
from senytl.performance.metric.units import write_beside, write_count
from senytl.performance.series import largest, mean, percentile
from senytl.performance.sla import SLA

if TYPE_CHECKING:
    from senytl.performance.distribution import Distribution

__all__ = ["AbortRule", "LoadState"]


@dataclass(frozen=True, slots=True)
class LoadState:
    """What is known of a load while it runs.

    Args:
        elapsed: Seconds since its measured part began.
        latencies: Seconds of the requests that succeeded so far, or of a random part of them.
        failed: How many failed so far.
        remaining: How many requests are still expected; infinity where nobody can tell.
        succeeded: How many succeeded so far; as many as there are latencies where it is not given.
    """

    elapsed: float
    latencies: Distribution
    failed: int = 0
    remaining: float = math.inf
    succeeded: int | None = None

    @property
    def successes(self) -> int:
        """How many requests succeeded so far."""
        return len(self.latencies) if self.succeeded is None else self.succeeded


class AbortRule:
    """The limits that end a load as soon as one of them cannot hold any more.

    Args:
        limits: Limits by metric name, as SLAs are stated.
        after: Seconds since the measured part began in which none of them ends the load.

    Raises:
        MisuseError: If a limit makes no sense, or is on a metric that says nothing of this kind
            before the load is over. It is a ValueError too.
    """

    def __init__(self, limits: Mapping[str, float], after: float = 0.0) -> None:
        if not isinstance(limits, Mapping):
            raise MisuseError(
                f'abort_on is {limits!r}; it is limits by metric name, as {{"error_rate": 0.5}}'
            )
        if (
            isinstance(after, bool)
            or not isinstance(after, int | float)
            or not 0 <= after < math.inf
        ):
            raise MisuseError(
                f"abort_after is {after!r}; it must be a number of seconds, 0 or more"
            )
        self._slas = [SLA(name, limit) for name, limit in limits.items()]
        self._after = after
        for sla in self._slas:
            if sla.metric not in _AT_BEST:
                raise MisuseError(
                    f"abort_on has {sla.metric}, which is judged only when the load is over: state "
                    f"it as an SLA. A load can be ended by {', '.join(_AT_BEST)}"
                )

    def broken_beyond_repair(self, state: LoadState) -> str | None:
        """Which limit does not hold even if all that is still to come succeeds and takes no time.

        Args:
            state: The load as it is now.

        Returns:
            The limit and why, in a sentence; None while all of them may still hold.
        """
        if state.elapsed < self._after:
            return None
        for sla in self._slas:
            best = _AT_BEST[sla.metric](state)
            if best is None or not _is_broken(sla, best):
                continue
            unit = find_metric(sla.metric).unit
            figure = write_beside(best, sla.limit, unit)
            says = f"it is {figure}"
            if sla.metric not in _FINAL and state.remaining:
                left = write_count(math.ceil(state.remaining), "more request")
                says = f"it would be {figure} even if {left} succeeded and took no time"
            return f"{sla} is broken beyond repair after {state.elapsed:.1f} s: {says}"
        return None


def _is_broken(sla: SLA, best: float) -> bool:
    if sla.metric in _QUANTILES:
        best /= 1 + RELATIVE_ERROR  # in buckets, a latency reads as up to so much more than it was
    return not sla.allows(best)


def _percentile_at_best(state: LoadState, quantile: float) -> float | None:
    if not len(state.latencies) or state.remaining == math.inf:
        return None
    # Where a part of the requests stands for all, so does a part of those that are to come.
    part = len(state.latencies) / state.successes
    zeros = math.ceil(state.remaining * part)
    return percentile(_Padded(state.latencies.ordered, zeros), quantile)


def _mean_at_best(state: LoadState) -> float | None:
    if not len(state.latencies):
        return None
    return mean(state.latencies) * state.successes / (state.successes + state.remaining)


def _max_at_best(state: LoadState) -> float | None:
    return largest(state.latencies) if len(state.latencies) else None


def _error_rate_at_best(state: LoadState) -> float | None:
    requests = state.successes + state.failed + state.remaining
    return state.failed / requests if requests else None


def _success_rate_at_best(state: LoadState) -> float | None:
    errors = _error_rate_at_best(state)
    return None if errors is None else 1 - errors


_QUANTILES = {f"p{percent}_latency": percent / 100 for percent in (50, 75, 90, 95, 99)}

_AT_BEST: Mapping[str, Callable[[LoadState], float | None]] = {
    **{name: partial(_percentile_at_best, quantile=at) for name, at in _QUANTILES.items()},
    "avg_latency": _mean_at_best,
    "max_latency": _max_at_best,
    "success_rate": _success_rate_at_best,
    "error_rate": _error_rate_at_best,
    "failed_requests": lambda state: state.failed,
}
"""What each metric is in the end, if all that is still to come is as good as can be."""

_FINAL = frozenset(("max_latency", "failed_requests"))
"""Metrics that nothing that is still to come makes better."""


class _Padded(Sequence[float]):
    """Numbers in ascending order, with zeros before them."""

    def __init__(self, ordered: Sequence[float], zeros: int) -> None:
        self._ordered = ordered
        self._zeros = zeros

    def __len__(self) -> int:
        return self._zeros + len(self._ordered)

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[float]: ...
    def __getitem__(self, index: int | slice) -> float | Sequence[float]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        return 0.0 if place < self._zeros else self._ordered[place - self._zeros]
