"""Recordings: the real LLM calls of a block in a file to review, and their replay with their times.

`senytl.Senytl` gives both as blocks::

    with senytl.record("checkout"):
        agent.run("Where is order A-1001?")

    with senytl.replay("checkout", speed=2.0):
        agent.run("Where is order A-1001?")

No header is kept but the content type and what a refusal says of trying again, and secrets are
taken out before anything is written.
"""

from __future__ import annotations

from senytl.recordings.errors import RecordingError, UnrecordedCallError
from senytl.recordings.recorder import Recorder
from senytl.recordings.replay import Replay

__all__ = ["Recorder", "RecordingError", "Replay", "UnrecordedCallError"]
