"""Mock rules: which reply answers which call, and which fault strikes it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeVar

from senytl.mocking.answers import Said
from senytl.mocking.choosing import Choice, FaultRule, ReplyRule, RulesOfModel
from senytl.mocking.draws import read_seed
from senytl.mocking.errors import MockExhaustedError
from senytl.mocking.faults import Fault, Limit
from senytl.mocking.matching import Condition, ModelPattern
from senytl.mocking.model import ModelMock
from senytl.mocking.replies import Replies, Stated
from senytl.models import MockResponse
from senytl.prompts import compact_json

if TYPE_CHECKING:
    from senytl.capture.calls import Answer, PendingCall

__all__ = ["MockRules"]

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_KEPT = 256  # models, and requests, of which is remembered what was found for them


class MockRules:
    """Rules that answer LLM calls; an answerer of `senytl.capture`.

    Of the rules for a call's model, the first answers, in the order in which they were stated,
    whose condition holds for the results of tools with which the prompt ends; else for the latest
    message of the user; else for the system prompt. Where none does, a rule without a
    condition answers, one with the model's own name before a glob. Where there is none of these,
    the first whose condition holds anywhere in the prompt. A condition that looks at no text, a
    predicate, speaks of the call as a whole and is asked with the results of tools.

    Faults are asked before that, in the order in which they were stated: those without a condition,
    and those whose condition holds for one of the texts that were looked at for the reply.

    Stating a model and a condition anew replaces the earlier reply, so that a test may override
    what a fixture states. Faults add up.

    Args:
        seed: What chance depends on: with the same seed and the same statements, the n-th call of
            a rule has the same fate and the same times.

    Raises:
        ValueError: If the seed is no whole number.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = read_seed(seed)
        self._lock = threading.Lock()
        self._stated = _Statements((), ())  # replaced, never changed: reading needs no lock

    def mock(self, model: str) -> ModelMock:
        """Begin to state what a model replies.

        Args:
            model: Its name, with or without a route to a vendor, or a glob.

        Raises:
            ValueError: If it is empty.
        """
        return ModelMock(self, ModelPattern(model))

    def state(self, model: ModelPattern, condition: Condition, replies: Replies) -> None:
        """State replies; those with the same model and condition are replaced, in their place."""
        with self._lock:
            rules = list(self._stated.replies)
            for index, rule in enumerate(rules):
                if (rule.model, rule.condition) == (model, condition):
                    rules[index] = replace(rule, replies=replies)
                    break
            else:
                rule = ReplyRule(model, condition, replies, "")
                rules.append(replace(rule, key=_key_of(rule, rules)))
            self._stated = _Statements(tuple(rules), self._stated.faults)

    def state_fault(
        self, model: ModelPattern, condition: Condition, fault: Fault, limit: Limit
    ) -> None:
        """State a fault, after those that are stated already."""
        with self._lock:
            faults = self._stated.faults
            rule = FaultRule(model, condition, fault, limit, "")
            rule = replace(rule, key=_key_of(rule, faults))
            self._stated = _Statements(self._stated.replies, (*faults, rule))

    @property
    def models(self) -> list[str]:
        """The models that anything is stated for, as they were named, globs included."""
        rules: list[ReplyRule | FaultRule] = [*self._stated.replies, *self._stated.faults]
        return list(dict.fromkeys(rule.model.name for rule in rules))

    def describe(self) -> list[str]:
        """The rules in words, in the order in which they were stated; faults follow replies."""
        stated = self._stated
        return [*map(str, stated.replies), *map(str, stated.faults)]

    def answer(self, call: PendingCall) -> Answer | None:
        """Answer a call; None where no rule holds for it.

        Raises:
            MockExhaustedError: If the rule that holds has no more replies.
            MockError: If the function that is to reply gives no reply.
            Exception: Whatever a predicate, or a function that is to reply, raises.
        """
        stated = self._stated
        if stated.is_empty:
            return None
        request = _Request(call)
        choice = stated.choose(request)
        for rule in choice.faults:
            number = rule.limit.strikes(self._seed, rule.key)
            if number is not None:
                return self._fault(stated, request, choice.reply, rule, number)
        if choice.reply is None:
            return None
        taken = choice.reply.replies.take()
        if taken is None:
            raise MockExhaustedError(str(choice.reply), choice.reply.replies.count)
        number, reply = taken
        return self._say(stated, request, reply, choice.reply.key, number)

    def _fault(
        self,
        stated: _Statements,
        request: _Request,
        reply_rule: ReplyRule | None,
        rule: FaultRule,
        number: int,
    ) -> Answer:
        def reply() -> Said | None:
            """The reply that the fault comes upon; it is not taken, since nobody gets it whole."""
            lost = None if reply_rule is None else reply_rule.replies.peek()
            return None if lost is None else self._say(stated, request, lost, rule.key, number)

        return rule.fault.strike(reply)

    def _say(
        self, stated: _Statements, request: _Request, reply: Stated, key: str, number: int
    ) -> Said:
        made = reply.made_for(request.call)
        if made.response.usage is None:
            said = stated.counted(request, made.response, keep=reply.is_constant)
        else:
            said = Said(made.response)
        if made.timing is None:
            return said
        return Said(said.response, made.timing.pace_of(self._seed, key, number))


def _key_of(rule: ReplyRule | FaultRule, others: Sequence[ReplyRule | FaultRule]) -> str:
    """What tells a rule's chance from that of others, the same in every run."""
    words = str(rule)
    return f"{words} {sum(str(other) == words for other in others)}"


class _Request:
    """A call's request, with the digest by which equal ones are known; made where it is needed."""

    __slots__ = ("_digest", "call")

    def __init__(self, call: PendingCall) -> None:
        self.call = call
        self._digest: bytes | None = None

    @property
    def digest(self) -> bytes:
        if self._digest is None:
            # The model stands in the path, not in the body, of Gemini's calls.
            body = f"{self.call.model}\n{compact_json(self.call.request)}"
            encoded = body.encode("utf-8", "surrogatepass")
            self._digest = blake2b(encoded, digest_size=16).digest()
        return self._digest


class _Statements:
    """All rules, with what was found for requests seen before, so that a load test is not slowed.

    Two threads may find the same thing at once; that does no harm.
    """

    def __init__(self, replies: tuple[ReplyRule, ...], faults: tuple[FaultRule, ...]) -> None:
        self.replies = replies
        self.faults = faults
        self.is_empty = not (replies or faults)
        self._of_models: dict[str, RulesOfModel] = {}
        self._choices: dict[bytes, Choice] = {}
        # By the response's identity; it is kept alive beside what became of it.
        self._counted: dict[tuple[bytes, int], tuple[MockResponse, Said]] = {}

    def choose(self, request: _Request) -> Choice:
        """What holds for a call."""
        call = request.call
        rules = self._of_models.get(call.model)
        if rules is None:
            rules = RulesOfModel(call.model, self.replies, self.faults)
            _keep(self._of_models, call.model, rules)
        if rules.only_choice is not None:
            return rules.only_choice
        if not rules.by_request:
            return rules.choose(call)
        choice = self._choices.get(request.digest)
        if choice is None:
            choice = rules.choose(call)
            _keep(self._choices, request.digest, choice)
        return choice

    def counted(self, request: _Request, response: MockResponse, *, keep: bool) -> Said:
        """A response with its tokens counted, which comes at once.

        Args:
            request: What was asked.
            response: The response without usage.
            keep: Whether the same object will come again.
        """
        key = (request.digest, id(response)) if keep else None
        found = None if key is None else self._counted.get(key)
        if found is not None:
            return found[1]
        from senytl.performance.tokens import count_usage

        usage = count_usage(request.call.model, request.call.request, response)
        said = Said(replace(response, usage=usage))
        if key is not None:
            _keep(self._counted, key, (response, said))
        return said


def _keep(kept: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    # The oldest goes, so that its size is reached early and then stays: nothing that looks like a
    # leak of the agent. Another thread may be at it too.
    with suppress(RuntimeError, StopIteration):
        while len(kept) >= _KEPT:
            kept.pop(next(iter(kept)), None)
    kept[key] = value
