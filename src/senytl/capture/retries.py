"""Attempts at one logical call.

SDKs retry where the call was made, with the same body, after the attempt before has failed. That
is known here from a context variable; those made by Stainless also number their attempts in a
header, which then decides.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

__all__ = [
    "RETRY_HEADER",
    "Attempt",
    "attempt_under_way",
    "next_attempt",
    "note_failure",
    "retry_headers",
]


RETRY_HEADER = "x-stainless-retry-count"
"""The header in which SDKs made by Stainless (OpenAI's, Anthropic's, Groq's) number attempts."""
_ADVICE = ("retry-after", "retry-after-ms", "x-should-retry")


class Attempt(NamedTuple):
    """Which attempt at which logical call.

    Args:
        number: 1 for the first.
        logical_id: The same for all attempts at a call.
        waited: Seconds since the attempt before it ended, where that was seen.
    """

    number: int
    logical_id: int
    waited: float | None


@dataclass(slots=True)
class _Failure:
    """An attempt that failed; whichever call comes next decides whether it was tried again.

    Tasks share it with the task that started them, so that one call at most follows it.
    """

    body: bytes
    sink: tuple[int, object]
    attempt: Attempt
    ended: float
    is_open: bool = True


_ids = itertools.count(1)
_last_failure: ContextVar[_Failure | None] = ContextVar("senytl_last_failure", default=None)
_after_failure: ContextVar[Attempt | None] = ContextVar("senytl_after_failure", default=None)


def next_attempt(
    body: Any, sink: object, start: float, headers: Mapping[str, str] | None
) -> Attempt:
    """Tell which attempt a call is that starts now.

    Args:
        body: The request's body as it was given to the HTTP library.
        sink: Who gets the call; attempts belong to one request of the agent.
        start: When it starts, on the clock of `time.perf_counter`.
        headers: The request's headers, which are looked at only after a failure.
    """
    last = _last_failure.get()
    if last is None:
        return Attempt(1, next(_ids), None)
    retries = None if headers is None else headers.get(RETRY_HEADER)
    number = 1 + int(retries) if retries is not None and retries.isdecimal() else 0
    is_open, last.is_open = last.is_open, False
    if is_open and number != 1 and (last.sink, last.body) == (_key(sink), _digest(body)):
        number = number or last.attempt.number + 1
        attempt = Attempt(number, last.attempt.logical_id, max(0.0, start - last.ended))
    else:
        attempt = Attempt(number or 1, next(_ids), None)
    _after_failure.set(attempt)
    return attempt


def _digest(body: Any) -> bytes:
    # The body itself would be kept for as long as the context.
    data = body if isinstance(body, bytes) else repr(body).encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=16).digest()


def _key(sink: object) -> tuple[int, object]:
    """What tells one request of the agent from another, without keeping its sink alive."""
    return id(getattr(sink, "owner", sink)), getattr(sink, "number", None)


def attempt_under_way() -> Attempt | None:
    """Which attempt the call is that is being answered in this context.

    None where no call failed in it before, which says that it is a first one.
    """
    return None if _last_failure.get() is None else _after_failure.get()


def note_failure(body: Any, sink: object, attempt: Attempt, ended: float) -> None:
    """Note that an attempt failed, in the context in which a retry would be made."""
    _last_failure.set(_Failure(_digest(body), _key(sink), attempt, ended))


def retry_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """What the headers of a response say of trying again."""
    return {name: headers[name] for name in _ADVICE if name in headers}
