"""How fast a mocked model replies, and by how much that varies from call to call."""

from __future__ import annotations

import math
from dataclasses import dataclass

from senytl.capture.pacing import Pace
from senytl.mocking.draws import draw, read_seed

__all__ = ["Timing", "make_timing", "read_seconds"]


@dataclass(frozen=True, slots=True)
class Timing:
    """The pace of a reply.

    Args:
        pace: The pace without chance.
        jitter: By what share each of its times varies, from 0 to 1.
        seed: What the variations depend on; None for the seed of all rules.
    """

    pace: Pace
    jitter: float = 0.0
    seed: int | None = None

    def pace_of(self, seed: int, rule: str, number: int) -> Pace:
        """The pace of one call.

        Args:
            seed: The seed of all rules.
            rule: The rule that answers, in words.
            number: The number of its call.
        """
        if not self.jitter:
            return self.pace
        own = seed if self.seed is None else self.seed
        latency, ttft, token = (
            1 + self.jitter * (2 * drawn - 1) for drawn in draw(own, rule, number, 3)
        )
        return self.pace.scaled(latency=latency, ttft=ttft, token=token)


def make_timing(
    *,
    latency: float | None = None,
    ttft: float | None = None,
    tokens_per_second: float | None = None,
    jitter: float | None = None,
    seed: int | None = None,
) -> Timing | None:
    """Make a timing of the keywords of ``respond``; None where the reply comes at once.

    Raises:
        ValueError: If a value makes no sense, contradicts another, or has nothing to vary.
    """
    if seed is not None:
        read_seed(seed)
    if jitter is not None and (
        isinstance(jitter, bool) or not isinstance(jitter, int | float) or not 0 <= jitter <= 1
    ):
        raise ValueError(
            f"jitter is {jitter!r}; it must be a share from 0 to 1, such as 0.1 for times that "
            "vary by a tenth in both directions"
        )
    if latency is None and ttft is None and tokens_per_second is None:
        if jitter:
            raise ValueError(
                f"jitter is {jitter!r}, but there is no time that it could vary; give latency, "
                "ttft or tokens_per_second with it"
            )
        return None
    pace = Pace(latency=latency, ttft=ttft, tokens_per_second=tokens_per_second)
    return Timing(pace, float(jitter or 0.0), seed)


def read_seconds(name: str, value: object) -> float:
    """Read a time that a user gives, in seconds.

    Raises:
        ValueError: If it is no finite number of 0 or more.
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or value < 0
    ):
        raise ValueError(f"{name} is {value!r}; it must be a finite number of seconds, 0 or more")
    return float(value)
