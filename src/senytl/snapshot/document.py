"""What a snapshot holds: texts, tool calls and models, in JSON that is pleasant to review."""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import unified_diff
from pathlib import Path
from typing import Any

from senytl.answer_text import find_text
from senytl.models import SenytlResponse

__all__ = ["describe", "difference", "read", "render"]

_SCHEMA = "senytl-snapshot/1"
_DIFF_LINES = 200


def describe(responses: Iterable[Any]) -> dict[str, Any]:
    """Describe responses by what should stay the same from run to run: no times, no identifiers.

    Raises:
        TypeError: If one of them has no text.
    """
    return {"schema": _SCHEMA, "responses": [_describe(response) for response in responses]}


def render(document: dict[str, Any]) -> str:
    """The document as the file holds it."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def read(path: Path) -> dict[str, Any]:
    """Read a snapshot's file.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is not one.
    """
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or document.get("schema") != _SCHEMA:
        raise ValueError(f'its "schema" is not "{_SCHEMA}"')
    return document


def difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What changed, as a unified diff; empty where nothing did."""
    if before == now:
        return ""
    lines = list(
        unified_diff(
            render(before).splitlines(), render(now).splitlines(), "snapshot", "now", lineterm=""
        )
    )
    if len(lines) > _DIFF_LINES:
        left_out = len(lines) - _DIFF_LINES
        lines[_DIFF_LINES:] = [f"... {left_out} more lines"]
    return "\n".join(lines)


def _describe(response: Any) -> dict[str, Any]:
    text = find_text(response)
    if text is None:
        raise TypeError(
            f"cannot take a snapshot of {response!r:.100}: it is neither a response nor a text"
        )
    described: dict[str, Any] = {"text": _lines(text)}
    if isinstance(response, SenytlResponse):
        # By their start, since calls that run side by side end in any order.
        calls = sorted(response.llm_calls, key=lambda call: call.start or 0.0)
        described["tool_calls"] = [
            {"name": tool.name, "arguments": _plain(tool.arguments)}
            for call in calls
            for tool in call.response.tool_calls
        ]
        described["models"] = list(dict.fromkeys(call.model for call in calls))
    return described


def _lines(text: str) -> str | list[str]:
    """A text of several lines as a list of them, such that a diff shows the line that changed."""
    return text.split("\n") if "\n" in text else text


def _plain(value: Any) -> Any:
    """A value as it will be when read from the file again."""
    return json.loads(json.dumps(value, sort_keys=True, default=str))
