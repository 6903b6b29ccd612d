"""What a mocked model replies, how fast, and in which order."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from senytl.mocking.errors import MockError
from senytl.mocking.functions import read_function
from senytl.mocking.responses import Tools, UsageLike, make_response, read_usage
from senytl.mocking.timing import Timing, make_timing
from senytl.models import MockResponse, ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from senytl.capture.calls import PendingCall

__all__ = [
    "Always",
    "InTurn",
    "Maker",
    "Replies",
    "Reply",
    "Then",
    "make_reply",
    "read_reply",
]

Then = Literal["error", "last", "cycle"]
"""What follows the last reply of a sequence."""

Maker = Callable[["PendingCall"], "str | MockResponse | Mapping[str, Any]"]
"""Makes a reply of the call: a text, a whole reply, or the keywords of ``respond``."""

_THEN: tuple[Then, ...] = ("error", "last", "cycle")
_KEYWORDS = ("text", "tools", "tool_calls", "usage",
             "latency", "ttft", "tokens_per_second", "jitter", "seed")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply as it is stated.

    Args:
        response: What it says.
        timing: How fast it comes; at once where there is none.
    """

    response: MockResponse
    timing: Timing | None = None
    is_constant: ClassVar[bool] = True
    """Whether it is the same object for every call."""

    def made_for(self, call: PendingCall) -> Reply:
        """The reply itself, whatever the call."""
        return self


@dataclass(frozen=True, slots=True)
class MadeReply:
    """A reply that a function makes of the call.

    Args:
        make: The function.
        keywords: Those of ``respond`` that hold where what it makes has none of its own.
    """

    make: Maker
    keywords: Mapping[str, Any]
    is_constant: ClassVar[bool] = False

    def made_for(self, call: PendingCall) -> Reply:
        """The reply to one call.

        Raises:
            MockError: If the function gives no reply.
        """
        made = self.make(call)
        own: dict[str, Any] = dict(made) if isinstance(made, Mapping) else {"text": made}
        try:
            _check_keywords(own)
            return _constant_reply(**{**self._kept_beside(own), **own})
        except (ValueError, TypeError) as error:
            name = getattr(self.make, "__name__", repr(self.make))
            raise MockError(
                f"the function {name}, which answers for the mocked model {call.model!r}, gave "
                f"{made!r}: {error}"
            ) from error

    def _kept_beside(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """The keywords that hold beside those that the function gave."""
        kept = dict(self.keywords)
        if isinstance(text := own.get("text"), MockResponse) and text.usage is not None:
            kept.pop("usage", None)
        if "latency" in own:
            kept.pop("tokens_per_second", None)
        if "tokens_per_second" in own:
            kept.pop("latency", None)
        return kept


Stated = Reply | MadeReply
"""A reply, or a function that makes one."""


class Replies(Protocol):
    """Where a rule takes its replies from; calls come from many threads at once."""

    count: int
    """How many different replies there are."""

    def take(self) -> tuple[int, Stated] | None:
        """The next reply and its number, from 0 on; None when there is no more."""

    def peek(self) -> Stated | None:
        """The reply that would be taken next."""


class Always:
    """The same reply to every call."""

    count = 1

    def __init__(self, reply: Stated) -> None:
        self._reply = reply
        self._numbers = itertools.count()  # whose next number is taken without a lock

    def take(self) -> tuple[int, Stated]:
        """The reply, and the number of the call."""
        return next(self._numbers), self._reply

    def peek(self) -> Stated:
        """The reply."""
        return self._reply


class InTurn:
    """One reply after the other, each given once however many threads ask.

    Args:
        replies: The replies in their order.
        then: What follows the last one: nothing (``"error"``), the ``"last"`` again, or all
            anew (``"cycle"``).

    Raises:
        ValueError: If there are none, or `then` is no such word.
    """

    def __init__(self, replies: Sequence[Stated], then: Then = "error") -> None:
        if not replies:
            raise ValueError("respond_sequence has no replies; give at least one")
        if then not in _THEN:
            raise ValueError(f"then is {then!r}; it is one of {', '.join(map(repr, _THEN))}")
        self._replies = tuple(replies)
        self._then = then
        self._taken = 0
        self._lock = threading.Lock()
        self.count = len(self._replies)

    def take(self) -> tuple[int, Stated] | None:
        """The next reply and its number; None when there is no more."""
        with self._lock:
            number = self._taken
            self._taken += 1
        reply = self._of(number)
        return None if reply is None else (number, reply)

    def peek(self) -> Stated | None:
        """The reply that would be taken next."""
        return self._of(self._taken)

    def _of(self, number: int) -> Stated | None:
        if self._then == "cycle":
            return self._replies[number % self.count]
        if self._then == "last":
            return self._replies[min(number, self.count - 1)]
        return self._replies[number] if number < self.count else None


def make_reply(
    text: str | MockResponse | Maker = "",
    *,
    tools: Tools = (),
    tool_calls: Iterable[ToolCall | Mapping[str, Any]] = (),
    usage: UsageLike | None = None,
    latency: float | None = None,
    ttft: float | None = None,
    tokens_per_second: float | None = None,
    jitter: float | None = None,
    seed: int | None = None,
) -> Stated:
    """Make a reply of what ``respond`` takes; see there.

    Raises:
        ValueError: If the reply says nothing, or any part of it is not as described.
    """
    times: dict[str, Any] = {
        "latency": latency,
        "ttft": ttft,
        "tokens_per_second": tokens_per_second,
        "jitter": jitter,
        "seed": seed,
    }
    if not callable(text):
        return _constant_reply(text, tools=tools, tool_calls=tool_calls, usage=usage, **times)
    if tools or tool_calls:
        raise ValueError("respond: the function gives the tools too; leave out those beside it")
    read_function("respond", text)
    make_timing(**times)
    stated = {**times, "usage": None if usage is None else read_usage(usage)}
    return MadeReply(text, {name: value for name, value in stated.items() if value is not None})


def _constant_reply(
    text: object = "",
    *,
    tools: Tools = (),
    tool_calls: Iterable[ToolCall | Mapping[str, Any]] = (),
    usage: UsageLike | None = None,
    **times: Any,
) -> Reply:
    response = make_response(text, tools=tools, tool_calls=tool_calls, usage=usage)
    return Reply(response, make_timing(**times))


def read_reply(reply: str | MockResponse | Maker | Mapping[str, Any]) -> Stated:
    """Read one item of a sequence: what ``respond`` takes, or its keywords as a dict.

    Raises:
        ValueError: If it is none of these.
    """
    if not isinstance(reply, Mapping):
        return make_reply(reply)
    _check_keywords(reply)
    return make_reply(**reply)


def _check_keywords(keywords: Mapping[str, Any]) -> None:
    unknown = set(keywords) - set(_KEYWORDS)
    if unknown:
        raise ValueError(
            f"a reply has no {', '.join(map(repr, sorted(map(str, unknown))))}; "
            f"it has {', '.join(map(repr, _KEYWORDS))}"
        )
