"""What the formats of embeddings have in common: they never stream and reply with no text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from senytl.capture.calls import PendingCall
from senytl.capture.framing import SSE, Event
from senytl.capture.providers.base import ChunkKind, Reply
from senytl.models import MockResponse

__all__ = ["WholeReplies"]


class WholeReplies(ABC):
    """The part of a wire format that a format without streams need not fill in."""

    framing = SSE

    @abstractmethod
    def read_reply(self, document: Mapping[str, Any]) -> Reply:
        """Read a reply."""

    @abstractmethod
    def write_reply(self, response: MockResponse, call: PendingCall) -> dict[str, Any]:
        """Write a reply."""

    def read_events(self, events: Iterable[Event]) -> Reply:
        """Read the only event there can be: the reply itself."""
        return self.read_reply(next((e.document for e in events if e.document is not None), {}))

    def chunk_kind(self, event: Event) -> ChunkKind | None:
        """No event brings anything."""
        return None

    def write_events(self, response: MockResponse, call: PendingCall) -> Iterator[Event]:
        """Write the reply as the only event."""
        yield Event(self.write_reply(response, call))
