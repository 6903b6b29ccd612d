"""What every wire format has to offer, and the small things that all of them need."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from senytl.capture.calls import PendingCall
from senytl.capture.framing import Event, Framing
from senytl.models import MockResponse, ToolCall

__all__ = [
    "Asked",
    "ChunkKind",
    "Reply",
    "WireFormat",
    "arguments_text",
    "count",
    "error_of",
    "is_conversation",
    "items",
    "mapping",
    "new_id",
    "pieces",
    "string",
    "tool_call",
]

ChunkKind = Literal["output", "reasoning"]
"""What an event of a stream brings: text or a part of a tool call, or reasoning."""

_RAW = "_raw"
_PIECE = re.compile(r"\S+\s*|\s+")


class Asked(NamedTuple):
    """What a request asks for."""

    model: str
    streamed: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """What a reply says.

    Args:
        response: Text, tool calls and usage; the usage is None where the provider gave none, or
            where a stream ended before its output was counted.
        response_model: The model that answered.
        service_tier: The tier that served it, where the reply names one.
        error: The error that a reply of status 200 tells of, as ``"type: message"``.
        complete: Whether a stream came to the end that its format has.
    """

    response: MockResponse
    response_model: str | None = None
    service_tier: str | None = None
    error: str | None = None
    complete: bool = True


class WireFormat(Protocol):
    """One format in which models are called over HTTP.

    Readers are given what came over the wire and must take missing and null members in their
    stride; what they raise is a warning, never the caller's error.
    """

    api: str
    """Its name, as in `LLMCallRecord.api`."""
    vendor: str
    """The provider of calls to hosts that say nothing, such as ``localhost``."""
    suffixes: tuple[str, ...]
    """How the paths of its calls end."""
    framing: Framing
    """How its streams are cut into events."""

    def recognise(self, path: str, body: Mapping[str, Any]) -> Asked | None:
        """Tell what a POST with this path and JSON body asks for; None if it is not this format."""

    def read_reply(self, document: Mapping[str, Any]) -> Reply:
        """Read a reply that came whole."""

    def read_events(self, events: Iterable[Event]) -> Reply:
        """Read a streamed reply, as far as it came."""

    def chunk_kind(self, event: Event) -> ChunkKind | None:
        """What an event brings; None for one without text, reasoning or part of a tool call."""

    def write_reply(self, response: MockResponse, call: PendingCall) -> dict[str, Any]:
        """Write the reply that the provider would send."""

    def write_events(self, response: MockResponse, call: PendingCall) -> Iterator[Event]:
        """Write the stream that the provider would send, its text in several pieces."""

    def write_error(self, status: int, message: str) -> dict[str, Any]:
        """Write the body of an error as the provider words it."""


def mapping(value: object) -> Mapping[str, Any]:
    """The value, or nothing if it is not an object."""
    # What was parsed from JSON is a dict, and is told from others at a tenth of the price.
    return value if type(value) is dict or isinstance(value, Mapping) else {}


def items(value: object) -> list[Mapping[str, Any]]:
    """The objects in the value, or none if it is not a list."""
    if not isinstance(value, list):
        return []
    return [item for item in value if type(item) is dict or isinstance(item, Mapping)]


def string(value: object) -> str:
    """The value, or nothing if it is not a string."""
    return value if isinstance(value, str) else ""


def count(value: object) -> int:
    """A count of tokens; whatever is no count counts 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return max(0, int(value))


def tool_call(name: object, arguments: object, id: object = None) -> ToolCall:
    """A tool call with its arguments parsed, whether they came as JSON text or as an object."""
    parsed: Any = arguments
    if isinstance(arguments, str):
        try:
            parsed = json.loads(arguments) if arguments.strip() else {}
        except ValueError:
            parsed = None
    elif arguments is None:
        parsed = {}
    if not isinstance(parsed, Mapping):
        parsed = {_RAW: arguments}
    return ToolCall(string(name), parsed, id if isinstance(id, str) else None)


def arguments_text(tool: ToolCall) -> str:
    """A tool call's arguments as JSON text, or as the text that could not be parsed."""
    raw = tool.arguments.get(_RAW)
    if isinstance(raw, str) and len(tool.arguments) == 1:
        return raw
    return json.dumps(dict(tool.arguments), ensure_ascii=False)


def pieces(text: str) -> list[str]:
    """The text cut into words, to be streamed; joined they are the text."""
    return _PIECE.findall(text)


def new_id(prefix: str) -> str:
    """An identifier such as providers give."""
    return prefix + os.urandom(12).hex()


def is_conversation(messages: object) -> bool:
    """Whether this is a list of messages, each with a role, as an agent's own API may not have."""
    roles = [string(mapping(one).get("role")) for one in items(messages)]
    return (
        isinstance(messages, list) and bool(messages) and all(roles) and len(roles) == len(messages)
    )


def error_of(document: object) -> str | None:
    """The error in a provider's JSON, as ``"type: message"``; None if it holds none."""
    if isinstance(document, list) and document:
        document = document[0]
    document = mapping(document)
    error = document.get("error")
    if isinstance(error, str) and error:
        return f"error: {error}"
    if isinstance(error, Mapping) and error:
        kind = error.get("type") or error.get("status") or error.get("code") or "error"
        return f"{kind}: {error.get('message') or json.dumps(error, default=str)}"
    # Amazon, Cohere, Mistral and vLLM do without an object around it.
    message = string(document.get("message")) or string(document.get("detail"))
    if not message:
        return None
    kind = document.get("__type") or document.get("type") or document.get("code") or "error"
    return f"{str(kind).rpartition('#')[2]}: {message}"
