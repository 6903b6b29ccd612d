"""The recorded request that is nearest to one that was never recorded, and what differs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from senytl.recordings.document import Request
from senytl.recordings.matching import without_volatile

__all__ = ["describe_difference", "nearest"]

_LINES = 8  # differences that are shown
_WIDTH = 60  # characters of a value that are shown
_COMPARED = 500  # characters of texts that are compared, from where they begin to differ
_ABSENT = object()


def nearest(request: Request, recorded: Sequence[Request]) -> Request | None:
    """The recorded request that differs least; None where nothing is recorded."""
    flat = dict(_flatten(request))
    # Many calls of a load test are the same.
    distinct = {json.dumps(dict(_flatten(one)), default=str): one for one in recorded}
    scored = [
        (_distance(flat, dict(_flatten(one))), number, one)
        for number, one in enumerate(distinct.values())
    ]
    return min(scored)[2] if scored else None


def describe_difference(recorded: Request, now: Request) -> str:
    """The members that differ, a line each."""
    before, after = dict(_flatten(recorded)), dict(_flatten(now))
    paths = [path for path in (before | after) if _differ(before, after, path)]
    lines = []
    for path in paths[:_LINES]:
        old, new = before.get(path, _ABSENT), after.get(path, _ABSENT)
        lines.append(f"  {path}: {_show(old, new)} was recorded, now it is {_show(new, old)}")
    if len(paths) > _LINES:
        lines.append(f"  ... and {len(paths) - _LINES} more")
    return "\n".join(lines)


def _differ(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> bool:
    old, new = before.get(path, _ABSENT), after.get(path, _ABSENT)
    return type(old) is not type(new) or old != new


def _distance(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    distance = 0.0
    for path in one.keys() | other.keys():
        if not _differ(one, other, path):
            continue
        left, right = one.get(path), other.get(path)
        if path in ("api", "model"):
            distance += 2
        elif isinstance(left, str) and isinstance(right, str):
            start = _common(left, right)
            left, right = (text[max(0, start - 50) : start + _COMPARED] for text in (left, right))
            distance += 1 - SequenceMatcher(None, left, right, autojunk=False).quick_ratio()
        else:
            distance += 1
    return distance


def _flatten(request: Request) -> Iterator[tuple[str, Any]]:
    yield "api", request.api
    yield "model", request.model
    yield "streamed", request.streamed
    body = {k: v for k, v in without_volatile(request.body).items() if k not in ("model", "stream")}
    yield from _leaves(body, "")


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key in value:
            yield from _leaves(value[key], f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            yield from _leaves(item, f"{path}[{number}]")
    else:
        yield path, value


def _common(left: str, right: str) -> int:
    """How many letters two texts begin with together."""
    if left[: len(right)] == right[: len(left)]:
        return min(len(left), len(right))
    return next(place for place, (a, b) in enumerate(zip(left, right, strict=False)) if a != b)


def _show(value: Any, other: Any) -> str:
    """A value on one line, a long text from a little before it begins to differ."""
    if value is _ABSENT:
        return "absent"
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)[:_WIDTH]
    start = max(0, _common(value, other) - 20) if isinstance(other, str) else 0
    if len(value) <= _WIDTH:
        start = 0
    end = start + _WIDTH
    before, after = "…" if start else "", "…" if end < len(value) else ""
    return f"{before}{value[start:end]}{after}".__repr__()
