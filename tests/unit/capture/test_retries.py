from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from senytl.capture import retries
from senytl.capture.retries import RETRY_HEADER, Attempt, next_attempt, note_failure

BODY = b'{"model": "m"}'
SINK = object()


def attempt(
    start: float, *, fails: bool, body: Any = BODY, sink: object = SINK, header: str | None = None
) -> Attempt:
    """An attempt that takes half a second."""
    headers: Mapping[str, str] | None = None if header is None else {RETRY_HEADER: header}
    made = next_attempt(body, sink, start, headers)
    if fails:
        note_failure(body, sink, made, start + 0.5)
    return made


@pytest.fixture(autouse=True)
def _own_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_last_failure", ContextVar("last_failure", default=None))


def test_the_same_body_after_a_failure_is_another_attempt() -> None:
    first, second, third = (attempt(at, fails=at < 4) for at in (0.0, 2.0, 4.0))
    assert [one.number for one in (first, second, third)] == [1, 2, 3]
    assert first.logical_id == second.logical_id == third.logical_id
    assert (first.waited, second.waited, third.waited) == (None, 1.5, 1.5)


def test_after_a_success_or_with_another_body_a_call_is_new() -> None:
    calls = [
        attempt(0.0, fails=False),
        attempt(1.0, fails=True),
        attempt(2.0, fails=True, body=b"{}"),
        attempt(3.0, fails=False, body=b"{}", sink=object()),
    ]
    assert [call.number for call in calls] == [1, 1, 1, 1]
    assert len({call.logical_id for call in calls}) == 4


def test_the_sdks_own_count_decides() -> None:
    first = attempt(0.0, fails=True, header="0")
    again = attempt(1.0, fails=True, header="0")  # made anew by the agent, not retried
    third = attempt(2.0, fails=False, header="3")
    assert [one.number for one in (first, again, third)] == [1, 1, 4]
    assert first.logical_id != again.logical_id == third.logical_id


def test_what_fails_in_another_context_is_another_call() -> None:
    copy_context().run(attempt, 0.0, fails=True)
    assert attempt(1.0, fails=False).number == 1


def test_of_several_that_might_follow_a_failure_only_one_does() -> None:
    attempt(0.0, fails=True)
    children = [copy_context().run(attempt, 1.0, fails=False) for _ in range(3)]
    assert [child.number for child in children] == [2, 1, 1]
    assert attempt(2.0, fails=False).number == 1  # a child has followed


def test_nothing_of_the_request_or_its_sink_is_kept() -> None:
    class Owner:
        pass

    owner = Owner()
    gone = weakref.ref(owner)
    attempt(0.0, fails=True, body=b"a long prompt", sink=owner)
    del owner
    gc.collect()
    assert gone() is None
