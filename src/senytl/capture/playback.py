"""An HTTP response that is played in the provider's place: its bytes, and when each one comes.

What a mock says (`Reply`) and what a recording holds become the same thing, so that every way of
answering (httpx, aiohttp, requests, botocore, the fake server) only has to play it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from senytl.models import MockResponse

__all__ = ["Ending", "Playback", "play_async", "play_sync", "wait_async", "wait_sync"]

Ending = Literal["complete", "disconnect", "timeout"]
"""How a response ends: whole, cut off by a lost connection, or by the client's patience."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Playback:
    """A response to play. Times are seconds from the start of the call.

    Args:
        status: The HTTP status.
        headers: The headers that matter, ``content-type`` among them, in lower case.
        pieces: The body, in the pieces in which it is sent.
        moments: When each piece is sent, ascending; empty to send all at once.
        head_at: When the status and the headers are sent.
        ending: How it ends. A response that does not end "complete" without a piece before that
            never began: its head is not sent either.
        ends_at: When it ends, where that is later than the last piece.
        response: What it says, where that is known without reading the body.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Sequence[bytes] = ()
    moments: Sequence[float] = ()
    head_at: float = 0.0
    ending: Ending = "complete"
    ends_at: float = 0.0
    response: MockResponse | None = None

    @property
    def begins(self) -> bool:
        """Whether anything of it is sent at all."""
        return self.ending == "complete" or bool(self.pieces)

    @property
    def whole_at(self) -> float:
        """When it has ended."""
        return max(self.head_at, self.ends_at, self.moments[-1] if self.moments else 0.0)

    def for_patience(self, seconds: float | None) -> Playback:
        """The same as a client gets it that waits no longer than so many seconds for anything.

        Args:
            seconds: The client's read timeout: for the head, and for each piece after that. None
                for one that waits forever.
        """
        if seconds is None:
            return self
        if (self.head_at if self.begins else self.ends_at) > seconds:
            return Playback(ending="timeout", ends_at=seconds)
        before = self.head_at
        for place, moment in enumerate(self.moments):
            if moment - before > seconds:
                return replace(
                    self,
                    pieces=self.pieces[:place],
                    moments=self.moments[:place],
                    ending="timeout",
                    ends_at=before + seconds,
                    response=None,
                )
            before = moment
        if self.begins and self.whole_at - before > seconds:
            return replace(self, ending="timeout", ends_at=before + seconds, response=None)
        return self


def play_sync(playback: Playback, start: float) -> Iterator[bytes]:
    """The pieces of a body, each at its time; blocks this thread in between.

    Args:
        playback: The response, whose ending is left to the caller.
        start: When the call began, on the clock of `time.perf_counter`. Pieces that are asked
            for late come at once and do not delay those after them.
    """
    if not playback.moments:
        yield from playback.pieces
    for piece, moment in zip(playback.pieces, playback.moments, strict=False):
        wait_sync(start + moment)
        yield piece
    wait_sync(start + playback.ends_at)


async def play_async(playback: Playback, start: float) -> AsyncIterator[bytes]:
    """The same for an event loop (asyncio or trio), which goes on meanwhile."""
    if not playback.moments:
        for piece in playback.pieces:
            yield piece
    for piece, moment in zip(playback.pieces, playback.moments, strict=False):
        await wait_async(start + moment)
        yield piece
    await wait_async(start + playback.ends_at)


def wait_sync(moment: float) -> None:
    """Block until a moment on the clock of `time.perf_counter`; not at all if it has passed."""
    seconds = moment - time.perf_counter()
    if seconds > 0:
        time.sleep(seconds)


async def wait_async(moment: float) -> None:
    """The same without blocking the event loop, asyncio's or trio's."""
    seconds = moment - time.perf_counter()
    if seconds > 0:
        await _sleep(seconds)


async def _sleep(seconds: float) -> None:
    import asyncio  # which half the standard library comes with

    try:
        asyncio.get_running_loop()
    except RuntimeError:  # trio, which the library that is answered supports through anyio
        import anyio

        await anyio.sleep(seconds)
    else:
        await asyncio.sleep(seconds)
