from __future__ import annotations

import json

import pytest

from senytl.capture.sse import Event, read_events, starts_like_events, write_array, write_events


def test_events_with_names_comments_and_every_line_ending() -> None:
    body = (
        b": a comment\r\n\r\n"
        b'event: first\r\ndata: {"a": 1}\r\n\r\n'
        b'id: 7\rdata:{"b":\rdata: 2}\r\r'
        b'data: {"c": "line\xe2\x80\xa8separator"}\n\n'
        b"event: without data\n\n"
        b"data: [DONE]\n\n"
    )
    assert read_events(body) == [
        Event({"a": 1}, "first"),
        Event({"b": 2}),
        Event({"c": "line\u2028separator"}),
    ]


def test_a_last_event_that_was_cut_off_is_left_out() -> None:
    assert read_events(b'data: {"a": 1}\n\ndata: {"b": "he') == [Event({"a": 1})]


def test_a_last_event_whose_blank_line_is_missing_counts() -> None:
    assert read_events(b'data: {"a": 1}\n\ndata: {"b": 2}') == [Event({"a": 1}), Event({"b": 2})]


@pytest.mark.parametrize("data", [b"{nonsense", b"[1, 2]", b"7"])
def test_an_event_in_the_middle_that_is_no_object_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"nonsense|object|property name"):
        read_events(b"data: " + data + b'\n\ndata: {"b": 2}\n\n')


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'[{"a": 1},\n{"a": 2}]', [1, 2]),
        (b'[{"a": 1}\n,\r\n{"a": 2}', [1, 2]),
        (b'[{"a": 1},\n{"a": ', [1]),
        (b"[", []),
        (b"[]", []),
    ],
)
def test_a_json_array_is_a_stream_too_even_cut_off(body: bytes, expected: list[int]) -> None:
    assert [(event.document or {})["a"] for event in read_events(body)] == expected


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


def test_what_is_written_is_read_again() -> None:
    events = [Event({"text": "größer\n\n"}, "delta"), Event({"n": 1})]
    written = list(write_events([*events, Event(None)]))
    assert len(written) == 3
    assert written[-1] == b"data: [DONE]\n\n"
    assert read_events(b"".join(written)) == events
    assert json.loads(b"".join(write_array(events))) == [{"text": "größer\n\n"}, {"n": 1}]
