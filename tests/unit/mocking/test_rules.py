from __future__ import annotations

from typing import Any

import pytest

from senytl.capture import PendingCall
from senytl.mocking import MockExhaustedError, MockRules
from senytl.models import MockResponse, TokenUsage

SYSTEM = {"role": "system", "content": "You are a critic."}


def call(*texts: str | dict[str, Any], model: str = "gpt-4") -> PendingCall:
    """A chat of the user's texts, with the model's answers in between."""
    messages: list[dict[str, Any]] = []
    for text in texts:
        if isinstance(text, dict):
            messages.append(text)
            continue
        if messages and messages[-1]["role"] == "user":
            messages.append({"role": "assistant", "content": "I see."})
        messages.append({"role": "user", "content": text})
    request = {"model": model, "messages": messages}
    return PendingCall("openai-chat", "openai", model, request, False)


@pytest.fixture
def rules() -> MockRules:
    return MockRules()


def answer(rules: MockRules, *texts: str | dict[str, Any], model: str = "gpt-4") -> str | None:
    reply = rules.answer(call(*texts, model=model))
    return None if reply is None else reply.text


def test_the_first_rule_that_was_stated_and_holds_answers(rules: MockRules) -> None:
    rules.mock("gpt-4").when(contains="hello").respond("first")
    rules.mock("gpt-4").when(regex="hel+o").respond("second")
    assert answer(rules, "hello") == "first"
    assert answer(rules, "helllo") == "second"
    assert answer(rules, "bye") is None
    assert answer(rules, "hello", model="gpt-3.5-turbo") is None


def test_the_latest_message_decides_before_anything_else(rules: MockRules) -> None:
    rules.mock("gpt-4").when(contains="hello").respond("Hi")
    rules.mock("gpt-4").when(contains="bye").respond("So long")
    rules.mock("gpt-4").when(contains="critic").respond("Bad")
    assert answer(rules, SYSTEM, "hello", "bye") == "So long"


def test_the_system_prompt_is_looked_at_where_the_latest_message_says_nothing(
    rules: MockRules,
) -> None:
    rules.mock("gpt-4").when(contains="You are a critic").respond("Bad")
    rules.mock("gpt-4").respond("Fine")
    assert answer(rules, SYSTEM, "Read this.") == "Bad"
    assert answer(rules, "Read this.") == "Fine"


def test_results_of_tools_that_were_just_given_decide_before_anything_else(
    rules: MockRules,
) -> None:
    rules.mock("gpt-4").when(contains="How warm").respond(tools="thermometer")
    rules.mock("gpt-4").when(regex="^18 C\\n55 %$").respond("It is mild and dry.")
    rules.mock("gpt-4").respond("What?")
    results = [{"role": "tool", "tool_call_id": str(n), "content": text}
               for n, text in enumerate(("18 C", "55 %"))]  # fmt: skip
    assert answer(rules, "How warm is it?", *results) == "It is mild and dry."
    assert answer(rules, "Hm?", *results) == "It is mild and dry."
    assert answer(rules, *results, "And now?") == "What?"


def test_the_name_of_a_tool_is_no_part_of_its_result(rules: MockRules) -> None:
    rules.mock("gemini-pro").when(contains="weather").respond(tools="weather")
    rules.mock("gemini-pro").when(contains="sunny").respond("Wear sunglasses.")
    contents = [
        {"role": "user", "parts": [{"text": "How is the weather?"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {}}}]},
        {"role": "user", "parts": [
            {"functionResponse": {"name": "weather", "response": {"result": "sunny"}}}]},
    ]  # fmt: skip
    reply = rules.answer(
        PendingCall("gemini", "google", "gemini-pro", {"contents": contents}, False)
    )
    assert reply is not None
    assert reply.text == "Wear sunglasses."


def test_earlier_messages_are_looked_at_last(rules: MockRules) -> None:
    rules.mock("gpt-4").when(contains="hello").respond("Hi")
    assert answer(rules, "hello", "and now?") == "Hi"
    rules.mock("gpt-4").respond("I do not know")
    assert answer(rules, "hello", "and now?") == "I do not know"


def test_a_reply_to_everything_waits_for_the_conditions_whenever_it_was_stated(
    rules: MockRules,
) -> None:
    rules.mock("gpt-4").respond("default").when(contains="hello").respond("Hi")
    assert answer(rules, "hello") == "Hi"
    assert answer(rules, "other") == "default"


def test_a_models_own_name_goes_before_a_glob(rules: MockRules) -> None:
    rules.mock("gpt-*").respond("any")
    rules.mock("gpt-4").respond("four")
    assert answer(rules, "x") == "four"
    assert answer(rules, "x", model="gpt-5") == "any"


def test_the_same_condition_stated_anew_replaces_the_reply_in_its_place(rules: MockRules) -> None:
    rules.mock("gpt-4").when(contains="a").respond("old")
    rules.mock("gpt-4").when(contains="b").respond("b")
    assert answer(rules, "a b") == "old"
    rules.mock("gpt-4").when(contains="a").respond("new")
    assert answer(rules, "a b") == "new"
    assert rules.describe() == ["gpt-4 when(contains='a')", "gpt-4 when(contains='b')"]


def test_a_condition_holds_for_one_reply_only(rules: MockRules) -> None:
    rules.mock("gpt-4").when(contains="a").respond("A").respond("rest")
    assert answer(rules, "a") == "A"
    assert answer(rules, "b") == "rest"


def test_a_prompt_without_messages_is_matched_too(rules: MockRules) -> None:
    rules.mock("gemini-pro").when(contains="hello").respond("Hi")
    request = {"contents": [{"parts": [{"text": "hello"}]}]}
    gemini = PendingCall("gemini", "google", "models/gemini-pro", request, False)
    reply = rules.answer(gemini)
    assert reply is not None
    assert reply.text == "Hi"


def test_the_model_counts_where_it_is_no_part_of_the_request(rules: MockRules) -> None:
    rules.mock("gemini-pro").respond("pro")
    rules.mock("gemini-flash").respond("flash")
    replies = [
        rules.answer(PendingCall("gemini", "google", model, {"contents": "x"}, False))
        for model in ("gemini-pro", "gemini-flash")
    ]
    assert [reply and reply.text for reply in replies] == ["pro", "flash"]


def test_a_sequence_that_is_exhausted_is_an_error_that_tells_what_to_do(rules: MockRules) -> None:
    rules.mock("gpt-4").when(contains="a").respond_sequence(["1", {"text": "2"}])
    assert [answer(rules, "a"), answer(rules, "a")] == ["1", "2"]
    expected = r"gpt-4 when\(contains='a'\) was called once too often: its 2 replies.*then=\"last\""
    with pytest.raises(MockExhaustedError, match=expected):
        answer(rules, "a")


def test_a_sequence_goes_on_where_asked(rules: MockRules) -> None:
    rules.mock("gpt-4").respond_sequence(["1", "2"], then="last")
    rules.mock("gpt-5").respond_sequence(["1", "2"], then="cycle")
    assert [answer(rules, "a") for _ in range(4)] == ["1", "2", "2", "2"]
    assert [answer(rules, "a", model="gpt-5") for _ in range(4)] == ["1", "2", "1", "2"]


@pytest.mark.parametrize("replies", ["ab", {"text": "a"}])
def test_a_sequence_of_one_text_is_refused(rules: MockRules, replies: Any) -> None:
    with pytest.raises(ValueError, match="takes a list of replies"):
        rules.mock("gpt-4").respond_sequence(replies)


def test_the_tokens_are_counted_for_the_prompt_at_hand(rules: MockRules) -> None:
    rules.mock("claude-3-opus").respond("A reply of some words.")
    usages = []
    for text in ("short", "long " * 100, "short"):
        reply = rules.answer(call(text, model="claude-3-opus"))
        assert reply is not None
        assert reply.usage is not None
        usages.append(reply.usage)
    assert usages[0] == usages[2]
    assert usages[1].prompt_tokens > usages[0].prompt_tokens > 0
    assert usages[0].completion_tokens == usages[1].completion_tokens > 0
    assert usages[0].source == "estimate"  # nobody but Anthropic has its tokenizer


def test_tokens_that_the_reply_states_are_kept(rules: MockRules) -> None:
    rules.mock("gpt-4").respond(MockResponse("a", usage=TokenUsage(1000, 50, cached_tokens=800)))
    reply = rules.answer(call("x"))
    assert reply is not None
    assert reply.usage == TokenUsage(1000, 50, cached_tokens=800)


def test_a_sequence_counts_each_of_its_replies(rules: MockRules) -> None:
    rules.mock("claude-3-opus").respond_sequence(["short", "a much longer reply than that"])
    first, second = (rules.answer(call("x", model="claude-3-opus")) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.completion_tokens > first.usage.completion_tokens
