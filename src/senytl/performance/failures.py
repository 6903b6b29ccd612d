"""What an exception that leaves a body says: of the agent, of the test, or of the session."""

from __future__ import annotations

import sys
from collections import Counter

from senytl.models import PerformanceError
from senytl.redaction import redact

__all__ = ["count_error", "describe_error", "fold_errors", "is_failure", "is_interruption"]

_MESSAGE_LENGTH = 300
_KINDS = 100
_MORE = "(more messages)"


def is_failure(error: BaseException) -> bool:
    """Whether an exception that leaves a body says that the agent failed.

    A broken SLA does not: the request ended, and the limit on it did not hold. What ends a test
    or the session (a skip, an interruption, the end of its budget) says nothing about the agent
    either.
    """
    if isinstance(error, (PerformanceError, *_outcome("_pytest.outcomes", "Exit"),
                          *_outcome("unittest.case", "SkipTest"),
                          *_outcome("senytl.performance.spending", "BudgetError"))):  # fmt: skip
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
    try:
        message = str(error)
    except Exception as failure:  # a mistake in the agent's own class; the request has failed
        message = f"(no message: {type(failure).__name__} in __str__)"
    message = redact(" ".join(message.split()))
    if len(message) > _MESSAGE_LENGTH:
        message = message[: _MESSAGE_LENGTH - 1] + "…"
    return name, message


def count_error(errors: Counter[tuple[str, str]], error: BaseException | str) -> None:
    """Count an error by its type and message; once there are many, new ones by type alone."""
    kind = describe_error(error)
    if kind not in errors and len(errors) >= _KINDS:
        kind = (kind[0], _MORE)
    errors[kind] += 1


def fold_errors(errors: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """The most frequent of many users' errors, with the others of each type counted together."""
    folded: Counter[tuple[str, str]] = Counter()
    room = _KINDS
    for (name, message), count in errors.most_common():
        room -= message != _MORE
        folded[name, message if room >= 0 else _MORE] += count
    return folded
