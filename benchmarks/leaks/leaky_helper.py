"""A module of helpers, as an agent's tools are: one of them remembers all that it was asked."""

from __future__ import annotations

import json

__all__ = ["look_up"]

_SEEN: list[str] = []


def look_up(request: int) -> int:
    """Give how many questions there were, all of which are kept."""
    _SEEN.append(json.dumps({"request": request, "question": f"{request:>400}"}))  # leaks
    return len(_SEEN)
