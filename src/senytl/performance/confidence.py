"""How far the true figure may lie from a measured one: confidence intervals.

They take what was measured for independent draws, and suppose nothing else of how it is
distributed. Both are closed formulas: nothing is drawn at random, so a run has one interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

__all__ = [
    "DEFAULT_CONFIDENCE",
    "fewest_for_upper_end",
    "percentile_interval",
    "percentile_ranks",
    "rate_interval",
]

DEFAULT_CONFIDENCE = 0.95
"""How sure the intervals are that stand beside figures, unless an SLA asks for another."""

_NEGLIGIBLE = 1e-18
"""Of the likeliest count; what is less likely adds nothing to a double."""


def percentile_interval(
    ordered: Sequence[float], quantile: float, confidence: float = DEFAULT_CONFIDENCE
) -> tuple[float, float]:
    """The interval that holds a percentile of whatever the values were drawn from.

    Its ends are two of the values; see `percentile_ranks`. Where there are too few values, an end
    is open, and infinite.

    Args:
        ordered: Values in ascending order.
        quantile: From 0 to 1; 0.95 for the 95th percentile.
        confidence: How often such an interval holds the true percentile, at the least.
    """
    low, high = percentile_ranks(len(ordered), quantile, confidence)
    return (
        ordered[low - 1] if low else -math.inf,
        ordered[high - 1] if high <= len(ordered) else math.inf,
    )


@lru_cache(maxsize=256)
def percentile_ranks(count: int, quantile: float, confidence: float) -> tuple[int, int]:
    """Which of so many values in ascending order are the ends of a percentile's interval.

    How many of n independent values lie below the true percentile q is binomial with n and q,
    whatever their distribution. So the value of rank l lies above it with the probability that
    fewer than l of them lie below, and that of rank u below it where u or more do. Each of the two
    has at most half of what the confidence leaves. (H. A. David and H. N. Nagaraja, Order
    Statistics, 3rd ed., 2003, section 7.1; W. J. Conover, Practical Nonparametric Statistics,
    3rd ed., 1999, section 3.2.) The binomial distribution is exact for any n: some 18 standard
    deviations of it are added up, which for 10 million values are 12,000 numbers.

    Returns:
        Ranks counted from 1. 0 and ``count + 1`` stand for ends that are open.
    """
    if not 0 < quantile < 1:  # the largest and the smallest have no bound but infinity
        return 0, count + 1
    tail = (1 - confidence) / 2
    first, chances = _binomial(count, quantile)
    low, high = 0, count + 1
    below = 0.0
    for place, chance in enumerate(chances, first):  # below: that fewer than `place` lie below
        if below > tail:
            break
        low, below = place, below + chance
    above = 0.0
    for place, chance in zip(
        range(first + len(chances), first, -1), reversed(chances), strict=True
    ):
        if above > tail:
            break
        high, above = place, above + chance
    return low, high


def _binomial(count: int, share: float) -> tuple[int, list[float]]:
    """The probabilities of a binomial distribution, without those that are negligible.

    Returns:
        The first count of successes that has one, and the probabilities from there on.
    """
    middle = min(int((count + 1) * share), count)
    odds = share / (1 - share)
    rising, falling = [1.0], []
    for successes in range(middle, count):
        weight = rising[-1] * (count - successes) / (successes + 1) * odds
        if weight < _NEGLIGIBLE:
            break
        rising.append(weight)
    weight = 1.0
    for successes in range(middle, 0, -1):
        weight *= successes / (count - successes + 1) / odds
        if weight < _NEGLIGIBLE:
            break
        falling.append(weight)
    weights = [*reversed(falling), *rising]
    total = math.fsum(weights)
    return middle - len(falling), [weight / total for weight in weights]


def fewest_for_upper_end(quantile: float, confidence: float = DEFAULT_CONFIDENCE) -> int:
    """How many values it takes for a percentile's interval to have an upper end.

    It has one as soon as all values lie below the true percentile with a probability of at most
    half of what the confidence leaves.
    """
    fewest = math.ceil(math.log((1 - confidence) / 2) / math.log(quantile))
    while percentile_ranks(fewest, quantile, confidence)[1] > fewest:  # rounded to just below
        fewest += 1
    return fewest


def rate_interval(
    successes: int, count: int, confidence: float = DEFAULT_CONFIDENCE
) -> tuple[float, float]:
    """The interval that holds the probability of which a share of successes is an estimate.

    Wilson's score interval, which is good for shares near 0 and 1 and for few trials too.
    (E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 22,
    1927; recommended by L. D. Brown, T. T. Cai and A. DasGupta, Interval Estimation for a
    Binomial Proportion, Statistical Science 16, 2001.)

    Args:
        successes: How many succeeded.
        count: Of how many, at least one.
        confidence: How often such an interval holds the true probability, on average over all
            probabilities.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, slack = successes / count, z * z / count
    middle = (share + slack / 2) / (1 + slack)
    variance = max(share * (1 - share), 0.0) / count  # figures made by hand may add up to nonsense
    reach = z / (1 + slack) * math.sqrt(variance + slack / (4 * count))
    # In exact arithmetic these ends are 0 and 1.
    return (
        0.0 if successes == 0 else max(0.0, middle - reach),
        1.0 if successes == count else min(1.0, middle + reach),
    )
