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

    Attributes:
        place: Its place among the requests of its body.
    """

    __slots__ = ("began", "calls", "ended", "error", "latency", "place", "response")

    def __init__(
        self,
        latency: float,
        error: BaseException | str | None,
        calls: list[LLMCallRecord],
        response: object = None,
        *,
        began: float = math.nan,
        ended: float = math.nan,
    ) -> None:
        self.latency = latency
        self.error = error
        self.calls = calls
        self.response = response
        self.began = began
        self.ended = ended
        self.place = 0

    def copy(self) -> Request:
        """The same request, which may be changed by itself."""
        return Request(
            self.latency, self.error, self.calls, self.response, began=self.began, ended=self.ended
        )


class RequestNotes:
    """What a user's latencies do not tell of its requests, which are known by their number.

    Nothing is noted of a body that records nothing and calls no model.
    """

    __slots__ = ("_began", "_ended", "_failed", "_numbers")

    def __init__(self) -> None:
        self._failed = array("q")
        self._numbers = array("q")
        self._began = array("d")
        self._ended = array("d")

    def note(self, number: int, request: Request) -> None:
        """Note a request that has ended; numbers ascend."""
        if request.error is not None:
            self._failed.append(number)
        self._numbers.append(number)
        self._began.append(request.began)
        self._ended.append(request.ended)

    def copy(self) -> RequestNotes:
        """The same notes, which may go on by themselves."""
        copy = RequestNotes()
        for name in self.__slots__:
            setattr(copy, name, getattr(self, name)[:])
        return copy

    def add_to(
        self, ended: EndedRequests, latencies: array[float], failed_latencies: array[float]
    ) -> None:
        """Append this user's requests, in the order of their numbers."""
        offset = len(ended)
        if self._failed:
            columns = (iter(latencies), iter(failed_latencies))
            failed = bytearray(len(latencies) + len(failed_latencies))
            for number in self._failed:
                failed[number] = True
            ended.failed += failed
            ended.latencies.extend(next(columns[is_failed]) for is_failed in failed)
        else:
            ended.failed += bytes(len(latencies))
            ended.latencies.extend(latencies)
        unknown = array("d", [math.nan]) * (len(ended) - offset)
        ended.began.extend(unknown)
        ended.ended.extend(unknown)
        for number, began, end in zip(self._numbers, self._began, self._ended, strict=True):
            ended.began[offset + number] = began
            ended.ended[offset + number] = end


class EndedRequests:
    """The requests of a whole run by their number, as columns.

    Attributes:
        latencies: Seconds of each.
        failed: 1 for one that failed.
        began: When each began on the clock of `time.perf_counter`; NaN where it made no call.
        ended: When each ended, likewise.
    """

    __slots__ = ("began", "ended", "failed", "latencies")

    def __init__(self) -> None:
        self.latencies = array("d")
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
