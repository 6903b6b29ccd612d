from __future__ import annotations

import pytest

from senytl.mocking.matching import Condition, ModelPattern


@pytest.mark.parametrize(
    ("mocked", "asked"),
    [
        ("gpt-4", "gpt-4"),
        ("gpt-4", "openai/gpt-4"),
        ("openai/gpt-4", "gpt-4"),
        ("openai/gpt-4", "openrouter/openai/gpt-4"),
        ("gemini-pro", "models/gemini-pro"),
        ("gemini-pro", "publishers/google/models/gemini-pro"),
        ("GPT-4o", "gpt-4o"),
        ("my/own model", "my/own model"),
        ("gpt-4*", "gpt-4o-mini"),
        ("gpt-4*", "openai/gpt-4o"),
        ("openai/*", "openai/gpt-4"),
        ("gpt-[45]", "gpt-5"),
        ("*", "anything"),
    ],
)
def test_a_model_is_meant(mocked: str, asked: str) -> None:
    assert ModelPattern(mocked).matches(asked)


@pytest.mark.parametrize(
    ("mocked", "asked"),
    [
        ("gpt-4", "gpt-4o"),
        ("gpt-4", "gpt-4-0613"),
        ("azure/gpt-4", "openai/gpt-4"),
        ("gpt-4*", "gpt-3.5-turbo"),
        ("openai/*", "gpt-4"),
    ],
)
def test_another_model_is_not_meant(mocked: str, asked: str) -> None:
    assert not ModelPattern(mocked).matches(asked)


def test_an_empty_model_is_refused() -> None:
    with pytest.raises(ValueError, match="give its name, or a glob"):
        ModelPattern(" ")


def test_contains_and_regex_must_both_hold() -> None:
    condition = Condition(contains="price", regex=r"\d+ euros")
    assert condition.holds("the price is 12 euros")
    assert not condition.holds("the price is high")
    assert not condition.holds("12 euros")


def test_case_is_distinguished_unless_the_regex_says_otherwise() -> None:
    assert not Condition(contains="hello").holds("Hello")
    assert Condition(regex="(?i)hello").holds("Hello")


def test_no_condition_is_false_and_holds_always() -> None:
    assert not Condition()
    assert Condition().holds("")


def test_a_broken_regex_is_named_when_it_is_stated() -> None:
    with pytest.raises(ValueError, match=r"when\(regex='\(a'\) is not a regular expression: miss"):
        Condition(regex="(a")


@pytest.mark.parametrize("name", ["contains", "regex", "tool_result"])
@pytest.mark.parametrize("value", ["", 3])
def test_what_is_no_text_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name}=.*not empty"):
        Condition(**{name: value})  # type: ignore[arg-type]


def test_results_of_tools_are_looked_at_beside_the_text() -> None:
    condition = Condition(contains="weather", tool_result="sunny")
    assert condition.holds("the weather", "it is sunny")
    assert not condition.holds("the weather, sunny", "it is cloudy")
    assert not condition.holds("the sea", "it is sunny")
    assert Condition(tool_result="sunny").holds("", "it is sunny")


def test_a_predicate_must_be_a_plain_function() -> None:
    async def later(call: object) -> bool:
        return True

    with pytest.raises(ValueError, match=r"when\(predicate=...\) is 3; it must be a function"):
        Condition(predicate=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="is an async function; give a plain one"):
        Condition(predicate=later)  # type: ignore[arg-type]


def test_a_condition_says_what_it_asks() -> None:
    def is_long(call: object) -> bool:
        return True

    condition = Condition("a", "b", "c", is_long)
    words = "when(contains='a', regex='b', tool_result='c', predicate=is_long)"
    assert str(condition) == words
    assert str(Condition()) == "for any prompt"
    assert all([Condition("a"), Condition(tool_result="c"), Condition(predicate=is_long)])
