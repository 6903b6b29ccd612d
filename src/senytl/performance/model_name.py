"""Models' names: the route to a vendor in front of them, and the name behind it.

The same model is called ``gpt-4``, ``openai/gpt-4`` by a router, ``azure/gpt-4`` by litellm,
``publishers/google/models/...`` on Vertex AI and ``us.anthropic.claude-...-v1:0`` on Bedrock.
Only routes known here are taken off, and never a part of the name itself.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["ModelName", "split_model"]

_VENDORS = {
    "anthropic": "anthropic",
    "aws": "aws",
    "azure": "azure",
    "azure_ai": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "google": "google",
    "google_genai": "google",
    "google_vertexai": "google",
    "groq": "groq",
    "mistral": "mistral",
    "mistralai": "mistral",
    "models": "google",
    "moonshotai": "moonshotai",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "together": "together",
    "together_ai": "together",
    "vertex_ai": "google",
    "vertexai": "google",
    "x-ai": "x-ai",
    "xai": "x-ai",
}
"""What stands before the first slash of a model's name, and genai-prices' name of that vendor."""

_VERTEX = re.compile(r"(?:.*/)?publishers/[^/]+/models/(?P<name>[^/]+)")
_BEDROCK_ARN = re.compile(r"arn:aws[^:]*:bedrock:.*/(?P<name>[^/]+)")
_BEDROCK_CLAUDE = re.compile(r"(?:[a-z]+(?:-gov)?\.)?anthropic\.(?P<name>claude-.+)-v\d+(?::\d+)?")


class ModelName(NamedTuple):
    """A model's name, taken apart.

    Args:
        vendor: The vendor that the outermost route names, as genai-prices calls it; None for a
            name without a route.
        name: The name behind the outermost route, in lower case: what that vendor calls it.
        bare: The name behind all routes: what the maker of the model calls it.
    """

    vendor: str | None
    name: str
    bare: str


def split_model(model: str) -> ModelName:
    """Take a model's name apart.

    >>> split_model("openrouter/openai/gpt-4o")
    ModelName(vendor='openrouter', name='openai/gpt-4o', bare='gpt-4o')
    >>> split_model("GPT-4 Turbo")
    ModelName(vendor=None, name='gpt-4-turbo', bare='gpt-4-turbo')
    """
    vendor, name = _split_route("-".join(model.lower().split()))
    bare, inner = name, vendor
    while inner is not None:
        inner, bare = _split_route(bare)
    if claude := _BEDROCK_CLAUDE.fullmatch(bare):
        vendor, bare = vendor or "aws", claude["name"]
    return ModelName(vendor, name, bare.replace("@", "-"))


def _split_route(name: str) -> tuple[str | None, str]:
    if vertex := _VERTEX.fullmatch(name):
        return "google", vertex["name"]
    if bedrock := _BEDROCK_ARN.fullmatch(name):
        return "aws", bedrock["name"]
    prefix, slash, rest = name.partition("/")
    vendor = _VENDORS.get(prefix)
    return (vendor, rest) if vendor and slash and rest else (None, name)
