"""What LLM calls cost, known while the calls go on: each is priced as soon as it has ended."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from senytl.models import TokenUsage

if TYPE_CHECKING:
    from senytl.capture.calls import PendingCall
    from senytl.capture.exchange import Exchange
    from senytl.capture.scope import CaptureScope

__all__ = ["CallMeter"]

_BEHIND = 64
"""Calls that wait for their price from which on those who make new ones lend a hand."""


class CallMeter:
    """Adds up the dollars of all LLM calls of this process, those of mocks and replays included.

    Its life: `start` begins to listen, and starts a thread that reads and prices the calls, since
    that would take time of the code that makes them; `settle` waits until all calls that have
    ended are priced; `stop` ends it all. A call that was refused before it was sent costs nothing
    and is left out. A call that failed without a reply counts, and costs nothing.

    Args:
        on_change: Called, by whatever thread has priced a call, after the figures have changed;
            never twice at once.

    Attributes:
        calls: How many calls have been priced, or found to have no price.
        dollars: What those that have a price cost.
        unpriced_calls: How many have no price.
        unpriced_models: Their models, as they were asked for, in the order in which they came.
    """

    def __init__(self, on_change: Callable[[], None] | None = None) -> None:
        self.calls = 0
        self.dollars = 0.0
        self.unpriced_calls = 0
        self.unpriced_models: dict[str, None] = {}
        self._on_change = on_change
        self._lock = Lock()
        # Calls end anywhere, even in the garbage collector: putting takes no lock of Python's.
        self._ended: SimpleQueue[Exchange | Event | None] = SimpleQueue()
        self._scope: CaptureScope | None = None
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to listen to the calls that start from now on."""
        from senytl.capture import open_scope

        _load_prices()
        # Before the scope: no hook need look at this thread.
        thread = Thread(target=self._work, name="senytl-prices", daemon=True)
        thread.start()
        self._thread = thread
        self._scope = open_scope(answerer=self, observer=self._observe, carry_context=None)

    def settle(self) -> None:
        """Wait until every call that has ended so far is in the figures."""
        if self._thread is not None:
            reached = Event()
            self._ended.put(reached)
            reached.wait()

    def end_streams(self) -> None:
        """End the streams that are still open, so that what they brought is counted."""
        from senytl.capture.exchange import open_streams

        for stream in open_streams(self._observe):
            stream.cut()

    def stop(self) -> None:
        """Price what has ended, and listen no more. Stopping twice does no harm."""
        if self._scope is not None:
            self._scope.close()
            self._scope = None
        if self._thread is not None:
            self._ended.put(None)
            self._thread.join()
            self._thread = None

    def answer(self, call: PendingCall) -> None:
        """Answer nothing, but price some calls before this one is made, if too many wait.

        Many threads that do nothing but call mocks leave the meter's own thread so little of the
        interpreter that it would fall ever further behind. Each of them then prices two calls
        before its next one.
        """
        if self._ended.qsize() < _BEHIND:
            return
        for _ in range(2):
            try:
                ended = self._ended.get_nowait()
            except Empty:
                return
            if ended is None or isinstance(ended, Event):
                self._ended.put(ended)  # for the meter's thread
                return
            self._price(ended)

    def _observe(self, exchange: Exchange) -> None:
        if exchange.error_kind not in ("unanswered", "budget"):  # it was sent
            self._ended.put(exchange)

    def _work(self) -> None:
        while (ended := self._ended.get()) is not None:
            if isinstance(ended, Event):
                ended.set()
            else:
                self._price(ended)

    def _price(self, exchange: Exchange) -> None:
        dollars = _dollars_of(exchange)
        with self._lock:
            self.calls += 1
            if dollars is None:
                self.unpriced_calls += 1
                self.unpriced_models.setdefault(exchange.call.model)
            else:
                self.dollars += dollars
            if self._on_change is not None:
                self._on_change()


def _dollars_of(exchange: Exchange) -> float | None:
    """What a call costs; None without a price, and for one that cannot be read."""
    from senytl.capture.captured import CapturedCall
    from senytl.performance.pricing import current_pricing
    from senytl.performance.tokens import usage_of

    call = CapturedCall(exchange, exchange.start)  # when it ended makes no difference here
    try:
        usage = usage_of(call)
        if call.error is not None and usage == TokenUsage():
            return 0.0
        cost = current_pricing().price(
            usage,
            call.model,
            response_model=call.response_model,
            provider=call.provider,
            service_tier=call.service_tier,
            timestamp=call.timestamp,
        )
    except Exception:  # whatever a reply may hold: its call counts as one without a price
        return None
    return None if cost is None else cost.total_cost


def _load_prices() -> None:
    """Load what pricing takes a quarter of a second to load: no call shall pass meanwhile."""
    from senytl.performance import tokens  # noqa: F401
    from senytl.performance.pricing import current_pricing

    current_pricing().price(TokenUsage(1, 1), "gpt-4o-mini", "openai")
