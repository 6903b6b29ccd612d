"""Bedrock through boto3: answered by a server that speaks its formats, and answered by senytl."""

from __future__ import annotations

import json
import struct
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from zlib import crc32

import boto3  # type: ignore[import-untyped]
import pytest
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    ClientError,
    ConnectionClosedError,
    ReadTimeoutError,
)

from senytl import Senytl
from senytl.capture import open_scope
from senytl.models import MockResponse, TokenUsage

MODEL = "anthropic.claude-sonnet-4-6-v1:0"
MESSAGES = [{"role": "user", "content": [{"text": "Hello"}]}]
USAGE = {"inputTokens": 1117, "outputTokens": 246, "totalTokens": 1363}
TOKENS = TokenUsage(1117, 246)
END = {"usage": USAGE, "metrics": {"latencyMs": 5}}
PAUSE = 0.05

CONVERSED = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hello, you."}]}},
    "stopReason": "end_turn",
    **END,
}
CONVERSE_EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello, "}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "you."}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", END),
]
PROMPT = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": MESSAGES}
INVOKED = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-6",
    "content": [{"type": "text", "text": "Hello, you."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1117, "output_tokens": 246},
}
INVOKE_EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": INVOKED | {"content": [], "usage": {"input_tokens": 1117}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "Hello, "},
    },
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "you."}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 246},
    },
    {"type": "message_stop"},
]


def frame(kind: str, document: Any) -> bytes:
    """An event as AWS frames it."""
    named = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    head = b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", 7, len(value))
        + value.encode()
        for name, value in named.items()
    )  # fmt: skip
    payload = json.dumps(document).encode()
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    message = prelude + struct.pack(">I", crc32(prelude)) + head + payload
    return message + struct.pack(">I", crc32(message))


def invoke_frame(document: Any) -> bytes:
    import base64

    return frame("chunk", {"bytes": base64.b64encode(json.dumps(document).encode()).decode()})


class Bedrock(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refusals: list[int] = []
        self.requests: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Bedrock

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append(self.path)
        operation = self.path.rpartition("/")[2]
        if self.server.refusals:
            status = self.server.refusals.pop(0)
            self._send(status, [json.dumps({"message": "Too many requests"}).encode()])
        elif operation == "converse":
            self._send(200, [json.dumps(CONVERSED).encode()])
        elif operation == "invoke":
            self._send(200, [json.dumps(INVOKED).encode()])
        elif operation == "converse-stream":
            self._send(200, [frame(*event) for event in CONVERSE_EVENTS])
        else:
            self._send(200, [invoke_frame(event) for event in INVOKE_EVENTS])

    def _send(self, status: int, pieces: list[bytes]) -> None:
        self.send_response(status)
        kind = "application/vnd.amazon.eventstream" if len(pieces) > 1 else "application/json"
        self.send_header("content-type", kind)
        if len(pieces) == 1:
            self.send_header("content-length", str(len(pieces[0])))
            self.end_headers()
            self.wfile.write(pieces[0])
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for piece in pieces:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.flush()
                time.sleep(PAUSE)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def bedrock() -> Iterator[Bedrock]:
    with Bedrock() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(bedrock: Bedrock) -> Iterator[Any]:
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{bedrock.server_address[1]}",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries={"mode": "standard", "total_max_attempts": 3}, read_timeout=5),
    )
    yield client
    client.close()


def converse(client: Any) -> tuple[str, int, int]:
    reply = client.converse(modelId=MODEL, messages=MESSAGES)
    usage = reply["usage"]
    text = "".join(block["text"] for block in reply["output"]["message"]["content"])
    return text, usage["inputTokens"], usage["outputTokens"]


def converse_stream(client: Any) -> tuple[str, int, int]:
    text, usage = "", USAGE | {"inputTokens": 0}
    for event in client.converse_stream(modelId=MODEL, messages=MESSAGES)["stream"]:
        text += event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
        usage = event.get("metadata", {}).get("usage", usage)
    return text, usage["inputTokens"], usage["outputTokens"]


def invoke(client: Any) -> tuple[str, int, int]:
    reply = client.invoke_model(modelId=MODEL, body=json.dumps(PROMPT))
    document = json.loads(reply["body"].read())
    text = "".join(block["text"] for block in document["content"])
    return text, document["usage"]["input_tokens"], document["usage"]["output_tokens"]


def invoke_in_parts(client: Any) -> tuple[str, int, int]:
    reply = client.invoke_model(modelId=MODEL, body=json.dumps(PROMPT))
    document = json.loads(b"".join(reply["body"].iter_chunks(16)))
    text = "".join(block["text"] for block in document["content"])
    return text, document["usage"]["input_tokens"], document["usage"]["output_tokens"]


def invoke_stream(client: Any) -> tuple[str, int, int]:
    reply = client.invoke_model_with_response_stream(modelId=MODEL, body=json.dumps(PROMPT))
    text, prompt, completion = "", 0, 0
    for event in reply["body"]:
        document = json.loads(event["chunk"]["bytes"])
        text += document.get("delta", {}).get("text", "")
        prompt = document.get("message", {}).get("usage", {}).get("input_tokens", prompt)
        completion = document.get("usage", {}).get("output_tokens", completion)
    return text, prompt, completion


STYLES = [converse, converse_stream, invoke, invoke_in_parts, invoke_stream]
STREAMS = [converse_stream, invoke_stream]


@pytest.mark.parametrize("style", STYLES)
def test_a_call_is_recorded_once_with_its_tokens(sink: Any, client: Any, style: Any) -> None:
    with open_scope(unattributed=sink):
        assert style(client) == ("Hello, you.", 1117, 246)
    call = sink.only
    assert (call.provider, call.model) == ("aws", MODEL)
    assert (call.response.text, call.usage) == ("Hello, you.", TOKENS)
    assert (call.status, call.outcome, call.error) == (200, "completed", None)
    assert call.streamed == (style in STREAMS)
    assert not call.mocked


@pytest.mark.parametrize("style", STREAMS)
def test_a_streams_times_are_those_of_its_chunks(sink: Any, client: Any, style: Any) -> None:
    with open_scope(unattributed=sink):
        style(client)
    call = sink.only
    assert call.chunks == 2
    assert call.ttft >= PAUSE
    assert call.chunk_gaps[0] == pytest.approx(PAUSE, abs=0.03)
    assert call.duration_seconds > call.ttft + 3 * PAUSE


@pytest.mark.parametrize("style", STYLES)
def test_an_answer_comes_out_as_boto3s_own_objects(
    sink: Any, client: Any, bedrock: Bedrock, answers: Any, style: Any
) -> None:
    answer = MockResponse("Mocked, you.", usage=TokenUsage(11, 5))
    with open_scope(unattributed=sink), Senytl() as senytl:
        senytl.mock("*").respond(answer)
        assert style(client) == ("Mocked, you.", 11, 5)
    assert (sink.only.mocked, sink.only.usage) == (True, TokenUsage(11, 5))
    assert bedrock.requests == []


@pytest.mark.parametrize("style", STREAMS)
def test_an_answered_stream_is_paced(sink: Any, client: Any, style: Any) -> None:
    with open_scope(unattributed=sink), Senytl() as senytl:
        senytl.mock("*").respond("One two three.", ttft=0.1, latency=0.3)
        assert style(client)[0] == "One two three."
    call = sink.only
    assert call.ttft == pytest.approx(0.1, abs=0.04)
    assert call.duration_seconds == pytest.approx(0.3, abs=0.06)


@pytest.mark.parametrize("style", STYLES)
def test_boto3s_attempts_at_a_call_are_grouped(
    sink: Any, client: Any, bedrock: Bedrock, style: Any
) -> None:
    bedrock.refusals = [503, 429]
    with open_scope(unattributed=sink):
        style(client)
        style(client)
    assert [call.status for call in sink.calls] == [503, 429, 200, 200]
    assert [call.attempt for call in sink.calls] == [1, 2, 3, 1]
    first, second, third, other = (call.logical_id for call in sink.calls)
    assert first == second == third != other
    kinds = [call.error_kind for call in sink.calls]
    assert kinds == ["overloaded", "rate_limit", None, None]
    waits = [call.retry_wait_seconds for call in sink.calls]
    assert waits[0] is None
    assert waits[1] is not None


def test_mocked_refusals_run_through_boto3s_own_retries(sink: Any, client: Any) -> None:
    with open_scope(unattributed=sink), Senytl() as senytl:
        senytl.mock("*").respond("Hello.")
        senytl.mock("*").fail(status=429, times=2)
        assert converse(client)[0] == "Hello."
    assert [call.status for call in sink.calls] == [429, 429, 200]
    assert [call.attempt for call in sink.calls] == [1, 2, 3]


def test_a_refusal_that_lasts_is_boto3s_own_error(sink: Any, client: Any, bedrock: Bedrock) -> None:
    bedrock.refusals = [400]
    with open_scope(unattributed=sink), pytest.raises(ClientError, match="Too many requests"):
        converse_stream(client)
    assert sink.only.status == 400
    assert "Too many requests" in sink.only.error


def test_mocked_losses_are_boto3s_own_errors(sink: Any, client: Any) -> None:
    with open_scope(unattributed=sink), Senytl() as senytl:
        senytl.mock("*").timeout()
        with pytest.raises(ReadTimeoutError):
            converse(client)
    with open_scope(unattributed=sink), Senytl() as senytl:
        senytl.mock("*").disconnect()
        with pytest.raises(ConnectionClosedError):
            converse(client)
    assert [call.error_kind for call in sink.calls] == ["timeout"] * 3 + ["connection"] * 3


def test_a_stream_that_is_left_is_recorded_as_far_as_it_came(sink: Any, client: Any) -> None:
    with open_scope(unattributed=sink):
        stream = client.converse_stream(modelId=MODEL, messages=MESSAGES)["stream"]
        for event in stream:
            if "contentBlockDelta" in event:
                break
        stream.close()
    assert (sink.only.response.text, sink.only.outcome) == ("Hello, ", "abandoned")
