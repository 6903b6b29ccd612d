from __future__ import annotations

from typing import Any

import pytest

from senytl.mocking.responses import make_response, read_usage
from senytl.models import MockResponse, TokenUsage, ToolCall


def test_tools_in_short_are_names_or_arguments_by_name() -> None:
    assert make_response(tools="search").tool_calls == (ToolCall("search"),)
    assert make_response(tools=["search", "sum"]).tool_calls == (
        ToolCall("search"),
        ToolCall("sum"),
    )
    assert make_response(tools={"sum": {"a": 1}}).tool_calls == (ToolCall("sum", {"a": 1}),)


@pytest.mark.parametrize(
    "given",
    [
        ToolCall("sum", {"a": 1}, "call_1"),
        {"name": "sum", "arguments": {"a": 1}, "id": "call_1"},
        {"id": "call_1", "type": "function", "function": {"name": "sum", "arguments": '{"a": 1}'}},
    ],
)
def test_tool_calls_in_full_come_in_three_forms(given: Any) -> None:
    assert make_response("so", tool_calls=[given]).tool_calls == (
        ToolCall("sum", {"a": 1}, "call_1"),
    )


def test_a_whole_reply_is_kept_as_it_is() -> None:
    reply = MockResponse("a", usage=TokenUsage(3, 1))
    assert make_response(reply) is reply


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({}, "the reply is empty"),
        ({"text": MockResponse()}, "the reply is empty"),
        ({"text": 3}, "must be a str, a MockResponse or a function"),
        ({"text": MockResponse("a"), "tools": "t"}, "put the tools into the MockResponse"),
        ({"tools": [""]}, "a tool's name is ''"),
        ({"tools": {"t": 3}}, "arguments of the tool 't' are 3"),
        ({"tools": {"t": {"x": object()}}}, "arguments of the tool 't' cannot be written as JSON"),
        ({"tool_calls": ["t"]}, "each must be a ToolCall or a dict"),
        ({"tool_calls": [{"name": "t", "input": {}}]}, "a tool call has no 'input'"),
        ({"tool_calls": [{"arguments": {}}]}, "a tool's name is None"),
        ({"tool_calls": [{"name": "t", "arguments": "{"}]}, "are not JSON"),
        ({"tool_calls": [{"name": "t", "id": 7}]}, "id of the tool call 't' is 7"),
    ],
)
def test_a_bad_response_is_refused_when_it_is_stated(keywords: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_response(**keywords)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (TokenUsage(900, 5, cached_tokens=800), TokenUsage(900, 5, cached_tokens=800)),
        ((900, 5), TokenUsage(900, 5)),
        ([900, 5], TokenUsage(900, 5)),
        ({"prompt_tokens": 9}, TokenUsage(9, 0)),
        (
            {"prompt_tokens": 9, "completion_tokens": 5, "reasoning_tokens": 4},
            TokenUsage(9, 5, reasoning_tokens=4),
        ),
    ],
)
def test_a_usage_comes_in_three_forms(given: Any, expected: TokenUsage) -> None:
    assert read_usage(given) == expected
    assert make_response("a", usage=given).usage == expected
    assert make_response(MockResponse("a"), usage=given) == MockResponse("a", usage=expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (900, "usage is 900; give a TokenUsage, a dict"),
        ((900,), "usage is .900,.; give a TokenUsage"),
        ((900, 5.5), "completion_tokens is 5.5; it must be a whole number"),
        ((-1, 5), "prompt_tokens is -1; it must be a whole number, 0 or more"),
        ((True, 5), "prompt_tokens is True"),
        ({"prompt": 9}, "usage has no 'prompt'; it has 'prompt_tokens'"),
        ({"source": "provider"}, "usage has no 'source'"),
        ({"prompt_tokens": "9"}, "prompt_tokens is '9'"),
        (
            TokenUsage(9, 5, cached_tokens=6, cache_write_tokens=4),
            "are 10, more than the 9 prompt_tokens",
        ),
        ({"reasoning_tokens": 3}, "reasoning_tokens are 3, more than the 0 completion_tokens"),
    ],
)
def test_a_usage_that_makes_no_sense_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_response("a", usage=given)


def test_a_usage_that_is_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="usage is given twice"):
        make_response(MockResponse("a", usage=TokenUsage(1, 1)), usage=(1, 1))
