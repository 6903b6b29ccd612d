"""A small HTTP server on 127.0.0.1, in a process of its own: what real clients send requests to.

It answers every request with the same few bytes on a connection that stays open, so that it takes
less of a core than any client does. Prints its port, and ends when its input does, so that it
does not outlive who started it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["loopback_server"]

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n"
    b'Connection: keep-alive\r\n\r\n{"answer":"ok"}'
)
END = b"\r\n\r\n"


class _Connection(asyncio.Protocol):
    """Answers GET requests, which have no body: each ends with an empty line."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        requests = data.count(END)
        self._rest = b"" if data.endswith(END) else data.rpartition(END)[2]
        if requests:
            self._transport.write(ANSWER * requests)


@contextmanager
def loopback_server() -> Iterator[str]:
    """Run it in a process of its own; gives its address."""
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
        finally:
            process.stdin.close()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, os.read, sys.stdin.fileno(), 1)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
