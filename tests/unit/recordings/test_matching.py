from __future__ import annotations

from typing import Any

import pytest

from senytl.recordings.document import Request
from senytl.recordings.matching import Matcher


def request(body: dict[str, Any], *, streamed: bool = False, model: str = "gpt-4o") -> Request:
    return Request("openai-chat", "openai", model, streamed, "", "", body)


def level(one: Request, other: Request, *ignore: str) -> int | None:
    """The first of the three keys that says that they are the same."""
    matcher = Matcher(ignore)
    pairs = zip(matcher.keys(one), matcher.keys(other), strict=True)
    return next((number for number, (a, b) in enumerate(pairs) if a() == b()), None)


def say(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **more}


def test_members_that_do_not_change_what_is_asked_do_not_matter() -> None:
    volatile = {"user": "ann", "metadata": {"a": "1"}, "prompt_cache_key": "k", "seed": 3}
    assert level(request(say("a", **volatile)), request(say("a"))) == 0
    config = {"temperature": 0, "seed": 1}
    assert level(
        request(say("a", generationConfig=config)),
        request(say("a", generationConfig={"temperature": 0})),
    ) == 0  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        request(say("b")),
        request(say("a"), streamed=True),
        request(say("a"), model="gpt-4o-mini"),
        request(say("a", temperature=0.5)),
        request(say("a", stream_options={"include_usage": True})),
    ],
)
def test_whatever_changes_the_reply_matters(other: Request) -> None:
    assert level(request(say("a")), other) is None


def tool_turns(first: str, second: str, answered: str) -> Request:
    calls = [
        {"id": call, "type": "function", "function": {"name": "f"}} for call in (first, second)
    ]
    return request(
        {
            "messages": [
                {"role": "assistant", "tool_calls": calls},
                {"role": "tool", "tool_call_id": answered, "content": "4"},
            ]
        }
    )


def test_identifiers_match_as_far_as_they_link_the_same() -> None:
    recorded = tool_turns("call_a1", "call_b2", "call_a1")
    assert level(recorded, recorded) == 0
    assert level(recorded, tool_turns("call_x9", "call_y8", "call_x9")) == 1
    assert level(recorded, tool_turns("call_x9", "call_y8", "call_y8")) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "session 0b5e2f6e-3c2a-4b9d-9f3e-0a1b2c3d4e5f begins",
            "session 11111111-2222-3333-4444-555555555555 begins",
        ),
        ("now: 2026-01-02T03:04:05Z", "now: 2026-11-12T13:14:15.678+02:00"),
    ],
)
def test_uuids_and_moments_in_texts_do_not_matter(one: str, other: str) -> None:
    assert level(request(say(one)), request(say(other))) == 2


def test_days_matter_unless_they_are_to_be_ignored() -> None:
    one, other = request(say("Today is 2026-01-02. Hi")), request(say("Today is 2026-01-03. Hi"))
    assert level(one, other) is None
    assert level(one, other, r"Today is [\d-]+") == 2


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ignore holds '\('"):
        Matcher(["("])
