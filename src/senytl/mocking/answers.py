"""What mocks give to capture: replies with their pace, and faults."""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from senytl.models import MockResponse

if TYPE_CHECKING:
    from senytl.capture.pacing import Pace
    from senytl.capture.playback import Playback
    from senytl.capture.recognition import Recognised

__all__ = ["Loss", "Refusal", "Said", "Silence"]


@dataclass(frozen=True, slots=True)
class Said:
    """A reply.

    Args:
        response: What it says, with its usage.
        pace: How fast it comes; at once where there is none.
    """

    response: MockResponse
    pace: Pace | None = None

    def play(self, recognised: Recognised) -> Playback:
        """The reply in the call's wire format."""
        return recognised.play(self.response, self.pace)


@dataclass(frozen=True, slots=True)
class Loss:
    """A reply in the middle of which the connection is lost.

    Args:
        response: What it would have said, with its usage.
        pace: How fast it comes.
        after_chunks: How many chunks of a stream come; of a reply that is no stream, nothing does.
    """

    response: MockResponse
    pace: Pace | None
    after_chunks: int

    def play(self, recognised: Recognised) -> Playback:
        """The part of the reply that comes."""
        return recognised.play(self.response, self.pace, cut_after=self.after_chunks)


@dataclass(frozen=True, slots=True)
class Silence:
    """No reply until the client's patience ends.

    Args:
        after: When it ends, in seconds from the call's start.
    """

    after: float

    def play(self, recognised: Recognised) -> Playback:
        """Nothing, for as long as it takes."""
        from senytl.capture.playback import Playback

        return Playback(ending="timeout", ends_at=self.after)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP status instead of a reply.

    Args:
        status: The status, 400 to 599.
        retry_after: After how many seconds the client shall try again; None to leave it to it.
        latency: When the refusal comes, in seconds from the call's start.
    """

    status: int
    retry_after: float | None = None
    latency: float = 0.0

    def play(self, recognised: Recognised) -> Playback:
        """The refusal as the call's provider words it."""
        like_openai = recognised.call.api.startswith("openai")
        return recognised.refuse(
            self.status,
            f"{_phrase(self.status)} (said by a mock of senytl)",
            _retry_headers(self.retry_after, in_milliseconds=like_openai),
            self.latency,
        )


def _phrase(status: int) -> str:
    if status == 529:  # Anthropic's own
        return "Overloaded"
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"HTTP {status}"


def _retry_headers(seconds: float | None, *, in_milliseconds: bool) -> dict[str, str]:
    """The headers that ask for a pause.

    HTTP knows whole seconds only. OpenAI says a part of one in a second header, which its SDK reads
    first; elsewhere it stands in the first one, where the SDKs read it as well.
    """
    if seconds is None:
        return {}
    if seconds == int(seconds):
        return {"retry-after": str(int(seconds))}
    if in_milliseconds:
        milliseconds = f"{seconds * 1000:.3f}".rstrip("0").rstrip(".")
        return {"retry-after": str(math.ceil(seconds)), "retry-after-ms": milliseconds}
    return {"retry-after": f"{seconds:.6f}".rstrip("0").rstrip(".")}
