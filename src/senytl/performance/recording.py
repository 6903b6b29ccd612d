"""The hot path: what one user's requests cost to record.

A body that records nothing by itself, which is every body of an agent that is not wrapped and
calls no model, costs two readings of the clock, one comparison and one append to a column of
floats. Everything else (requests recorded by hand, wrapped runs, LLM calls) sets `touched`, and
the body then ends by `end_body`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING

from senytl.models import LLMCallRecord, MisuseError, PerformanceError
from senytl.performance.failures import count_error, is_failure, is_interruption
from senytl.performance.ledger import CallLedger
from senytl.performance.request import Request, RequestNotes, calls_of
from senytl.performance.request_columns import COLUMNS, Columns, RequestColumns
from senytl.performance.slots import Block, Slot
from senytl.performance.user import CurrentUser

if TYPE_CHECKING:
    from senytl.capture import CallSink
    from senytl.models import SenytlResponse
    from senytl.performance.request import EndedRequests
    from senytl.performance.run import Run

__all__ = [
    "Recorder",
    "clock",
    "current_recorder",
    "record_wrapped_run",
    "running_recorder",
]

clock = perf_counter
"""The clock of every latency, in seconds."""

current_recorder: ContextVar[Recorder | None] = ContextVar("senytl_recorder", default=None)
"""The recorder of the body that runs in this context."""

_current_block: ContextVar[Block | None] = ContextVar("senytl_block", default=None)
"""The innermost block that `Recorder.measured` measures in this context."""


class Recorder(RequestColumns):
    """The requests of one user, in the order in which they ended.

    Its life: `entered` around the user's work; for each body `begin_body`, then `end_body`, or,
    where `touched` is still False, an append to `latencies` in its place; at last `Run.finish`
    merges it. It belongs to one user, and takes no lock; the calls that arrive from an agent's
    own threads, or from the garbage collector, are appended to a list, which is safe.

    Args:
        run: The run that it is part of.
        counts: False for warm-up: nothing is kept, and assertions are not checked.
        user: Whose requests they are; a benchmark has one user.

    Attributes:
        lag: By how much the body started later than was intended, in seconds. It is part of the
            latency, and no part of the service time.
        timed_out: How many of the failed requests took too long.
        under_way: The runs of wrapped agents that have begun in its body's context.
        unended_runs: How many of them had not ended when their body had.
    """

    __slots__ = (
        "_bodies",
        "_calls",
        "_committed",
        "_last_places",
        "_late",
        "_notes",
        "_pending",
        "_requests",
        "_seconds_stopped_before",
        "_slotted_again",
        "_stopped_seconds",
        "body_seconds",
        "body_start",
        "counts",
        "errors",
        "intends",
        "interrupted",
        "lag",
        "run",
        "timed_out",
        "touched",
        "under_way",
        "unended_runs",
        "user",
    )

    def __init__(self, run: Run, *, counts: bool = True, user: CurrentUser | None = None) -> None:
        super().__init__()
        self.run = run
        self.counts = counts
        self.user = user or CurrentUser(0)
        self.user.recorders.append(self)
        self.intends = False
        self.lag = 0.0
        self.timed_out = 0
        self._bodies = self._committed = 0
        self.errors: Counter[tuple[str, str]] = Counter()
        self.interrupted = 0
        self.touched = False
        self.under_way: set[object] = set()
        self.unended_runs = 0
        self.body_start = 0.0
        self.body_seconds = 0.0
        self._stopped_seconds = 0.0
        self._seconds_stopped_before = 0.0
        self._requests: list[Request] = []
        self._pending: list[LLMCallRecord] = []
        self._late: list[tuple[int, int, LLMCallRecord]] = []
        self._last_places: dict[int, int] = {}
        self._slotted_again = False
        self._calls = CallLedger()
        self._notes = RequestNotes()

    @property
    def bodies(self) -> int:
        """How many bodies have ended, by themselves or by an error."""
        return self._bodies + self.ended - self._committed

    @property
    def calls(self) -> int:
        """How many LLM calls were seen in bodies that have ended, and after them."""
        return len(self._calls) + len(self._late)

    def read_calls(self) -> None:
        """Read the LLM calls that wait to be read, between two bodies; their records may go."""
        self._calls.columns()

    def own_records(self) -> Iterator[object]:
        """What this keeps of requests that have ended."""
        yield from (getattr(self, name) for name in COLUMNS)
        if len(self._calls):
            yield self._calls
        yield self._notes
        yield self.errors

    def discard(self) -> None:
        """Keep nothing of requests that have ended but how many they were, between two bodies.

        Nor of calls that came since, whose requests they were.
        """
        self._pending.clear()
        self._late.clear()
        self._last_places.clear()
        self.errors.clear()
        if len(self._calls):
            self._calls = CallLedger()
        if len(self.latencies) or len(self.failed_latencies):
            self._notes = RequestNotes()
            self.hand_over()

    def forget(self) -> tuple[Columns, Columns] | None:
        """Forget single requests, between two bodies; gives what `hand_over` does.

        None where single requests are needed, since LLM calls belong to them.
        """
        if self.calls or self._pending or self._last_places:
            return None
        self._notes = RequestNotes()
        return self.hand_over()

    @contextmanager
    def entered(self) -> Iterator[Recorder]:
        """Make this the recorder of the current context: of its bodies and its LLM calls."""
        from senytl.capture import current_sink
        from senytl.performance.current import explicit_metrics
        from senytl.performance.run import current_settings

        tokens = (
            (current_recorder, current_recorder.set(self)),
            (current_sink, current_sink.set(self)),
            # What an enclosing test set is no business of this body.
            (explicit_metrics, explicit_metrics.set(None)),
            (current_settings, current_settings.set(None)),
            (_current_block, _current_block.set(None)),
        )
        self.run.entered.add(self)
        try:
            yield self
        finally:
            self.run.entered.discard(self)
            for variable, token in tokens:
                variable.reset(token)  # type: ignore[arg-type]  # each token is its variable's

    def begin_body(self) -> float:
        """Start the clock of a body; gives the time of its start."""
        self.body_start = start = clock()
        return start

    def end_body(self, end: float, error: BaseException | None = None) -> None:
        """Record the body's requests: those it recorded itself, else the body as one.

        Args:
            end: When the body ended, by `clock`.
            error: What left the body; it makes the last request a failed one.
        """
        requests, calls = self._requests, self._pending
        self._requests, self._pending, self.touched = [], [], False
        self._bodies += 1
        if self.under_way:  # such as one whose coroutine nobody awaited
            if error is None or not is_interruption(error):
                self.unended_runs += len(self.under_way)
            self.under_way.clear()
        self.body_seconds += end - self.body_start
        stopped = self._stopped_seconds - self._seconds_stopped_before
        self._seconds_stopped_before = self._stopped_seconds
        if requests:
            requests[-1].calls = requests[-1].calls + calls
            requests[0].latency += self.lag
            requests[0].lag = self.lag
            if error is not None and is_failure(error):
                requests[-1].error = error
            elif error is not None and is_interruption(error):
                self.interrupted += 1  # those that it recorded had ended; another was under way
        elif error is not None and is_interruption(error):
            self.interrupted += 1
            self._pending = calls
        else:
            failure = error if error is not None and is_failure(error) else None
            began = self.body_start - stopped
            latency = end - self.body_start + self.lag
            requests.append(Request(latency, failure, calls, began=began, ended=end, lag=self.lag))
        if self._slotted_again:
            self._slotted_again = False
            self._last_places[self.ended] = len(requests) - 1
        for request in requests:
            self._commit(request)
        if self.intends and requests:
            self.start_lags.append(self.lag)

    def _commit(self, request: Request) -> None:
        number = self.ended
        for call in request.calls:
            self._calls.add(number, call)
        self._notes.note(number, request)
        self._committed += 1
        if request.error is None:
            self.latencies.append(request.latency)
            if self.intends:
                self.service_times.append(request.latency - request.lag)
            return
        self.failed_latencies.append(request.latency)
        is_first = self.run.first_failure is None and self.counts
        if is_first and isinstance(request.error, BaseException):
            self.run.first_failure = request.error
        count_error(self.errors, request.error)

    def add_call(self, call: LLMCallRecord) -> None:
        """Take an LLM call that has ended; it belongs to the next request recorded."""
        self._pending.append(call)
        self.touched = True

    def slot_of_new_call(self) -> Slot:
        """Who gets a call that begins now, whenever it ends."""
        self.touched = True
        place = len(self._requests)
        if place:
            self._slotted_again = True
        return Slot(self, place)

    def add_late_call(self, number: int, place: int, call: LLMCallRecord) -> None:
        """Take a call that has ended after what it began in; any thread may bring it.

        Args:
            number: How many requests had ended when its body began.
            place: The request's place in that body; one that it never recorded stands for its
                last one.
            call: The call.
        """
        self._late.append((number, place, call))

    def record(
        self,
        latency: float,
        response: object = None,
        error: BaseException | str | None = None,
        *,
        began: float | None = None,
    ) -> None:
        """Record a request by hand, or correct that of a wrapped run.

        Args:
            latency: Seconds.
            response: What the agent gave. The response of a wrapped run that was recorded in
                this body corrects that record.
            error: What went wrong, for a failed request.
            began: When it began, by `clock`; `latency` ago where it is not given.

        Raises:
            MisuseError: If `latency` is not a finite number of 0 or more.
        """
        now = clock()
        if isinstance(latency, bool) or not isinstance(latency, int | float):
            raise MisuseError(f"latency is {latency!r}; it must be a number of seconds")
        if not math.isfinite(latency) or latency < 0:
            raise MisuseError(f"latency is {latency}; it must be finite and not negative")
        if response is not None:
            for request in self._requests:
                if request.response is response:
                    request.latency = latency
                    request.error = error if error is not None else request.error
                    return
        calls = self._take_calls()
        if brought := calls_of(response):
            from senytl.capture.captured import llm_calls_of

            calls = llm_calls_of(calls) or brought
        # Without the response: only those of wrapped runs are corrected, and an agent that is not
        # wrapped may well give the same object each time.
        self._add(
            Request(
                latency,
                error,
                calls,
                began=now - latency if began is None else began,
                ended=now,
            )
        )

    def record_run(self, response: SenytlResponse, error: BaseException | None) -> None:
        """Record the run of a wrapped agent, with the LLM calls made inside it."""
        now = clock()
        calls = self._take_calls()
        self._add(
            Request(
                response.duration_seconds,
                error,
                [*calls, *response.llm_calls],
                response,
                began=now - response.duration_seconds,
                ended=now,
            )
        )

    def _add(self, request: Request) -> None:
        request.place = len(self._requests)
        self._requests.append(request)
        self.touched = True
        block = _current_block.get()
        if block is not None:
            block.requests.append(request)

    def _take_calls(self) -> list[LLMCallRecord]:
        """The calls seen since the last request, of this block or, outside of any, of the body."""
        block = _current_block.get()
        if block is None:
            calls, self._pending = self._pending, []
        else:
            calls, block.calls = block.calls, []
        return calls

    @contextmanager
    def measured(self) -> Iterator[None]:
        """A part of a body that is a request of its own, unless it records requests itself."""
        from senytl.capture import current_sink, flush

        block = Block(self, _current_block.get())
        block_token, sink_token = _current_block.set(block), current_sink.set(block)
        stopped = self._stopped_seconds
        start = clock()
        error: BaseException | None = None
        try:
            yield
        except BaseException as exception:
            error = exception
            raise
        finally:
            elapsed = clock() - start - (self._stopped_seconds - stopped)
            flush(block)
            failed = error is not None and is_failure(error)
            if not block.requests and (error is None or failed):
                self.record(elapsed, error=error, began=start)
            elif block.requests:
                last = block.requests[-1]
                last.calls = last.calls + block.calls
                last.error = error if failed else last.error
            else:
                self._pending += block.calls
            block.place = block.requests[-1].place if block.requests else len(self._requests)
            current_sink.reset(sink_token)
            _current_block.reset(block_token)
            if block.around is not None:
                block.around.requests += block.requests

    @contextmanager
    def stopped_clock(self) -> Iterator[float]:
        """Leave what senytl does out of the body's time; gives the time at which it stops.

        Judging a limit inside a body loads modules, sorts and prices, none of which is the
        agent's doing.
        """
        stopped = clock()
        try:
            yield stopped
        finally:
            seconds = clock() - stopped
            self.body_start += seconds
            self._stopped_seconds += seconds
            self.touched = True

    def so_far(self, now: float) -> Recorder:
        """A copy in which the body that still runs has ended `now`."""
        copy = Recorder(self.run)
        copy.intends = self.intends
        copy.lag = self.lag
        self.copy_columns_to(copy)
        copy.timed_out = self.timed_out
        copy.errors = Counter(self.errors)
        copy.unended_runs = self.unended_runs
        copy._calls.extend(self._calls, 0)
        copy._notes = self._notes.copy()
        copy._late = list(self._late)
        copy._last_places = dict(self._last_places)
        copy._slotted_again = self._slotted_again
        copy.body_start = self.body_start
        copy.body_seconds = self.body_seconds
        copy._stopped_seconds = self._stopped_seconds
        copy._seconds_stopped_before = self._seconds_stopped_before
        copy._requests = [one.copy() for one in self._requests]
        copy._pending = list(self._pending)
        block = _current_block.get()
        while block is not None:
            copy._pending += block.calls
            block = block.around
        copy.end_body(now)
        return copy

    def add_requests_to(self, requests: EndedRequests) -> None:
        """Append the requests that have ended, in the order of their numbers."""
        self._notes.add_to(requests, self.forgotten, self.latencies, self.failed_latencies)

    def merge_into(self, ledger: CallLedger, offset: int) -> None:
        """Hand the calls over, with requests numbered from `offset` on.

        Calls that came after the last body stand with the last request.
        """
        late, self._late = self._late, []
        last = max(self.ended - 1, 0)
        for number, place, call in late:
            request = number + min(place, self._last_places.get(number, place))
            self._calls.add(min(request, last), call, left_over=request >= self.ended)
        pending, self._pending = self._pending, []
        for call in pending:
            self._calls.add(last, call, left_over=True)
        # Where none of this user's requests ended, what it spent stands with the one before.
        ledger.extend(self._calls, offset if self.ended else max(offset - 1, 0))


def record_wrapped_run(
    response: SenytlResponse,
    error: BaseException | None = None,
    sink: CallSink | None = None,
) -> None:
    """Record the run of a wrapped agent as a request of the body that runs, if one does.

    Args:
        response: The run's response; one without text for a run that raised.
        error: What the agent raised.
        sink: Who gets the LLM calls that are made where the run was. In a thread without a
            context that is the recorder of the only body that runs, whose request this is then,
            unless it may be part of a run that is under way there; else the calls are all that
            can be told of the run.
    """
    recorder = current_recorder.get()
    owner = getattr(sink, "owner", sink)
    if recorder is None and isinstance(owner, Recorder) and not owner.under_way:
        recorder = owner
    if recorder is not None:
        recorder.record_run(response, error)
    elif sink is not None:
        for call in response.llm_calls:
            sink.add_call(call)


def running_recorder() -> Recorder:
    """The recorder of the body that runs.

    Raises:
        PerformanceError: If no body runs in this context.
    """
    recorder = current_recorder.get()
    if recorder is None:
        raise PerformanceError(
            "no benchmark or load test is running here: call this inside a function decorated "
            "with @performance.benchmark or @performance.load_test, or in a test that has the "
            "perf fixture"
        )
    return recorder
