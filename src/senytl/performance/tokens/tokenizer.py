"""tiktoken's vocabularies: which model has which, loaded once, without waiting for long."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from senytl.performance.model_name import split_model

if TYPE_CHECKING:
    from tiktoken import Encoding

__all__ = ["count_tokens", "load_encoding", "vocabulary_of"]

# Not tiktoken's own table: older releases of it lack the newer of these models. A name that is
# in neither line has an unknown tokenizer, whatever it resembles.
_VOCABULARIES = (
    (re.compile(r"(?:ft:)?(?:chatgpt-4o|gpt-4o|gpt-4\.[15]|gpt-5|gpt-oss|o[134])(?![a-z0-9])"),
     "o200k_base"),
    (re.compile(r"(?:ft:)?(?:gpt-4|gpt-3\.?5)(?![a-z0-9.])"), "cl100k_base"),
)  # fmt: skip

_PATIENCE = 10.0
"""Seconds to wait for a vocabulary that has to be fetched; it is some megabytes."""

_PIECE = 50_000
"""Characters encoded at once: tiktoken gives up on a million spaces in a row."""

_lock = threading.Lock()
_encodings: dict[str, Encoding | None] = {}


def vocabulary_of(model: str) -> str | None:
    """The vocabulary, by tiktoken's name, of an OpenAI model; None for other makers' models."""
    bare = split_model(model).bare
    for pattern, name in _VOCABULARIES:
        if pattern.match(bare):
            return name
    return None


def load_encoding(vocabulary: str) -> Encoding | None:
    """The encoding of a vocabulary, or None where it cannot be loaded.

    tiktoken fetches a vocabulary on its first use ever. Each is tried once per process, for at
    most 10 seconds, and what came of it is remembered.
    """
    if vocabulary not in _encodings:
        with _lock:
            if vocabulary not in _encodings:
                _encodings[vocabulary] = _load(vocabulary)
    return _encodings[vocabulary]


def _load(vocabulary: str) -> Encoding | None:
    # In a thread, since tiktoken's request has no timeout; past tiktoken's registry, since its
    # lock would be held as long and stop the user's own use of tiktoken.
    loaded: list[Encoding] = []

    def load() -> None:
        try:
            import tiktoken
            from tiktoken_ext.openai_public import (  # type: ignore[import-untyped]
                ENCODING_CONSTRUCTORS,
            )

            loaded.append(tiktoken.Encoding(**ENCODING_CONSTRUCTORS[vocabulary]()))
        except Exception:  # offline, a refused socket, a full disk: the estimate stands in
            return

    thread = threading.Thread(target=load, name="senytl-vocabulary", daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    return loaded[0] if loaded else None


def count_tokens(text: str, encoding: Encoding) -> int:
    """How many tokens a text has; in a text longer than 50,000 characters, within one in 10,000."""
    # No text is special here: "<|endoftext|>" in a user's prompt must not raise.
    return sum(
        len(encoding.encode(text[start : start + _PIECE], disallowed_special=()))
        for start in range(0, len(text), _PIECE)
    )
