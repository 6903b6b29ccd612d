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


@pytest.mark.parametrize("name", ["contains", "regex"])
@pytest.mark.parametrize("value", ["", 3])
def test_what_is_no_text_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name}=.*not empty"):
        Condition(**{name: value})  # type: ignore[arg-type]
