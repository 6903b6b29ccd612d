from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from senytl.server import ModelServer


@dataclass
class Answer:
    """What came back over plain HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes
    times: list[float] = field(default_factory=list)

    @property
    def document(self) -> Any:
        return json.loads(self.body)


Ask = Callable[..., Answer]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def ask(server: ModelServer) -> Iterator[Ask]:
    """Send a request on a connection that is kept; the times are those of the body's lines."""
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)

    def send(
        document: Any = None,
        path: str = "/v1/chat/completions",
        method: str = "POST",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        body = document if isinstance(document, bytes | None) else json.dumps(document).encode()
        start = time.perf_counter()
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        lines, times = [], []
        while line := response.readline():
            lines.append(line)
            if line.strip():
                times.append(time.perf_counter() - start)
        response.read()  # which tells the connection that it may go on
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, b"".join(lines), times)

    yield send
    connection.close()
