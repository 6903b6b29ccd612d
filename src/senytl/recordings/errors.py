"""What can be wrong with a recording."""

from __future__ import annotations

from senytl.models import SenytlError

__all__ = ["RecordingError", "UnrecordedCallError"]


class RecordingError(SenytlError):
    """A recording is not there, cannot be read, or would hold nothing."""


class UnrecordedCallError(RecordingError):
    """A call that the recording which is replayed does not hold.

    Args:
        message: What was called, what is nearest to it, and in what the two differ.
        model: The model that was asked for.

    Attributes:
        model: The same.
    """

    def __init__(self, message: str, model: str) -> None:
        self.model = model
        super().__init__(message)

    def __reduce__(self) -> tuple[type[UnrecordedCallError], tuple[str, str]]:
        return UnrecordedCallError, (str(self), self.model)
