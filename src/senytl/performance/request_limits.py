"""Goodput: which requests keep all limits that are stated for each single request.

An SLA limits a figure of the whole run; these limits hold one request at a time. A request is
good if it succeeded and keeps them all, bad if it failed or breaks one, and undetermined if it
breaks none but a limited figure of it was not measured.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from senytl.models import MisuseError
from senytl.performance.call_columns import Flag
from senytl.performance.nearest import nearest

if TYPE_CHECKING:
    from senytl.performance.call_columns import CallColumns
    from senytl.performance.ledger import Totals
    from senytl.performance.request import EndedRequests

__all__ = ["LIMITS", "Goodput", "check_limits", "goodput", "judge_requests"]

LIMITS = {
    "latency": "s",
    "ttft": "s",
    "tpot": "s",
    "tokens": "tokens",
    "cost": "USD",
    "llm_calls": "calls",
}
"""What may be limited of each request, with the unit of the limit."""

_OF_CALLS = frozenset(LIMITS) - {"latency"}
"""The limits on figures that are made of a request's LLM calls."""

_ROUNDING = 1e-9
_EXAMPLE = "goodput(latency=2.0, ttft=0.5)"


@dataclass(frozen=True, slots=True)
class Goodput:
    """How many requests kept their limits.

    Args:
        limits: The limits by name, of `LIMITS`.
        good: Requests that succeeded and keep all limits.
        bad: Requests that failed, or break a limit.
        undetermined: Requests that break no limit that could be judged, while others could not.
        failed: How many of the bad ones failed.
        broken: How many requests break each limit, failed ones left out.
        unmeasured: For how many undetermined requests each limited figure was not measured.
    """

    limits: dict[str, float] = field(default_factory=dict)
    good: int = 0
    bad: int = 0
    undetermined: int = 0
    failed: int = 0
    broken: dict[str, int] = field(default_factory=dict)
    unmeasured: dict[str, int] = field(default_factory=dict)


def check_limits(limits: Mapping[str, float]) -> dict[str, float]:
    """The same limits, if each makes sense.

    Raises:
        MisuseError: If one has no such name, or is not a finite number of 0 or more; or if there
            is none.
    """
    if not limits:
        raise MisuseError(f"no limit is stated; for example {_EXAMPLE}")
    for name, limit in limits.items():
        if name not in LIMITS:
            near = nearest(name, LIMITS)
            hint = f" (did you mean {near}?)" if near else ""
            raise MisuseError(
                f"a request has no limit named {name!r}{hint}; its limits are: {', '.join(LIMITS)}"
            )
        if isinstance(limit, bool) or not isinstance(limit, int | float):
            raise MisuseError(f"the limit of {name} is {limit!r}; it must be a number")
        if not math.isfinite(limit) or limit < 0:
            raise MisuseError(f"the limit of {name} is {limit}; it must be finite and not negative")
    return dict(limits)


def goodput(**limits: float) -> None:
    """State what each request of the body's run must keep to count for goodput.

    The metrics ``goodput`` (the share of good requests) and ``goodput_rps`` (how many a second)
    are made of it. A limit itself still holds. Stated again, a limit replaces the earlier one.

    Args:
        limits: Any of ``latency`` (seconds), ``ttft`` and ``tpot`` (seconds; the largest of the
            request's streams), ``tokens``, ``cost`` (dollars) and ``llm_calls``.

    Raises:
        MisuseError: If a limit has no such name or makes no sense, or none is stated.
        PerformanceError: If no benchmark or load test is running here.
    """
    from senytl.performance.recording import running_recorder

    running_recorder().run.limit_requests(limits)


def judge_requests(
    limits: Mapping[str, float],
    requests: EndedRequests,
    calls: CallColumns,
    totals: Totals,
    *,
    all_attributed: bool = True,
) -> Goodput:
    """Hold the limits against each request that ended.

    Calls that belong to no request for certain break no limit. Where there are some that began in
    a request nobody knows, a request that its own calls let keep a limit may have broken it.

    Args:
        limits: The limits, checked.
        requests: The requests.
        calls: Their LLM calls.
        totals: The tokens and dollars of each.
        all_attributed: Whether it is known of every call what it belongs to.
    """
    figures = _Figures(limits, requests, calls, totals, all_attributed)
    good = bad = undetermined = 0
    broken: Counter[str] = Counter()
    unmeasured: Counter[str] = Counter()
    for number, failed in enumerate(requests.failed):
        if failed:
            bad += 1
            continue
        verdicts = {name: figures.keeps(name, number) for name in limits}
        breaks = [name for name, keeps in verdicts.items() if keeps is False]
        unknown = [name for name, keeps in verdicts.items() if keeps is None]
        bad += bool(breaks)
        broken.update(breaks)
        if unknown and not breaks:
            undetermined += 1
            unmeasured.update(unknown)
        good += not breaks and not unknown
    return Goodput(
        limits=dict(limits),
        good=good,
        bad=bad,
        undetermined=undetermined,
        failed=sum(requests.failed),
        broken={name: broken[name] for name in limits if broken[name]},
        unmeasured={name: unmeasured[name] for name in limits if unmeasured[name]},
    )


class _Figures:
    """The limited figures of each request, by its number; NaN where one was not measured."""

    def __init__(
        self,
        limits: Mapping[str, float],
        requests: EndedRequests,
        calls: CallColumns,
        totals: Totals,
        all_attributed: bool,
    ) -> None:
        self._limits = limits
        self._at_least = frozenset() if all_attributed else _OF_CALLS
        self._sure: dict[str, Sequence[float]] = {
            "latency": requests.latencies,
            "tokens": totals.own_tokens,
            "cost": totals.own_costs,
        }
        self._at_most: dict[str, Sequence[float]] = {}
        size = len(requests)
        if "llm_calls" in limits:
            counts = array("q", bytes(8 * size))
            for request, flags in zip(calls.request, calls.flags, strict=True):
                counts[request] += not flags & Flag.LEFT_OVER
            self._sure["llm_calls"] = counts if len(calls) else ()
        if "ttft" in limits or "tpot" in limits:
            self._read_streams(size, calls)

    def _read_streams(self, size: int, calls: CallColumns) -> None:
        nothing = array("d", [math.nan])
        self._sure["ttft"] = ttft = nothing * size
        self._sure["tpot"] = tpot = nothing * size
        self._at_most["ttft"] = late = nothing * size
        for place, (request, flags) in enumerate(zip(calls.request, calls.flags, strict=True)):
            if flags & Flag.LEFT_OVER:
                continue
            _raise_to(late if flags & Flag.LATE_READER else ttft, request, calls.ttft[place])
            _raise_to(tpot, request, calls.tpot(place))

    def keeps(self, name: str, number: int) -> bool | None:
        """Whether a request keeps a limit; None where that cannot be told.

        A time to first token that is an upper bound tells of a limit that is kept, and not of one
        that is broken. Where calls could not be attributed, figures of a request's own calls tell
        of a limit that is broken, and not of one that is kept.
        """
        limit = self._limits[name]
        column = self._sure[name]
        figure = column[number] if len(column) else math.nan
        if figure > limit and not math.isclose(figure, limit, rel_tol=_ROUNDING):
            return False
        if name in self._at_least:
            return None
        bounds = self._at_most.get(name)
        bound = math.nan if bounds is None else bounds[number]
        if math.isnan(bound):
            return None if math.isnan(figure) else True
        return True if bound <= limit else None


def _raise_to(column: array[float], request: int, figure: float) -> None:
    # Comparisons with NaN do not hold, so a first figure comes in by the second one.
    if figure > column[request] or math.isnan(column[request]):
        column[request] = figure
