"""What capture and the rest of senytl say to each other: sinks, answerers, pending calls."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from senytl.models import LLMCallRecord, MockResponse

__all__ = ["Answerer", "CallSink", "CaptureWarning", "PendingCall", "current_sink", "warn"]

_logger = logging.getLogger("senytl")


class CaptureWarning(UserWarning):
    """senytl could not see, or could not read, an LLM call; the call itself was not disturbed."""


class CallSink(Protocol):
    """Whoever wants to know of LLM calls: a recorder, a wrapped run."""

    def add_call(self, call: LLMCallRecord) -> None:
        """Take one call that has ended.

        It comes once per call, on whatever thread the call ended on, even from the garbage
        collector where a stream was dropped: it must not wait for a lock that this thread may hold.
        """


current_sink: ContextVar[CallSink | None] = ContextVar("senytl_current_sink", default=None)
"""Where the calls go that start in this context; None leaves them to the scope's `unattributed`."""


@dataclass(frozen=True, slots=True)
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


class Answerer(Protocol):
    """Whoever answers calls in the provider's place: mocks, a replay."""

    def answer(self, call: PendingCall) -> MockResponse | None:
        """Answer a call, with a usage; None leaves it to the next answerer or to the real API.

        Whatever it raises fails the call and reaches the caller's code. Errors of the HTTP library
        itself (its timeouts, say) pass through the SDK as if the network had raised them.
        """


def warn(message: str) -> None:
    """Warn without ever disturbing the call that is under way, warnings made errors included."""
    try:
        warnings.warn(message, CaptureWarning, stacklevel=2)
    except CaptureWarning:
        _logger.warning("%s", message)
