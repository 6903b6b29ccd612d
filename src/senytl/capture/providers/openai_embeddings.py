"""OpenAI's embeddings, which Azure, Mistral, Voyage, Together, vLLM and Ollama offer alike.

https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from senytl.capture.calls import PendingCall
from senytl.capture.providers.base import Asked, Reply, count, error_of, mapping
from senytl.capture.providers.embeddings import WholeReplies
from senytl.capture.providers.openai_common import model_asked, openai_error, openai_reply
from senytl.capture.providers.vectors import as_base64, contents_of, vector_of
from senytl.models import MockResponse, TokenUsage

__all__ = ["OpenAIEmbeddings"]


class OpenAIEmbeddings(WholeReplies):
    """``POST .../embeddings``, on Azure with the model's deployment in the path."""

    api = "openai-embeddings"
    vendor = "openai"
    suffixes: tuple[str, ...] = ("/embeddings",)

    def recognise(self, path: str, body: Mapping[str, Any]) -> Asked | None:
        """Recognise a body with an input and, in the body or the path, a model."""
        if not path.endswith(self.suffixes):
            return None
        model = model_asked(path, body)
        return Asked(model, streamed=False) if model and body.get("input") else None

    def read_reply(self, document: Mapping[str, Any]) -> Reply:
        """Read the usage; Voyage gives no more than the total."""
        usage = mapping(document.get("usage"))
        prompt = usage.get("prompt_tokens")
        prompt = usage.get("total_tokens") if prompt is None else prompt
        read = None if prompt is None else TokenUsage(count(prompt))
        return openai_reply(MockResponse(usage=read), document, error_of(document))

    def write_reply(self, response: MockResponse, call: PendingCall) -> dict[str, Any]:
        """Write a vector for each input, as floats or, where that is asked for, as base64."""
        encode = as_base64 if call.request.get("encoding_format") == "base64" else list
        dimensions = call.request.get("dimensions") or call.request.get("output_dimension")
        vectors = [
            encode(vector_of(content, call.model, dimensions))
            for content in contents_of(call.request.get("input"))
        ]
        tokens = response.usage.prompt_tokens if response.usage else 0
        return {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": vector}
                for index, vector in enumerate(vectors)
            ],
            "model": call.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }

    def write_error(self, status: int, message: str) -> dict[str, Any]:
        """Write an error object."""
        return openai_error(status, message)
