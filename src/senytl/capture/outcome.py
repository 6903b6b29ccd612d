"""What became of a call, in words that are the same whoever serves it."""

from __future__ import annotations

from senytl.models import ErrorKind, Outcome

__all__ = ["kind_of_exception", "kind_of_status", "outcome_of_exception"]

_KINDS: dict[int, ErrorKind] = {
    401: "authentication",
    403: "authentication",
    408: "timeout",
    429: "rate_limit",
    504: "timeout",
    529: "overloaded",  # Anthropic's own
    503: "overloaded",
}

# Exceptions are known by name: those of every HTTP library are called alike, and none of them
# need be imported.
_CANCELLATIONS = frozenset(("CancelledError", "Cancelled", "GeneratorExit", "KeyboardInterrupt"))
_CONNECTION = ("Connect", "Connection", "Protocol", "Network", "ReadError", "WriteError",
               "Disconnected", "Payload", "Incomplete", "SSL", "Socket", "OSError")  # fmt: skip


def kind_of_status(status: int) -> ErrorKind:
    """What an HTTP status of 400 or above says."""
    known = _KINDS.get(status)
    if known is not None:
        return known
    return "server_error" if status >= 500 else "invalid_request"


def outcome_of_exception(error: BaseException) -> Outcome:
    """How a call ended that an exception ended."""
    return "cancelled" if type(error).__name__ in _CANCELLATIONS else "failed"


def kind_of_exception(error: BaseException) -> ErrorKind:
    """What an exception instead of a reply says."""
    for one in type(error).__mro__:
        if "Timeout" in one.__name__:
            return "timeout"
        if any(part in one.__name__ for part in _CONNECTION):
            return "connection"
    return "other"
