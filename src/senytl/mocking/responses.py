"""What a mocked model says: text, tools and usage, read from what a test states."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from senytl.models import MockResponse, TokenUsage, ToolCall

__all__ = ["Tools", "UsageLike", "make_response", "read_usage"]

Tools = str | Iterable[str] | Mapping[str, Mapping[str, Any]]
"""Tools in short: their names, or their arguments by name."""

UsageLike = TokenUsage | Mapping[str, int] | Sequence[int]
"""A usage, its fields by name, or the tokens of prompt and completion."""

_USAGE_FIELDS = tuple(field.name for field in fields(TokenUsage) if field.name != "source")


def make_response(
    text: object = "",
    *,
    tools: Tools = (),
    tool_calls: Iterable[ToolCall | Mapping[str, Any]] = (),
    usage: UsageLike | None = None,
) -> MockResponse:
    """Make what a model says of the keywords of ``respond``.

    Args:
        text: The text, a str; or a whole `MockResponse`, which may state its token usage too.
        tools: Tools that the model asks for, in short.
        tool_calls: The same in full, also several of one tool: `ToolCall`, a dict with
            ``name``, ``arguments`` and ``id``, or OpenAI's form with ``function`` in it.
        usage: The tokens that the model reports.

    Raises:
        ValueError: If it says nothing, or any part of it is not as described.
    """
    calls = [*_read_tools(tools), *(_read_tool_call(call) for call in tool_calls)]
    if isinstance(text, MockResponse):
        if calls:
            raise ValueError("respond: put the tools into the MockResponse, not beside it")
        if usage is not None and text.usage is not None:
            raise ValueError("respond: usage is given twice, in the MockResponse and beside it")
        response = text
    elif isinstance(text, str):
        response = MockResponse(text, tool_calls=tuple(calls))
    else:
        raise ValueError(
            f"respond: the text is {text!r}; it must be a str, a MockResponse or a function of "
            "the call that gives one of these"
        )
    if not (response.text or response.tool_calls or response.reasoning):
        raise ValueError("respond: the reply is empty; give a text, tools or tool_calls")
    return response if usage is None else replace(response, usage=read_usage(usage))


def read_usage(usage: UsageLike) -> TokenUsage:
    """Read a usage that a user gives.

    Raises:
        ValueError: If it is none, a count makes no sense, or a part is larger than its whole.
    """
    if isinstance(usage, Mapping):
        unknown = set(usage) - set(_USAGE_FIELDS)
        if unknown:
            raise ValueError(
                f"usage has no {', '.join(map(repr, sorted(map(str, unknown))))}; it has "
                + ", ".join(map(repr, _USAGE_FIELDS))
            )
        _check_counts(usage.items())
        counts: dict[str, Any] = dict(usage)
        read = TokenUsage(**counts)
    elif isinstance(usage, tuple | list) and len(usage) == 2:
        prompt, completion = usage
        _check_counts([("prompt_tokens", prompt), ("completion_tokens", completion)])
        read = TokenUsage(prompt, completion)
    elif isinstance(usage, TokenUsage):
        read = usage
    else:
        raise ValueError(
            f"usage is {usage!r}; give a TokenUsage, a dict of its fields, or the tokens of "
            "prompt and completion as (900, 5)"
        )
    cached = read.cached_tokens + read.cache_write_tokens
    for name, part, name_of_whole, whole in (
        ("cached_tokens and cache_write_tokens", cached, "prompt_tokens", read.prompt_tokens),
        ("reasoning_tokens", read.reasoning_tokens, "completion_tokens", read.completion_tokens),
    ):
        if part > whole:
            raise ValueError(
                f"usage: {name} are {part}, more than the {whole} {name_of_whole} of which they "
                "are a part"
            )
    return read


def _check_counts(counts: Iterable[tuple[str, object]]) -> None:
    for name, value in counts:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"usage: {name} is {value!r}; it must be a whole number, 0 or more")


def _read_tools(tools: Tools) -> list[ToolCall]:
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
