"""Mistral's completions in the middle of a code, which reply as a chat does.

https://docs.mistral.ai/api/endpoint/fim
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from senytl.capture.providers.base import Asked, string
from senytl.capture.providers.openai_chat import OpenAIChat

__all__ = ["MistralFim"]


class MistralFim(OpenAIChat):
    """``POST .../fim/completions``."""

    api = "mistral-fim"
    vendor = "mistral"
    suffixes: tuple[str, ...] = ("/fim/completions",)

    def recognise(self, path: str, body: Mapping[str, Any]) -> Asked | None:
        """Recognise a body with a model and a prompt."""
        model = string(body.get("model"))
        if not path.endswith(self.suffixes) or not model or not string(body.get("prompt")):
            return None
        return Asked(model, body.get("stream") is True)
