"""The text in what an agent gave, whichever SDK's or framework's object that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["find_text", "join_chunks"]

_NAMES = ("text", "content", "output_text", "output")


def find_text(answer: Any) -> str | None:
    """The text of an agent's answer; None where it is nothing that has a text.

    It is a ``str``; the first text under ``text``, ``content``, ``output_text`` or ``output``,
    as attribute or key; the message of an OpenAI chat completion; the blocks of an Anthropic
    or LangChain message; the last of a LangGraph state's ``messages``. An answer of tool calls
    alone has the text ``""``.
    """
    if answer is None or isinstance(answer, str):
        return answer
    if isinstance(answer, list | tuple):
        return None if any(isinstance(item, str) for item in answer) else _join_blocks(answer)
    found: str | None = None
    for name in _NAMES:
        has, value = _member(answer, name)
        if isinstance(value, list | tuple):
            value = _join_blocks(value)
        if isinstance(value, str):
            return value
        if has and value is None:
            found = ""
    for name, inner in (("choices", ("message", "delta")), ("messages", ())):
        _, items = _member(answer, name)
        if isinstance(items, list | tuple) and items:
            last = items[0] if inner else items[-1]
            candidates = [_member(last, one)[1] for one in inner] or [last]
            texts = [find_text(one) for one in candidates if one is not None]
            return next((text for text in texts if text is not None), found)
    return found


def join_chunks(chunks: Iterable[Any]) -> str:
    """The text of a streamed answer, from its chunks; a chunk without text adds nothing."""
    return "".join(_chunk_text(chunk) for chunk in chunks)


def _chunk_text(chunk: Any) -> str:
    _, delta = _member(chunk, "delta")  # Anthropic's events, and those of OpenAI's Responses
    kind = _member(chunk, "type")[1]
    if isinstance(delta, str):
        return delta if kind == "response.output_text.delta" else ""
    if isinstance(kind, str) and kind.startswith(("response.", "message_", "content_block_")):
        return find_text(delta) or ""
    return find_text(chunk) or ""


def _join_blocks(blocks: Sequence[Any]) -> str | None:
    """The text of a message's parts; None where the list is nothing of that kind."""
    if not blocks:
        return ""
    texts = [block if isinstance(block, str) else _block_text(block) for block in blocks]
    found = [text for text in texts if text is not None]
    return "".join(found) if found else None


def _block_text(block: Any) -> str | None:
    for name in ("text", "content"):
        _, value = _member(block, name)
        if isinstance(value, str):
            return value
        if isinstance(value, list | tuple):
            return _join_blocks(value)
    # A block of another kind (a tool call, reasoning) is a part of a message without text.
    return "" if isinstance(_member(block, "type")[1], str) else None


def _member(holder: Any, name: str) -> tuple[bool, Any]:
    """Whether there is such a key or attribute, and its value."""
    if isinstance(holder, Mapping):
        return name in holder, holder.get(name)
    try:
        return True, getattr(holder, name)
    except Exception:  # SDKs have properties that raise where there is no text
        return False, None
