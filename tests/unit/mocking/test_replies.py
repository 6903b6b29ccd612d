from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from senytl.capture import PendingCall
from senytl.capture.pacing import Pace
from senytl.mocking import MockError
from senytl.mocking.replies import Always, InTurn, Replies, Reply, make_reply, read_reply
from senytl.mocking.timing import Timing
from senytl.models import MockResponse, TokenUsage, ToolCall

A, B, C = (Reply(MockResponse(text)) for text in "abc")
CALL = PendingCall("openai-chat", "openai", "gpt-4o", {"messages": []}, False)


def take(replies: Replies, count: int) -> list[Any]:
    taken = [replies.take() for _ in range(count)]
    numbers = [one[0] for one in taken if one is not None]
    assert numbers == list(range(len(numbers)))
    return [one and one[1] for one in taken]


def test_a_whole_reply_is_kept_as_it_is() -> None:
    response = MockResponse("a", usage=TokenUsage(3, 1))
    for reply in (make_reply(response), read_reply(response)):
        assert isinstance(reply, Reply)
        assert reply.response is response


def test_an_item_of_a_sequence_is_a_text_or_the_keywords_of_respond() -> None:
    assert read_reply("a") == A
    assert read_reply({"text": "a", "tools": ["t"]}) == Reply(MockResponse("a", (ToolCall("t"),)))
    assert read_reply({"text": "a", "usage": (9, 1), "ttft": 0.5, "jitter": 0.1, "seed": 3}) == (
        Reply(MockResponse("a", usage=TokenUsage(9, 1)), Timing(Pace(ttft=0.5), 0.1, 3))
    )


def test_an_unknown_keyword_in_a_sequence_is_named() -> None:
    with pytest.raises(ValueError, match="a reply has no 'txt'; it has 'text'"):
        read_reply({"txt": "a"})


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda call: call.model, Reply(MockResponse("gpt-4o"))),
        (lambda call: MockResponse("b"), Reply(MockResponse("b"))),
        (
            lambda call: {"text": "c", "usage": (9, 1), "latency": 2.0},
            Reply(MockResponse("c", usage=TokenUsage(9, 1)), Timing(Pace(latency=2.0))),
        ),
    ],
)
def test_a_function_makes_the_reply(make: Callable[[Any], Any], expected: Reply) -> None:
    assert make_reply(make).made_for(CALL) == expected
    assert read_reply(make).made_for(CALL) == expected
    assert read_reply({"text": make}).made_for(CALL) == expected


def test_keywords_beside_a_function_hold_where_it_gives_none() -> None:
    def made(gives: Any) -> Reply:
        reply = make_reply(lambda call: gives, usage=(9, 1), tokens_per_second=50, ttft=0.5, seed=2)
        return reply.made_for(CALL)

    stated, usage = Timing(Pace(ttft=0.5, tokens_per_second=50), seed=2), TokenUsage(9, 1)
    assert made("a") == Reply(MockResponse("a", usage=usage), stated)
    assert made({"text": "a", "latency": 3.0}) == Reply(
        MockResponse("a", usage=usage), Timing(Pace(ttft=0.5, latency=3.0), seed=2)
    )
    own = MockResponse("a", usage=TokenUsage(1, 1))
    assert made(own) == Reply(own, stated)


@pytest.mark.parametrize(
    ("gives", "message"),
    [
        (None, "gave None: respond: the text is None"),
        ("", "gave '': respond: the reply is empty"),
        ({"txt": "a"}, "a reply has no 'txt'"),
        ({"text": "a", "latency": -1}, "latency is -1"),
        ({"text": "a", "tools": 3}, "'int' object is not iterable"),
        (len, "must be a str, a MockResponse"),
    ],
)
def test_a_function_that_gives_no_reply_is_named(gives: Any, message: str) -> None:
    def made_up(call: PendingCall) -> Any:
        return gives

    with pytest.raises(MockError, match=f"function made_up.*'gpt-4o'.*{message}"):
        make_reply(made_up).made_for(CALL)


def test_what_a_function_raises_is_its_own() -> None:
    def broken(call: PendingCall) -> str:
        raise KeyError("order")

    with pytest.raises(KeyError, match="order"):
        make_reply(broken).made_for(CALL)


def test_functions_that_cannot_answer_at_once_are_refused() -> None:
    async def later(call: PendingCall) -> str:
        return "a"

    class Later:
        async def __call__(self, call: PendingCall) -> str:
            return "a"

    for function in (later, Later()):
        with pytest.raises(ValueError, match="is an async function; give a plain one"):
            make_reply(function)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the function gives the tools too"):
        make_reply(lambda call: "a", tools="search")
    with pytest.raises(ValueError, match="tokens_per_second is 0"):
        make_reply(lambda call: "a", tokens_per_second=0)


def test_a_sequence_ends() -> None:
    replies = InTurn([A, B])
    assert take(replies, 4) == [A, B, None, None]
    assert replies.count == 2


def test_a_sequence_repeats_its_last_reply_or_all_of_them_where_asked() -> None:
    last, cycle = InTurn([A, B], "last"), InTurn([A, B, C], "cycle")
    assert take(last, 4) == [A, B, B, B]
    assert take(cycle, 5) == [A, B, C, A, B]


def test_the_same_reply_is_given_always() -> None:
    assert take(Always(A), 3) == [A, A, A]


def test_a_look_at_the_next_reply_leaves_it_there() -> None:
    sequence = InTurn([A, B])
    assert [sequence.peek(), sequence.peek(), Always(C).peek()] == [A, A, C]
    assert take(sequence, 2) == [A, B]
    assert sequence.peek() is None


def test_bad_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match="no replies"):
        InTurn([])
    with pytest.raises(ValueError, match="then is 'again'; it is one of 'error', 'last', 'cycle'"):
        InTurn([A], "again")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["sequence", "always"])
def test_each_reply_is_given_once_to_many_threads(kind: str) -> None:
    texts = [Reply(MockResponse(str(number))) for number in range(4000)]
    replies: Replies = InTurn(texts) if kind == "sequence" else Always(A)
    numbers: list[int] = []
    given: list[str] = []

    def work() -> None:
        for _ in range(500):
            taken = replies.take()
            assert taken is not None
            number, reply = taken
            assert isinstance(reply, Reply)
            numbers.append(number)
            given.append(reply.response.text)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(4000))
    if kind == "sequence":
        assert Counter(given) == Counter(str(number) for number in range(4000))
