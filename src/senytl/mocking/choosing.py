"""Which rules hold for a call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, TypeVar

from senytl.mocking.faults import Fault, Limit
from senytl.mocking.matching import Condition, ModelPattern
from senytl.mocking.replies import Replies
from senytl.prompts import Prompt, read_prompt

if TYPE_CHECKING:
    from senytl.capture.calls import PendingCall

__all__ = ["Choice", "FaultRule", "ReplyRule", "RulesOfModel"]


@dataclass(frozen=True, slots=True, eq=False)
class ReplyRule:
    """The replies to calls of a kind.

    Args:
        model: The models that it is stated for.
        condition: For which of their calls.
        replies: What they reply.
        key: What the chance of its calls depends on, beside the seed; no other rule has it.
    """

    model: ModelPattern
    condition: Condition
    replies: Replies
    key: str

    def __str__(self) -> str:
        return f"{self.model.name} {self.condition}"


@dataclass(frozen=True, slots=True, eq=False)
class FaultRule:
    """A fault in calls of a kind.

    Args:
        model: The models that it is stated for.
        condition: For which of their calls.
        fault: What comes instead of a reply.
        limit: Which of these calls it strikes.
        key: What the chance of its calls depends on, beside the seed; no other rule has it.
    """

    model: ModelPattern
    condition: Condition
    fault: Fault
    limit: Limit
    key: str

    def __str__(self) -> str:
        return f"{self.model.name} {self.condition}: {self.fault}{self.limit}"


@dataclass(frozen=True, slots=True)
class Choice:
    """What holds for a call.

    Args:
        faults: The faults to ask, in their order.
        reply: The rule that replies where none of them strikes; None where there is none.
    """

    faults: tuple[FaultRule, ...]
    reply: ReplyRule | None


_Rule = TypeVar("_Rule", ReplyRule, FaultRule)


class RulesOfModel:
    """The rules for one model, sorted; made once and asked for each of its calls.

    Args:
        model: The model's name, as calls give it.
        replies: All rules that reply, in the order in which they were stated.
        faults: All faults, in the order in which they were stated.
    """

    def __init__(
        self, model: str, replies: Iterable[ReplyRule], faults: Iterable[FaultRule]
    ) -> None:
        stated = [rule for rule in replies if rule.model.matches(model)]
        self._faults = tuple(rule for rule in faults if rule.model.matches(model))
        self._replies = [rule for rule in stated if rule.condition]
        self._conditional_faults = [rule for rule in self._faults if rule.condition]
        defaults = [rule for rule in stated if not rule.condition]
        self._default = min(defaults, key=lambda rule: rule.model.is_glob) if defaults else None
        conditional: list[ReplyRule | FaultRule] = [*self._replies, *self._conditional_faults]
        self.only_choice = None if conditional else Choice(self._faults, self._default)
        """The choice for every call, where no rule has a condition."""
        self.by_request = all(rule.condition.predicate is None for rule in conditional)
        """Whether equal requests have the same choice; a predicate may change its mind."""

    def choose(self, call: PendingCall) -> Choice:
        """What holds for a call, by the order that `MockRules` tells."""
        if self.only_choice is not None:
            return self.only_choice
        asked = _Asked(call)
        struck: set[FaultRule] = set()
        reply: ReplyRule | None = None
        for place, text in enumerate(asked.texts):
            struck.update(asked.those_that_hold(self._conditional_faults, place, text))
            reply = next(asked.those_that_hold(self._replies, place, text), None)
            if reply is not None:
                break
        if reply is None:
            reply = self._default
        if reply is None:
            whole, place = asked.prompt.text, len(asked.texts)
            struck.update(asked.those_that_hold(self._conditional_faults, place, whole))
            reply = next(asked.those_that_hold(self._replies, place, whole), None)
        faults = (rule for rule in self._faults if not rule.condition or rule in struck)
        return Choice(tuple(faults), reply)


class _Asked:
    """A call as conditions see it: its texts, the newest first, and what predicates said."""

    def __init__(self, call: PendingCall) -> None:
        self._call = call
        self.prompt = read_prompt(call.request)
        self._results = _results(self.prompt)
        self.texts: Sequence[str] = (self._results, self.prompt.last_user, _system(self.prompt))
        self._verdicts: dict[int, bool] = {}

    def those_that_hold(self, rules: Iterable[_Rule], place: int, text: str) -> Iterator[_Rule]:
        """The rules whose condition holds for one of the texts.

        Those that look at no text speak of the call as a whole and are asked with the first.
        """
        for rule in rules:
            condition = rule.condition
            looked_at = bool(text) if condition.asks_text else place == 0
            if looked_at and condition.holds(text, self._results) and self._satisfies(condition):
                yield rule

    def _satisfies(self, condition: Condition) -> bool:
        """Whether a condition's predicate holds; it is asked once in a call."""
        predicate = condition.predicate
        if predicate is None:
            return True
        verdict = self._verdicts.get(id(predicate))
        if verdict is None:
            verdict = self._verdicts[id(predicate)] = bool(predicate(self._call))
        return verdict


def _results(prompt: Prompt) -> str:
    """The results of tools at the prompt's end, or nothing where it ends otherwise.

    They are asked first: the user's message is still the latest one of its kind, and the rule
    that let the model call the tools for it would do so for ever.
    """
    newest = takewhile(lambda message: message.role == "tool", reversed(prompt.messages))
    return "\n".join(reversed([message.text for message in newest]))


def _system(prompt: Prompt) -> str:
    return "\n".join(message.text for message in prompt.messages if message.role == "system")
