"""Agent overhead: what remains of a request's time without that in which a model was at work."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

from senytl.performance.call_columns import Flag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from senytl.performance.call_columns import CallColumns
    from senytl.performance.request import EndedRequests

__all__ = ["agent_overheads", "time_in_flight"]


def time_in_flight(
    intervals: Iterable[tuple[int, float, float]], began: array[float], ended: array[float]
) -> array[float]:
    """Seconds of each request in which at least one of its calls was in flight.

    Args:
        intervals: The request, the start and the end of each call, in ascending order of the
            starts.
        began: When each request began; what a call did before that does not count.
        ended: When each request ended; nor does what it did after that.
    """
    busy = array("d", bytes(8 * len(began)))
    # In the order of the starts, a call adds to its request what lies after all ends before it.
    until = began[:]
    for request, start, end in intervals:
        start = max(start, until[request])
        end = min(end, ended[request])
        if end > start:
            busy[request] += end - start
            until[request] = end
    return busy


def agent_overheads(requests: EndedRequests, calls: CallColumns) -> array[float]:
    """The overhead of each successful request of which it is known, in seconds.

    It is not known where a call of the request has no times, as those made by hand may have
    none. A request without calls was the agent's own work from start to end.
    """
    called = bytearray(len(requests))
    began = requests.began[:]
    timed = []
    for place, (request, flags) in enumerate(zip(calls.request, calls.flags, strict=True)):
        if flags & Flag.LEFT_OVER:
            continue
        called[request] = True
        if math.isnan(calls.start[place]) or math.isnan(calls.duration[place]):
            began[request] = math.nan
        else:
            timed.append(place)
    timed.sort(key=calls.start.__getitem__)
    intervals = (
        (calls.request[place], start, start + calls.duration[place])
        for place in timed
        for start in (calls.start[place],)
    )
    busy = time_in_flight(intervals, began, requests.ended)
    return array(
        "d",
        (
            max(0.0, latency - requests.lags[number] - busy[number])
            for number, latency in enumerate(requests.latencies)
            if not requests.failed[number]
            and not math.isnan(latency)
            and not (called[number] and math.isnan(began[number]))
        ),
    )
