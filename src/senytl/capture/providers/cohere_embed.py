"""Cohere's embeddings.

https://docs.cohere.com/v2/reference/embed
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from senytl.capture.calls import PendingCall
from senytl.capture.providers.base import Asked, Reply, error_of, new_id, string
from senytl.capture.providers.cohere_common import cohere_error, read_usage
from senytl.capture.providers.embeddings import WholeReplies
from senytl.capture.providers.vectors import as_base64, vector_of
from senytl.models import MockResponse

__all__ = ["CohereEmbed", "CohereEmbedV1"]

_INPUTS = ("texts", "images", "inputs")


class CohereEmbed(WholeReplies):
    """``POST .../v2/embed``."""

    api = "cohere-embed"
    vendor = "cohere"
    suffixes: tuple[str, ...] = ("/v2/embed",)

    def recognise(self, path: str, body: Mapping[str, Any]) -> Asked | None:
        """Recognise a body with a model and a list of texts, images or both."""
        if not path.endswith(self.suffixes):
            return None
        model = string(body.get("model"))
        asks = any(isinstance(body.get(key), list) for key in _INPUTS)
        return Asked(model, streamed=False) if model and asks else None

    def read_reply(self, document: Mapping[str, Any]) -> Reply:
        """Read the billed tokens."""
        return Reply(MockResponse(usage=read_usage(document.get("meta"))), error=error_of(document))

    def write_reply(self, response: MockResponse, call: PendingCall) -> dict[str, Any]:
        """Write a vector for each input, in each of the types that are asked for."""
        request = call.request
        contents: list[object] = next((request[key] for key in _INPUTS if request.get(key)), [])
        dimensions = request.get("output_dimension")
        vectors = [vector_of(content, call.model, dimensions) for content in contents]
        tokens = response.usage.prompt_tokens if response.usage else 0
        return {
            "id": new_id(""),
            "embeddings": {
                kind: [_ENCODINGS[kind](vector) for vector in vectors]
                for kind in request.get("embedding_types") or ["float"]
                if kind in _ENCODINGS
            },
            "texts": request.get("texts") or [],
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens}},
            "response_type": "embeddings_by_type",
        }

    def write_error(self, status: int, message: str) -> dict[str, Any]:
        """Write an error object."""
        return cohere_error(message)


class CohereEmbedV1(CohereEmbed):
    """``POST .../v1/embed``, which replies with mere floats unless it is asked for types."""

    suffixes: tuple[str, ...] = ("/v1/embed",)

    def write_reply(self, response: MockResponse, call: PendingCall) -> dict[str, Any]:
        """Write a vector for each input, in each of the types that are asked for, if any are."""
        reply = super().write_reply(response, call)
        if call.request.get("embedding_types"):
            return reply
        floats = reply["embeddings"]["float"]
        return reply | {"embeddings": floats, "response_type": "embeddings_floats"}


def _signed(vector: tuple[float, ...]) -> list[int]:
    return [round(number * 127) for number in vector]


def _unsigned(vector: tuple[float, ...]) -> list[int]:
    return [number + 128 for number in _signed(vector)]


def _unsigned_bits(vector: tuple[float, ...]) -> list[int]:
    """A bit for each number, eight to a byte."""
    groups = [vector[start : start + 8] for start in range(0, len(vector), 8)]
    return [sum((number > 0) << (7 - bit) for bit, number in enumerate(one)) for one in groups]


def _signed_bits(vector: tuple[float, ...]) -> list[int]:
    return [number - 128 for number in _unsigned_bits(vector)]


_ENCODINGS: dict[str, Callable[[tuple[float, ...]], Any]] = {
    "float": list,
    "int8": _signed,
    "uint8": _unsigned,
    "binary": _signed_bits,
    "ubinary": _unsigned_bits,
    "base64": as_base64,
}
