"""The frames of AWS's event streams."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

from tests.compat.reply import Event

__all__ = ["aws_frame"]


def aws_frame(kind: str, document: Any, *, is_output: bool = False) -> Event:
    """A frame of AWS's event streams: lengths, headers, payload, and two checksums."""
    named = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", 7, len(value))
        + value.encode()
        for name, value in named.items()
    )  # fmt: skip
    payload = json.dumps(document).encode()
    lengths = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + payload
    return Event(message + struct.pack(">I", zlib.crc32(message)), is_output)
