"""LLM calls that leave the process where senytl cannot read them: counted, and warned of.

WebSockets, gRPC and other processes bypass the HTTP libraries. What is missing from the figures is
said, so that nobody takes the rest for the whole::

    before = unseen_calls()
    agent.run("...")
    missed = unseen_calls() - before       # Counter({Unseen("WebSocket", "openai"): 1})
    print(describe_unseen(missed))         # 1 WebSocket connection to openai
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, NamedTuple

from senytl.capture.calls import warn
from senytl.capture.scope import is_open

__all__ = [
    "Unseen",
    "count_for_processes",
    "describe_unseen",
    "note_unseen",
    "unseen_calls",
    "warn_anew",
]

_UNITS = {
    "WebSocket": ("WebSocket connection to", "WebSocket connections to"),
    "gRPC": ("gRPC call to", "gRPC calls to"),
    "process": ("process that runs", "processes that run"),
}
_REMEDIES = {
    "WebSocket": "Use the SDK's HTTP methods where you measure",
    "gRPC": "Give the SDK its HTTP transport (Google's: transport='rest') where you measure",
    "process": "Let it call a model server of senytl, or call the model in the test's process",
}


class Unseen(NamedTuple):
    """A way on which LLM calls went unseen.

    Args:
        kind: The way.
        name: The vendor that was called; for a process, what it runs.
    """

    kind: Literal["WebSocket", "gRPC", "process"]
    name: str


_lock = threading.Lock()
_seen: Counter[Unseen] = Counter()
_warned: set[str] = set()
_counters = 0  # of the calls of other processes, that run now


def note_unseen(unseen: Unseen) -> None:
    """Count a call, connection or process, and warn of the first of its kind.

    Nothing happens while no scope is open, nor for a process whose calls something else counts.
    Never raises.
    """
    if not is_open() or (unseen.kind == "process" and _counters):
        return
    with _lock:
        _seen[unseen] += 1
        is_new = unseen.kind not in _warned
        _warned.add(unseen.kind)
    if is_new:
        warn(
            f"senytl cannot see all LLM calls: there was a {_UNITS[unseen.kind][0]} {unseen.name}. "
            "LLM calls that are made that way are missing from every figure, with their tokens, "
            f"dollars and times. {_REMEDIES[unseen.kind]}, or report them with record_request. "
            "This warning is given once for each way while senytl watches."
        )


@contextmanager
def count_for_processes() -> Iterator[None]:
    """A stretch in which the calls of other processes are counted, as a model server does."""
    global _counters
    with _lock:
        _counters += 1
    try:
        yield
    finally:
        with _lock:
            _counters -= 1


def unseen_calls() -> Counter[Unseen]:
    """How often each way was taken while a scope was open, since the process began.

    A WebSocket counts once for its connection, whatever is said over it, and a process once for its
    start. The figures are those of the whole process: subtract an earlier reading.
    """
    with _lock:
        return Counter(_seen)


def describe_unseen(unseen: Mapping[Unseen, int]) -> str:
    """Say what was not seen, e.g. ``2 WebSocket connections to openai``; empty for nothing."""
    parts = []
    for (kind, name), count in sorted(unseen.items()):
        if count > 0:
            parts.append(f"{count} {_UNITS[kind][count > 1]} {name}")
    return ", ".join(parts)


def warn_anew() -> None:
    """Warn again of each way, since a new stretch of watching begins."""
    with _lock:
        _warned.clear()
