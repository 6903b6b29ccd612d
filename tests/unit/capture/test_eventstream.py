from __future__ import annotations

import struct
from typing import Any
from zlib import crc32

import pytest

from senytl.capture.eventstream import AWS_EVENTS
from senytl.capture.framing import Event

EVENTS = [
    Event({"role": "assistant"}, "messageStart"),
    Event({"delta": {"text": "größer"}, "contentBlockIndex": 0}, "contentBlockDelta"),
    Event({"stopReason": "end_turn"}, "messageStop"),
]
BODY = b"".join(AWS_EVENTS.write(EVENTS))


def read(body: bytes) -> list[Event]:
    return [event for _, event in AWS_EVENTS.read(body)]


def frame(headers: bytes, payload: bytes) -> bytes:
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return message + struct.pack(">I", crc32(message))


def test_what_is_written_is_read_again_with_a_frame_for_each_event() -> None:
    pieces = list(AWS_EVENTS.write(EVENTS))
    assert len(pieces) == 3
    assert read(BODY) == EVENTS
    ends = [len(b"".join(pieces[: number + 1])) for number in range(3)]
    assert [offset for offset, _ in AWS_EVENTS.read(BODY)] == ends


def test_amazons_own_decoder_reads_what_is_written() -> None:
    eventstream: Any = pytest.importorskip("botocore.eventstream")
    buffer = eventstream.EventStreamBuffer()
    buffer.add_data(BODY)
    frames = [message.to_response_dict() for message in buffer]
    assert [one["headers"][":event-type"] for one in frames] == [one.name for one in EVENTS]
    assert {one["headers"][":content-type"] for one in frames} == {"application/json"}
    assert frames[1]["body"] == '{"delta": {"text": "größer"}, "contentBlockIndex": 0}'.encode()


def test_an_exception_is_an_event_that_names_it() -> None:
    event = Event({"message": "Slow down", "__type": "throttlingException"}, "throttlingException")
    body = b"".join(AWS_EVENTS.write([event]))
    assert b":exception-type" in body
    assert b"__type" not in body
    assert read(body) == [event]


def test_an_error_without_a_payload_is_read_from_its_headers() -> None:
    def header(name: bytes, value: bytes) -> bytes:
        return bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value

    headers = (
        header(b":message-type", b"error")
        + header(b":error-code", b"InternalFailure")
        + header(b":error-message", b"An internal server error occurred")
    )
    document = {"__type": "InternalFailure", "message": "An internal server error occurred"}
    assert read(frame(headers, b"")) == [Event(document, "InternalFailure")]


def test_headers_of_other_types_are_passed_over() -> None:
    headers = (
        b"\x01a\x00"  # true
        b"\x01b\x01"  # false
        b"\x01c\x02\x07"  # a byte
        b"\x01d\x03\x00\x07"
        b"\x01e\x04\x00\x00\x00\x07"
        b"\x01f\x05" + bytes(8) + b"\x01g\x06\x00\x02xy"  # bytes
        b"\x01h\x08" + bytes(8) + b"\x01i\x09" + bytes(16) + b"\x0b:event-type\x07\x00\x05chunk"
    )
    assert read(frame(headers, b'{"bytes": ""}')) == [Event({"bytes": ""}, "chunk")]


def test_a_frame_without_a_payload_is_no_event() -> None:
    assert read(frame(b"", b"") + BODY) == EVENTS


@pytest.mark.parametrize("cut", range(len(BODY)))
def test_a_frame_that_was_cut_off_is_left_out(cut: int) -> None:
    events = read(BODY[:cut])
    assert events == EVENTS[: len(events)]
    assert len(events) < 3


@pytest.mark.parametrize("place", [1, 9, 14, 40, len(BODY) - 1])
def test_a_byte_that_changed_on_its_way_is_an_error(place: int) -> None:
    body = bytearray(BODY)
    body[place] ^= 1
    with pytest.raises(ValueError, match=r"no frame of an event stream begins|its checksum"):
        read(bytes(body))


@pytest.mark.parametrize(
    "body", [b'{"message": "no event stream"}', bytes(16), frame(b"\x09a", b"")]
)
def test_what_is_no_event_stream_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"no frame|cannot be read"):
        read(body)


def test_a_payload_that_is_no_object_is_an_error() -> None:
    with pytest.raises(ValueError, match="not an object"):
        read(frame(b"", b"[1]"))
