"""What an exception that leaves a body says: of the agent, of the test, or of the session."""

from __future__ import annotations

import sys

from senytl.models import PerformanceError
from senytl.redaction import redact

__all__ = ["describe_error", "is_failure", "is_interruption"]

_MESSAGE_LENGTH = 300


def is_failure(error: BaseException) -> bool:
    """Whether an exception that leaves a body says that the agent failed.

    A broken SLA does not: the request ended, and the limit on it did not hold. What ends a test
    or the session (a skip, an interruption) says nothing about the agent either.
    """
    if isinstance(error, (PerformanceError, *_outcome("_pytest.outcomes", "Exit"),
                          *_outcome("unittest.case", "SkipTest"))):  # fmt: skip
        return False
    return isinstance(error, (Exception, *_outcome("_pytest.outcomes", "Failed")))


def is_interruption(error: BaseException) -> bool:
    """Whether an exception ends a request before its time, and whatever runs it as well."""
    return not isinstance(error, PerformanceError) and not is_failure(error)


def _outcome(module: str, name: str) -> tuple[type[BaseException], ...]:
    """How a test framework ends a test, if the framework is loaded at all."""
    outcomes = sys.modules.get(module)
    return (getattr(outcomes, name),) if outcomes is not None else ()


def describe_error(error: BaseException | str) -> tuple[str, str]:
    """The type and the message of an error, shortened, on one line and without secrets."""
    name = "error" if isinstance(error, str) else type(error).__name__
    message = redact(" ".join(str(error).split()))
    if len(message) > _MESSAGE_LENGTH:
        message = message[: _MESSAGE_LENGTH - 1] + "…"
    return name, message
