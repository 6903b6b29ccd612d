from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from senytl.recordings.document import (
    SCHEMA,
    Attempt,
    Chunk,
    RecordedCall,
    Request,
    load,
    render,
)
from senytl.recordings.errors import RecordingError

CHAT = Request(
    api="openai-chat",
    provider="openai",
    model="gpt-4o",
    streamed=True,
    host="api.openai.com",
    path="/v1/chat/completions",
    body={"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]},
)
PLAIN = Request(**{**{name: getattr(CHAT, name) for name in CHAT.__slots__}, "streamed": False})
EVENT_STREAM = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}


def read_back(tmp_path: Path, *calls: RecordedCall) -> list[RecordedCall]:
    path = tmp_path / "x.json"
    path.write_text(render(calls), encoding="utf-8")
    return load(path)


def test_a_stream_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    chunks = [Chunk(41.5, b'data: {"a": "\xc3\xa4"}\n\n'), Chunk(82.0, b"data: [DONE]\n\n")]
    call = RecordedCall(CHAT, [Attempt(200, EVENT_STREAM, 40.1, chunks, 83.4)])
    assert read_back(tmp_path, call) == [call]


def test_bytes_that_are_no_text_are_read_back(tmp_path: Path) -> None:
    chunks = [Chunk(1.0, b"\x00\xff\xfe frame")]
    call = RecordedCall(CHAT, [Attempt(200, EVENT_STREAM, 0.5, chunks, 2.0)])
    assert "base64" in render([call])
    assert read_back(tmp_path, call) == [call]


def test_a_plain_reply_stands_in_the_file_as_json(tmp_path: Path) -> None:
    body = json.dumps({"id": "1", "choices": [{"text": "a\ud800"}]}).encode()
    call = RecordedCall(PLAIN, [Attempt(200, JSON, 5.0, [Chunk(5.0, body)], 5.0)])
    document = json.loads(render([call]))
    assert document["schema"] == SCHEMA
    assert document["calls"][0]["attempts"][0]["json"]["id"] == "1"
    [[attempt]] = [call.attempts for call in read_back(tmp_path, call)]
    assert json.loads(attempt.chunks[0].data) == json.loads(body)


def test_refusals_in_several_attempts_and_bodies_that_are_no_json(tmp_path: Path) -> None:
    refused = Attempt(429, JSON | {"retry-after": "2"}, 5.0, [Chunk(5.0, b'{"error":"no"}')], 5.0)
    broken = Attempt(502, {}, 5.0, [Chunk(5.0, b"<html>")], 5.0)
    lost = Attempt(None, {}, 7.0, [], 7.0, "disconnect")
    call = RecordedCall(CHAT, [refused, broken, lost])
    assert read_back(tmp_path, call) == [call]


def test_the_file_has_a_line_for_each_chunk_and_one_for_numbers() -> None:
    chunks = [Chunk(float(number), b"data: {}\n\n" + b"x" * 200) for number in range(3)]
    stream = RecordedCall(CHAT, [Attempt(200, EVENT_STREAM, 0.0, chunks, 3.0)])
    numbers = json.dumps({"embedding": [0.25] * 500}).encode()
    whole = RecordedCall(PLAIN, [Attempt(200, JSON, 1.0, [Chunk(1.0, numbers)], 1.0)])
    lines = render([stream, whole]).splitlines()
    assert sum(line.strip().startswith(("[0.0,", "[1.0,", "[2.0,")) for line in lines) == 3
    assert sum('"embedding": [0.25, ' in line for line in lines) == 1


def test_the_members_of_a_body_are_in_one_order_whatever_the_sdk_does() -> None:
    def text(body: dict[str, Any]) -> str:
        names = {name: getattr(PLAIN, name) for name in PLAIN.__slots__}
        return render([RecordedCall(Request(**{**names, "body": body}), [Attempt(200)])])

    assert text({"a": 1, "b": {"c": 1, "d": 2}}) == text({"b": {"d": 2, "c": 1}, "a": 1})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("not json", "Expecting value"),
        ("[]", 'it has no "schema", which is "senytl-recording/1" in a recording'),
        (
            '{"schema": "senytl-recording/2", "calls": []}',
            'its schema is "senytl-recording/2", and this version of senytl reads '
            '"senytl-recording/1"',
        ),
        ('{"schema": "senytl-recording/1"}', "it has no 'calls'"),
        ('{"schema": "senytl-recording/1", "calls": [{}]}', "it has no 'attempts'"),
        (
            render([RecordedCall(PLAIN, [Attempt(200)])]).replace('"complete"', '"well"'),
            "the ending is 'well'; it is one of complete",
        ),
    ],
)
def test_files_that_are_no_recordings(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(RecordingError, match=r"x\.json cannot be read as a recording") as caught:
        load(path)
    assert problem in str(caught.value)
    assert "Restore it from version control, or record it anew (--senytl-record=all" in str(
        caught.value
    )


def test_bytes_that_are_no_text_at_all_are_no_recording(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RecordingError, match=r"x\.json cannot be read as a recording: 'utf-8'"):
        load(path)
