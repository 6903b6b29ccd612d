"""What capture and the rest of senytl say to each other: sinks, answers, pending calls."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from senytl.models import LLMCallRecord

if TYPE_CHECKING:
    from senytl.capture.playback import Playback
    from senytl.capture.recognition import Recognised

__all__ = [
    "Answer",
    "Answerer",
    "CallSink",
    "CaptureWarning",
    "PendingCall",
    "SlottedSink",
    "current_sink",
    "warn",
]

_logger = logging.getLogger("senytl")


class CaptureWarning(UserWarning):
    """senytl could not see, or could not read, an LLM call; the call itself was not disturbed."""


class CallSink(Protocol):
    """Whoever wants to know of LLM calls: a recorder, a wrapped run."""

    def add_call(self, call: LLMCallRecord) -> None:
        """Take one call that has ended.

        It comes once per call, on whatever thread the call ended on, even from the garbage
        collector where a stream was dropped: it must not wait for a lock that this thread may hold.
        Its request may turn out to be no LLM call: whoever counts asks
        `senytl.capture.captured.llm_calls_of`.
        """


class SlottedSink(CallSink, Protocol):
    """A sink that must know when a call began, since calls may end much later than that."""

    def slot_of_new_call(self) -> CallSink | None:
        """Who gets a call that begins now; None for nobody in here."""


current_sink: ContextVar[CallSink | None] = ContextVar("senytl_current_sink", default=None)
"""Where the calls go that start in this context; None leaves them to the scope's `unattributed`."""


@dataclass(slots=True)  # frozen it would take a microsecond more of every call
class PendingCall:
    """An LLM call that was recognised and has not been sent.

    Args:
        api: The wire format, e.g. ``"openai-chat"``.
        provider: Who would serve it, e.g. ``"openai"``.
        model: The model that is asked for.
        request: The request's JSON body.
        streamed: Whether the reply shall be a stream.
    """

    api: str
    provider: str
    model: str
    request: Mapping[str, Any]
    streamed: bool


class Answer(Protocol):
    """What comes in the provider's place: a mock's reply, a recorded one, a fault."""

    def play(self, recognised: Recognised) -> Playback:
        """The HTTP response, in the call's wire format, with its times."""


class Answerer(Protocol):
    """Whoever answers calls in the provider's place: mocks, a replay."""

    def answer(self, call: PendingCall) -> Answer | None:
        """Answer a call; None leaves it to the next answerer or to the real API.

        Whatever it raises fails the call and reaches the caller's code.
        """


def warn(message: str) -> None:
    """Warn without ever disturbing the call that is under way, warnings made errors included."""
    try:
        warnings.warn(message, CaptureWarning, stacklevel=2)
    except CaptureWarning:
        _logger.warning("%s", message)
