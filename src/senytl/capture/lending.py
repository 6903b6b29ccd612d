"""What a thread is told of the request that started it.

Threads start without a context, so calls made in an agent's own threads would be nobody's. While a
scope is open they get a copy of their starter's context instead, in which the sink of LLM calls is
only lent: a thread that outlives the request, as queue-fed workers do, works for others by then,
and its calls are counted as unattributed rather than with the wrong request.
"""

from __future__ import annotations

from contextvars import Context, copy_context

from senytl.capture.calls import CallSink, current_sink
from senytl.models import LLMCallRecord

__all__ = ["LentSink", "context_to_lend", "owner_of", "slot_of"]


class LentSink:
    """A sink for as long as the request lasts in which it was lent.

    Args:
        sink: The sink of the context that lends it.
    """

    __slots__ = ("_sink", "_slot")

    def __init__(self, sink: CallSink) -> None:
        self._sink = sink
        self._slot = slot_of(sink)

    def slot_of_new_call(self) -> CallSink | None:
        """The sink's slot if it still is the one that was lent; else None."""
        slot = slot_of(self._sink)
        return slot if slot is not None and slot == self._slot else None

    def add_call(self, call: LLMCallRecord) -> None:
        """Pass a call on, whatever has ended meanwhile."""
        self._sink.add_call(call)


def slot_of(sink: CallSink) -> CallSink | None:
    """Who gets a call of this sink that begins now: its slot, where it has such things."""
    find = getattr(sink, "slot_of_new_call", None)
    if find is None:
        return sink
    slot: CallSink | None = find()
    return slot


def owner_of(sink: CallSink) -> CallSink:
    """The sink that a slot belongs to; the sink itself where it is none."""
    owner: CallSink = getattr(sink, "owner", sink)
    return owner


def context_to_lend() -> Context:
    """A copy of the current context, for a thread to work in."""
    context = copy_context()
    sink = current_sink.get()
    if sink is not None and not isinstance(sink, LentSink):
        context.run(current_sink.set, LentSink(sink))
    return context
