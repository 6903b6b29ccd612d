"""What somebody may have meant by a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["nearest"]


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that is most like one that is none of them; None where none is like it.

    The order of the words does not matter: ``latency_p95`` is near ``p95_latency``.
    """
    written = {known.replace("_", ""): known for known in names}
    if (known := written.get(name.lower().replace("_", ""))) is not None:
        return known
    by_words = {_words(known): known for known in written.values()}
    near = difflib.get_close_matches(_words(name), by_words, n=1)
    return by_words[near[0]] if near else None


def _words(name: str) -> str:
    return "_".join(sorted(name.lower().split("_")))
