"""What the record of a stream tells of its times, and of how it ended."""

from __future__ import annotations

import asyncio
import gzip
import json
import pickle
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from threading import Barrier
from typing import Any

import pytest

from senytl.capture import CaptureScope, flush, open_scope
from senytl.capture.captured import CapturedCall
from senytl.capture.exchange import Exchange, Target
from senytl.capture.recognition import recognise
from senytl.models import LLMCallRecord, MockResponse, TokenUsage

BODY = b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "stream": true}'


def event(**delta: Any) -> bytes:
    finish = delta.pop("finish_reason", None)
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"model": "gpt-4o", "choices": [choice]}).encode() + b"\n\n"


ROLE = event(role="assistant", content="")
THOUGHT = event(reasoning_content="Hm. ")
HEL, LO = event(content="Hel"), event(content="lo")
TOOL = event(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}])
STOP = event(finish_reason="stop")
DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"


class Calls(list[Any]):
    add_call = list.append


def played(*pieces: tuple[float, float, bytes], status: int = 200) -> LLMCallRecord:
    """The record of a stream whose pieces were asked for and came at given seconds."""
    recognised = recognise("api.openai.com", "/v1/chat/completions", "", BODY)
    assert recognised is not None
    calls = Calls()
    exchange = Exchange(recognised, Target("h", "/v1/chat/completions", "", BODY), calls)
    exchange.stream(status, "text/event-stream")
    exchange.pieces = [piece for _, _, piece in pieces]
    exchange.times = [exchange.start, exchange.start + 0.01]
    for asked, came, _ in pieces:
        exchange.times += [exchange.start + asked, exchange.start + came]
    exchange.end()
    [call] = calls
    assert isinstance(call, LLMCallRecord)
    return call


def test_times_to_the_first_token_and_between_chunks() -> None:
    call = played(
        (0.01, 0.02, ROLE),
        (0.02, 0.05, PING),
        (0.05, 0.20, THOUGHT),
        (0.20, 0.30, HEL),
        (0.30, 0.45, LO + TOOL),
        (0.45, 0.50, STOP + DONE),
    )
    assert call.ttft == pytest.approx(0.20)
    assert call.time_to_first_output == pytest.approx(0.30)
    assert call.chunks == 4
    assert call.chunk_gaps == pytest.approx([0.10, 0.15, 0.0])
    assert not call.ttft_is_upper_bound
    assert (call.outcome, call.error, call.error_kind) == ("completed", None, None)


def test_a_tool_call_is_a_first_token_too() -> None:
    call = played((0.01, 0.02, ROLE), (0.02, 0.3, TOOL), (0.3, 0.4, STOP + DONE))
    assert (call.ttft, call.time_to_first_output) == pytest.approx((0.3, 0.3))


def test_an_event_has_come_with_its_last_byte() -> None:
    call = played((0.01, 0.1, HEL[:30]), (0.1, 0.2, HEL[30:] + LO[:9]), (0.2, 0.5, LO[9:] + DONE))
    assert call.ttft == pytest.approx(0.2)
    assert call.chunk_gaps == pytest.approx([0.3])


def test_a_reader_that_was_elsewhere_makes_the_first_token_an_upper_bound() -> None:
    late = played((0.50, 0.5001, ROLE + HEL), (0.51, 0.6, STOP + DONE))
    assert late.ttft_is_upper_bound
    assert late.ttft == pytest.approx(0.5001)
    # It was away for long before an earlier piece, and no read since had to wait.
    behind = played((1.0, 1.0001, ROLE), (1.02, 1.025, HEL), (1.03, 1.1, STOP + DONE))
    assert behind.ttft_is_upper_bound
    waited = played((0.50, 0.80, ROLE + HEL), (0.81, 0.9, STOP + DONE))  # it was not there yet
    assert not waited.ttft_is_upper_bound


def test_a_reader_stays_behind_until_it_has_to_wait() -> None:
    behind = played((0.5, 0.5001, ROLE), (0.5001, 0.5002, HEL), (0.51, 0.6, STOP + DONE))
    assert behind.ttft_is_upper_bound
    caught_up = played(
        (0.5, 0.5001, ROLE), (0.5001, 0.6, PING), (0.6, 0.6001, HEL), (0.7, 0.8, DONE)
    )
    assert not caught_up.ttft_is_upper_bound


def test_time_per_output_token_takes_two_tokens() -> None:
    usage = b'data: {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": %d}}\n\n'
    call = played((0.0, 0.2, HEL + LO), (0.2, 1.0, STOP + usage % 5 + DONE))
    assert call.duration_seconds is not None
    assert call.tpot == pytest.approx((call.duration_seconds - 0.2) / 4)
    assert played((0.0, 0.2, HEL), (0.2, 1.0, STOP + usage % 1 + DONE)).tpot is None
    assert played((0.0, 0.2, HEL), (0.2, 1.0, STOP + DONE)).tpot is None


def test_a_stream_without_its_end_is_truncated() -> None:
    call = played((0.0, 0.1, ROLE + HEL))
    assert (call.outcome, call.error_kind) == ("failed", "truncated")
    assert call.error is not None
    assert call.error.startswith("truncated: ")
    assert call.response.text == "Hel"


def test_an_error_event_inside_a_200_is_a_failure() -> None:
    error = b'data: {"error": {"type": "overloaded", "message": "Busy"}}\n\n'
    call = played((0.0, 0.1, HEL + error))
    assert (call.outcome, call.error_kind, call.error) == (
        "failed",
        "stream_error",
        "overloaded: Busy",
    )


def test_a_reply_that_is_no_stream_though_one_was_asked_for_is_read() -> None:
    reply = b'{"model": "m", "choices": [{"message": {"content": "Whole"}}]}'
    call = played((0.0, 0.1, reply))
    assert (call.response.text, call.ttft, call.outcome) == ("Whole", None, "completed")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, "rate_limit"), (529, "overloaded"), (503, "overloaded"), (500, "server_error"),
        (401, "authentication"), (400, "invalid_request"), (504, "timeout"),
    ],
)  # fmt: skip
def test_a_status_has_a_kind(status: int, kind: str) -> None:
    call = played((0.0, 0.1, b'{"error": {"message": "no"}}'), status=status)
    assert (call.outcome, call.error_kind, call.error) == ("failed", kind, "error: no")


def test_the_reply_is_read_when_it_is_asked_for_and_the_bytes_are_let_go() -> None:
    call = played((0.0, 0.1, HEL + STOP + DONE))
    assert isinstance(call, CapturedCall)
    assert call.unread_bytes == len(BODY + HEL + STOP + DONE)
    assert (call.model, call.status, call.streamed) == ("gpt-4o", 200, True)
    assert call.unread_bytes > 0  # none of that took reading it
    assert call.response.text == "Hel"
    assert call.unread_bytes == 0
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        call.colour  # noqa: B018


def test_a_record_is_equal_to_its_copy_from_another_process() -> None:
    call = played((0.0, 0.1, HEL + STOP + DONE))
    copy = pickle.loads(pickle.dumps(call))
    assert type(copy) is LLMCallRecord
    assert repr(copy) == repr(call).replace("CapturedCall(", "LLMCallRecord(")
    assert copy.response.text == "Hel"


def test_the_chunks_of_real_streams_are_timed(
    way: Any, scope: CaptureScope, sink: Any, server: Any, chat: Any
) -> None:
    server.reply(ROLE, *[HEL] * 4, STOP + DONE, pause=0.05, content_type="text/event-stream")
    way.stream(server.url(), chat | {"stream": True})
    call = sink.only
    assert call.chunks == 4
    assert call.ttft >= 0.05
    assert 0.03 < median(call.chunk_gaps) < 0.09
    assert not call.ttft_is_upper_bound


def test_the_chunks_of_a_compressed_stream_are_timed_as_they_come(
    way: Any, scope: CaptureScope, sink: Any, server: Any, chat: Any
) -> None:
    packer = zlib.compressobj(wbits=31)
    pieces = [packer.compress(HEL) + packer.flush(zlib.Z_SYNC_FLUSH) for _ in range(4)]
    pieces.append(packer.compress(STOP + DONE) + packer.flush())
    server.reply(*pieces, pause=0.05, content_encoding="gzip", content_type="text/event-stream")
    assert gzip.decompress(b"".join(pieces)) == HEL * 4 + STOP + DONE
    way.stream(server.url(), chat | {"stream": True})
    call = sink.only
    assert call.response.text == "Hel" * 4
    assert 0.03 < median(call.chunk_gaps) < 0.09


def test_a_slow_reader_of_a_real_stream_is_told(
    way: Any, scope: CaptureScope, sink: Any, server: Any, chat: Any
) -> None:
    server.reply(HEL, STOP + DONE, content_type="text/event-stream")
    body = chat | {"stream": True}

    async def run() -> None:
        async with way.client() as client, client.stream("POST", server.url(), json=body) as reply:
            await asyncio.sleep(0.2)
            await reply.aread()

    if way.is_async:
        asyncio.run(run())
    else:
        with way.client() as client, client.stream("POST", server.url(), json=body) as reply:
            time.sleep(0.2)
            reply.read()
    assert sink.only.ttft_is_upper_bound
    assert sink.only.ttft >= 0.2


def test_what_is_read_after_a_flush_is_not_recorded(
    scope: CaptureScope, sink: Any, server: Any, chat: Any, plain: Any
) -> None:
    server.reply(HEL, LO, STOP + DONE, pause=0.05, content_type="text/event-stream")
    with plain.client() as client:
        request = client.build_request("POST", server.url(), json=chat | {"stream": True})
        response = client.send(request, stream=True)
        flush(sink)
        assert response.read().endswith(DONE)
    call = sink.only
    assert (call.outcome, call.ttft, call.chunks) == ("abandoned", None, 0)


def test_threads_that_read_one_record_at_once_see_all_of_it() -> None:
    for _ in range(50):
        call = played((0.0, 0.1, HEL * 50 + STOP + DONE))
        barrier = Barrier(4)

        def read(call: Any = call, barrier: Barrier = barrier) -> tuple[str, int]:
            barrier.wait()
            return call.response.text, call.chunks

        with ThreadPoolExecutor(4) as pool:
            found = [future.result() for future in [pool.submit(read) for _ in range(4)]]
        assert found == [("Hel" * 50, 50)] * 4


def test_an_abandoned_answer_counts_as_far_as_it_was_read(
    sink: Any, chat: Any, answers: Any, plain: Any
) -> None:
    answer = MockResponse("one two three four", usage=TokenUsage(10, 4))
    with open_scope(unattributed=sink, answerer=answers(answer)):
        plain.stream("https://api.openai.com/v1/chat/completions", chat | {"stream": True}, limit=3)
    call = sink.only
    assert (call.outcome, call.response.text, call.usage) == ("abandoned", "one two ", None)
