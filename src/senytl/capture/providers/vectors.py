"""Embeddings for mocked models: the same text has the same vector, other texts have others."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import struct
from functools import lru_cache

__all__ = ["as_base64", "contents_of", "vector_of"]

_FEW = 16  # dimensions of models that are not known
_DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
    "gemini-embedding-001": 3072,
    "gemini-embedding-2": 3072,
    "embed-v4.0": 1536,
    "embed-english-v3.0": 1024,
    "embed-multilingual-v3.0": 1024,
    "mistral-embed": 1024,
    "codestral-embed": 1536,
    "nomic-embed-text": 768,
    "mxbai-embed-large": 1024,
}


def contents_of(value: object) -> list[object]:
    """What is to be embedded: a list's items, but a list of token numbers is one text."""
    if isinstance(value, list) and not all(isinstance(item, int) for item in value):
        return list(value)
    return [value]


def vector_of(content: object, model: str, dimensions: object = None) -> tuple[float, ...]:
    """A vector of length 1 that depends on the content alone.

    Args:
        content: A text, token numbers, or whatever else JSON can hold.
        model: The model, which decides how many dimensions there are where nobody says.
        dimensions: How many the request asks for.
    """
    size = _DIMENSIONS.get(model.rpartition("/")[2].partition(":")[0], _FEW)
    if isinstance(dimensions, int) and not isinstance(dimensions, bool) and dimensions > 0:
        size = dimensions
    text = content if isinstance(content, str) else json.dumps(content, sort_keys=True)
    return _vector(text, size)


@lru_cache(maxsize=256)
def _vector(text: str, size: int) -> tuple[float, ...]:
    noise = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(2 * size)
    numbers = [number + 0.5 for number in struct.unpack(f"<{size}h", noise)]
    length = math.hypot(*numbers)
    return tuple(round(number / length, 8) for number in numbers)


def as_base64(vector: tuple[float, ...]) -> str:
    """A vector as the base64 of its little-endian 32-bit floats."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
