"""When the pieces of a reply come, as a model of given speed would send them; pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Pace"]

_FASTEST = 1e12  # tokens a second, where a factor takes all time away


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a model replies. Times are seconds from the start of the call.

    The first chunk of a stream comes at `ttft`, the last one ``(tokens - 1) / tokens_per_second``
    later, the others evenly in between; what a stream says before its first chunk comes at once,
    what it says after its last one comes when the reply is whole. A reply that is no stream comes
    as a whole when a stream would have ended.

    Args:
        latency: When the whole reply is there. Chunks spread evenly from `ttft` to it, or
            over all of it. Not together with `tokens_per_second`, which says the same.
        ttft: When the first chunk comes.
        tokens_per_second: Tokens after the first one. Without `ttft` the first one takes as long
            as every other.

    Raises:
        ValueError: If a value makes no sense or contradicts another.
    """

    latency: float | None = None
    ttft: float | None = None
    tokens_per_second: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("latency", self.latency), ("ttft", self.ttft)):
            if value is not None and not (_is_finite(value) and value >= 0):
                raise ValueError(
                    f"{name} is {value!r}; it must be a finite number of seconds, 0 or more"
                )
        speed = self.tokens_per_second
        if speed is not None and not (_is_finite(speed) and speed > 0):
            raise ValueError(f"tokens_per_second is {speed!r}; it must be a finite number above 0")
        if self.latency is not None and self.tokens_per_second is not None:
            raise ValueError(
                f"latency is {self.latency!r} and tokens_per_second is "
                f"{self.tokens_per_second!r}; both say how long the reply takes: give one of "
                "them, with ttft or without"
            )
        if self.latency is not None and self.ttft is not None and self.ttft > self.latency:
            raise ValueError(
                f"ttft is {self.ttft!r} and latency is {self.latency!r}; the first token comes "
                "before the whole reply"
            )

    def whole(self, tokens: int) -> float:
        """When the whole reply is there.

        Args:
            tokens: Its tokens.
        """
        if self.latency is not None:
            return self.latency
        if self.tokens_per_second is None:
            return self.ttft or 0.0
        return self._first(1) + max(tokens - 1, 0) / self.tokens_per_second

    def moments(self, chunks: Sequence[bool], tokens: int) -> list[float]:
        """When each piece of a stream is sent, ascending.

        A stream of one chunk has it at `ttft` and ends when the reply is whole; one without any
        comes when the reply is whole.

        Args:
            chunks: For each piece whether it is a chunk, which brings a part of the output.
            tokens: Tokens of the whole reply.
        """
        count = sum(chunks)
        end = self.whole(tokens)
        first = min(self._first(count), end)
        step = (end - first) / (count - 1) if count > 1 else 0.0
        moments: list[float] = []
        sent = 0
        for is_chunk in chunks:
            sent += is_chunk
            if is_chunk:
                # The last one is sent at the end itself, which a sum of steps may miss by a bit.
                last = sent == count > 1
                moments.append(end if last else min(first + step * (sent - 1), end))
            elif sent == count:
                moments.append(end)
            else:
                moments.append(moments[-1] if sent else 0.0)
        return moments

    def scaled(self, *, latency: float = 1.0, ttft: float = 1.0, token: float = 1.0) -> Pace:
        """The same pace with each time multiplied by a factor.

        Args:
            latency: The factor of `latency`.
            ttft: The factor of `ttft`, which stays below the whole reply's latency.
            token: The factor of the time that one token takes.
        """
        whole = None if self.latency is None else self.latency * latency
        first = None if self.ttft is None else self.ttft * ttft
        if whole is not None and first is not None:
            first = min(first, whole)
        speed = self.tokens_per_second
        if speed is not None:
            speed = speed / token if token * _FASTEST > speed else _FASTEST
        return Pace(latency=whole, ttft=first, tokens_per_second=speed)

    def _first(self, count: int) -> float:
        """When the first of so many chunks comes."""
        if self.ttft is not None:
            return self.ttft
        if self.tokens_per_second is not None:
            return 1 / self.tokens_per_second
        return (self.latency or 0.0) / max(count, 1)


def _is_finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)
