from __future__ import annotations

import json
from typing import Any

import pytest

from senytl.capture.pacing import Pace
from senytl.capture.recognition import Recognised, recognise
from senytl.mocking.answers import Loss, Refusal, Said, Silence
from senytl.models import MockResponse, TokenUsage

REPLY = MockResponse("one two three four five", usage=TokenUsage(9, 5))


def openai(*, stream: bool = False) -> Recognised:
    return recognised("/v1/chat/completions", stream=stream)


def recognised(path: str, *, stream: bool = False) -> Recognised:
    body: dict[str, Any] = {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "stream": stream,
    }
    if path.endswith("messages"):
        body["max_tokens"] = 99
    if "generateContent" in path:
        body = {"contents": []}
    found = recognise("localhost", path, "", body)
    assert found is not None
    return found


def test_a_reply_has_its_pace() -> None:
    whole = Said(REPLY, Pace(ttft=0.2, tokens_per_second=10)).play(openai())
    assert whole.whole_at == pytest.approx(0.6)
    stream = Said(REPLY, Pace(ttft=0.2, tokens_per_second=10)).play(openai(stream=True))
    assert stream.moments[-1] == pytest.approx(0.6)
    assert Said(REPLY).play(openai(stream=True)).whole_at == 0.0


def test_a_connection_is_lost_after_so_many_chunks() -> None:
    loss = Loss(REPLY, None, 2).play(openai(stream=True))
    body = b"".join(loss.pieces).decode()
    assert loss.ending == "disconnect"
    assert "two" in body
    assert "three" not in body
    whole = Loss(REPLY, Pace(latency=0.5), 2).play(openai())
    assert (whole.ending, whole.begins, whole.whole_at) == ("disconnect", False, 0.5)


def test_silence_lasts_until_the_client_gives_up() -> None:
    silence = Silence(0.5).play(openai())
    assert (silence.ending, silence.begins, silence.whole_at) == ("timeout", False, 0.5)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/chat/completions", {"type": "requests", "code": "rate_limit_exceeded"}),
        ("/v1/messages", {"type": "rate_limit_error"}),
        ("/v1beta/models/gemini-pro:generateContent", {"status": "RESOURCE_EXHAUSTED"}),
    ],
)
def test_a_refusal_is_worded_as_the_provider_words_it(path: str, expected: Any) -> None:
    refusal = Refusal(429, latency=0.25).play(recognised(path))
    error = json.loads(b"".join(refusal.pieces))["error"]
    assert refusal.status == 429
    assert refusal.whole_at == 0.25
    assert error["message"] == "Too Many Requests (said by a mock of senytl)"
    assert error.items() >= expected.items()
    assert "retry-after" not in refusal.headers


@pytest.mark.parametrize(
    ("status", "phrase"), [(529, "Overloaded"), (500, "Internal Server Error"), (599, "HTTP 599")]
)
def test_every_status_has_a_phrase(status: int, phrase: str) -> None:
    refusal = Refusal(status).play(openai())
    assert json.loads(refusal.pieces[0])["error"]["message"].startswith(phrase)


@pytest.mark.parametrize(
    ("path", "seconds", "expected"),
    [
        ("/v1/chat/completions", 2.0, {"retry-after": "2"}),
        ("/v1/chat/completions", 0, {"retry-after": "0"}),
        ("/v1/chat/completions", 0.05, {"retry-after": "1", "retry-after-ms": "50"}),
        ("/v1/chat/completions", 1.0004, {"retry-after": "2", "retry-after-ms": "1000.4"}),
        ("/v1/messages", 0.05, {"retry-after": "0.05"}),
        ("/v1/messages", 20.0, {"retry-after": "20"}),
    ],
)
def test_the_pause_stands_in_the_headers_that_sdks_read(
    path: str, seconds: float, expected: dict[str, str]
) -> None:
    headers = Refusal(429, seconds).play(recognised(path)).headers
    assert {name: value for name, value in headers.items() if "retry" in name} == expected
