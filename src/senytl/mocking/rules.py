"""Mock rules: which reply answers which call."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from senytl.mocking.errors import MockExhaustedError
from senytl.mocking.matching import Condition, ModelPattern
from senytl.mocking.replies import Always, InTurn, Replies, Then, make_reply, read_reply
from senytl.models import MockResponse, ToolCall
from senytl.prompts import Prompt, compact_json, read_prompt

if TYPE_CHECKING:
    from senytl.capture import PendingCall

__all__ = ["MockRules", "ModelMock"]

_KEPT = 4096  # requests whose rule and tokens are remembered


@dataclass(frozen=True, slots=True)
class _Rule:
    model: ModelPattern
    condition: Condition
    replies: Replies

    def __str__(self) -> str:
        return f"{self.model.name} {self.condition}"


class MockRules:
    """Rules that answer LLM calls; an answerer of `senytl.capture`.

    Of the rules for a call's model, the first answers, in the order in which they were stated,
    whose condition holds for the results of tools with which the prompt ends; else for the latest
    message of the user; else for the system prompt. Where none does, a rule without a
    condition answers, one with the model's own name before a glob. Where there is none of these,
    the first whose condition holds anywhere in the prompt.

    Stating a model and a condition anew replaces the earlier reply, so that a test may override
    what a fixture states.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: tuple[_Rule, ...] = ()  # replaced, never changed: reading needs no lock
        self._memo = _Memo()

    def mock(self, model: str) -> ModelMock:
        """Begin to state what a model replies.

        Args:
            model: Its name, with or without a route to a vendor, or a glob.

        Raises:
            ValueError: If it is empty.
        """
        return ModelMock(self, ModelPattern(model))

    def state(self, model: ModelPattern, condition: Condition, replies: Replies) -> None:
        """State a rule; one with the same model and condition is replaced, in its place."""
        stated = _Rule(model, condition, replies)
        with self._lock:
            rules = list(self._rules)
            for index, rule in enumerate(rules):
                if (rule.model, rule.condition) == (model, condition):
                    rules[index] = stated
                    break
            else:
                rules.append(stated)
            self._rules = tuple(rules)
            self._memo = _Memo()

    def describe(self) -> list[str]:
        """The rules in words, in the order in which they were stated."""
        return [str(rule) for rule in self._rules]

    def answer(self, call: PendingCall) -> MockResponse | None:
        """Answer a call; None where no rule holds for it.

        Raises:
            MockExhaustedError: If the rule that holds has no more replies.
        """
        memo, rules = self._memo, self._rules
        if not rules:
            return None
        # The model stands in the path, not in the body, of Gemini's calls.
        body = f"{call.model}\n{compact_json(call.request)}"
        digest = blake2b(body.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        try:
            rule = memo.rules[digest]
        except KeyError:
            rule = _choose(rules, call)
            memo.remember_rule(digest, rule)
        if rule is None:
            return None
        reply = rule.replies.take()
        if reply is None:
            raise MockExhaustedError(str(rule), rule.replies.count)
        if reply.usage is not None:
            return reply
        return memo.complete(digest, call, reply)


def _choose(rules: Iterable[_Rule], call: PendingCall) -> _Rule | None:
    """The rule that answers a call, by the order that `MockRules` tells."""
    stated = [rule for rule in rules if rule.model.matches(call.model)]
    conditional = [rule for rule in stated if rule.condition]
    if conditional:
        prompt = read_prompt(call.request)
        for text in (_results(prompt), prompt.last_user, _system(prompt)):
            for rule in conditional if text else ():
                if rule.condition.holds(text):
                    return rule
    defaults = [rule for rule in stated if not rule.condition]
    if defaults:
        return min(defaults, key=lambda rule: rule.model.is_glob)
    if conditional:
        return next((rule for rule in conditional if rule.condition.holds(prompt.text)), None)
    return None


def _results(prompt: Prompt) -> str:
    """The results of tools at the prompt's end, or nothing where it ends otherwise.

    They are asked first: the user's message is still the latest one of its kind, and the rule
    that let the model call the tools for it would do so for ever.
    """
    newest = takewhile(lambda message: message.role == "tool", reversed(prompt.messages))
    return "\n".join(reversed([message.text for message in newest]))


def _system(prompt: Prompt) -> str:
    return "\n".join(message.text for message in prompt.messages if message.role == "system")


class _Memo:
    """What was found for requests seen before, so that a fast load test is not slowed.

    It dies with the list of rules that it was made for. Two threads may find the same thing at
    once; that does no harm.
    """

    def __init__(self) -> None:
        self.rules: dict[bytes, _Rule | None] = {}
        # By the reply's identity; the reply is kept alive beside what became of it.
        self._complete: dict[tuple[bytes, int], tuple[MockResponse, MockResponse]] = {}

    def remember_rule(self, digest: bytes, rule: _Rule | None) -> None:
        if len(self.rules) >= _KEPT:
            self.rules.clear()
        self.rules[digest] = rule

    def complete(self, digest: bytes, call: PendingCall, reply: MockResponse) -> MockResponse:
        """The reply with its tokens counted."""
        key = (digest, id(reply))
        found = self._complete.get(key)
        if found is None:
            from senytl.performance.tokens import count_usage

            if len(self._complete) >= _KEPT:
                self._complete.clear()
            usage = count_usage(call.model, call.request, reply)
            found = self._complete[key] = (reply, replace(reply, usage=usage))
        return found[1]


class ModelMock:
    """What a mocked model replies; made by ``senytl.mock(model)``.

    Every statement gives the mock of the model back, so that the next may follow::

        senytl.mock("gpt-4").when(contains="hello").respond("Hi!").respond("I do not know.")
    """

    def __init__(
        self, rules: MockRules, model: ModelPattern, condition: Condition | None = None
    ) -> None:
        self._rules = rules
        self._model = model
        self._condition = condition or Condition()

    def when(self, *, contains: str | None = None, regex: str | None = None) -> ModelMock:
        """State for which prompts the reply that follows is meant.

        Both are looked for in results of tools that the prompt ends with, then in the latest
        message of the user, then in the system prompt and the rest of what came after that
        message, and in earlier messages only where no other reply is stated.

        Args:
            contains: A text in the prompt, upper and lower case distinguished.
            regex: A regular expression, found anywhere in the prompt as by `re.search`.
                Given both, both must hold; given neither, every prompt is meant.

        Raises:
            ValueError: If either is empty, or `regex` is no regular expression.
        """
        return ModelMock(self._rules, self._model, Condition(contains, regex))

    def respond(
        self,
        text: str | MockResponse = "",
        *,
        tools: str | Iterable[str] | Mapping[str, Mapping[str, Any]] = (),
        tool_calls: Iterable[ToolCall | Mapping[str, Any]] = (),
    ) -> ModelMock:
        """State the reply to every call that the condition holds for.

        Args:
            text: The text; or a whole `MockResponse`, which may state its token usage too.
                Without one, the tokens are counted as those of a call without usage are.
            tools: Tools that the model asks for: their names, or their arguments by name.
            tool_calls: The same in full: `ToolCall`, a dict with ``name``, ``arguments`` and
                ``id``, or OpenAI's form with ``function`` in it.

        Returns:
            The mock of the model, without the condition.

        Raises:
            ValueError: If the reply says nothing, or any part of it is not as described.
        """
        reply = make_reply(text, tools=tools, tool_calls=tool_calls)
        return self._state(Always(reply), [reply])

    def respond_sequence(
        self,
        replies: Iterable[str | MockResponse | Mapping[str, Any]],
        *,
        then: Then = "error",
    ) -> ModelMock:
        """State one reply after the other, each given once.

        Args:
            replies: Texts, `MockResponse` objects, or dicts of the keywords of `respond`.
            then: What follows the last one: an error (``"error"``), the ``"last"`` again, or
                all anew (``"cycle"``). A load test wants one of the latter two.

        Returns:
            The mock of the model, without the condition.

        Raises:
            ValueError: If there are none, or any of them is not as described.
        """
        if isinstance(replies, str | Mapping):
            raise ValueError("respond_sequence takes a list of replies; use respond for one")
        made = [read_reply(reply) for reply in replies]
        return self._state(InTurn(made, then), made)

    def _state(self, replies: Replies, made: Iterable[MockResponse]) -> ModelMock:
        self._load_vocabulary(made)
        self._rules.state(self._model, self._condition, replies)
        return ModelMock(self._rules, self._model)

    def _load_vocabulary(self, made: Iterable[MockResponse]) -> None:
        """Load what counts the replies' tokens now, not inside the first call, which is timed."""
        from senytl.performance.tokens import count_usage

        for reply in made:
            if reply.usage is None:
                count_usage(self._model.name, {"messages": []}, reply)
