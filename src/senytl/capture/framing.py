"""How a streamed reply is cut into events: server-sent events, JSON arrays, JSON lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["ARRAY", "LINES", "SSE", "Event", "Framing", "framing_of", "starts_like_events"]

_LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r|$)")
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


class Framing(Protocol):
    """One way to put events into the body of a response."""

    content_type: str
    """The content type of such a body."""

    def read(self, body: bytes) -> Iterator[tuple[int, Event]]:
        """Read the events of a body as far as it came.

        An event that was cut off at the body's end is left out, and so are events without data;
        ``[DONE]`` is an event without a document.

        Yields:
            For each event how many bytes of the body it took to know it, and the event.

        Raises:
            ValueError: If an event that is not the last one cannot be read.
        """

    def write(self, events: Iterable[Event]) -> Iterator[bytes]:
        """Write events: a piece for each, and whatever must follow the last one."""


class _ServerSentEvents:
    """https://html.spec.whatwg.org/multipage/server-sent-events.html."""

    content_type = "text/event-stream"

    def read(self, body: bytes) -> Iterator[tuple[int, Event]]:
        for offset, name, data, whole in _split(body):
            if data == _DONE:
                yield offset, Event(None, name)
                continue
            try:
                document = json.loads(data)
            except ValueError:
                if not whole:
                    return
                raise
            if not isinstance(document, dict):
                raise ValueError(f"an event's data is not an object: {data[:80]}")
            yield offset, Event(document, name)

    def write(self, events: Iterable[Event]) -> Iterator[bytes]:
        for event in events:
            head = f"event: {event.name}\n" if event.name else ""
            document = event.document
            data = _DONE if document is None else json.dumps(document, ensure_ascii=False)
            yield f"{head}data: {data}\n\n".encode()


def _split(body: bytes) -> Iterator[tuple[int, str | None, str, bool]]:
    """Where each event's data ends, its name, its data, and whether more of the body follows.

    Lines end at CR, LF or CRLF only: JSON may hold U+2028.
    """
    name: str | None = None
    data: list[str] = []
    offset = 0
    for match in _LINE.finditer(body):
        line = match[1]
        if line:
            field, _, value = line.decode("utf-8", "replace").partition(":")
            value = value.removeprefix(" ")
            if field == "data":
                data.append(value)
                offset = match.end(1)
            elif field == "event":
                name = value
        if not line or not match[2]:
            if data:
                yield offset, name, "\n".join(data), match.end() < len(body)
            name, data = None, []
        if not match[2]:
            return


class _JSONArray:
    """One JSON array, as Gemini streams it where events are not asked for."""

    content_type = "application/json"

    def read(self, body: bytes) -> Iterator[tuple[int, Event]]:
        text = body.decode("utf-8", "replace")
        decoder = json.JSONDecoder()
        position = len(text) - len(text.lstrip())
        if text[position : position + 1] == "[":
            position += 1
        elif text[position : position + 1] not in ("", "{"):  # an error may come as one object
            raise ValueError(f"neither an array nor an object: {text[position : position + 80]}")
        # Offsets are those of bytes, which differ from those of characters.
        counted, offset = 0, 0
        while True:
            while position < len(text) and text[position] in " \t\r\n,":
                position += 1
            if position >= len(text) or text[position] == "]":
                return
            try:
                document, position = decoder.raw_decode(text, position)
            except ValueError:
                return
            offset += len(text[counted:position].encode("utf-8", "surrogatepass"))
            counted = position
            if isinstance(document, dict):
                yield offset, Event(document)

    def write(self, events: Iterable[Event]) -> Iterator[bytes]:
        opening = "["
        for event in events:
            yield f"{opening}{json.dumps(event.document, ensure_ascii=False)}".encode()
            opening = ",\n"
        yield b"]" if opening != "[" else b"[]"


class _JSONLines:
    """A JSON object on each line, as Ollama streams it."""

    content_type = "application/x-ndjson"

    def read(self, body: bytes) -> Iterator[tuple[int, Event]]:
        for match in _LINE.finditer(body):
            if not match[1].strip():
                continue
            try:
                document = json.loads(match[1])
            except ValueError:
                if match.end() >= len(body):
                    return
                raise
            if not isinstance(document, dict):
                raise ValueError(f"a line is not an object: {match[1][:80]!r}")
            yield match.end(1), Event(document)

    def write(self, events: Iterable[Event]) -> Iterator[bytes]:
        for event in events:
            yield f"{json.dumps(event.document, ensure_ascii=False)}\n".encode()


SSE: Framing = _ServerSentEvents()
ARRAY: Framing = _JSONArray()
LINES: Framing = _JSONLines()


def starts_like_events(body: bytes) -> bool:
    """Whether a body is an event stream, whatever its content type says."""
    return body.lstrip().startswith((b"data:", b"event:", b"id:", b"retry:", b":"))


def framing_of(body: bytes, usual: Framing) -> Framing:
    """How a streamed body is framed: as its start says, else as is usual for its format."""
    if starts_like_events(body):
        return SSE
    if usual is not LINES and body.lstrip().startswith(b"["):
        return ARRAY
    return usual
