"""Clients of the real SDKs, and a model server made by others."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from senytl.capture import PendingCall
from senytl.capture.captured import llm_calls_of
from senytl.capture.playback import Playback
from senytl.capture.recognition import Recognised
from senytl.models import LLMCallRecord, MockResponse

NODE = Path(__file__).parents[1] / "node"
PACKAGE = "node_modules/@copilotkit/aimock"

HELLO = {"prompt_tokens": 1117, "completion_tokens": 246}
WEATHER = {"prompt_tokens": 4100, "completion_tokens": 123}
FIXTURES = [
    {
        "match": {"userMessage": "hello"},
        "response": {"content": "Hello from the other side of the wire.", "usage": HELLO},
    },
    {
        "match": {"userMessage": "weather"},
        "response": {
            "toolCalls": [{"name": "get_weather", "arguments": {"city": "Paris"}}],
            "usage": WEATHER,
        },
    },
    {
        "match": {"userMessage": "story"},
        "response": {"content": "Once upon a time there was a very small and patient token."},
        "streamingProfile": {"ttft": 200, "tps": 20},
    },
]


@dataclass
class Sink:
    calls: list[LLMCallRecord] = field(default_factory=list)

    def add_call(self, call: LLMCallRecord) -> None:
        self.calls += llm_calls_of([call])

    @property
    def only(self) -> LLMCallRecord:
        assert len(self.calls) == 1, self.calls
        return self.calls[0]


@dataclass
class Says:
    """An answer: what a model says."""

    response: MockResponse

    def play(self, recognised: Recognised) -> Playback:
        return recognised.play(self.response)


class Answers:
    def __init__(self, answer: Callable[[PendingCall], MockResponse]) -> None:
        self._answer = answer

    def answer(self, call: PendingCall) -> Says:
        return Says(self._answer(call))


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def answers() -> type[Answers]:
    return Answers


@pytest.fixture(scope="session")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an aimock server that answers "hello" and "weather"."""
    folder = tmp_path_factory.mktemp("aimock")
    fixtures = folder / "fixtures.json"
    fixtures.write_text(json.dumps({"fixtures": FIXTURES}))
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [*_aimock_cli(), "-p", str(port), "-f", str(fixtures), "-c", "7"]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            _wait_for(url + "/health", process, folder / "log")
            yield url
        finally:
            process.terminate()


def _aimock_cli() -> list[str]:
    package = Path(os.environ.get("SENYTL_AIMOCK") or NODE / PACKAGE)
    cli = package / "dist" / "cli.js"
    if not cli.is_file():
        pytest.fail(f"aimock is not at {package}. Run: npm ci --prefix tests/node", pytrace=False)
    node = shutil.which("node")
    if node is None:
        pytest.fail("these tests need Node 20.15 or newer on the path", pytrace=False)
    return [node, str(cli)]


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"aimock does not answer at {url}:\n{log.read_text()}", pytrace=False)


@pytest.fixture
def counted() -> dict[str, dict[str, Any]]:
    """The tokens that aimock reports, by the word that a prompt holds."""
    return {"hello": HELLO, "weather": WEATHER}
