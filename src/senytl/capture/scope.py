"""Scopes: while at least one is open, LLM calls of this process are seen and may be answered."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from senytl.capture.calls import Answerer, CallSink, PendingCall, current_sink
from senytl.models import MockResponse

__all__ = ["CaptureScope", "ask", "is_open", "may_answer", "open_scope", "sink_of_new_call"]

_lock = threading.Lock()
_open: tuple[
    CaptureScope, ...
] = ()  # oldest first; replaced, never changed, so that reading needs no lock


class CaptureScope:
    """A stretch of time in which LLM calls are seen; open it with `open_scope`.

    Scopes are counted over the whole process: the first to open installs the hooks and the last to
    close removes them. They may close in any order, from any thread.
    """

    def __init__(self, unattributed: CallSink | None, answerer: Answerer | None) -> None:
        self._unattributed = unattributed
        self._answerer = answerer

    def close(self) -> None:
        """Stop seeing calls for this scope. Closing twice does no harm."""
        global _open
        with _lock:
            if self not in _open:
                return
            _open = tuple(scope for scope in _open if scope is not self)
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
    *, unattributed: CallSink | None = None, answerer: Answerer | None = None
) -> CaptureScope:
    """Begin to see the LLM calls of this process, through every SDK over httpx, httpx2 or aiohttp.

    Args:
        unattributed: Gets the calls made where `current_sink` is None, unless a scope opened later
            has such a sink too.
        answerer: Asked for an answer before a call is sent. The newest scope is asked first; a call
            that nobody answers goes to the real API.

    Returns:
        The open scope, also usable as a context manager.
    """
    global _open
    from senytl.capture import hooks

    scope = CaptureScope(unattributed, answerer)
    with _lock:
        if not _open:
            hooks.install()
        _open = (*_open, scope)
    return scope


def is_open() -> bool:
    """Whether any scope is open."""
    return bool(_open)


def sink_of_new_call() -> CallSink | None:
    """The sink of a call that starts here and now."""
    sink = current_sink.get()
    if sink is not None:
        return sink
    for scope in reversed(_open):
        if scope._unattributed is not None:
            return scope._unattributed
    return None


def may_answer() -> bool:
    """Whether any open scope answers calls."""
    return any(scope._answerer is not None for scope in _open)


def ask(call: PendingCall) -> MockResponse | None:
    """Ask the open scopes' answerers, newest first."""
    __tracebackhide__ = True
    for scope in reversed(_open):
        if scope._answerer is not None:
            response = scope._answerer.answer(call)
            if response is not None:
                return response
    return None
