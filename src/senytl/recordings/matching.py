"""Which recorded call a request is: irrespective of order, identifiers and volatile members."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from senytl.recordings.document import Request

__all__ = ["Matcher"]

# Members of a body that say who asks, or how to cache: they do not change what is asked.
_VOLATILE = frozenset(
    ("labels", "metadata", "prompt_cache_key", "prompt_cache_retention",
     "requestMetadata", "safety_identifier", "seed", "store", "user")
)  # fmt: skip
_ID = re.compile(
    r"\b(?:call|toolu|srvtoolu|tooluse|msg|resp|rs|fc|chatcmpl|item|run|req|thread|conv)"
    r"[_-][A-Za-z0-9_\-]{3,}"
)
_ID_MEMBERS = frozenset(
    ("id", "call_id", "tool_call_id", "tool_use_id", "toolUseId", "item_id",
     "previous_response_id", "conversation")
)  # fmt: skip
_CHANGING = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
    r"|\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?",
    re.IGNORECASE,
)


class Matcher:
    """Gives requests keys, such that those with an equal key are the same request.

    There are several keys, the strictest first: as it was written but for volatile members; with
    identifiers numbered in the order in which they come; and without UUIDs, moments and whatever
    else is to be ignored in its texts.

    Args:
        ignore: Regular expressions of what may differ in texts.

    Raises:
        ValueError: If one is no regular expression.
    """

    def __init__(self, ignore: Sequence[str] = ()) -> None:
        self._ignored: list[re.Pattern[str]] = []
        for pattern in (ignore,) if isinstance(ignore, str) else ignore:
            try:
                self._ignored.append(re.compile(pattern))
            except re.error as error:
                problem = f"ignore holds {pattern!r}, which is no regular expression: {error}"
                raise ValueError(problem) from None

    def keys(self, request: Request) -> tuple[Callable[[], str], ...]:
        """Functions that give the keys, since the first ones often are enough."""
        body = without_volatile(request.body)
        head = [request.api, request.model, request.streamed]

        def write(body: Any) -> str:
            return json.dumps([*head, body], sort_keys=True, ensure_ascii=False)

        return (
            lambda: write(body),
            lambda: write(_numbered(body, {}, "")),
            lambda: write(_numbered(self._without_changing(body), {}, "")),
        )

    def _without_changing(self, value: Any) -> Any:
        if isinstance(value, str):
            for pattern in (*self._ignored, _CHANGING):
                value = pattern.sub("~", value)
            return value
        if isinstance(value, dict):
            return {key: self._without_changing(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._without_changing(item) for item in value]
        return value


def without_volatile(body: Mapping[str, Any]) -> dict[str, Any]:
    """A body without the members that do not change what is asked."""
    kept = {key: value for key, value in body.items() if key not in _VOLATILE}
    config = kept.get("generationConfig")
    if isinstance(config, dict):
        kept["generationConfig"] = {key: value for key, value in config.items() if key != "seed"}
    return kept


def _numbered(value: Any, seen: dict[str, str], name: str) -> Any:
    """The value with its identifiers numbered in the order of their appearance.

    The same identifier gets the same number, so that what was linked stays linked.
    """
    if isinstance(value, str):
        if name in _ID_MEMBERS:
            return seen.setdefault(value, f"#{len(seen) + 1}")
        if len(value) < 200 and _ID.search(value):
            return _ID.sub(lambda match: seen.setdefault(match[0], f"#{len(seen) + 1}"), value)
        return value
    if isinstance(value, dict):
        return {key: _numbered(value[key], seen, key) for key in sorted(value)}
    return [_numbered(item, seen, name) for item in value] if isinstance(value, list) else value
