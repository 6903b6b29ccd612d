"""What samples of memory tell of growth, where memory was not read between rounds of requests."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

__all__ = ["settled_growth"]

_FEWEST = 12
_STRETCHES = 6
_MOSTLY = 3
_SPREAD = 0.05


def settled_growth(megabytes: Sequence[float]) -> float | None:
    """By how much memory grew over the later half of evenly spaced samples, as a share.

    The earlier half counts as warm-up. The later one is cut into six stretches, and the mean of
    the last is held against that of the first. Growth that came at once, as a burst does, is none:
    at least three of the five steps between the stretches must each have had a twentieth of it.

    Returns:
        The growth, 0.0 where it came at once; None for fewer than twelve samples.
    """
    if len(megabytes) < _FEWEST:
        return None
    later = megabytes[len(megabytes) // 2 :]
    ends = [len(later) * number // _STRETCHES for number in range(_STRETCHES + 1)]
    means = [fmean(later[begin:end]) for begin, end in pairwise(ends)]
    grown = means[-1] - means[0]
    if grown <= 0 or not means[0]:
        return grown / means[0] if means[0] else 0.0
    steps = [after - before for before, after in pairwise(means)]
    return grown / means[0] if sum(s > _SPREAD * grown for s in steps) >= _MOSTLY else 0.0
