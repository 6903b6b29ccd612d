from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from senytl.capture import PendingCall
from senytl.capture.playback import Playback
from senytl.recordings import RecordingError, Replay, UnrecordedCallError
from senytl.recordings.document import Attempt, Chunk, Ending, RecordedCall, Request, render
from senytl.recordings.replay import is_replaying


def body(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}


def recorded(text: str, *attempts: Attempt, streamed: bool = False) -> RecordedCall:
    request = Request("openai-chat", "openai", "gpt-4o", streamed, "h", "/p", body(text))
    return RecordedCall(request, attempts)


def stream(ending: Ending = "complete") -> Attempt:
    chunks = [Chunk(100.0, b"data: 1\n\n"), Chunk(300.0, b"data: 2\n\n")]
    return Attempt(200, {"content-type": "text/event-stream"}, 50.0, chunks, 310.0, ending)


def whole(text: str = "{}", status: int = 200, **headers: str) -> Attempt:
    return Attempt(status, headers, 20.0, [Chunk(80.0, text.encode())], 80.0)


@pytest.fixture
def replay(tmp_path: Path) -> Any:
    def make(*calls: RecordedCall, **options: Any) -> Replay:
        path = tmp_path / "x.json"
        path.write_text(render(calls))
        return Replay(path, **options)

    return make


def play(replay: Replay, text: str, *, streamed: bool = False, **more: Any) -> Playback:
    call = PendingCall("openai-chat", "openai", "gpt-4o", body(text, **more), streamed)
    answer: Any = replay.answer(call)
    playback: Playback = answer.play(None)
    return playback


@pytest.mark.parametrize(
    ("speed", "moments", "head"),
    [(1.0, [0.1, 0.3], 0.05), (2, [0.05, 0.15], 0.025), (0.5, [0.2, 0.6], 0.1),
     (None, [], 0.0), (float("inf"), [], 0.0)],
)  # fmt: skip
def test_the_times_of_a_stream_are_scaled(
    speed: float | None, moments: list[float], head: float, replay: Any
) -> None:
    playback = play(replay(recorded("a", stream(), streamed=True), speed=speed), "a", streamed=True)
    assert list(playback.moments) == pytest.approx(moments)
    assert playback.head_at == pytest.approx(head)
    assert list(playback.pieces) == [b"data: 1\n\n", b"data: 2\n\n"]
    assert playback.ending == "complete"


def test_a_plain_reply_comes_as_a_whole_when_it_had_come(replay: Any) -> None:
    playback = play(replay(recorded("a", whole('{"a":1}'))), "a")
    assert playback.pieces == [b'{"a":1}']
    assert playback.head_at == pytest.approx(0.08)


@pytest.mark.parametrize(
    ("ending", "played", "later"),
    [("disconnect", "disconnect", 0.0), ("timeout", "timeout", 0.0), ("abandoned", "complete", 0.0),
     ("cancelled", "timeout", 5.0)],
)  # fmt: skip
def test_endings(ending: Ending, played: str, later: float, replay: Any) -> None:
    playback = play(replay(recorded("a", stream(ending), streamed=True)), "a", streamed=True)
    assert playback.ending == played
    assert playback.ends_at == pytest.approx(0.31 + later)


def test_a_plain_reply_that_was_lost_never_begins(replay: Any) -> None:
    lost = Attempt(None, {}, 70.0, [], 70.0, "timeout")
    playback = play(replay(recorded("a", lost), speed=2), "a")
    assert not playback.begins
    assert playback.ends_at == pytest.approx(0.035)


@pytest.mark.parametrize(
    ("speed", "seconds", "milliseconds"),
    [(1.0, "2", "1500"), (2.0, "1", "750"), (None, "0.001", "1")],
)
def test_the_pause_that_a_refusal_asks_for_is_scaled(
    speed: float | None, seconds: str, milliseconds: str, replay: Any
) -> None:
    advice = {"retry-after": "2", "retry-after-ms": "1500", "x-should-retry": "true"}
    playback = play(replay(recorded("a", whole("{}", 429, **advice)), speed=speed), "a")
    assert playback.status == 429
    assert playback.headers["retry-after"] == seconds
    assert playback.headers["retry-after-ms"] == milliseconds
    assert playback.headers["x-should-retry"] == "true"


def test_recordings_of_a_request_come_in_turn_whatever_comes_in_between(replay: Any) -> None:
    answers = replay(
        recorded("a", whole("1")), recorded("b", whole("2")), recorded("a", whole("3"))
    )
    said = [play(answers, text).pieces[0] for text in "aabaab"]
    assert said == [b"1", b"3", b"2", b"1", b"3", b"2"]


def test_the_stricter_match_comes_first(replay: Any) -> None:
    def linked(previous: str) -> RecordedCall:
        given = body("yes", previous_response_id=previous)
        request = Request("openai-chat", "openai", "gpt-4o", False, "h", "/p", given)
        return RecordedCall(request, [whole(f'"{previous}"')])

    answers = replay(linked("resp_aaa"), linked("resp_bbb"))
    for previous in ("resp_bbb", "resp_bbb", "resp_aaa"):
        played = play(answers, "yes", previous_response_id=previous)
        assert played.pieces == [f'"{previous}"'.encode()]
    unknown = [play(answers, "yes", previous_response_id="resp_new").pieces for _ in range(2)]
    assert unknown == [[b'"resp_aaa"'], [b'"resp_bbb"']]


def test_secrets_in_a_request_do_not_hinder_the_match(replay: Any) -> None:
    answers = replay(recorded("my key is [secret]", whole("1")))
    assert play(answers, "my key is sk-proj-PLANTED1234567890").pieces == [b"1"]


def test_what_is_nearest_is_shown_with_what_differs(replay: Any) -> None:
    long = "You are an assistant. " * 20
    answers = replay(recorded("weather", whole()), recorded(f"{long} Paris", whole()))
    with pytest.raises(UnrecordedCallError) as caught:
        play(answers, f"{long} London", temperature=0.5)
    message = str(caught.value)
    assert "call 2 of 2" in message
    assert "Paris' was recorded, now it is '…" in message
    assert "London'" in message
    assert "temperature: absent was recorded, now it is 0.5" in message
    assert max(map(len, message.splitlines())) < 300
    with pytest.raises(UnrecordedCallError, match="call 2 of 2"):
        play(answers, f"{long} London", temperature=0.5)


def test_secrets_are_not_shown(replay: Any) -> None:
    with pytest.raises(UnrecordedCallError) as caught:
        play(replay(recorded("a", whole())), "sk-proj-PLANTED1234567890")
    assert "PLANTED" not in str(caught.value)


def test_an_error_survives_pickling(replay: Any) -> None:
    import pickle

    with pytest.raises(UnrecordedCallError) as caught:
        play(replay(), "a")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.model) == (str(caught.value), "gpt-4o")
    assert "which is empty" in str(again)


@pytest.mark.parametrize("speed", [0, -1, True, "2", float("nan")])
def test_speeds_that_make_no_sense(speed: Any, replay: Any) -> None:
    with pytest.raises(ValueError, match="it is a number above 0"):
        replay(speed=speed)


def test_without_a_recording_the_error_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"there is no recording .*x\.json. Record it: "):
        Replay(tmp_path / "x.json")


def test_a_replay_is_open_as_long_as_its_block(replay: Any) -> None:
    assert not is_replaying()
    with replay(recorded("a", whole())):
        assert is_replaying()
    assert not is_replaying()
