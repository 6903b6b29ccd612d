"""What a mocked model replies, and in which order."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

from senytl.models import MockResponse, ToolCall

__all__ = ["Always", "InTurn", "Replies", "Then", "make_reply", "read_reply"]

Then = Literal["error", "last", "cycle"]
"""What follows the last reply of a sequence."""

_THEN: tuple[Then, ...] = ("error", "last", "cycle")


class Replies(Protocol):
    """Where a rule takes its replies from; calls come from many threads at once."""

    count: int
    """How many different replies there are."""

    def take(self) -> MockResponse | None:
        """The next reply; None when there is no more."""


class Always:
    """The same reply to every call."""

    count = 1

    def __init__(self, reply: MockResponse) -> None:
        self._reply = reply

    def take(self) -> MockResponse:
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

    def __init__(self, replies: Sequence[MockResponse], then: Then = "error") -> None:
        if not replies:
            raise ValueError("respond_sequence has no replies; give at least one")
        if then not in _THEN:
            raise ValueError(f"then is {then!r}; it is one of {', '.join(map(repr, _THEN))}")
        self._replies = tuple(replies)
        self._then = then
        self._taken = 0
        self._lock = threading.Lock()
        self.count = len(self._replies)

    def take(self) -> MockResponse | None:
        """The next reply; None when there is no more."""
        with self._lock:
            number = self._taken
            self._taken += 1
        if self._then == "cycle":
            return self._replies[number % self.count]
        if self._then == "last":
            return self._replies[min(number, self.count - 1)]
        return self._replies[number] if number < self.count else None


def make_reply(
    text: str | MockResponse = "",
    *,
    tools: str | Iterable[str] | Mapping[str, Mapping[str, Any]] = (),
    tool_calls: Iterable[ToolCall | Mapping[str, Any]] = (),
) -> MockResponse:
    """Make a reply of what ``respond`` takes.

    Args:
        text: The text; or a whole reply, which may state its token usage too.
        tools: Tools that the model asks for, in short: their names, or their arguments by name.
        tool_calls: The same in full, also several of one tool: `ToolCall`, a dict with
            ``name``, ``arguments`` and ``id``, or OpenAI's form with ``function`` in it.

    Raises:
        ValueError: If the reply says nothing, or any part of it is not as described.
    """
    calls = [*_read_tools(tools), *(_read_tool_call(call) for call in tool_calls)]
    if isinstance(text, MockResponse):
        if calls:
            raise ValueError("respond: put the tools into the MockResponse, not beside it")
        reply = text
    elif isinstance(text, str):
        reply = MockResponse(text, tool_calls=tuple(calls))
    else:
        raise ValueError(f"respond: the text is {text!r}; it must be a str or a MockResponse")
    if not (reply.text or reply.tool_calls or reply.reasoning):
        raise ValueError("respond: the reply is empty; give a text, tools or tool_calls")
    return reply


def read_reply(reply: str | MockResponse | Mapping[str, Any]) -> MockResponse:
    """Read one item of a sequence: a text, a whole reply, or the keywords of ``respond``.

    Raises:
        ValueError: If it is none of these.
    """
    if not isinstance(reply, Mapping):
        return make_reply(reply)
    unknown = set(reply) - {"text", "tools", "tool_calls"}
    if unknown:
        raise ValueError(
            f"a reply has no {', '.join(map(repr, sorted(map(str, unknown))))}; "
            "it has 'text', 'tools' and 'tool_calls'"
        )
    return make_reply(**reply)


def _read_tools(tools: str | Iterable[str] | Mapping[str, Mapping[str, Any]]) -> list[ToolCall]:
    if isinstance(tools, Mapping):
        return [_tool_call(name, arguments, None) for name, arguments in tools.items()]
    return [_tool_call(name, {}, None) for name in ((tools,) if isinstance(tools, str) else tools)]


def _read_tool_call(call: ToolCall | Mapping[str, Any]) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    if not isinstance(call, Mapping):
        raise ValueError(f"tool_calls has {call!r}; each must be a ToolCall or a dict")
    function = call.get("function")
    fields = function if isinstance(function, Mapping) else call
    unknown = set(fields) - {"name", "arguments", "id", "type"}
    if unknown:
        raise ValueError(
            f"a tool call has no {', '.join(map(repr, sorted(map(str, unknown))))}; it has "
            "'name', 'arguments' and 'id'"
        )
    return _tool_call(fields.get("name"), fields.get("arguments"), call.get("id"))


def _tool_call(name: Any, arguments: Any, id: Any) -> ToolCall:
    if not isinstance(name, str) or not name:
        raise ValueError(f"a tool's name is {name!r}; it must be a text that is not empty")
    if id is not None and not isinstance(id, str):
        raise ValueError(f"the id of the tool call {name!r} is {id!r}; it must be a text")
    if isinstance(arguments, str):  # as it stands in OpenAI's wire format
        try:
            arguments = json.loads(arguments)
        except ValueError as error:
            raise ValueError(f"the arguments of the tool {name!r} are not JSON: {error}") from error
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, Mapping):
        raise ValueError(
            f"the arguments of the tool {name!r} are {arguments!r}; they must be a dict"
        )
    try:
        json.dumps(dict(arguments))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the arguments of the tool {name!r} cannot be written as JSON: {error}"
        ) from error
    return ToolCall(name, dict(arguments), id)
