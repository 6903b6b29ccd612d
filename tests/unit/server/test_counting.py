from __future__ import annotations

import socket
import time
from typing import Any

import psutil
import pytest

from senytl.capture import CaptureWarning, open_scope
from senytl.models import LLMCallRecord
from senytl.server.counting import Counting, OwnConnections, Served

CALL = LLMCallRecord("openai", "gpt-4o", {})


class Sink:
    def __init__(self) -> None:
        self.calls: list[LLMCallRecord] = []

    def add_call(self, call: LLMCallRecord) -> None:
        self.calls.append(call)


def test_a_call_of_another_process_goes_to_the_server_and_to_the_body_that_runs() -> None:
    kept: list[LLMCallRecord] = []
    counting, body = Counting(kept.append), Sink()
    with open_scope(unattributed=body):
        sink = counting.sink_of(("127.0.0.1", 1), time.perf_counter())
    sink.add_call(CALL)
    assert kept == body.calls == [CALL]
    assert sink.owner is body


def test_without_a_body_only_the_server_gets_it() -> None:
    kept: list[LLMCallRecord] = []
    sink = Counting(kept.append).sink_of(("127.0.0.1", 1), time.perf_counter())
    sink.add_call(CALL)
    assert kept == [CALL]
    assert (sink.body, sink.owner) == (None, None)


def test_those_of_others_need_not_be_counted() -> None:
    with open_scope(unattributed=Sink()):
        sink = Counting(print, others=False).sink_of(("127.0.0.1", 1), time.perf_counter())
    assert sink.body is None


def test_a_call_of_this_process_is_not_the_server_s_to_count() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, open_scope(unattributed=Sink()):
        with socket.create_connection(listening.getsockname()) as client:
            peer = client.getsockname()
            assert Counting(print).sink_of(peer, time.perf_counter()).body is None
        other = Counting(print).sink_of(peer, time.perf_counter())
    assert other.body is not None


def test_the_addresses_are_read_once_for_the_connections_that_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = OwnConnections()
    reads: list[object] = []
    read = psutil.Process.net_connections

    def reading(self: psutil.Process, kind: str) -> Any:
        reads.append(self)
        return read(self, kind)

    monkeypatch.setattr(psutil.Process, "net_connections", reading)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        seen = time.perf_counter()
        assert own.holds(address, seen)
        assert own.holds(address, seen)
        assert not own.holds(("127.0.0.1", 1), seen)
        assert len(reads) == 1
        own.holds(address, time.perf_counter())
        assert len(reads) == 2


def test_where_connections_cannot_be_read_all_are_counted_and_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: Any, kind: str) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "net_connections", refuse)
    own = OwnConnections()
    with pytest.warns(CaptureWarning, match="count=False") as warnings:
        held = [own.holds(("127.0.0.1", 1), time.perf_counter()) for _ in range(2)]
    assert held == [False, False]
    assert len(warnings) == 1


def test_a_sink_s_owner_is_that_of_the_body_s_slot() -> None:
    class Slot(Sink):
        owner = body = Sink()

    assert Served(print, Slot()).owner is Slot.body
