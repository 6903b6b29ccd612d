from __future__ import annotations

import pytest

from senytl.capture.eventstream import AWS_EVENTS
from senytl.capture.framing import (
    ARRAY,
    LINES,
    SSE,
    Event,
    Framing,
    framing_of,
    starts_like_events,
)


def read(framing: Framing, body: bytes) -> list[Event]:
    return [event for _, event in framing.read(body)]


def test_events_with_names_comments_and_every_line_ending() -> None:
    body = (
        b": a comment\r\n\r\n"
        b'event: first\r\ndata: {"a": 1}\r\n\r\n'
        b'id: 7\rdata:{"b":\rdata: 2}\r\r'
        b'data: {"c": "line\xe2\x80\xa8separator"}\n\n'
        b"event: without data\n\n"
        b"data: [DONE]\n\n"
    )
    assert read(SSE, body) == [
        Event({"a": 1}, "first"),
        Event({"b": 2}),
        Event({"c": "line\u2028separator"}),
        Event(None),
    ]


def test_a_last_event_that_was_cut_off_is_left_out() -> None:
    assert read(SSE, b'data: {"a": 1}\n\ndata: {"b": "he') == [Event({"a": 1})]


def test_a_last_event_whose_blank_line_is_missing_counts() -> None:
    assert read(SSE, b'data: {"a": 1}\n\ndata: {"b": 2}') == [Event({"a": 1}), Event({"b": 2})]


@pytest.mark.parametrize("data", [b"{nonsense", b"[1, 2]", b"7"])
def test_an_event_in_the_middle_that_is_no_object_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"nonsense|object|property name"):
        read(SSE, b"data: " + data + b'\n\ndata: {"b": 2}\n\n')


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'[{"a": 1},\n{"a": 2}]', [1, 2]),
        (b'[{"a": 1}\n,\r\n{"a": 2}', [1, 2]),
        (b'[{"a": 1},\n{"a": ', [1]),
        (b'{"a": 3}', [3]),
        (b"[", []),
        (b"[]", []),
        (b"", []),
        (b"\n ", []),
    ],
)
def test_a_json_array_is_a_stream_too_even_cut_off(body: bytes, expected: list[int]) -> None:
    assert [(event.document or {})["a"] for event in read(ARRAY, body)] == expected


def test_what_is_no_array_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="neither an array nor an object: <html>"):
        read(ARRAY, b" <html>")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a": 1}\n{"a": 2}\n', [1, 2]),
        (b'{"a": 1}\r\n\r\n{"a": 2}', [1, 2]),
        (b'{"a": 1}\n{"a": "gr\xc3', [1]),
        (b"", []),
    ],
)
def test_json_lines_are_a_stream_too_even_cut_off(body: bytes, expected: list[int]) -> None:
    assert [(event.document or {})["a"] for event in read(LINES, body)] == expected


@pytest.mark.parametrize("line", [b"{nonsense", b"[1]", b"<html>"])
def test_a_line_that_is_no_object_is_an_error(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"object|Expecting|property name"):
        read(LINES, line + b'\n{"a": 1}\n')


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"data: {}", True),
        (b"\n\nevent: x", True),
        (b": ping", True),
        (b'{"data": 1}', False),
        (b"[1]", False),
        (b"", False),
    ],
)
def test_telling_events_from_documents(body: bytes, expected: bool) -> None:
    assert starts_like_events(body) is expected


@pytest.mark.parametrize(
    ("body", "usual", "expected"),
    [
        (b"data: {}", ARRAY, SSE),
        (b"data: {}", LINES, SSE),
        (b"[{}]", SSE, ARRAY),
        (b'{"a": 1}\n', LINES, LINES),
        (b"\x00\x00\x00[", AWS_EVENTS, AWS_EVENTS),
        (b"", SSE, SSE),
    ],
)
def test_a_stream_is_framed_as_its_start_says(
    body: bytes, usual: Framing, expected: Framing
) -> None:
    assert framing_of(body, usual) is expected


EVENTS = [Event({"text": "größer\n\n\u2028"}), Event({"n": 1}), Event({"nested": {"list": [1]}})]


@pytest.mark.parametrize("framing", [SSE, ARRAY, LINES], ids=["events", "array", "lines"])
def test_what_is_written_is_read_again_piece_by_piece(framing: Framing) -> None:
    pieces = list(framing.write(EVENTS))
    assert len(pieces) in (3, 4)
    assert read(framing, b"".join(pieces)) == EVENTS
    # Each event is known once its own piece is there, whatever follows.
    for number in range(3):
        assert read(framing, b"".join(pieces[: number + 1])) == EVENTS[: number + 1]
    offsets = [offset for offset, _ in framing.read(b"".join(pieces))]
    ends = [len(b"".join(pieces[: number + 1])) for number in range(3)]
    starts = [0, *ends]
    assert all(
        start < offset <= end for start, offset, end in zip(starts, offsets, ends, strict=False)
    )


def test_names_and_the_end_of_a_stream_are_written() -> None:
    events = [Event({"n": 1}, "delta"), Event(None)]
    pieces = list(SSE.write(events))
    assert pieces == [b'event: delta\ndata: {"n": 1}\n\n', b"data: [DONE]\n\n"]
    assert read(SSE, b"".join(pieces)) == events


def test_an_array_of_nothing_is_an_array() -> None:
    assert b"".join(ARRAY.write([])) == b"[]"
