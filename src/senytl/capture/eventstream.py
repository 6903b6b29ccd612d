"""Amazon's binary event streams, in which Bedrock streams.

https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html tells of the frames:
a prelude (length of the frame, length of its headers, and their CRC-32), headers, payload, and the
CRC-32 of all that. Everything is big-endian.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from zlib import crc32

from senytl.capture.framing import Event, Framing

__all__ = ["AWS_EVENTS", "EXCEPTION"]

EXCEPTION = "__type"
"""The member of an event's document that names an exception, where the event is one."""

_PRELUDE = struct.Struct(">II")
_CRC = struct.Struct(">I")
_LENGTH = struct.Struct(">H")
_OVERHEAD = _PRELUDE.size + 2 * _CRC.size

_BYTES, _STRING = 6, 7
# The lengths of header values by their type: true, false, and numbers, moments and UUIDs.
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


class _AWSEvents:
    """Events named by their type; an exception is an event whose document names it."""

    content_type = "application/vnd.amazon.eventstream"

    def read(self, body: bytes) -> Iterator[tuple[int, Event]]:
        offset = 0
        while len(body) - offset >= _PRELUDE.size + _CRC.size:
            size, head = _PRELUDE.unpack_from(body, offset)
            (checksum,) = _CRC.unpack_from(body, offset + _PRELUDE.size)
            if crc32(body[offset : offset + _PRELUDE.size]) != checksum or size < _OVERHEAD + head:
                raise ValueError(f"no frame of an event stream begins at byte {offset}")
            end = offset + size
            if end > len(body):
                return
            (checksum,) = _CRC.unpack_from(body, end - _CRC.size)
            if crc32(body[offset : end - _CRC.size]) != checksum:
                raise ValueError(f"the frame at byte {offset} does not match its checksum")
            start = offset + _PRELUDE.size + _CRC.size
            headers = _read_headers(body[start : start + head])
            event = _read_event(headers, body[start + head : end - _CRC.size])
            offset = end
            if event is not None:
                yield offset, event

    def write(self, events: Iterable[Event]) -> Iterator[bytes]:
        for event in events:
            document = dict(event.document or {})
            exception = document.pop(EXCEPTION, None)
            kind = "event" if exception is None else "exception"
            headers = {
                f":{kind}-type": exception or event.name or "chunk",
                ":content-type": "application/json",
                ":message-type": kind,
            }
            yield _frame(headers, json.dumps(document, ensure_ascii=False).encode())


AWS_EVENTS: Framing = _AWSEvents()


def _frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    head = b"".join(_write_header(name, value) for name, value in headers.items())
    prelude = _PRELUDE.pack(_OVERHEAD + len(head) + len(payload), len(head))
    message = prelude + _CRC.pack(crc32(prelude)) + head + payload
    return message + _CRC.pack(crc32(message))


def _write_header(name: str, value: str) -> bytes:
    text = value.encode()
    return bytes([len(name)]) + name.encode() + bytes([_STRING]) + _LENGTH.pack(len(text)) + text


def _read_headers(data: bytes) -> dict[str, str]:
    """The headers that are strings; those that are not are passed over."""
    headers: dict[str, str] = {}
    position = 0
    try:
        while position < len(data):
            start = position + 1
            position = start + data[position]
            name = data[start:position].decode()
            kind = data[position]
            position += 1
            if kind in (_BYTES, _STRING):
                (size,) = _LENGTH.unpack_from(data, position)
                position += _LENGTH.size
            else:
                size = _FIXED[kind]
            if kind == _STRING:
                headers[name] = data[position : position + size].decode()
            position += size
    except (IndexError, KeyError, struct.error) as error:
        raise ValueError(f"the headers of a frame cannot be read: {data[:80]!r}") from error
    return headers


def _read_event(headers: Mapping[str, str], payload: bytes) -> Event | None:
    document: Any = json.loads(payload) if payload.strip() else {}
    if not isinstance(document, dict):
        raise ValueError(f"a frame's payload is not an object: {payload[:80]!r}")
    kind = headers.get(":message-type", "event")
    if kind == "exception":
        name = headers.get(":exception-type", "exception")
        return Event(document | {EXCEPTION: name}, name)
    if kind == "error":
        name = headers.get(":error-code", "error")
        return Event({EXCEPTION: name, "message": headers.get(":error-message", "")}, name)
    return Event(document, headers.get(":event-type")) if payload.strip() else None
