from __future__ import annotations

from typing import Any

import pytest

from senytl.capture import PendingCall
from senytl.capture.pacing import Pace
from senytl.mocking import MockExhaustedError, MockRules
from senytl.mocking.answers import Loss, Refusal, Said
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
    reply = reply_to(rules, call(*texts, model=model))
    return None if reply is None else reply.text


def reply_to(rules: MockRules, call: PendingCall) -> MockResponse | None:
    said = rules.answer(call)
    assert said is None or isinstance(said, Said)
    return None if said is None else said.response


def fate(rules: MockRules, *texts: str | dict[str, Any], model: str = "gpt-4") -> str | int | None:
    """The text, the status of a refusal, or the name of another fault."""
    answer = rules.answer(call(*texts, model=model))
    if isinstance(answer, Said):
        return answer.response.text
    if isinstance(answer, Refusal):
        return answer.status
    return None if answer is None else type(answer).__name__


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
    gemini = PendingCall("gemini", "google", "gemini-pro", {"contents": contents}, False)
    reply = reply_to(rules, gemini)
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
    reply = reply_to(rules, gemini)
    assert reply is not None
    assert reply.text == "Hi"


def test_the_model_counts_where_it_is_no_part_of_the_request(rules: MockRules) -> None:
    rules.mock("gemini-pro").respond("pro")
    rules.mock("gemini-flash").respond("flash")
    replies = [
        reply_to(rules, PendingCall("gemini", "google", model, {"contents": "x"}, False))
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
        reply = reply_to(rules, call(text, model="claude-3-opus"))
        assert reply is not None
        assert reply.usage is not None
        usages.append(reply.usage)
    assert usages[0] == usages[2]
    assert usages[1].prompt_tokens > usages[0].prompt_tokens > 0
    assert usages[0].completion_tokens == usages[1].completion_tokens > 0
    assert usages[0].source == "estimate"  # nobody but Anthropic has its tokenizer


def test_tokens_that_the_reply_states_are_kept(rules: MockRules) -> None:
    rules.mock("gpt-4").respond(MockResponse("a", usage=TokenUsage(1000, 50, cached_tokens=800)))
    reply = reply_to(rules, call("x"))
    assert reply is not None
    assert reply.usage == TokenUsage(1000, 50, cached_tokens=800)


def test_a_sequence_counts_each_of_its_replies(rules: MockRules) -> None:
    rules.mock("claude-3-opus").respond_sequence(["short", "a much longer reply than that"])
    first, second = (reply_to(rules, call("x", model="claude-3-opus")) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.completion_tokens > first.usage.completion_tokens


def result(text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "1", "content": text}


def test_a_tool_s_result_is_looked_for_in_results_only(rules: MockRules) -> None:
    rules.mock("gpt-4").when(tool_result="sunny").respond("Wear sunglasses.")
    rules.mock("gpt-4").respond("default")
    assert answer(rules, "Is it sunny?") == "default"
    assert answer(rules, "Well?", result("sunny")) == "Wear sunglasses."
    assert answer(rules, "Well?", result("sunny"), "And?") == "default"


def test_a_tool_s_result_and_the_question_may_both_be_asked_for(rules: MockRules) -> None:
    model = rules.mock("gpt-4")
    model.when(tool_result="sunny", contains="wear").respond("Sunglasses.")
    model.when(tool_result="sunny", contains="go").respond("To the sea.")
    assert answer(rules, "What shall I wear?", result("sunny")) == "Sunglasses."
    assert answer(rules, "Where shall I go?", result("sunny")) == "To the sea."
    assert answer(rules, "Where shall I go?", result("rainy")) is None


def test_a_predicate_is_given_the_call_and_asked_once_each_time(rules: MockRules) -> None:
    seen: list[PendingCall] = []
    verdicts = iter([True, False, True])

    def decides(call: PendingCall) -> bool:
        seen.append(call)
        return next(verdicts)

    rules.mock("gpt-4").when(predicate=decides).fail(500, times=1).respond("yes")
    rules.mock("gpt-4").respond("no")
    assert [fate(rules, SYSTEM, "x") for _ in range(3)] == [500, "no", "yes"]
    assert seen == [call(SYSTEM, "x")] * 3


def test_a_predicate_and_a_text_must_both_hold(rules: MockRules) -> None:
    rules.mock("gpt-4").when(contains="a", predicate=lambda call: call.streamed).respond("A")
    assert answer(rules, "a") is None
    streamed = PendingCall("openai-chat", "openai", "gpt-4", call("a").request, True)
    assert reply_to(rules, streamed) is not None


def test_what_a_predicate_raises_reaches_the_caller(rules: MockRules) -> None:
    rules.mock("gpt-4").when(predicate=lambda call: bool(call.request["nothing"])).respond("A")
    with pytest.raises(KeyError, match="nothing"):
        answer(rules, "a")


def test_two_predicates_are_two_conditions_even_of_one_name(rules: MockRules) -> None:
    rules.mock("gpt-4").when(predicate=lambda call: "a" in str(call.request)).respond("A")
    rules.mock("gpt-4").when(predicate=lambda call: "b" in str(call.request)).respond("B")
    assert len(rules.describe()) == 2


def test_a_function_replies_to_each_call_anew(rules: MockRules) -> None:
    rules.mock("gpt-4").respond(lambda call: {"text": call.request["messages"][-1]["content"]})
    assert [answer(rules, text) for text in ("a", "b", "a")] == ["a", "b", "a"]
    rules.mock("gpt-4").respond_sequence([lambda call: call.model, "b"])
    assert [answer(rules, "x"), answer(rules, "x")] == ["gpt-4", "b"]


def test_the_tokens_of_what_a_function_replies_are_counted(rules: MockRules) -> None:
    rules.mock("claude-3-opus").respond(lambda call: "a " * call.request["max_tokens"])
    counts = []
    for number in (1, 100):
        request: dict[str, Any] = {"messages": [], "max_tokens": number}
        asked = PendingCall("anthropic-messages", "anthropic", "claude-3-opus", request, False)
        reply = reply_to(rules, asked)
        assert reply is not None
        assert reply.usage is not None
        counts.append(reply.usage.completion_tokens)
    assert counts[1] > 20 * counts[0] > 0


def test_faults_are_asked_before_replies_and_follow_each_other(rules: MockRules) -> None:
    rules.mock("gpt-4").fail(429, times=2).fail(529, times=1).timeout(times=1).respond("ok")
    fates = [fate(rules, "x") for _ in range(6)]
    assert fates == [429, 429, 529, "Silence", "ok", "ok"]


def test_a_fault_stated_after_the_reply_is_asked_before_it_all_the_same(rules: MockRules) -> None:
    rules.mock("gpt-4").respond("ok")
    rules.mock("gpt-*").fail(500, times=1)
    assert [fate(rules, "x"), fate(rules, "x")] == [500, "ok"]


def test_faults_keep_the_condition_for_what_follows(rules: MockRules) -> None:
    rules.mock("gpt-4").when(contains="a").fail(500, times=1).respond("A").respond("rest")
    assert [fate(rules, text) for text in "baa"] == ["rest", 500, "A"]


def test_a_fault_strikes_where_its_condition_decides_the_reply(rules: MockRules) -> None:
    rules.mock("gpt-4").when(contains="weather").fail(500).respond(tools="thermometer")
    rules.mock("gpt-4").when(contains="sunny").respond("Wear sunglasses.")
    assert fate(rules, "How is the weather?") == 500
    assert fate(rules, "How is the weather?", result("sunny")) == "Wear sunglasses."


def test_a_fault_is_stated_for_results_of_tools_too(rules: MockRules) -> None:
    rules.mock("gpt-4").when(tool_result="sunny").fail(500)
    rules.mock("gpt-4").respond("ok")
    assert fate(rules, "Well?", result("sunny")) == 500
    assert fate(rules, "Well?", result("rainy")) == "ok"


def test_a_fault_without_any_reply_leaves_other_calls_unanswered(rules: MockRules) -> None:
    rules.mock("gpt-4").when(contains="a").fail(500, times=1)
    assert [fate(rules, "b"), fate(rules, "a", "b"), fate(rules, "a")] == [None, 500, None]
    assert rules.describe() == ["gpt-4 when(contains='a'): fail(status=500), times=1"]


def test_a_reply_that_is_lost_stays_the_next_of_its_sequence(rules: MockRules) -> None:
    rules.mock("gpt-4").disconnect(after_chunks=1, times=1).respond_sequence(
        [{"text": "first", "latency": 0.5}, "second"]
    )
    lost = rules.answer(call("x"))
    assert isinstance(lost, Loss)
    assert lost.response.text == "first"
    assert lost.response.usage is not None
    assert lost.pace == Pace(latency=0.5)
    assert [answer(rules, "x"), answer(rules, "x")] == ["first", "second"]


def test_a_rate_strikes_the_same_calls_in_every_run() -> None:
    def struck(seed: int) -> list[bool]:
        rules = MockRules(seed)
        rules.mock("gpt-4").fail(429, rate=0.1).fail(429, rate=0.1).respond("ok")
        return [fate(rules, str(number)) == 429 for number in range(1000)]

    assert struck(0) == struck(0) != struck(1)
    # Two faults of the same words have each its own chance: 1 - 0.9 * 0.9.
    assert 140 <= sum(struck(0)) <= 240


def paces(rules: MockRules, count: int, text: str = "x") -> list[Pace | None]:
    said = [rules.answer(call(text)) for _ in range(count)]
    return [one.pace for one in said if isinstance(one, Said)]


def test_the_times_of_a_rule_s_calls_are_the_same_in_every_run() -> None:
    def run(of_all: int = 0, **keywords: Any) -> list[Pace | None]:
        rules = MockRules(of_all)
        rules.mock("gpt-4").when(contains="x").respond("a", latency=1.0, jitter=0.2, **keywords)
        rules.mock("gpt-4").respond("b")
        assert paces(rules, 1, text="b") == [None]  # another rule's call changes nothing
        return paces(rules, 20)

    first = run()
    assert first == run()
    assert len(set(first)) == 20
    assert run(1) != first
    assert run(1, seed=0) == first


def test_a_reply_stated_anew_has_its_times_from_the_start() -> None:
    rules = MockRules()
    rules.mock("gpt-4").respond("a", latency=1.0, jitter=0.2)
    first = paces(rules, 3)
    rules.mock("gpt-4").respond("b", latency=1.0, jitter=0.2)
    assert paces(rules, 3) == first


def test_the_replies_of_a_sequence_have_their_own_times(rules: MockRules) -> None:
    rules.mock("gpt-4").respond_sequence([{"text": "a", "ttft": 0.1}, "b"])
    assert paces(rules, 2) == [Pace(ttft=0.1), None]


def test_a_bad_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed is '1'; it must be a whole number"):
        MockRules("1")  # type: ignore[arg-type]
