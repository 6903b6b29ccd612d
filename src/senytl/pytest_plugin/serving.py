"""The server behind the `senytl_server` fixture."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from senytl.models import SenytlError
from senytl.server import ModelServer

__all__ = ["ModelServer", "running_server"]


def running_server() -> Iterator[ModelServer]:
    """A server with nothing stated, which stops when the test has ended."""
    server = ModelServer()
    try:
        server.start()
    except SenytlError as problem:
        raise pytest.fail.Exception(f"senytl_server: {problem}", pytrace=False) from None
    with server:
        yield server
