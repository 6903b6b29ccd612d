from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest

from senytl.mocking.replies import Always, InTurn, make_reply, read_reply
from senytl.models import MockResponse, TokenUsage, ToolCall

A, B, C = (MockResponse(text) for text in "abc")


def test_tools_in_short_are_names_or_arguments_by_name() -> None:
    assert make_reply(tools="search").tool_calls == (ToolCall("search"),)
    assert make_reply(tools=["search", "sum"]).tool_calls == (ToolCall("search"), ToolCall("sum"))
    assert make_reply(tools={"sum": {"a": 1}}).tool_calls == (ToolCall("sum", {"a": 1}),)


@pytest.mark.parametrize(
    "given",
    [
        ToolCall("sum", {"a": 1}, "call_1"),
        {"name": "sum", "arguments": {"a": 1}, "id": "call_1"},
        {"id": "call_1", "type": "function", "function": {"name": "sum", "arguments": '{"a": 1}'}},
    ],
)
def test_tool_calls_in_full_come_in_three_forms(given: Any) -> None:
    assert make_reply("so", tool_calls=[given]).tool_calls == (ToolCall("sum", {"a": 1}, "call_1"),)


def test_a_whole_reply_is_kept_as_it_is() -> None:
    reply = MockResponse("a", usage=TokenUsage(3, 1))
    assert make_reply(reply) is reply
    assert read_reply(reply) is reply


def test_an_item_of_a_sequence_is_a_text_or_the_keywords_of_respond() -> None:
    assert read_reply("a") == A
    assert read_reply({"text": "a", "tools": ["t"]}) == MockResponse("a", (ToolCall("t"),))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({}, "the reply is empty"),
        ({"text": MockResponse()}, "the reply is empty"),
        ({"text": 3}, "must be a str or a MockResponse"),
        ({"text": A, "tools": "t"}, "put the tools into the MockResponse"),
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
def test_a_bad_reply_is_refused_when_it_is_stated(keywords: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_reply(**keywords)


def test_an_unknown_keyword_in_a_sequence_is_named() -> None:
    with pytest.raises(ValueError, match="a reply has no 'txt'; it has 'text'"):
        read_reply({"txt": "a"})


def test_a_sequence_ends() -> None:
    replies = InTurn([A, B])
    assert [replies.take() for _ in range(4)] == [A, B, None, None]
    assert replies.count == 2


def test_a_sequence_repeats_its_last_reply_or_all_of_them_where_asked() -> None:
    last, cycle = InTurn([A, B], "last"), InTurn([A, B, C], "cycle")
    assert [last.take() for _ in range(4)] == [A, B, B, B]
    assert [cycle.take() for _ in range(5)] == [A, B, C, A, B]


def test_the_same_reply_is_given_always() -> None:
    replies = Always(A)
    assert [replies.take() for _ in range(3)] == [A, A, A]


def test_bad_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match="no replies"):
        InTurn([])
    with pytest.raises(ValueError, match="then is 'again'; it is one of 'error', 'last', 'cycle'"):
        InTurn([A], "again")  # type: ignore[arg-type]


def test_each_reply_is_given_once_to_many_threads() -> None:
    replies = InTurn([MockResponse(str(number)) for number in range(4000)])
    taken: list[str] = []

    def take() -> None:
        for _ in range(500):
            reply = replies.take()
            assert reply is not None
            taken.append(reply.text)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(taken) == Counter(str(number) for number in range(4000))
