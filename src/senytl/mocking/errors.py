"""The errors of calls that no mock answers as its test states it."""

from __future__ import annotations

from collections.abc import Sequence

from senytl.models import SenytlError
from senytl.redaction import redact

__all__ = ["MockError", "MockExhaustedError", "UnmockedCallError"]

_PROMPT_LENGTH = 80


class MockError(SenytlError):
    """A call of a model could not be answered as the test states it."""


class UnmockedCallError(MockError):
    """A call that no mock answers, under ``Senytl(fallback="error")``.

    Args:
        model: The model that was asked for.
        prompt: The prompt's newest text; its start is shown, without secrets.
        mocks: The rules that there are, in words.

    Attributes:
        model: The same.
        prompt: The start of the prompt.
    """

    def __init__(self, model: str, prompt: str, mocks: Sequence[str]) -> None:
        self.model = model
        self.prompt = _start(prompt)
        self._mocks = tuple(mocks)
        stated = "".join(f"\n  {mock}" for mock in mocks) or " none"
        super().__init__(
            f"no mock answers this call of {model!r}, whose prompt begins {self.prompt!r}. "
            f"Mocks stated:{stated}\n"
            f"State one: senytl.mock({model!r}).when(contains=...).respond(...), "
            'or let such calls through to the real API: Senytl(fallback="pass").'
        )

    def __reduce__(self) -> tuple[type[UnmockedCallError], tuple[str, str, tuple[str, ...]]]:
        return UnmockedCallError, (self.model, self.prompt, self._mocks)


class MockExhaustedError(MockError):
    """A ``respond_sequence`` was asked for more replies than it has.

    Args:
        rule: The rule, in words.
        count: How many replies it had.
    """

    def __init__(self, rule: str, count: int) -> None:
        self._arguments = (rule, count)
        replies = "its only reply was" if count == 1 else f"its {count} replies were"
        super().__init__(
            f"the mock {rule} was called once too often: {replies} given already. Add the reply "
            'that is missing to respond_sequence, or pass then="last" to repeat the last one, '
            'then="cycle" to begin anew.'
        )

    def __reduce__(self) -> tuple[type[MockExhaustedError], tuple[str, int]]:
        return MockExhaustedError, self._arguments


def _start(prompt: str) -> str:
    """The prompt's start, on one line and without secrets."""
    text = redact(" ".join(prompt.split()))
    return text if len(text) <= _PROMPT_LENGTH else text[: _PROMPT_LENGTH - 1] + "…"
