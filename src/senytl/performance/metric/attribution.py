"""What is not known of single requests where LLM calls belong to none for certain."""

from __future__ import annotations

from typing import Any

from senytl.performance.metric.units import write_count

__all__ = ["calls_without_request"]


def calls_without_request(run: Any) -> str:
    """Say how many calls could not be attributed; empty where all could."""
    if not run.unattributed_calls:
        return ""
    calls = write_count(run.unattributed_calls, "LLM call")
    return f"{calls} could not be attributed to a request"
