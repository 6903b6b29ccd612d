"""Stating what a mocked model replies, how fast, and how it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from senytl.mocking.faults import Disconnect, Fail, Fault, Limit, Timeout
from senytl.mocking.matching import Condition, ModelPattern
from senytl.mocking.replies import (
    Always,
    InTurn,
    Maker,
    Replies,
    Reply,
    Stated,
    Then,
    make_reply,
    read_reply,
)
from senytl.mocking.responses import Tools, UsageLike
from senytl.models import MockResponse, ToolCall

if TYPE_CHECKING:
    from senytl.capture.calls import PendingCall
    from senytl.mocking.rules import MockRules

__all__ = ["ModelMock"]

_OF_EACH_VOCABULARY = ("gpt-4o", "gpt-4")
"""A model of each of tiktoken's vocabularies that chats are counted with."""


class ModelMock:
    """What a mocked model replies; made by ``senytl.mock(model)``.

    Every statement gives the mock of the model back, so that the next may follow::

        senytl.mock("gpt-4").when(contains="hello").respond("Hi!").respond("I do not know.")

    Faults keep the condition, so that a reply to the same calls may follow::

        senytl.mock("gpt-4").when(contains="hello").fail(429, times=2).respond("Hi!")
    """

    def __init__(
        self, rules: MockRules, model: ModelPattern, condition: Condition | None = None
    ) -> None:
        self._rules = rules
        self._model = model
        self._condition = condition or Condition()

    def when(
        self,
        *,
        contains: str | None = None,
        regex: str | None = None,
        tool_result: str | None = None,
        predicate: Callable[[PendingCall], bool] | None = None,
    ) -> ModelMock:
        """State for which calls what follows is meant; given several, all must hold.

        `contains` and `regex` are looked for in results of tools that the prompt ends with, then
        in the latest message of the user, then in the system prompt, and in earlier messages only
        where no other reply is stated.

        Args:
            contains: A text in the prompt, upper and lower case distinguished.
            regex: A regular expression, found anywhere in the prompt as by `re.search`.
            tool_result: A text in the results of tools that the prompt ends with, and there only.
            predicate: A function that is given the call (`senytl.capture.PendingCall`: ``model``,
                ``request``, ``streamed``...) and says whether it is meant. It is asked at most once
                for each call, on the thread that makes it; what it raises reaches the caller's
                code. Without any of these, every call is meant.

        Raises:
            ValueError: If any is empty, `regex` is no regular expression, or `predicate` is no
                plain function.
        """
        condition = Condition(contains, regex, tool_result, predicate)
        return ModelMock(self._rules, self._model, condition)

    def respond(
        self,
        text: str | MockResponse | Maker = "",
        *,
        tools: Tools = (),
        tool_calls: Iterable[ToolCall | Mapping[str, Any]] = (),
        usage: UsageLike | None = None,
        latency: float | None = None,
        ttft: float | None = None,
        tokens_per_second: float | None = None,
        jitter: float | None = None,
        seed: int | None = None,
    ) -> ModelMock:
        """State the reply to every call that the condition holds for.

        Args:
            text: The text; or a whole `MockResponse`, which may state its token usage too; or a
                function of the call (`senytl.capture.PendingCall`) that gives either of these or a
                dict of the keywords of `respond`, which go before those given here. It is asked on
                the thread that makes the call; what it raises reaches the caller's code.
            tools: Tools that the model asks for: their names, or their arguments by name.
            tool_calls: The same in full: `ToolCall`, a dict with ``name``, ``arguments`` and
                ``id``, or OpenAI's form with ``function`` in it.
            usage: The tokens that the model reports: a `TokenUsage`, a dict of its fields, or those
                of prompt and completion as ``(900, 5)``. Without it they are counted as those of a
                call without usage are.
            latency: Seconds until the whole reply is there; the chunks of a stream are spread
                evenly over them.
            ttft: Seconds until the first chunk of a stream. Without a time, a reply comes at once.
            tokens_per_second: Tokens after the first one, instead of `latency`.
            jitter: By what share each of these times varies from call to call, from 0 to 1: each
                is multiplied by a factor between ``1 - jitter`` and ``1 + jitter``.
            seed: What the factors depend on, instead of the seed of the session; the n-th call of a
                rule has the same ones in every run.

        Returns:
            The mock of the model, without the condition.

        Raises:
            ValueError: If the reply says nothing, any part of it is not as described, or one time
                contradicts another.
        """
        reply = make_reply(
            text,
            tools=tools,
            tool_calls=tool_calls,
            usage=usage,
            latency=latency,
            ttft=ttft,
            tokens_per_second=tokens_per_second,
            jitter=jitter,
            seed=seed,
        )
        return self._state(Always(reply), [reply])

    def respond_sequence(
        self,
        replies: Iterable[str | MockResponse | Maker | Mapping[str, Any]],
        *,
        then: Then = "error",
    ) -> ModelMock:
        """State one reply after the other, each given once.

        Args:
            replies: Texts, `MockResponse` objects, functions of the call, or dicts of the keywords
                of `respond`.
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

    def fail(
        self,
        status: int,
        *,
        rate: float | None = None,
        times: int | None = None,
        retry_after: float | None = None,
        latency: float | None = None,
    ) -> ModelMock:
        """State that calls are refused with an HTTP status, in the provider's own words.

        The SDK sees it as it sees the provider's refusal: it retries, and then raises its own
        error. Each attempt is a call.

        Args:
            status: The status, 400 to 599, such as 429 (rate limit), 500 or 529 (overloaded).
            rate: The share of the calls that is struck, from 0 to 1; which ones is the same in
                every run with the same seed.
            times: How many calls are struck at most.
            retry_after: Seconds after which the client is told to try again, in the header
                ``retry-after``.
            latency: Seconds until the refusal comes.

        Returns:
            This mock, with the condition. A call that is not struck goes on to the next fault, and
            then to the reply.

        Raises:
            ValueError: If any value makes no sense.
        """
        return self._state_fault(Fail(status, retry_after, latency), Limit(rate, times))

    def timeout(
        self, after: float = 0.0, *, rate: float | None = None, times: int | None = None
    ) -> ModelMock:
        """State that the client waits for a reply in vain, until its HTTP library gives up.

        Args:
            after: Seconds until it does, whatever timeout it was given.
            rate: As in `fail`.
            times: As in `fail`.

        Returns:
            This mock, with the condition.

        Raises:
            ValueError: If any value makes no sense.
        """
        return self._state_fault(Timeout(after), Limit(rate, times))

    def disconnect(
        self, after_chunks: int = 0, *, rate: float | None = None, times: int | None = None
    ) -> ModelMock:
        """State that the connection is lost in the middle of the reply.

        The reply is the one that the call would get, at its pace; it stays the next one of a
        sequence. A reply that is no stream is lost as a whole, after the time that it would take.

        Args:
            after_chunks: The number of chunks of a stream that come before.
            rate: As in `fail`.
            times: As in `fail`.

        Returns:
            This mock, with the condition.

        Raises:
            ValueError: If any value makes no sense.
        """
        return self._state_fault(Disconnect(after_chunks), Limit(rate, times))

    def _state(self, replies: Replies, made: Iterable[Stated]) -> ModelMock:
        self._load_vocabulary(made)
        self._rules.state(self._model, self._condition, replies)
        return ModelMock(self._rules, self._model)

    def _state_fault(self, fault: Fault, limit: Limit) -> ModelMock:
        self._rules.state_fault(self._model, self._condition, fault, limit)
        return self

    def _load_vocabulary(self, made: Iterable[Stated]) -> None:
        """Load what counts the replies' tokens now, not inside the first call, which is timed."""
        from senytl.performance.tokens import count_usage

        # A glob stands for models of either vocabulary.
        models = [name for name in _OF_EACH_VOCABULARY if self._model.matches(name)]
        for reply in made:
            response = reply.response if isinstance(reply, Reply) else MockResponse("Made.")
            if response.usage is None:
                for model in models if self._model.is_glob else [self._model.name]:
                    count_usage(model, {"messages": []}, response)
