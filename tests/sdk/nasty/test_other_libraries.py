"""Mocks, cassettes and patches of others, above ours and below."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pook  # type: ignore[import-untyped]
import pytest
import respx
import vcr  # type: ignore[import-untyped]
import wrapt
from tests.sdk.nasty.ways import (
    STREAMING,
    WAYS,
    by_openai,
    by_openai_async_over_httpx,
    by_openai_over_httpx,
)
from tests.sdk.wires import written

from senytl import Senytl
from senytl.capture import open_scope
from senytl.models import TokenUsage

pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)

TEXT = "Hello, you."
TOKENS = TokenUsage(1117, 246)
PATH = "/v1/chat/completions"
THEIRS = written(PATH, {}, "Theirs.", (9, 3))[0]


@contextmanager
def using_respx(url: str) -> Iterator[None]:
    with respx.mock(assert_all_called=False) as router:
        router.post(url + PATH).respond(
            content=THEIRS, headers={"content-type": "application/json"}
        )
        yield


@contextmanager
def using_pook(url: str) -> Iterator[None]:
    with pook.use():
        pook.post(url + PATH).persist().reply(200).type("json").body(THEIRS)
        yield


@pytest.mark.parametrize("order", ["theirs first", "ours first"])
@pytest.mark.parametrize("mocked", [False, True], ids=["theirs answers", "ours answers"])
@pytest.mark.parametrize("using", [using_respx, using_pook])
@pytest.mark.parametrize("way", [by_openai_over_httpx, by_openai_async_over_httpx])
def test_nasty_05_respx_and_pook_below_our_mock_and_above_it(
    way: Any, using: Any, mocked: bool, order: str, url: str, sink: Any, server: Any
) -> None:
    with Senytl() as senytl:
        if mocked:
            senytl.mock("gpt-4o").respond("Ours.", usage=(11, 5))
        if order == "ours first":
            with open_scope(unattributed=sink), using(url), way(url) as ask:
                text = ask()
        else:
            with using(url), open_scope(unattributed=sink), way(url) as ask:
                text = ask()
    call = sink.only
    expected = ("Ours.", TokenUsage(11, 5)) if mocked else ("Theirs.", TokenUsage(9, 3))
    assert text == expected[0]
    assert (call.response.text, call.usage) == expected
    assert (call.mocked, call.outcome, call.timing_valid) == (mocked, "completed", True)
    assert server.requests == []


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("way", ["openai", "openai-over-httpx", "anthropic"])
def test_nasty_05_vcrpy_recording_and_replaying(
    way: str, stream: bool, url: str, sink: Any, server: Any, tmp_path: Path
) -> None:
    """It reads replies whole before it passes them on: their times are marked as such."""
    with open_scope(unattributed=sink):
        for _ in ("records", "replays"):
            with vcr.use_cassette(str(tmp_path / "cassette.yaml")), STREAMING[way](url) as ask:
                assert ask(stream) == TEXT
        with STREAMING[way](url) as ask:
            assert ask(stream) == TEXT
    assert len(server.requests) == 2
    assert [call.usage for call in sink.calls] == [TOKENS] * 3
    assert [call.outcome for call in sink.calls] == ["completed"] * 3
    assert [call.timing_valid for call in sink.calls] == [False, False, True]


class OtherLibrary:
    """Patches what we patch, and puts back what it found, as many libraries do."""

    def __init__(self, by_wrapt: bool) -> None:
        self.seen = 0
        self._by_wrapt = by_wrapt

    def install(self) -> None:
        self._found = found = vars(httpx2.Client)["send"]
        if self._by_wrapt:

            def around(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
                self.seen += 1
                return wrapped(*args, **kwargs)

            self.patch: Any = wrapt.FunctionWrapper(found, around)
        else:

            @functools.wraps(found)
            def send(client: Any, *args: Any, **kwargs: Any) -> Any:
                self.seen += 1
                return found(client, *args, **kwargs)

            self.patch = send
        httpx2.Client.send = self.patch  # type: ignore[method-assign]

    def uninstall(self) -> None:
        httpx2.Client.send = self._found  # type: ignore[method-assign]


@pytest.mark.parametrize("by_wrapt", [False, True], ids=["function", "wrapt"])
def test_nasty_06_another_librarys_patch_above_ours_at_uninstall(
    by_wrapt: bool, url: str, sink: Any, server: Any
) -> None:
    original = vars(httpx2.Client)["send"]
    other = OtherLibrary(by_wrapt)
    with by_openai(url) as ask:
        with open_scope(unattributed=sink):
            other.install()
            ask()
        assert vars(httpx2.Client)["send"] is other.patch  # theirs stays
        ask()  # and works, while ours below it only passes calls on
        assert (other.seen, len(sink.calls), len(server.requests)) == (2, 1, 2)

        with open_scope(unattributed=sink):  # ours is above and below theirs now
            ask()
            assert (other.seen, len(sink.calls), len(server.requests)) == (3, 2, 3)
            other.uninstall()
            ask()
            assert (other.seen, len(sink.calls), len(server.requests)) == (3, 3, 4)
        assert vars(httpx2.Client)["send"] is original
        ask()
    assert (other.seen, len(sink.calls), len(server.requests)) == (3, 3, 5)
    assert [call.usage for call in sink.calls] == [TOKENS] * 3


@pytest.mark.parametrize("way", WAYS)
def test_nasty_06_a_double_install(way: str, url: str, sink: Any, once: Any) -> None:
    first, second = Senytl(), Senytl()
    with WAYS[way](url) as ask, open_scope(unattributed=sink), open_scope():
        for session in (first, first, second):
            session.install()
        assert ask() == TEXT
        once()
        first.uninstall()
        ask()
        once(2)
        for session in (second, second, first):
            session.uninstall()
