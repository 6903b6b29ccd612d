"""Snapshots: what agents answered, kept in files beside the tests and compared with later answers.

Inside a block the runs of wrapped agents are kept by themselves, once the block has ended well::

    with snapshot.snapshot_mode("compare"):
        response = agent.run("Query")

`match` does the same at once, for responses of its caller's choice. The files are
``.snapshots/<module>/<test>.json`` in the test file's folder: commit them, and review them.
"""

from __future__ import annotations

from senytl.snapshot.mode import (
    Mode,
    SnapshotBlock,
    SnapshotMismatchError,
    SnapshotMissingError,
    match,
    snapshot_mode,
)

__all__ = [
    "Mode",
    "SnapshotBlock",
    "SnapshotMismatchError",
    "SnapshotMissingError",
    "match",
    "snapshot_mode",
]
