"""Requests: one that may still be corrected, and columns of those that have ended."""

from __future__ import annotations

import math
from array import array

from senytl.models import LLMCallRecord

__all__ = ["EndedRequests", "Request", "RequestNotes", "calls_of"]


class Request:
    """One request of a body that has not ended, and may still be corrected.

    Args:
        latency: Seconds.
        error: What went wrong; None for a successful request.
        calls: The LLM calls that belong to it.
        response: What the agent gave.
        began: When it began on the clock of `time.perf_counter`. From there to its end it may be
            longer than the latency, of which what senytl itself did meanwhile is no part.
        ended: When it ended.
        lag: By how much it started later than was intended; a part of the latency.

    Attributes:
        place: Its place among the requests of its body.
    """

    __slots__ = ("began", "calls", "ended", "error", "lag", "latency", "place", "response")

    def __init__(
        self,
        latency: float,
        error: BaseException | str | None,
        calls: list[LLMCallRecord],
        response: object = None,
        *,
        began: float = math.nan,
        ended: float = math.nan,
        lag: float = 0.0,
    ) -> None:
        self.latency = latency
        self.error = error
        self.calls = calls
        self.response = response
        self.began = began
        self.ended = ended
        self.lag = lag
        self.place = 0

    def copy(self) -> Request:
        """The same request, which may be changed by itself."""
        return Request(
            self.latency,
            self.error,
            self.calls,
            self.response,
            began=self.began,
            ended=self.ended,
            lag=self.lag,
        )


class RequestNotes:
    """What a user's latencies do not tell of its requests, which are known by their number.

    Nothing is noted of a body that records nothing and calls no model.
    """

    __slots__ = ("_began", "_ended", "_failed", "_lags", "_numbers")

    def __init__(self) -> None:
        self._failed = array("q")
        self._numbers = array("q")
        self._began = array("d")
        self._ended = array("d")
        self._lags = array("d")

    def note(self, number: int, request: Request) -> None:
        """Note a request that has ended; numbers ascend."""
        if request.error is not None:
            self._failed.append(number)
        self._numbers.append(number)
        self._began.append(request.began)
        self._ended.append(request.ended)
        self._lags.append(request.lag)

    def copy(self) -> RequestNotes:
        """The same notes, which may go on by themselves."""
        copy = RequestNotes()
        for name in self.__slots__:
            setattr(copy, name, getattr(self, name)[:])
        return copy

    def add_to(
        self,
        ended: EndedRequests,
        dropped: int,
        latencies: array[float],
        failed_latencies: array[float],
    ) -> None:
        """Append this user's requests, in the order of their numbers.

        Args:
            ended: Takes them.
            dropped: How many there were before the others, of which each single one is forgotten.
            latencies: Of the successful ones among the others.
            failed_latencies: Of the failed ones.
        """
        offset = len(ended)
        unknown = array("d", [math.nan])
        ended.failed += bytes(dropped)
        ended.latencies.extend(unknown * dropped)
        if self._failed:
            columns = (iter(latencies), iter(failed_latencies))
            failed = bytearray(len(latencies) + len(failed_latencies))
            for number in self._failed:
                failed[number - dropped] = True
            ended.failed += failed
            ended.latencies.extend(next(columns[is_failed]) for is_failed in failed)
        else:
            ended.failed += bytes(len(latencies))
            ended.latencies.extend(latencies)
        count = len(ended) - offset
        ended.began.extend(unknown * count)
        ended.ended.extend(unknown * count)
        ended.lags.extend(array("d", bytes(8 * count)))
        rows = zip(self._numbers, self._began, self._ended, self._lags, strict=True)
        for number, began, end, lag in rows:
            ended.began[offset + number] = began
            ended.ended[offset + number] = end
            ended.lags[offset + number] = lag


class EndedRequests:
    """The requests of a whole run by their number, as columns.

    Attributes:
        latencies: Seconds of each; NaN for one that is forgotten but for a distribution.
        lags: By how much each started later than was intended, which is a part of the latency.
        failed: 1 for one that failed.
        began: When each began on the clock of `time.perf_counter`; NaN where it made no call.
        ended: When each ended, likewise.
    """

    __slots__ = ("began", "ended", "failed", "lags", "latencies")

    def __init__(self) -> None:
        self.latencies = array("d")
        self.lags = array("d")
        self.failed = bytearray()
        self.began = array("d")
        self.ended = array("d")

    def __len__(self) -> int:
        return len(self.failed)


def calls_of(response: object) -> list[LLMCallRecord]:
    """The LLM calls that a response brings with it, as those of wrapped agents do."""
    calls = getattr(response, "llm_calls", None)
    if not isinstance(calls, list):
        return []
    return [call for call in calls if isinstance(call, LLMCallRecord)]
