"""The report as JSON: the document itself."""

from __future__ import annotations

import json
import re

from senytl.performance.report.schema import RunDocument, SessionDocument

__all__ = ["name", "render_run", "render_session", "suffixes"]

name = "json"
suffixes = (".json",)

# What JSON leaves as it is and a terminal obeys: C1 controls, bidirectional overrides.
_UNSAFE = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def render_run(run: RunDocument) -> str:
    """The object of one test, as it stands in the ``tests`` of a session."""
    return _write(run)


def render_session(session: SessionDocument) -> str:
    """The document of a session, schema and all."""
    return _write(session)


def _write(document: RunDocument | SessionDocument) -> str:
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"
