from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from senytl import expect
from senytl.expectations import Expectation
from senytl.models import LLMCallRecord, MockResponse, SenytlResponse, ToolCall


def response(text: str = "", *tools: ToolCall, seconds: float = 0.5) -> SenytlResponse:
    call = LLMCallRecord("openai", "gpt-4", {}, MockResponse(tool_calls=tools))
    return SenytlResponse(text, raw=None, duration_seconds=seconds, llm_calls=[call])


def test_every_expectation_gives_itself_back() -> None:
    answer = response("It is 18 C in Paris", ToolCall("weather", {"city": "Paris", "unit": "C"}))
    expectation = expect(answer)
    assert (
        expectation.to_contain("Paris")
        .to_contain("paris", case_sensitive=False)
        .not_to_contain("paris")
        .to_match(r"\d+ C")
        .to_match(re.compile("it is", re.IGNORECASE))
        .to_have_called("weather")
        .not_to_have_called("search")
        .to_have_called_with("weather", city="Paris")
        .to_have_called_with("weather")
        .to_have_response_time_under(0.5)
        is expectation
    )


ANSWER = response(
    "It is 18 C", ToolCall("weather", {"city": "Paris", "unit": "C"}), ToolCall("clock")
)
CALLED = "called: \n  weather(city='Paris', unit='C')\n  clock()"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (
            lambda e: e.to_contain("Rome"),
            "the answer does not contain 'Rome'\nthe answer: 'It is 18 C'",
        ),
        (
            lambda e: e.to_contain("it is"),
            "the answer does not contain 'it is'; it does with case_sensitive=False\n"
            "the answer: 'It is 18 C'",
        ),
        (lambda e: e.not_to_contain("18"), "the answer contains '18'\nthe answer: 'It is 18 C'"),
        (
            lambda e: e.not_to_contain("it is", case_sensitive=False),
            "the answer contains 'it is'\nthe answer: 'It is 18 C'",
        ),
        (lambda e: e.to_match("^18"), "the answer does not match '^18'\nthe answer: 'It is 18 C'"),
        (lambda e: e.to_have_called("search"), f"the tool 'search' was not called\n{CALLED}"),
        (lambda e: e.not_to_have_called("clock"), f"the tool 'clock' was called\n{CALLED}"),
        (
            lambda e: e.to_have_called_with("weather", city="Rome"),
            f"weather(city='Rome') was called with other arguments\n{CALLED}",
        ),
        (
            lambda e: e.to_have_called_with("weather", country=None),
            f"weather(country=None) was called with other arguments\n{CALLED}",
        ),
        (
            lambda e: e.to_have_called_with("search", query="a"),
            f"search(query='a') was called not at all\n{CALLED}",
        ),
        (
            lambda e: e.to_have_response_time_under(0.2),
            "the response took 0.500 s, 0.300 s longer than the 0.2 s allowed",
        ),
    ],
)
def test_what_was_there_is_shown(broken: Callable[[Expectation], object], message: str) -> None:
    with pytest.raises(AssertionError) as caught:
        broken(expect(ANSWER))
    assert str(caught.value) == message


def test_an_empty_answer_without_tools_is_said_to_be_so() -> None:
    with pytest.raises(AssertionError, match="the answer is empty"):
        expect(response()).to_contain("a")
    with pytest.raises(AssertionError, match="no tool was called"):
        expect(response()).to_have_called("a")


def test_a_long_answer_is_shortened_around_what_was_found() -> None:
    text = "a" * 5000 + "needle" + "b" * 5000
    with pytest.raises(AssertionError) as missing:
        expect(text).to_contain("other")
    assert "the answer, 10006 characters: 'aaa" in str(missing.value)
    assert len(str(missing.value)) < 700
    with pytest.raises(AssertionError) as found:
        expect(text).not_to_contain("needle")
    assert "aneedleb" in str(found.value)
    assert len(str(found.value)) < 700


@pytest.mark.parametrize("answer", ["hello", SimpleNamespace(text="hello"), {"output": "hello"}])
def test_whatever_has_a_text_will_do(answer: Any) -> None:
    expect(answer).to_contain("hell")


@pytest.mark.parametrize("answer", [None, 3, object()])
def test_what_has_no_text_is_refused(answer: object) -> None:
    with pytest.raises(TypeError, match=r"takes a response, a str or anything with a text"):
        expect(answer)


def test_a_text_alone_tells_no_tools_and_no_time() -> None:
    with pytest.raises(TypeError, match="str tells no tool calls"):
        expect("hello").not_to_have_called("search")
    with pytest.raises(TypeError, match="str tells no duration"):
        expect("hello").to_have_response_time_under(1)


def test_pytest_shows_the_users_own_line(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from senytl import expect

        def test_answer():
            expect("a").to_contain("b")
        """
    )
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(['>*expect("a").to_contain("b")', "*does not contain 'b'*"])
    result.stdout.no_fnmatch_line("*expectations.py*")
