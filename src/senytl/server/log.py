"""What a server that runs in a terminal says of the calls that it answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from senytl.models import LLMCallRecord

__all__ = ["CallLog"]

_MODEL_LENGTH = 80


class CallLog:
    """Says a line for each call, and counts them; never a prompt, an answer or a header.

    Args:
        say: What to do with a line; None to say none.
    """

    def __init__(self, say: Callable[[str], None] | None = None) -> None:
        self._say = say
        self._outcomes: Counter[str] = Counter()
        self._prompt_tokens = 0
        self._completion_tokens = 0

    def add(self, call: LLMCallRecord) -> None:
        """Take a call that was answered."""
        self._outcomes[call.outcome] += 1
        if call.usage is not None:
            self._prompt_tokens += call.usage.prompt_tokens
            self._completion_tokens += call.usage.completion_tokens
        if self._say is not None:
            self._say(_line(call))

    def summary(self) -> str:
        """What was answered, in one line."""
        count = self._outcomes.total()
        if not count:
            return "served no call"
        outcomes = ", ".join(f"{number} {name}" for name, number in self._outcomes.most_common())
        return (
            f"served {count} {'call' if count == 1 else 'calls'} ({outcomes}), "
            f"{self._prompt_tokens} prompt and {self._completion_tokens} completion tokens"
        )


def _line(call: LLMCallRecord) -> str:
    words = [_printable(call.model), call.api, "-" if call.status is None else str(call.status)]
    if call.outcome != "completed":
        words.append(call.outcome if call.error_kind is None else call.error_kind)
    if call.usage is not None:
        words.append(f"{call.usage.prompt_tokens}+{call.usage.completion_tokens} tokens")
    if call.ttft is not None:
        words.append(f"ttft {call.ttft * 1000:.0f} ms")
    words.append(f"{(call.duration_seconds or 0.0) * 1000:.0f} ms")
    return "  ".join(words)


def _printable(model: str) -> str:
    """A name that a client sent, without what a terminal would obey."""
    text = "".join(char if char.isprintable() else "?" for char in model)
    return text if len(text) <= _MODEL_LENGTH else text[: _MODEL_LENGTH - 1] + "…"
