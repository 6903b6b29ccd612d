from __future__ import annotations

import warnings
from collections import Counter

import pytest

from senytl.capture import CaptureScope, CaptureWarning, open_scope
from senytl.capture.unseen import (
    Unseen,
    count_for_processes,
    describe_unseen,
    note_unseen,
    unseen_calls,
)

SOCKET = Unseen("WebSocket", "openai")
CALL = Unseen("gRPC", "google")


def note_all(*unseen: Unseen) -> None:
    for one in unseen:
        note_unseen(one)


def test_each_way_is_warned_of_once_while_a_scope_is_open() -> None:
    def watch() -> None:
        with open_scope():
            with open_scope():
                note_unseen(SOCKET)
            note_unseen(Unseen("WebSocket", "google"))
            note_unseen(CALL)

    for _ in range(2):
        with pytest.warns(CaptureWarning) as caught:
            watch()
        first, second = (str(warning.message) for warning in caught)
        assert "there was a WebSocket connection to openai" in first
        assert "missing from every figure" in first
        assert "there was a gRPC call to google" in second
        assert "transport='rest'" in second


def test_what_went_unseen_is_counted(scope: CaptureScope) -> None:
    before = unseen_calls()
    with pytest.warns(CaptureWarning):
        note_all(SOCKET, CALL, CALL, Unseen("process", "claude"))
    missed = unseen_calls() - before
    assert missed == Counter({SOCKET: 1, CALL: 2, Unseen("process", "claude"): 1})
    assert describe_unseen(missed) == (
        "1 WebSocket connection to openai, 2 gRPC calls to google, 1 process that runs claude"
    )
    assert describe_unseen({}) == ""


def test_outside_a_scope_nothing_is_noted() -> None:
    before = unseen_calls()
    note_unseen(SOCKET)
    assert unseen_calls() == before


def test_a_warning_that_is_an_error_does_not_disturb(scope: CaptureScope) -> None:
    before = unseen_calls()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        note_unseen(SOCKET)
    assert (unseen_calls() - before).total() == 1


def test_processes_whose_calls_are_counted_are_no_reason_to_warn() -> None:
    before = unseen_calls()
    with open_scope(), count_for_processes():
        note_unseen(Unseen("process", "agent.py"))
    assert unseen_calls() == before
