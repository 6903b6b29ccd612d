"""For which calls a rule holds: the model's name, what the prompt says, what a function finds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from senytl.mocking.functions import read_function
from senytl.performance.model_name import split_model

if TYPE_CHECKING:
    from senytl.capture.calls import PendingCall

__all__ = ["Condition", "ModelPattern"]

_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class ModelPattern:
    """Which models a mock stands for.

    Args:
        name: A model's name, which also holds with a route to its vendor in front
            (``"gpt-4"`` for ``openai/gpt-4``, ``"gemini-pro"`` for ``models/gemini-pro``), or a
            glob (``"gpt-4*"``). Case does not matter.

    Raises:
        ValueError: If it is empty.
    """

    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(
                f"the mocked model is {self.name!r}; give its name, or a glob such as 'gpt-4*'"
            )

    @property
    def is_glob(self) -> bool:
        """Whether it stands for several models."""
        return _GLOB.search(self.name) is not None

    def matches(self, model: str) -> bool:
        """Whether a call of `model` is meant."""
        asked, whole = split_model(model), _whole(model)
        names = {whole, asked.name, asked.bare}
        if self.is_glob:
            return any(fnmatchcase(name, self.name.lower()) for name in names)
        meant = split_model(self.name)
        if _whole(self.name) in names or whole in (meant.name, meant.bare):
            return True  # one is the other behind a route
        # The same name behind routes to two vendors is two models.
        return (meant.vendor, meant.bare) == (asked.vendor, asked.bare)


def _whole(model: str) -> str:
    """The name with its route, written as `split_model` writes names."""
    return "-".join(model.lower().split())


@dataclass(frozen=True, slots=True)
class Condition:
    """What a call must be for a rule to hold; of what is given here, everything must hold.

    Args:
        contains: A text that occurs in the prompt, upper and lower case distinguished.
        regex: A regular expression that `re.search` finds in the prompt.
        tool_result: A text that occurs in the results of tools with which the prompt ends.
        predicate: A function that is given the call and says whether it is meant.

    Raises:
        ValueError: If any is empty or no such thing.
    """

    contains: str | None = None
    regex: str | None = None
    tool_result: str | None = None
    predicate: Callable[[PendingCall], bool] | None = None

    def __post_init__(self) -> None:
        for name in ("contains", "regex", "tool_result"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value):
                raise ValueError(
                    f"when({name}={value!r}): give a text that is not empty, or leave {name} "
                    "out to answer every prompt"
                )
        if self.regex is not None:
            try:
                re.compile(self.regex)
            except re.error as error:
                raise ValueError(
                    f"when(regex={self.regex!r}) is not a regular expression: {error}"
                ) from error
        if self.predicate is not None:
            read_function("when(predicate=...)", self.predicate)

    def __bool__(self) -> bool:
        """Whether anything is asked of the call."""
        return self.asks_text or self.tool_result is not None or self.predicate is not None

    @property
    def asks_text(self) -> bool:
        """Whether a text of the prompt is looked at, be it results of tools or any other."""
        return self.contains is not None or self.regex is not None

    def holds(self, text: str, results: str = "") -> bool:
        """Whether texts are as the rule wants them; its predicate is not asked.

        Args:
            text: The text in which `contains` and `regex` are looked for.
            results: The results of tools with which the prompt ends.
        """
        if self.tool_result is not None and self.tool_result not in results:
            return False
        if self.contains is not None and self.contains not in text:
            return False
        return self.regex is None or re.search(self.regex, text) is not None

    def __str__(self) -> str:
        parts = [
            f"{name}={value!r}"
            for name in ("contains", "regex", "tool_result")
            if (value := getattr(self, name)) is not None
        ]
        if self.predicate is not None:
            parts.append(f"predicate={getattr(self.predicate, '__name__', self.predicate)}")
        return f"when({', '.join(parts)})" if parts else "for any prompt"
