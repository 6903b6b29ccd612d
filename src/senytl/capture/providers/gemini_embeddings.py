"""Google's embeddings, on the Gemini API and on Vertex AI.

https://ai.google.dev/api/embeddings
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from senytl.capture.calls import PendingCall
from senytl.capture.providers.base import Asked, Reply, count, error_of, items, mapping
from senytl.capture.providers.embeddings import WholeReplies
from senytl.capture.providers.gemini import google_error
from senytl.capture.providers.vectors import vector_of
from senytl.models import MockResponse, TokenUsage

__all__ = ["GeminiEmbeddings"]

_PATH = re.compile(r"/([^/:]+):(?:embedContent|batchEmbedContents)$")


class GeminiEmbeddings(WholeReplies):
    """``POST .../models/{model}:embedContent`` and ``:batchEmbedContents``."""

    api = "gemini-embeddings"
    vendor = "google"
    suffixes: tuple[str, ...] = (":embedContent", ":batchEmbedContents")

    def recognise(self, path: str, body: Mapping[str, Any]) -> Asked | None:
        """Recognise a body with a content or with requests; the model stands in the path."""
        found = _PATH.search(path) if path.endswith(self.suffixes) else None
        if found is None or not (body.get("content") or items(body.get("requests"))):
            return None
        return Asked(found[1], streamed=False)

    def read_reply(self, document: Mapping[str, Any]) -> Reply:
        """Read the usage, which only newer models give."""
        usage = mapping(document.get("usageMetadata"))
        prompt = usage.get("promptTokenCount")
        read = None if prompt is None else TokenUsage(count(prompt))
        return Reply(MockResponse(usage=read), error=error_of(document))

    def write_reply(self, response: MockResponse, call: PendingCall) -> dict[str, Any]:
        """Write a vector for the content, or for that of each request."""
        requests = items(call.request.get("requests"))
        vectors = [_embedding(request, call.model) for request in requests or [call.request]]
        reply: dict[str, Any] = (
            {"embeddings": vectors} if "requests" in call.request else {"embedding": vectors[0]}
        )
        if response.usage:
            reply["usageMetadata"] = {"promptTokenCount": response.usage.prompt_tokens}
        return reply

    def write_error(self, status: int, message: str) -> dict[str, Any]:
        """Write Google's error object."""
        return google_error(status, message)


def _embedding(request: Mapping[str, Any], model: str) -> dict[str, Any]:
    options = mapping(request.get("embedContentConfig"))
    dimensions = request.get("outputDimensionality") or options.get("outputDimensionality")
    return {"values": list(vector_of(request.get("content"), model, dimensions))}
