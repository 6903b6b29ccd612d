"""Seeing, and answering, every LLM call of this process without changing the user's code.

Calls are seen at the public ``send`` of the HTTP libraries' clients, while at least one scope is
open::

    with open_scope(unattributed=sink):
        agent.run("...")          # sink.add_call(record), once per call

Importing this package patches nothing and loads no HTTP library.
"""

from __future__ import annotations

from senytl.capture.calls import (
    Answer,
    Answerer,
    CallSink,
    CaptureWarning,
    PendingCall,
    current_sink,
)
from senytl.capture.exchange import flush
from senytl.capture.scope import CaptureScope, open_scope

__all__ = [
    "Answer",
    "Answerer",
    "CallSink",
    "CaptureScope",
    "CaptureWarning",
    "PendingCall",
    "current_sink",
    "flush",
    "open_scope",
]
