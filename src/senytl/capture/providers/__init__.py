"""The wire formats that senytl reads and writes, one file each; a new one is registered here."""

from __future__ import annotations

from senytl.capture.providers.anthropic import AnthropicMessages
from senytl.capture.providers.anthropic_clouds import AnthropicOnBedrock, AnthropicOnVertex
from senytl.capture.providers.base import WireFormat
from senytl.capture.providers.bedrock_converse import BedrockConverse
from senytl.capture.providers.cohere_chat import CohereChat
from senytl.capture.providers.cohere_chat_v1 import CohereChatV1
from senytl.capture.providers.cohere_embed import CohereEmbed, CohereEmbedV1
from senytl.capture.providers.gemini import Gemini
from senytl.capture.providers.gemini_embeddings import GeminiEmbeddings
from senytl.capture.providers.mistral_fim import MistralFim
from senytl.capture.providers.ollama import OllamaChat, OllamaEmbed, OllamaGenerate
from senytl.capture.providers.openai_chat import OpenAIChat
from senytl.capture.providers.openai_completions import OpenAICompletions
from senytl.capture.providers.openai_embeddings import OpenAIEmbeddings
from senytl.capture.providers.openai_responses import OpenAIResponses

__all__ = ["FORMATS", "SUFFIXES"]

FORMATS: tuple[WireFormat, ...] = (
    OpenAIChat(),
    OpenAIResponses(),
    AnthropicMessages(),
    Gemini(),
    OpenAIEmbeddings(),
    MistralFim(),  # before the completions, whose paths end alike
    OpenAICompletions(),
    GeminiEmbeddings(),
    BedrockConverse(),
    AnthropicOnBedrock(),
    AnthropicOnVertex(),
    OllamaChat(),
    OllamaGenerate(),
    OllamaEmbed(),
    CohereChat(),
    CohereChatV1(),
    CohereEmbed(),
    CohereEmbedV1(),
)
"""All formats; the first that recognises a request has it."""


def _shortest(suffixes: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out the suffixes that end with another one: every POST of the process is tried."""
    return tuple(
        one
        for one in suffixes
        if not any(one != other and one.endswith(other) for other in suffixes)
    )


SUFFIXES: tuple[str, ...] = _shortest(tuple(suffix for wire in FORMATS for suffix in wire.suffixes))
"""How the paths of LLM calls end, in any format."""
