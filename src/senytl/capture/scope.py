"""Scopes: while at least one is open, LLM calls of this process are seen and may be answered."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from senytl.capture.calls import Answer, Answerer, CallSink, PendingCall, current_sink
from senytl.capture.lending import slot_of

if TYPE_CHECKING:
    from senytl.capture.exchange import Exchange

__all__ = [
    "CaptureScope",
    "ask",
    "ask_guards",
    "carries_context",
    "is_open",
    "listeners_of_new_call",
    "may_answer",
    "observers_of_new_call",
    "open_scope",
    "sink_of_new_call",
]

_lock = threading.Lock()
# Replaced under the lock, never changed, so that reading needs none. What follows from the open
# scopes is kept beside them: every call asks for it.
_open: tuple[CaptureScope, ...] = ()  # oldest first
_unattributed: CallSink | None = None
_observers: tuple[Callable[[Exchange], None], ...] = ()
_answerers: tuple[Answerer, ...] = ()  # in the order in which they are asked
_guards: tuple[Answerer, ...] = ()  # those that are asked before all others
_carries_context = False


class CaptureScope:
    """A stretch of time in which LLM calls are seen; open it with `open_scope`.

    Scopes are counted over the whole process: the first to open installs the hooks and the last to
    close removes them. They may close in any order, from any thread.
    """

    def __init__(
        self,
        unattributed: CallSink | None,
        answerer: Answerer | None,
        observer: Callable[[Exchange], None] | None,
        carry_context: bool | None,
        asked_first: bool,
    ) -> None:
        self._unattributed = unattributed
        self._answerer = answerer
        self._observer = observer
        self._carry_context = carry_context
        self._asked_first = asked_first

    def close(self) -> None:
        """Stop seeing calls for this scope. Closing twice does no harm."""
        with _lock:
            if self not in _open:
                return
            _set_open(tuple(scope for scope in _open if scope is not self))
            if not _open:
                from senytl.capture import hooks

                hooks.uninstall()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open_scope(
    *,
    unattributed: CallSink | None = None,
    answerer: Answerer | None = None,
    observer: Callable[[Exchange], None] | None = None,
    carry_context: bool | None = True,
    asked_first: bool = False,
) -> CaptureScope:
    """Begin to see the LLM calls of this process.

    Args:
        unattributed: Gets the calls made where `current_sink` is None, unless a scope opened later
            has such a sink too.
        answerer: Asked for an answer before a call is sent. The newest scope is asked first; a call
            that nobody answers goes to the real API.
        observer: Told of every call that has ended and what came over the wire, on whatever
            thread that was.
        carry_context: Whether threads get a copy of the context of the code that starts them,
            and pools one with each piece of work, so that their calls can be attributed. One
            scope that says no is enough to switch it off; None leaves it to the others.
        asked_first: Whether the answerer is asked before those of all other scopes, also of those
            opened later.

    Returns:
        The open scope, also usable as a context manager.
    """
    from senytl.capture import hooks

    scope = CaptureScope(unattributed, answerer, observer, carry_context, asked_first)
    with _lock:
        if not _open:
            hooks.install()
        _set_open((*_open, scope))
    return scope


def _set_open(scopes: tuple[CaptureScope, ...]) -> None:
    """Change which scopes are open, and what every call asks of them."""
    global _open, _unattributed, _observers, _answerers, _guards, _carries_context
    _open = scopes
    sinks = [scope._unattributed for scope in scopes if scope._unattributed is not None]
    _unattributed = sinks[-1] if sinks else None
    _observers = tuple(scope._observer for scope in scopes if scope._observer is not None)
    asked = [s for s in reversed(scopes) if s._answerer is not None]
    asked.sort(key=lambda scope: not scope._asked_first)
    _answerers = tuple(scope._answerer for scope in asked if scope._answerer is not None)
    _guards = _answerers[: sum(scope._asked_first for scope in asked)]
    wishes = [scope._carry_context for scope in scopes if scope._carry_context is not None]
    _carries_context = bool(wishes) and all(wishes)


def is_open() -> bool:
    """Whether any scope is open."""
    return bool(_open)


def sink_of_new_call() -> CallSink | None:
    """The sink of a call that starts here and now."""
    sink = current_sink.get()
    if sink is not None and (slot := slot_of(sink)) is not None:
        return slot
    return None if _unattributed is None else slot_of(_unattributed)


def listeners_of_new_call() -> tuple[CallSink | None, tuple[Callable[[Exchange], None], ...], bool]:
    """Who gets a call that starts now, who is told of it, and whether anybody may answer it."""
    return sink_of_new_call(), _observers, bool(_answerers)


def observers_of_new_call() -> tuple[Callable[[Exchange], None], ...]:
    """Who is told of a call that starts now."""
    return _observers


def carries_context() -> bool:
    """Whether threads that start now get a copy of their starter's context."""
    return _carries_context


def may_answer() -> bool:
    """Whether any open scope answers calls."""
    return bool(_answerers)


def ask(call: PendingCall) -> Answer | None:
    """Ask the open scopes' answerers: those asked before all others, then newest first."""
    __tracebackhide__ = True
    for answerer in _answerers:
        answer = answerer.answer(call)
        if answer is not None:
            return answer
    return None


def ask_guards(call: PendingCall) -> Answer | None:
    """Ask only those that are asked before all others, of a call that another process makes."""
    for guard in _guards:
        answer = guard.answer(call)
        if answer is not None:
            return answer
    return None
