from __future__ import annotations

from types import SimpleNamespace as Thing
from typing import Any

import pytest

from senytl.answer_text import find_text, join_chunks


class Unhelpful:
    """As SDKs' responses without text are."""

    @property
    def text(self) -> str:
        raise ValueError("no text here")

    output = "but this"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("hello", "hello"),
        ("", ""),
        (Thing(text="hello"), "hello"),
        (Thing(content="hello"), "hello"),
        (Thing(output_text="hello", output=[Thing(type="message")]), "hello"),
        (Thing(output="hello"), "hello"),
        (Thing(text=Thing(format="plain"), output_text="hello"), "hello"),
        (Unhelpful(), "but this"),
        ({"text": "hello"}, "hello"),
        ({"input": "q", "output": "hello"}, "hello"),
        ({"content": [{"type": "text", "text": "hello"}]}, "hello"),
        (Thing(content=[Thing(type="text", text="hel"), Thing(type="text", text="lo")]), "hello"),
        (Thing(content=["hel", {"type": "text", "text": "lo"}]), "hello"),
        (Thing(content=[Thing(type="tool_use", name="search", input={})]), ""),
        (Thing(choices=[Thing(message=Thing(content="hello"))]), "hello"),
        (Thing(choices=[Thing(message=Thing(content=None, tool_calls=[1]))]), ""),
        ({"choices": [{"message": {"content": "hello"}}]}, "hello"),
        ({"messages": [Thing(content="question"), Thing(content="hello")]}, "hello"),
        ([Thing(type="text", text="hello")], "hello"),
        (Thing(text=None), ""),
        (Thing(text=None, output="hello"), "hello"),
    ],
)
def test_the_text_of_an_answer(answer: Any, text: str) -> None:
    assert find_text(answer) == text


@pytest.mark.parametrize("answer", [None, 3, object(), {"a": 1}, ["a", "b"], [1, 2], Thing(text=3)])
def test_what_has_no_text(answer: Any) -> None:
    assert find_text(answer) is None


def test_chunks_of_every_kind_are_joined() -> None:
    chunks = [
        "a",
        Thing(choices=[Thing(delta=Thing(content="b"))]),
        Thing(choices=[Thing(delta=Thing(content=None))]),
        Thing(choices=[]),
        Thing(type="content_block_delta", delta=Thing(type="text_delta", text="c")),
        Thing(type="content_block_start", content_block=Thing(text="")),
        Thing(type="response.output_text.delta", delta="d"),
        Thing(type="response.output_text.done", text="no more than what came before"),
        Thing(type="response.function_call_arguments.delta", delta="{}"),
        Thing(text="e"),
        Thing(text=None),
        Thing(content="f"),
        7,
    ]
    assert join_chunks(chunks) == "abcdef"
