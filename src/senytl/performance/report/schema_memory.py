"""The schema's parts that are of memory: its course, and what is known of a leak."""

from __future__ import annotations

from typing import Literal, TypedDict

__all__ = [
    "FrameDocument",
    "LeakDocument",
    "MemoryDocument",
    "MemorySeriesDocument",
    "ReadingsDocument",
    "SiteDocument",
]


class MemorySeriesDocument(TypedDict):
    """Resident memory over the whole run, its warm-up included: two columns of equal length."""

    seconds: list[float]
    """Since the run began."""
    rss_mb: list[float]


class ReadingsDocument(TypedDict):
    """Memory between rounds of requests: columns of equal length, a place in each for a reading."""

    requests: list[float | None]
    """How many had ended by then."""
    heap: list[float | None]
    """Bytes that malloc had given out, less those of senytl's own records."""
    blocks: list[float | None]
    """Blocks that Python's allocator had given out, likewise."""
    rss: list[float | None]
    """Bytes of resident memory."""
    uss: list[float | None]
    """Bytes of it that no other process shares."""


class FrameDocument(TypedDict):
    """One call of a traceback."""

    file: str
    """Relative to the working directory where that is shorter."""
    line: int
    function: str
    """Empty where it is not known, as tracemalloc knows none."""
    source: str
    """The line itself; empty where it could not be read."""


class SiteDocument(TypedDict):
    """A line of code at which memory was allocated that was not given back."""

    bytes_per_request: float | None
    blocks_per_request: float | None
    file: str
    line: int
    source: str
    traceback: list[FrameDocument]
    """How the line was come to, the innermost call last."""


class LeakDocument(TypedDict):
    """What a leak check found. Bytes and blocks are those that a request leaves behind."""

    outcome: Literal["stable", "leak", "inconclusive"]
    why: str
    signal: str
    """What grew: `heap`, `blocks` or `uss` of steadily leaking requests, or `growth` where it is
    the share that is too large; empty where nothing did."""
    bytes_per_request: float | None
    blocks_per_request: float | None
    growth: float | None
    """After the warm-up, as a share: 0.2 is 20 %."""
    requests: float | None
    """How many were judged."""
    requests_to_threshold: float | None
    """How many more it takes until the growth is the largest allowed one; None where it never
    is, or the rate is not known."""
    rounds: int
    """After how many rounds of the run memory was read."""
    pauses: int
    """How often users were held meanwhile."""
    paused_seconds: float
    """How long each of them was held, in all."""
    longest_pause: float
    readings: ReadingsDocument
    further: ReadingsDocument | None
    """Readings of the rounds that were run afterwards, to be sure; None where there were none."""
    sites_by: str
    """What found the sites: `tracemalloc`, `memray`, `heap readings`, or empty."""
    sites_note: str
    """Why there are none, or what they do not explain; empty where there is nothing to say."""
    traced_requests: int
    """How many requests were run to find them."""
    sites: list[SiteDocument]
    """The worst first."""


class MemoryDocument(TypedDict):
    """Resident memory of the process, or of the one that was watched in its place."""

    avg_mb: float | None
    max_mb: float | None
    per_user_mb: float | None
    growth: float | None
    """A share: 0.2 is 20 %."""
    leak_detected: bool | None
    """None where it is not known, or inconclusive."""
    samples: int
    series: MemorySeriesDocument
    """At most 240 samples; empty columns where none was taken."""
    leak: LeakDocument | None
    """None where no leak check was asked for."""
