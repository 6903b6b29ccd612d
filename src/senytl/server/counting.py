"""Whose the calls are that a server answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from senytl.capture.calls import CallSink, warn
from senytl.capture.scope import observers_of_new_call, sink_of_new_call
from senytl.models import LLMCallRecord

if TYPE_CHECKING:
    from senytl.capture.exchange import Exchange

__all__ = ["Address", "Counting", "OwnConnections", "Served"]

Address = tuple[str, int]
"""An IP address and a port."""


@dataclass(frozen=True, slots=True)
class Served:
    """Who gets the record of a call that was answered: the server, and the body that runs.

    Args:
        keep: The server's.
        body: The sink of a measured body; None where none is measured.
        observers: Who is told of the call besides, such as the budget of the session.
    """

    keep: Callable[[LLMCallRecord], None]
    body: CallSink | None = None
    observers: Sequence[Callable[[Exchange], None]] = ()

    @property
    def owner(self) -> CallSink | None:
        """The sink whose end ends the call too, see `senytl.capture.flush`."""
        owner: CallSink | None = getattr(self.body, "owner", self.body)
        return owner

    def add_call(self, call: LLMCallRecord) -> None:
        """Hand a call over."""
        self.keep(call)
        if self.body is not None:
            self.body.add_call(call)


class Counting:
    """Who gets the calls of each connection.

    A call of another process belongs to the measured body that runs in this one, if there is such;
    those of this process are seen where they are made, and must not count twice.

    Args:
        keep: The server's own sink.
        others: Whether calls of other processes are counted for the body that runs.
    """

    def __init__(self, keep: Callable[[LLMCallRecord], None], *, others: bool = True) -> None:
        self._served = Served(keep)
        self._others = others
        self._own = OwnConnections()

    def sink_of(self, peer: Address | None, seen: float) -> Served:
        """Who gets a call.

        Args:
            peer: Where it comes from.
            seen: When the connection was seen, on the clock of `time.perf_counter`.
        """
        body = sink_of_new_call() if self._others else None
        observers = observers_of_new_call() if self._others else ()
        nobody = body is None and not observers
        if nobody or (peer is not None and self._own.holds(peer, seen)):
            return self._served
        return Served(self._served.keep, body, observers)


class OwnConnections:
    """The connections of this process, by the addresses of its own ends."""

    def __init__(self) -> None:
        self._read_at = float("-inf")
        self._addresses: frozenset[Address] = frozenset()
        self._has_warned = False

    def holds(self, peer: Address, seen: float) -> bool:
        """Whether the other end of a connection is in this process as well.

        Args:
            peer: The other end.
            seen: When the connection was seen, on the clock of `time.perf_counter`; addresses
                that were read later than that need not be read again.
        """
        if self._read_at <= seen:
            self._read_at = time.perf_counter()
            self._addresses = self._read()
        return peer in self._addresses

    def _read(self) -> frozenset[Address]:
        import psutil

        try:
            connections = psutil.Process().net_connections(kind="tcp")
        except psutil.Error as error:
            if not self._has_warned:
                self._has_warned = True
                warn(
                    "senytl's server cannot tell the calls of this process from those of others "
                    f"({type(error).__name__}: {error}), so it counts them all. Make it with "
                    "count=False if the agent runs in this process."
                )
            return frozenset()
        return frozenset((str(one.laddr.ip), one.laddr.port) for one in connections if one.laddr)
