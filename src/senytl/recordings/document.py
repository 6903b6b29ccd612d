"""A recording as data and as a file: what was asked, what came back, and when.

The file is JSON that is pleasant to review: members in the same order always, plain replies as
the objects that they are, and a line for each chunk of a stream.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from senytl.recordings.errors import RecordingError
from senytl.recordings.naming import shown

__all__ = ["SCHEMA", "Attempt", "Chunk", "Ending", "RecordedCall", "Request", "load", "render"]

SCHEMA = "senytl-recording/1"

Ending = Literal["complete", "abandoned", "cancelled", "disconnect", "timeout"]
"""How a reply ended: whole; its reader left; the call was cancelled; the connection was lost; the
client's patience ended."""

_ENDINGS: tuple[Ending, ...] = ("complete", "abandoned", "cancelled", "disconnect", "timeout")
_LINE = 100  # characters up to which a list of plain values stands on one line


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, without secrets; it never holds headers, nor the address's query.

    Args:
        api: The wire format.
        provider: Who served it.
        model: The model that was asked for.
        streamed: Whether a stream was asked for.
        host: The host.
        path: The address's path.
        body: The request's JSON body.
    """

    api: str
    provider: str
    model: str
    streamed: bool
    host: str
    path: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a reply's body.

    Args:
        moment: When it came, in milliseconds from the start of the call.
        data: The bytes.
    """

    moment: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a call. Times are milliseconds from its start.

    Args:
        status: The HTTP status; None where no response came.
        headers: ``content-type``, and what a refusal says of trying again; no other header.
        head_at: When the status came, where that is known.
        chunks: The body, one chunk for a reply that is no stream.
        ends_at: When it had ended.
        ending: How it ended.
    """

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    head_at: float = 0.0
    chunks: Sequence[Chunk] = ()
    ends_at: float = 0.0
    ending: Ending = "complete"


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One logical call: its request, and the attempts that the SDK made at it, in order."""

    request: Request
    attempts: Sequence[Attempt]


def render(calls: Sequence[RecordedCall]) -> str:
    """The text of the file."""
    document = {"schema": SCHEMA, "calls": [_describe(call) for call in calls]}
    return "".join(_write(document, "")) + "\n"


def load(path: Path) -> list[RecordedCall]:
    """Read a recording.

    Raises:
        FileNotFoundError: If there is none.
        RecordingError: If the file is not one, or of a later version.
    """
    data = path.read_bytes()
    try:
        document = json.loads(data.decode("utf-8"))
        schema = document.get("schema") if isinstance(document, dict) else None
        if schema is None:
            raise ValueError(f'it has no "schema", which is "{SCHEMA}" in a recording')
        if schema != SCHEMA:
            raise ValueError(
                f'its schema is {json.dumps(schema)}, and this version of senytl reads "{SCHEMA}"'
            )
        return [_read(call) for call in document["calls"]]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        problem = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise RecordingError(
            f"{shown(path)} cannot be read as a recording: {problem}. Restore it from version "
            "control, or record it anew (--senytl-record=all, or senytl.record)"
        ) from error


def _describe(call: RecordedCall) -> dict[str, Any]:
    request = call.request
    return {
        "request": {
            "api": request.api,
            "provider": request.provider,
            "model": request.model,
            "streamed": request.streamed,
            "host": request.host,
            "path": request.path,
            "body": _sorted(request.body),
        },
        "attempts": [_describe_attempt(one, streamed=request.streamed) for one in call.attempts],
    }


def _describe_attempt(attempt: Attempt, *, streamed: bool) -> dict[str, Any]:
    described: dict[str, Any] = {"status": attempt.status, "headers": dict(attempt.headers)}
    described["head_ms"] = attempt.head_at
    described["ends_ms"] = attempt.ends_at
    described["ending"] = attempt.ending
    if streamed and (attempt.status or 0) < 400:
        described["chunks"] = [[chunk.moment, _text(chunk.data)] for chunk in attempt.chunks]
        return described
    body = b"".join(chunk.data for chunk in attempt.chunks)
    try:
        described["json"] = json.loads(body)
    except ValueError:
        described["body"] = _text(body)
    return described


def _text(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _read(call: Mapping[str, Any]) -> RecordedCall:
    attempts = [_read_attempt(one) for one in call["attempts"]]
    if not attempts:
        raise ValueError("a call has no attempts")
    request = Request(**call["request"])
    if not isinstance(request.body, dict):
        raise ValueError("the body of a request is not an object")
    return RecordedCall(request, attempts)


def _read_attempt(attempt: Mapping[str, Any]) -> Attempt:
    if attempt["ending"] not in _ENDINGS:
        raise ValueError(f"the ending is {attempt['ending']!r}; it is one of {', '.join(_ENDINGS)}")
    ends_at = float(attempt["ends_ms"])
    chunks: list[Chunk]
    if "chunks" in attempt:
        chunks = [Chunk(float(moment), _bytes(data)) for moment, data in attempt["chunks"]]
    elif "json" in attempt:
        whole = json.dumps(attempt["json"], ensure_ascii=False, separators=(",", ":"))
        chunks = [Chunk(ends_at, whole.encode("utf-8", "surrogatepass"))]
    else:
        data = _bytes(attempt["body"])
        chunks = [Chunk(ends_at, data)] if data else []
    return Attempt(
        status=None if attempt["status"] is None else int(attempt["status"]),
        headers={str(name): str(value) for name, value in attempt["headers"].items()},
        head_at=float(attempt["head_ms"]),
        chunks=chunks,
        ends_at=ends_at,
        ending=attempt["ending"],
    )


def _bytes(data: str | Mapping[str, str]) -> bytes:
    return data.encode("utf-8") if isinstance(data, str) else base64.b64decode(data["base64"])


def _write(value: Any, indent: str) -> Iterator[str]:
    """Write JSON as ``json.dumps(indent=2)`` does, with lists of plain values on one line."""
    inner = indent + "  "
    if isinstance(value, dict) and value:
        yield "{"
        for number, (key, item) in enumerate(value.items()):
            yield f"{',' if number else ''}\n{inner}{_plain(key)}: "
            yield from _write(item, inner)
        yield f"\n{indent}}}"
    elif isinstance(value, list) and value and not _fits_a_line(value):
        yield "["
        for number, item in enumerate(value):
            yield f"{',' if number else ''}\n{inner}"
            yield from _write(item, inner)
        yield f"\n{indent}]"
    else:
        yield _plain(value)


def _fits_a_line(value: list[Any]) -> bool:
    """Whether a list is a chunk, numbers such as an embedding's, or short."""
    if any(isinstance(item, dict | list) for item in value):
        return len(value) == 2 and isinstance(value[0], float) and isinstance(value[1], dict)
    is_chunk = len(value) == 2 and isinstance(value[0], float)
    return is_chunk or not any(isinstance(item, str) for item in value) or len(str(value)) <= _LINE


def _plain(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    # A lone surrogate, which JSON can hold and UTF-8 cannot.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
