"""Server-sent events, read and written (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Event", "read_events", "starts_like_events", "write_array", "write_events"]

_LINE_END = re.compile(rb"\r\n|\n|\r")
_DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream.

    Args:
        document: Its data, parsed; None stands for the ``[DONE]`` that ends OpenAI's streams.
        name: Its name, where it has one.
    """

    document: Mapping[str, Any] | None
    name: str | None = None


def starts_like_events(body: bytes) -> bool:
    """Whether a body is an event stream, whatever its content type says."""
    return body.lstrip().startswith((b"data:", b"event:", b"id:", b"retry:", b":"))


def read_events(body: bytes) -> list[Event]:
    """Read the events of a stream, or the elements of a JSON array, as far as they came.

    A last event that was cut off is left out, and so are events without data and ``[DONE]``.

    Raises:
        ValueError: If an event that is not the last one holds no JSON object.
    """
    if body.lstrip().startswith(b"["):
        return [Event(document) for document in _read_array(body.decode("utf-8", "replace"))]
    raw = list(_split(body))
    events = []
    for position, (name, data) in enumerate(raw):
        if data == _DONE:
            continue
        try:
            document = json.loads(data)
        except ValueError:
            if position == len(raw) - 1:
                break
            raise
        if not isinstance(document, dict):
            raise ValueError(f"an event's data is not an object: {data[:80]}")
        events.append(Event(document, name))
    return events


def _split(body: bytes) -> Iterator[tuple[str | None, str]]:
    """The name and data of each event. Lines end at CR, LF or CRLF only: JSON may hold U+2028."""
    name: str | None = None
    data: list[str] = []
    for line in [*_LINE_END.split(body), b""]:
        if not line:
            if data:
                yield name, "\n".join(data)
            name, data = None, []
            continue
        field, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value


def _read_array(text: str) -> Iterator[dict[str, Any]]:
    """The objects of a JSON array, which may be cut off anywhere."""
    decoder = json.JSONDecoder()
    position = text.index("[") + 1
    while True:
        while position < len(text) and text[position] in " \t\r\n,":
            position += 1
        if position >= len(text) or text[position] == "]":
            return
        try:
            document, position = decoder.raw_decode(text, position)
        except ValueError:
            return
        if isinstance(document, dict):
            yield document


def write_events(events: Iterable[Event]) -> Iterator[bytes]:
    """Write an event stream, one piece per event."""
    for event in events:
        head = f"event: {event.name}\n" if event.name else ""
        data = _DONE if event.document is None else json.dumps(event.document, ensure_ascii=False)
        yield f"{head}data: {data}\n\n".encode()


def write_array(events: Iterable[Event]) -> Iterator[bytes]:
    """Write the events' documents as one JSON array, one piece per document."""
    opening = "["
    for event in events:
        yield f"{opening}{json.dumps(event.document, ensure_ascii=False)}".encode()
        opening = ",\n"
    yield b"]"
