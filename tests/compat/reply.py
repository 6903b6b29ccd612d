"""What the model server replies, apart from any format, and the shape of a format."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["CACHED", "SUNNY", "Event", "Reply", "WireProtocol", "data_line", "sse_event"]

HELLO = ("Hello ", "from ", "the ", "other ", "side.")
SUNNY = "It is sunny in Paris."
WEATHER_ARGUMENTS = {"city": "Paris"}
CACHED = 64  # tokens of each prompt that came from a cache, where the format can say so


@dataclass(frozen=True)
class Event:
    """An event of a stream, framed for the wire; output is text, or a part of a tool call."""

    frame: bytes
    is_output: bool = False


@dataclass(frozen=True)
class Reply:
    """A reply: text, or a call of the tool ``get_weather``.

    Args:
        number: The how manieth request this is; the token counts follow from it.
        pieces: The text as it is streamed.
        calls_tool: Whether it asks for the weather instead.
    """

    number: int
    pieces: Sequence[str]
    calls_tool: bool = False

    @classmethod
    def to(cls, request: Mapping[str, Any], number: int) -> Reply:
        """What to reply: greetings, or the weather in two steps where it is asked for."""
        asked = json.dumps(request)
        if "weather like" not in asked:
            return cls(number, HELLO)
        if "sunny, 21 degrees" in asked:  # the tool's result
            return cls(number, [piece + " " for piece in SUNNY.split()[:-1]] + ["Paris."])
        return cls(number, (), calls_tool=True)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def prompt_tokens(self) -> int:
        return 1000 + 7 * self.number

    @property
    def completion_tokens(self) -> int:
        return 100 + 3 * self.number

    @property
    def id(self) -> str:
        return f"reply-{self.number}"

    @property
    def tool_id(self) -> str:
        return f"call_{self.number:09d}"[:9]  # mistral's have nine letters or digits

    @property
    def tool_name(self) -> str:
        return "get_weather"

    @property
    def arguments(self) -> dict[str, str]:
        return dict(WEATHER_ARGUMENTS)

    @property
    def argument_pieces(self) -> list[str]:
        return ['{"city":', ' "Paris"}']


class WireProtocol(Protocol):
    """A provider's format, from the server's side."""

    cached_tokens: int  # of each prompt, as far as the format can say so

    def speaks(self, path: str) -> bool:
        """Whether requests of this path are in it."""

    def wants_stream(self, path: str, request: dict[str, Any]) -> bool:
        """Whether the reply shall be a stream."""

    def whole(self, path: str, request: dict[str, Any], reply: Reply) -> bytes:
        """The body of a reply that is no stream."""

    def stream(
        self, path: str, query: str, request: dict[str, Any], reply: Reply
    ) -> tuple[str, list[Event]]:
        """The content type and the events of a stream."""


def data_line(document: Any, *, is_output: bool = False) -> Event:
    """A server-sent event without a name."""
    return Event(b"data: " + json.dumps(document).encode() + b"\n\n", is_output)


def sse_event(name: str, document: Any, *, is_output: bool = False) -> Event:
    """A server-sent event with a name."""
    return Event(f"event: {name}\ndata: {json.dumps(document)}\n\n".encode(), is_output)
