"""What the tests of the nasty cases share: a server that speaks every format, a clean process."""

from __future__ import annotations

import concurrent.futures
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests
from tests.sdk.wires import written

from senytl.models import TokenUsage

TEXT = "Hello, you."
TOKENS = TokenUsage(1117, 246)
_PATCHED: list[tuple[type, str]] = [
    (httpx.Client, "send"),
    (httpx.AsyncClient, "send"),
    (httpx2.Client, "send"),
    (httpx2.AsyncClient, "send"),
    (aiohttp.ClientSession, "_request"),
    (aiohttp.ClientSession, "ws_connect"),
    (requests.Session, "send"),
    (threading.Thread, "start"),
    (concurrent.futures.ThreadPoolExecutor, "submit"),
    (subprocess.Popen, "__init__"),
]


@pytest.fixture(autouse=True)
def _process_is_left_as_it_was() -> Iterator[None]:
    before = [vars(owner)[name] for owner, name in _PATCHED]
    yield
    # By identity, since the proxies that some libraries put there are equal to what they cover.
    changed = [
        f"{owner.__module__}.{owner.__name__}.{name}"
        for (owner, name), one in zip(_PATCHED, before, strict=True)
        if vars(owner)[name] is not one
    ]
    assert changed == []


@pytest.fixture
def script(server: Any, answered: Any) -> Callable[..., None]:
    """Set what the server answers next, one after the other; after that it says `TEXT`.

    A list of bytes stands for a stream of these pieces, a number for a refusal with that status.
    """

    def answer(path: str, body: Any) -> Any:
        if waiting:
            one = waiting.pop(0)
            if isinstance(one, int):
                return answered([b'{"error": {"type": "no", "message": "Not now."}}'], status=one)
            if isinstance(one, list):
                return answered(one, headers={"content-type": "text/event-stream"})
            return one
        pieces = written(path, body, TEXT, (TOKENS.prompt_tokens, TOKENS.completion_tokens))
        kind = "application/json" if len(pieces) == 1 else "text/event-stream"
        return answered(pieces, headers={"content-type": kind})

    waiting: list[Any] = []
    server.answer = answer
    return lambda *answers: waiting.extend(answers)


@pytest.fixture
def url(server: Any, script: Any) -> str:
    """The address of a server that says `TEXT` in the format of each request."""
    return str(server.url(""))


@pytest.fixture
def once(server: Any, sink: Any) -> Callable[..., Any]:
    """Check that each request that reached the server has one record, and give the last one."""

    def check(count: int = 1, *, usage: TokenUsage | None = TOKENS) -> Any:
        assert len(server.requests) == len(sink.calls) == count
        call = sink.calls[-1]
        assert not call.mocked
        if usage is not None:
            assert (call.usage, call.response.text) == (usage, TEXT)
            assert (call.status, call.outcome, call.error) == (200, "completed", None)
            assert (call.attempt, call.timing_valid) == (1, True)
        return call

    return check
