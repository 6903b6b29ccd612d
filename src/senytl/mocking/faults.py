"""Faults of a mocked model: which call one strikes, and what comes instead of the reply."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from senytl.mocking.answers import Loss, Refusal, Said, Silence
from senytl.mocking.draws import draw
from senytl.mocking.timing import read_seconds
from senytl.models import MockResponse, TokenUsage

if TYPE_CHECKING:
    from collections.abc import Callable

    from senytl.capture.calls import Answer

__all__ = ["Disconnect", "Fail", "Fault", "Limit", "Timeout"]


@dataclass(frozen=True, slots=True)
class Fail:
    """The call is refused with an HTTP status.

    Args:
        status: The status, 400 to 599.
        retry_after: Seconds after which the client is told to try again.
        latency: When the refusal comes, in seconds from the call's start.

    Raises:
        ValueError: If a value makes no sense.
    """

    status: int
    retry_after: float | None = None
    latency: float | None = None

    def __post_init__(self) -> None:
        if _no_count(self.status) or not 400 <= self.status <= 599:
            raise ValueError(
                f"status is {self.status!r}; it must be the HTTP status of an error, 400 to 599, "
                "such as 429 (rate limit), 500 or 529 (overloaded)"
            )
        if self.retry_after is not None:
            read_seconds("retry_after", self.retry_after)
        if self.latency is not None:
            read_seconds("latency", self.latency)

    def strike(self, reply: Callable[[], Said | None]) -> Answer:
        """The refusal."""
        return Refusal(self.status, self.retry_after, self.latency or 0.0)

    def __str__(self) -> str:
        return f"fail(status={self.status})"


@dataclass(frozen=True, slots=True)
class Timeout:
    """No reply comes for so long that the HTTP library gives up.

    Args:
        after: When it does, in seconds from the call's start.

    Raises:
        ValueError: If that makes no sense.
    """

    after: float = 0.0

    def __post_init__(self) -> None:
        read_seconds("after", self.after)

    def strike(self, reply: Callable[[], Said | None]) -> Answer:
        """The silence."""
        return Silence(self.after)

    def __str__(self) -> str:
        return f"timeout(after={self.after})"


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The connection is lost in the middle of the reply; of some text where none is stated.

    Args:
        after_chunks: How many chunks of a stream come before that.

    Raises:
        ValueError: If that is no count.
    """

    after_chunks: int = 0

    def __post_init__(self) -> None:
        if _no_count(self.after_chunks) or self.after_chunks < 0:
            raise ValueError(
                f"after_chunks is {self.after_chunks!r}; it must be a whole number, 0 or more"
            )

    def strike(self, reply: Callable[[], Said | None]) -> Answer:
        """The part of the reply that comes."""
        said = reply()
        if said is None:
            count = self.after_chunks + 1
            said = Said(MockResponse("lost " * count, usage=TokenUsage(0, count)))
        return Loss(said.response, said.pace, self.after_chunks)

    def __str__(self) -> str:
        return f"disconnect(after_chunks={self.after_chunks})"


Fault = Fail | Timeout | Disconnect


class Limit:
    """Which of the calls that a fault is asked about it strikes.

    Args:
        rate: The share of them, from 0 to 1; None for all.
        times: How many at most; None for no end.

    Raises:
        ValueError: If either makes no sense.
    """

    def __init__(self, rate: float | None = None, times: int | None = None) -> None:
        if rate is not None and (
            isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1
        ):
            raise ValueError(
                f"rate is {rate!r}; it must be a share of the calls from 0 to 1, such as 0.1"
            )
        if times is not None and (_no_count(times) or times < 1):
            raise ValueError(f"times is {times!r}; it must be a whole number, 1 or more")
        self._rate = rate
        self._times = times
        self._asked = 0
        self._struck = 0
        self._lock = threading.Lock()

    def strikes(self, seed: int, rule: str) -> int | None:
        """Whether the next call is struck: its number, from 0 on, or None.

        Args:
            seed: The seed of all rules.
            rule: The fault's rule, in words.
        """
        if self._times is not None and self._struck >= self._times:
            return None  # for good; no thread need wait to learn that
        with self._lock:
            number = self._asked
            self._asked += 1
            if self._rate is not None and draw(seed, rule, number)[0] >= self._rate:
                return None
            if self._times is not None and self._struck >= self._times:
                return None
            self._struck += 1
        return number

    def __str__(self) -> str:
        given = (("rate", self._rate), ("times", self._times))
        return "".join(f", {name}={value}" for name, value in given if value is not None)


def _no_count(value: object) -> bool:
    return isinstance(value, bool) or not isinstance(value, int)
