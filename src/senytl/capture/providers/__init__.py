"""The wire formats that senytl reads and writes, one file each; a new one is registered here."""

from __future__ import annotations

from senytl.capture.providers.anthropic import AnthropicMessages
from senytl.capture.providers.base import WireFormat
from senytl.capture.providers.gemini import Gemini
from senytl.capture.providers.openai_chat import OpenAIChat
from senytl.capture.providers.openai_responses import OpenAIResponses

__all__ = ["FORMATS", "SUFFIXES"]

FORMATS: tuple[WireFormat, ...] = (
    OpenAIChat(),
    OpenAIResponses(),
    AnthropicMessages(),
    Gemini(),
)
"""All formats; the first that recognises a request has it."""

SUFFIXES: tuple[str, ...] = tuple(suffix for wire in FORMATS for suffix in wire.suffixes)
"""How the paths of LLM calls end, in any format."""
