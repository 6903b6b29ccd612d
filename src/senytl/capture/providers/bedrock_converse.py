"""Amazon Bedrock's Converse, the same for all the models that it serves.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from senytl.capture.calls import PendingCall
from senytl.capture.eventstream import AWS_EVENTS
from senytl.capture.framing import Event
from senytl.capture.providers.base import (
    Asked,
    ChunkKind,
    Reply,
    arguments_text,
    count,
    error_of,
    items,
    mapping,
    new_id,
    pieces,
    string,
    tool_call,
)
from senytl.models import MockResponse, TokenUsage, ToolCall

__all__ = ["BedrockConverse", "aws_error"]

_STREAM = "/converse-stream"
_PATH = re.compile(r"/model/(.+)/converse(?:-stream)?$")
_ERRORS = {
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}


class BedrockConverse:
    """``POST .../model/{model}/converse`` and ``/converse-stream``.

    The model is an identifier, that of an inference profile, or a resource name (ARN). Replies do
    not name it.
    """

    api = "bedrock-converse"
    vendor = "aws"
    suffixes: tuple[str, ...] = ("/converse", _STREAM)
    framing = AWS_EVENTS

    def recognise(self, path: str, body: Mapping[str, Any]) -> Asked | None:
        """Recognise a body with messages; the model and whether to stream stand in the path."""
        found = _PATH.search(path) if path.endswith(self.suffixes) else None
        # A prompt that is kept at Bedrock is called by its resource name, without messages.
        if found is None or not ("messages" in body or ":prompt/" in found[1]):
            return None
        return Asked(found[1], path.endswith(_STREAM))

    def read_reply(self, document: Mapping[str, Any]) -> Reply:
        """Read the message's blocks and the usage."""
        content = items(mapping(mapping(document.get("output")).get("message")).get("content"))
        return _reply(content, document.get("stopReason"), document, error_of(document))

    def read_events(self, events: Iterable[Event]) -> Reply:
        """Put the blocks' deltas together; the last event has the usage."""
        blocks: dict[int, dict[str, Any]] = {}
        metadata: Mapping[str, Any] = {}
        stop_reason: object = None
        error: str | None = None
        for event in events:
            document = mapping(event.document)
            error = error or error_of(document)
            index = count(document.get("contentBlockIndex"))
            if event.name == "contentBlockStart":
                blocks[index] = dict(mapping(document.get("start")))
            elif event.name == "contentBlockDelta":
                _add_delta(blocks.setdefault(index, {}), mapping(document.get("delta")))
            elif event.name == "messageStop":
                stop_reason = document.get("stopReason")
            elif event.name == "metadata":
                metadata = document
        content = [block for _, block in sorted(blocks.items())]
        return _reply(content, stop_reason, metadata, error, complete=stop_reason is not None)

    def chunk_kind(self, event: Event) -> ChunkKind | None:
        """Tell a delta of text or of a tool call from one of reasoning."""
        document = mapping(event.document)
        if mapping(document.get("start")).get("toolUse"):  # which brings the tool's name
            return "output"
        delta = mapping(document.get("delta"))
        if delta.get("text") or mapping(delta.get("toolUse")).get("input"):
            return "output"
        return "reasoning" if mapping(delta.get("reasoningContent")).get("text") else None

    def write_reply(self, response: MockResponse, call: PendingCall) -> dict[str, Any]:
        """Write a message with a block for the reasoning, the text and each tool call."""
        message = {"role": "assistant", "content": _blocks(response)}
        reply = {"output": {"message": message}, "stopReason": _stop_reason(response)}
        return reply | _metadata(response)

    def write_events(self, response: MockResponse, call: PendingCall) -> Iterator[Event]:
        """Write the stream of a message."""
        yield Event({"role": "assistant"}, "messageStart")
        for index, block in enumerate(_blocks(response)):
            yield from _block_events({"contentBlockIndex": index}, block)
        yield Event({"stopReason": _stop_reason(response)}, "messageStop")
        yield Event(_metadata(response), "metadata")

    def write_error(self, status: int, message: str) -> dict[str, Any]:
        """Write an error object."""
        return aws_error(status, message)


def aws_error(status: int, message: str) -> dict[str, Any]:
    """The body of an error as Bedrock words it, with the code that is usually in a header."""
    usual = "InternalServerException" if status >= 500 else "ValidationException"
    return {"message": message, "code": _ERRORS.get(status, usual)}


def _reply(
    content: Sequence[Mapping[str, Any]],
    stop_reason: object,
    metadata: Mapping[str, Any],
    error: str | None,
    *,
    complete: bool = True,
) -> Reply:
    tools = [mapping(block.get("toolUse")) for block in content]
    response = MockResponse(
        text="".join(_text(block) for block in content),
        tool_calls=tuple(
            tool_call(tool.get("name"), tool.get("input"), tool.get("toolUseId"))
            for tool in tools
            if tool
        ),
        usage=_read_usage(mapping(metadata.get("usage"))),
        reasoning="".join(_reasoning(block) for block in content),
        finish_reason=string(stop_reason) or None,
    )
    tier = string(mapping(metadata.get("serviceTier")).get("type")) or None
    return Reply(response, None, tier, error, complete)


def _text(block: Mapping[str, Any]) -> str:
    """The text of a block; a text with citations is cut into several."""
    cited = items(mapping(block.get("citationsContent")).get("content"))
    return string(block.get("text")) + "".join(string(part.get("text")) for part in cited)


def _reasoning(block: Mapping[str, Any]) -> str:
    reasoning = mapping(mapping(block.get("reasoningContent")).get("reasoningText"))
    return string(reasoning.get("text"))


def _add_delta(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Add a delta to its block; a tool's input is kept as text until it is whole."""
    if isinstance(delta.get("text"), str):
        block["text"] = string(block.get("text")) + delta["text"]
    thought = mapping(delta.get("reasoningContent")).get("text")
    if isinstance(thought, str):
        so_far = _reasoning(block)
        block["reasoningContent"] = {"reasoningText": {"text": so_far + thought}}
    written = mapping(delta.get("toolUse")).get("input")
    if isinstance(written, str):
        tool = dict(mapping(block.get("toolUse")))
        block["toolUse"] = tool | {"input": string(tool.get("input")) + written}


def _read_usage(usage: Mapping[str, Any]) -> TokenUsage | None:
    """The usage, with the cached tokens in the input, which on the wire leaves them out."""
    if usage.get("inputTokens") is None and usage.get("outputTokens") is None:
        return None
    cached = count(usage.get("cacheReadInputTokens"))
    written = count(usage.get("cacheWriteInputTokens"))
    return TokenUsage(
        count(usage.get("inputTokens")) + cached + written,
        count(usage.get("outputTokens")),
        cached_tokens=cached,
        cache_write_tokens=written,
    )


def _metadata(response: MockResponse) -> dict[str, Any]:
    usage = response.usage or TokenUsage()
    apart = usage.cached_tokens + usage.cache_write_tokens
    written = {
        "inputTokens": max(0, usage.prompt_tokens - apart),
        "outputTokens": usage.completion_tokens,
        "totalTokens": usage.total_tokens,
        "cacheReadInputTokens": usage.cached_tokens,
        "cacheWriteInputTokens": usage.cache_write_tokens,
    }
    return {"usage": written, "metrics": {"latencyMs": 0}}


def _stop_reason(response: MockResponse) -> str:
    return response.finish_reason or ("tool_use" if response.tool_calls else "end_turn")


def _blocks(response: MockResponse) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if response.reasoning:
        reasoning = {"text": response.reasoning, "signature": ""}
        blocks.append({"reasoningContent": {"reasoningText": reasoning}})
    if response.text or not response.tool_calls:
        blocks.append({"text": response.text})
    for tool in response.tool_calls:
        use = {"toolUseId": tool.id or new_id("tooluse_"), "name": tool.name}
        blocks.append({"toolUse": use | {"input": dict(tool.arguments)}})
    return blocks


def _block_events(place: dict[str, int], block: dict[str, Any]) -> Iterator[Event]:
    """The events that build up one content block; only a tool's block is said to start."""
    deltas: list[dict[str, Any]]
    if "text" in block:
        deltas = [{"text": piece} for piece in pieces(block["text"])]
    elif "reasoningContent" in block:
        text = block["reasoningContent"]["reasoningText"]["text"]
        deltas = [{"reasoningContent": {"text": piece}} for piece in pieces(text)]
    else:
        tool = dict(block["toolUse"])
        text = arguments_text(ToolCall(tool["name"], tool.pop("input")))
        yield Event({"start": {"toolUse": tool}} | place, "contentBlockStart")
        deltas = [{"toolUse": {"input": piece}} for piece in pieces(text)]
    for delta in deltas:
        yield Event({"delta": delta} | place, "contentBlockDelta")
    yield Event(dict(place), "contentBlockStop")
