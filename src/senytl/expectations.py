"""Expectations on what an agent answered and which tools its models asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from senytl.answer_text import find_text
from senytl.models import ToolCall

__all__ = ["Expectation", "expect"]

_TEXT_LENGTH = 500


def expect(response: Any) -> Expectation:
    """State what is expected of a response.

    Every expectation gives itself back, so that the next may follow::

        expect(response).to_contain("Paris").to_have_called("get_weather")

    Args:
        response: The response of a wrapped agent; for expectations on the text alone also a
            ``str``, or anything with a text.

    Raises:
        TypeError: If it has no text.
    """
    text = find_text(response)
    if text is None:
        raise TypeError(
            f"expect() takes a response, a str or anything with a text, not {response!r:.100}"
        )
    return Expectation(response, text)


class Expectation:
    """What is expected of one response; made by `expect`.

    Each method raises AssertionError where the expectation is not met, and says what was there.
    """

    def __init__(self, response: Any, text: str) -> None:
        self._response = response
        self._text = text

    def to_contain(self, text: str, *, case_sensitive: bool = True) -> Expectation:
        """The answer contains `text`."""
        __tracebackhide__ = True
        if not self._contains(text, case_sensitive):
            hint = ""
            if case_sensitive and self._contains(text, False):
                hint = "; it does with case_sensitive=False"
            raise AssertionError(f"the answer does not contain {text!r}{hint}\n{self._shown()}")
        return self

    def not_to_contain(self, text: str, *, case_sensitive: bool = True) -> Expectation:
        """The answer does not contain `text`."""
        __tracebackhide__ = True
        if self._contains(text, case_sensitive):
            raise AssertionError(f"the answer contains {text!r}\n{self._shown(around=text)}")
        return self

    def to_match(self, regex: str | re.Pattern[str]) -> Expectation:
        """`re.search` finds `regex` in the answer."""
        __tracebackhide__ = True
        if re.search(regex, self._text) is None:
            pattern = regex if isinstance(regex, str) else regex.pattern
            raise AssertionError(f"the answer does not match {pattern!r}\n{self._shown()}")
        return self

    def to_have_called(self, tool: str) -> Expectation:
        """A model asked for this tool during the run."""
        __tracebackhide__ = True
        if not self._calls_of(tool):
            raise AssertionError(f"the tool {tool!r} was not called\n{self._tools_shown()}")
        return self

    def not_to_have_called(self, tool: str) -> Expectation:
        """No model asked for this tool during the run."""
        __tracebackhide__ = True
        if self._calls_of(tool):
            raise AssertionError(f"the tool {tool!r} was called\n{self._tools_shown()}")
        return self

    def to_have_called_with(self, tool: str, /, **arguments: Any) -> Expectation:
        """A model asked for this tool with at least these arguments, in one call."""
        __tracebackhide__ = True
        calls = self._calls_of(tool)
        if not any(_has(call.arguments, arguments) for call in calls):
            wanted = _write_call(ToolCall(tool, arguments))
            what = "with other arguments" if calls else "not at all"
            raise AssertionError(f"{wanted} was called {what}\n{self._tools_shown()}")
        return self

    def to_have_response_time_under(self, seconds: float) -> Expectation:
        """The run took no more than `seconds`."""
        __tracebackhide__ = True
        duration = getattr(self._response, "duration_seconds", None)
        if not isinstance(duration, int | float):
            raise TypeError(
                f"{type(self._response).__name__} tells no duration: "
                "expect the response of a wrapped agent"
            )
        if duration > seconds:
            raise AssertionError(
                f"the response took {duration:.3f} s, {duration - seconds:.3f} s longer than the "
                f"{seconds:g} s allowed"
            )
        return self

    def _contains(self, text: str, case_sensitive: bool) -> bool:
        if case_sensitive:
            return text in self._text
        return text.casefold() in self._text.casefold()

    def _calls_of(self, tool: str) -> list[ToolCall]:
        return [call for call in self._tool_calls() if call.name == tool]

    def _tool_calls(self) -> list[ToolCall]:
        calls = getattr(self._response, "tool_calls", None)
        if not isinstance(calls, list | tuple) or not all(isinstance(c, ToolCall) for c in calls):
            raise TypeError(
                f"{type(self._response).__name__} tells no tool calls: "
                "expect the response of a wrapped agent"
            )
        return list(calls)

    def _shown(self, around: str = "") -> str:
        """The answer, shortened to what can be read in a test's report."""
        text = self._text
        if not text:
            return "the answer is empty"
        if len(text) <= _TEXT_LENGTH:
            return f"the answer: {text!r}"
        start = max(0, text.casefold().find(around.casefold()) - _TEXT_LENGTH // 2)
        part = text[start : start + _TEXT_LENGTH]
        before, after = "…" * (start > 0), "…" * (start + len(part) < len(text))
        return f"the answer, {len(text)} characters: {before}{part!r}{after}"

    def _tools_shown(self) -> str:
        calls = self._tool_calls()
        if not calls:
            return "no tool was called"
        return "called: " + "".join(f"\n  {_write_call(call)}" for call in calls)


def _has(actual: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(name in actual and actual[name] == value for name, value in wanted.items())


def _write_call(call: ToolCall) -> str:
    arguments = ", ".join(f"{name}={value!r:.200}" for name, value in call.arguments.items())
    return f"{call.name}({arguments})"
