"""Attempts at one logical call, as a server tells them apart: by the number that SDKs send."""

from __future__ import annotations

from contextvars import Context
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from senytl.capture.exchange import Exchange

__all__ = ["Attempts"]

_KEPT = 4096  # failed calls whose retry may still come


class Attempts:
    """The contexts of calls that failed, until they are tried again.

    Capture groups attempts by the context in which they are made. A retry that comes over the
    network is therefore answered in the context of the attempt before it, which is the one with
    the same body. A call that an SDK has not numbered is a first attempt.
    """

    def __init__(self) -> None:
        self._failed: dict[bytes, Context] = {}

    def context_of(self, body: bytes, retries: str | None) -> Context:
        """The context in which to answer a call.

        Args:
            body: The request's body.
            retries: How many retries came before it, by the SDK's own header; None without one.
        """
        is_retry = retries is not None and retries.isdecimal() and int(retries) > 0
        before = self._failed.pop(_digest(body), None) if is_retry else None
        return Context() if before is None else before

    def note_end(self, exchange: Exchange, body: bytes, context: Context) -> None:
        """Note how a call has ended that was answered in a context."""
        if exchange.error is None and (exchange.status is None or exchange.status < 400):
            return
        if len(self._failed) >= _KEPT:
            self._failed.clear()
        self._failed[_digest(body)] = context


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=16).digest()
