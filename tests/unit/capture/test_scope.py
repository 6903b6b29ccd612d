from __future__ import annotations

from senytl.capture import PendingCall, open_scope
from senytl.capture.scope import ask, ask_guards, carries_context

CALL = PendingCall("openai-chat", "openai", "gpt-4o", {}, streamed=False)


class Asked:
    def __init__(self, name: str, order: list[str]) -> None:
        self._name = name
        self._order = order

    def answer(self, call: PendingCall) -> None:
        self._order.append(self._name)

    def __bool__(self) -> bool:
        return False  # answerers are the user's, and may be anything


def test_a_scope_may_be_asked_before_all_others_whenever_it_opened() -> None:
    order: list[str] = []
    with (
        open_scope(answerer=Asked("oldest", order)),
        open_scope(answerer=Asked("guard", order), asked_first=True),
        open_scope(),
        open_scope(answerer=Asked("newest", order)),
    ):
        assert ask(CALL) is None
        assert order == ["guard", "newest", "oldest"]
        order.clear()
        assert ask_guards(CALL) is None
        assert order == ["guard"]
    assert ask(CALL) is None
    assert order == ["guard"]


def test_a_scope_may_leave_it_to_others_whether_threads_get_a_context() -> None:
    with open_scope(carry_context=None):
        assert not carries_context()
        with open_scope():
            assert carries_context()
            with open_scope(carry_context=False):
                assert not carries_context()
