from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from typing import Any

import pytest

from senytl.capture.eventstream import AWS_EVENTS
from senytl.capture.framing import ARRAY, LINES, SSE, Event, Framing
from senytl.recordings.scrubbing import Scrubber

KEY = "sk-proj-PLANTED1234567890"


@pytest.fixture
def scrubber() -> Scrubber:
    return Scrubber(
        {"SOME_API_KEY": "plain-words-here", "PATH": "/usr/bin-and-more", "A_TOKEN": "x"}
    )


def test_secrets_of_the_environment_are_known_by_their_variables_names(scrubber: Scrubber) -> None:
    text = "plain-words-here in /usr/bin-and-more with x"
    assert scrubber.text(text) == "[secret] in /usr/bin-and-more with x"


def test_members_named_as_secrets_lose_their_values_at_any_depth(scrubber: Scrubber) -> None:
    document = {
        "api_key": "a b",
        "list": [{"password": 1234, "Authorization": ["x", "y"]}],
        "token": {"kind": "kept"},
        "max_tokens": 100,
        "secret": None,
        "schema": {"properties": {"password": {"type": "string"}}},
    }
    assert scrubber.document(document) == {
        "api_key": "[secret]",
        "list": [{"password": "[secret]", "Authorization": ["[secret]", "[secret]"]}],
        "token": {"kind": "kept"},
        "max_tokens": 100,
        "secret": None,
        "schema": {"properties": {"password": {"type": "string"}}},
    }


def test_tokens_with_log_probabilities_are_kept(scrubber: Scrubber) -> None:
    document = {"content": [{"token": "Hello", "logprob": -0.1, "top_logprobs": []}]}
    assert scrubber.document(document) == document


def test_images_leave_a_digest_that_tells_them_apart(scrubber: Scrubber) -> None:
    first, second = (
        scrubber.request({"url": f"data:image/png;base64,{letter * 4000}"})["url"]
        for letter in "AB"
    )
    assert first.startswith("[4022 characters of base64, sha256 ")
    assert first != second
    assert scrubber.request({"text": "words " * 1000}) == {"text": "words " * 1000}


def test_a_reply_without_secrets_stays_as_it_came(scrubber: Scrubber) -> None:
    body = b'{ "a" : 1.0,  "b": "\\u00e4" }'
    assert scrubber.whole(body) == body
    assert scrubber.whole(f"<p>{KEY}</p>".encode()) == b"<p>[secret]</p>"


def chat_events(texts: Sequence[str]) -> list[Event]:
    return [
        Event({"choices": [{"index": 0, "delta": {"content": text}}], "number": number})
        for number, text in enumerate(texts)
    ]


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize(
    "framing", [SSE, ARRAY, LINES, AWS_EVENTS], ids=lambda one: one.content_type
)
@pytest.mark.parametrize("size", [7, 10_000])
def test_secrets_over_several_events_and_pieces_are_taken_out(
    framing: Framing, size: int, scrubber: Scrubber
) -> None:
    text = f"use {KEY} or plain-words-here, then ä go on"
    events = chat_events([text[start : start + 3] for start in range(0, len(text), 3)])
    body = b"".join(framing.write(events))
    pieces = cut(body, size)
    clean = scrubber.stream(pieces, framing)
    assert len(clean) == len(pieces)
    read = [event.document for _, event in framing.read(b"".join(clean))]
    said = "".join(one["choices"][0]["delta"]["content"] for one in read if one)
    assert said == "use [secret] or [secret], then ä go on"
    assert [one["number"] for one in read if one] == list(range(len(events)))


@pytest.mark.parametrize(
    "framing", [SSE, ARRAY, LINES, AWS_EVENTS], ids=lambda one: one.content_type
)
def test_a_stream_without_secrets_stays_as_it_came(framing: Framing, scrubber: Scrubber) -> None:
    body = b"".join(framing.write(chat_events(["Hello ", "wörld, ", "token by token"])))
    assert scrubber.stream(cut(body, 5), framing) == cut(body, 5)


def test_an_event_comes_no_later_than_it_did(scrubber: Scrubber) -> None:
    frames = list(SSE.write(chat_events(["one", KEY, "three"])))
    clean = scrubber.stream(frames, SSE)
    assert clean[0] == frames[0]
    assert clean[2] == frames[2]
    assert b"[secret]" in clean[1]
    assert clean[1].endswith(b"\n\n")


def test_texts_of_different_outputs_are_not_put_together(scrubber: Scrubber) -> None:
    def delta(index: int, text: str) -> Event:
        return Event({"type": "content_block_delta", "index": index, "delta": {"text": text}})

    events = [delta(0, "the sk-"), delta(1, "learnabcdefgh and "), delta(0, "learn")]
    body = b"".join(SSE.write(events))
    assert scrubber.stream([body], SSE) == [body]


def test_arguments_of_tools_in_parts_lose_their_secrets(scrubber: Scrubber) -> None:
    arguments = json.dumps({"user": "ann", "password": "correct horse battery", "n": 1})
    parts = [arguments[start : start + 5] for start in range(0, len(arguments), 5)]

    def event(part: str) -> Event:
        call = {"index": 0, "function": {"arguments": part}}
        return Event({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})

    [*clean] = scrubber.stream([b"".join(SSE.write(map(event, parts)))], SSE)
    documents: list[Any] = [event.document for _, event in SSE.read(b"".join(clean))]
    calls = [one["choices"][0]["delta"]["tool_calls"][0]["function"] for one in documents]
    joined = "".join(call["arguments"] for call in calls)
    assert json.loads(joined) == {"user": "ann", "password": "[secret]", "n": 1}


def test_comments_and_broken_streams_are_scrubbed_as_text(scrubber: Scrubber) -> None:
    body = f': {KEY}\n\nevent: x\ndata: {{"a": 1}}\n\ndata: {{"cut": "off {KEY}'.encode()
    clean = b"".join(scrubber.stream(cut(body, 11), SSE))
    assert b"PLANTED" not in clean
    assert clean.startswith(b": [secret]\n\nevent: x\ndata: ")
    broken = f"data: no json {KEY}\n\ndata: {{}}\n\n".encode()
    assert b"PLANTED" not in b"".join(scrubber.stream([broken], SSE))


def test_bytes_that_are_no_text_are_left_out(scrubber: Scrubber) -> None:
    """They may be anything, such as a compressed reply with a key in it."""
    packed = gzip.compress(KEY.encode())
    assert scrubber.whole(packed) == b""
    assert b"".join(scrubber.stream([packed[:20], packed[20:]], SSE)) == b""
