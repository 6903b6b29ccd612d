"""Anthropic's messages where others serve them: Amazon Bedrock and Google's Vertex AI.

https://docs.anthropic.com/en/api/claude-on-amazon-bedrock, .../claude-on-vertex-ai
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from senytl.capture.calls import PendingCall
from senytl.capture.eventstream import AWS_EVENTS, EXCEPTION
from senytl.capture.framing import Event, Framing
from senytl.capture.providers.anthropic import AnthropicMessages
from senytl.capture.providers.base import Asked, ChunkKind, Reply, mapping, string
from senytl.capture.providers.bedrock_converse import aws_error
from senytl.models import MockResponse

__all__ = ["AnthropicOnBedrock", "AnthropicOnVertex"]

_INVOKE_STREAM = "/invoke-with-response-stream"
_BEDROCK_PATH = re.compile(r"/model/(.+)/invoke(?:-with-response-stream)?$")
_PREDICT_STREAM = ":streamRawPredict"
_VERTEX_PATH = re.compile(r"/publishers/anthropic/models/([^/:]+):(?:streamR|r)awPredict$")
_COUNTING = "count-tokens"


class AnthropicOnBedrock(AnthropicMessages):
    """``POST .../model/{model}/invoke`` and ``/invoke-with-response-stream``.

    The frames of a stream hold Anthropic's events in base64.
    """

    vendor = "aws"
    suffixes: tuple[str, ...] = ("/invoke", _INVOKE_STREAM)
    framing: Framing = AWS_EVENTS

    def recognise(self, path: str, body: Mapping[str, Any]) -> Asked | None:
        """Recognise a body with ``anthropic_version``; other makers' bodies are another format."""
        found = _BEDROCK_PATH.search(path) if path.endswith(self.suffixes) else None
        if found is None or not _is_anthropic(body):
            return None
        return Asked(found[1], path.endswith(_INVOKE_STREAM))

    def read_events(self, events: Iterable[Event]) -> Reply:
        """Read the events in the frames; a frame without any is an exception of Bedrock's."""
        return super().read_events(_unpack(event) for event in events)

    def chunk_kind(self, event: Event) -> ChunkKind | None:
        """Look into the frame."""
        return super().chunk_kind(_unpack(event))

    def write_events(self, response: MockResponse, call: PendingCall) -> Iterator[Event]:
        """Write the stream of a message, each event in a frame."""
        for event in super().write_events(response, call):
            text = json.dumps(event.document, ensure_ascii=False)
            yield Event({"bytes": base64.b64encode(text.encode()).decode()}, "chunk")

    def write_error(self, status: int, message: str) -> dict[str, Any]:
        """Write Amazon's error object."""
        return aws_error(status, message)


class AnthropicOnVertex(AnthropicMessages):
    """``POST .../publishers/anthropic/models/{model}:rawPredict`` and ``:streamRawPredict``."""

    vendor = "google"
    suffixes: tuple[str, ...] = (":rawPredict", _PREDICT_STREAM)

    def recognise(self, path: str, body: Mapping[str, Any]) -> Asked | None:
        """Recognise a body with ``anthropic_version`` that does not only count tokens."""
        found = _VERTEX_PATH.search(path) if path.endswith(self.suffixes) else None
        if found is None or found[1] == _COUNTING or not _is_anthropic(body):
            return None
        return Asked(found[1], body.get("stream") is True)


def _is_anthropic(body: Mapping[str, Any]) -> bool:
    return bool(string(body.get("anthropic_version"))) and isinstance(body.get("messages"), list)


def _unpack(event: Event) -> Event:
    """Anthropic's event in a frame of Amazon's."""
    frame = mapping(event.document)
    if EXCEPTION in frame:
        error = {"type": frame[EXCEPTION], "message": string(frame.get("message"))}
        return Event({"type": "error", "error": error}, "error")
    try:
        document = json.loads(base64.b64decode(string(frame.get("bytes"))))
    except (ValueError, binascii.Error):
        document = None
    return Event(document if isinstance(document, dict) else {}, None)
