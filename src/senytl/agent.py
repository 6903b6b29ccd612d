"""The wrapped agent: its runs are timed, their LLM calls kept, their answers turned into text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import isawaitable, isclass, iscoroutine
from time import perf_counter
from typing import Any

from senytl.answer_text import find_text, join_chunks
from senytl.capture import CallSink, current_sink, flush, open_scope
from senytl.capture.captured import llm_calls_of
from senytl.capture.lending import LentSink, owner_of, slot_of
from senytl.capture.scope import sink_of_new_call
from senytl.models import LLMCallRecord, SenytlResponse
from senytl.performance.failures import is_interruption
from senytl.performance.recording import current_recorder, record_wrapped_run

__all__ = ["RunObserver", "WrappedAgent", "run_observer"]

RunObserver = Callable[[SenytlResponse, float], None]
"""Told of a run that succeeded: its response, and when it began on the clock of `perf_counter`."""

run_observer: ContextVar[RunObserver | None] = ContextVar("senytl_run_observer", default=None)
"""Who is told of the runs in this context; not of those that wrapped agents start of each other."""

_MEASURED = ("run", "invoke", "arun", "ainvoke", "run_sync")


class WrappedAgent:
    """An agent whose runs are measured; made by ``senytl.wrap(agent)``.

    Its `run` calls the agent's own ``run``, else ``invoke``, ``arun`` or ``ainvoke``, else the
    agent itself. The agent's other methods of these names, and ``run_sync``, are measured in
    the same way. Everything else, such as ``wrapped.memory``, is the agent's own; `raw_agent`
    is the agent.

    A run is a request of the benchmark or load test around it. Where a wrapped agent runs
    another, the outer run is the request, and has the LLM calls of both.

    Args:
        agent: A callable, or an object with one of those methods; sync or async.
        before_run: Called before each run; what it raises is raised in the run's place.

    Raises:
        TypeError: If it is none of these, or a class.
    """

    __slots__ = ("__weakref__", "_before_run", "_entry", "raw_agent")

    raw_agent: Any

    def __init__(self, agent: Any, before_run: Callable[[], None] | None = None) -> None:
        if isclass(agent):
            raise TypeError(f"cannot wrap the class {agent.__name__}: wrap an instance of it")
        entries = (getattr(agent, name, None) for name in _MEASURED[:4])
        entry = next((entry for entry in entries if callable(entry)), agent)
        if not callable(entry):
            raise TypeError(
                f"cannot wrap {agent!r}: an agent is a callable, or has a method run, invoke, "
                "arun or ainvoke"
            )
        self._entry: Callable[..., Any] = entry
        self._before_run = before_run
        self.raw_agent = agent

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run the agent.

        Args:
            *args: For the agent.
            **kwargs: For the agent.

        Returns:
            A `SenytlResponse`; an awaitable of one where the agent is async. What an agent
            streams is read to its end first, and ``raw`` is then the list of its chunks.

        Raises:
            Exception: What the agent raises, unchanged.
        """
        return _measure(self._entry, args, kwargs, self._before_run)

    def __getattr__(self, name: str) -> Any:
        if name in type(self).__slots__:  # an instance that was not initialised, as copying makes
            raise AttributeError(name)
        value = getattr(self.raw_agent, name)
        if name in _MEASURED and callable(value):
            return lambda *args, **kwargs: _measure(value, args, kwargs, self._before_run)
        return value

    def __repr__(self) -> str:
        return f"WrappedAgent({self.raw_agent!r})"


class _Run:
    """One run: the sink of the LLM calls made inside it."""

    def __init__(self) -> None:
        self.calls: list[LLMCallRecord] = []
        self.start = perf_counter()
        self._ended = False
        here = current_sink.get()
        # In a thread that outlived its request, the recorder of the context has moved on.
        self._is_stray = isinstance(here, LentSink) and here.slot_of_new_call() is None
        # A task that outlives the run that started it is no part of that run, and has its slot
        # around it.
        self._around: CallSink | None = sink_of_new_call()
        self._outer = self._around if isinstance(self._around, _Run) else None
        self._recorder = None if self._is_stray else current_recorder.get()
        if self._recorder is not None and self._outer is None:
            self._recorder.under_way.add(self)

    def slot_of_new_call(self) -> CallSink | None:
        """Itself; once it has ended, whoever is around it."""
        if not self._ended:
            return self
        return None if self._around is None else slot_of(owner_of(self._around))

    def add_call(self, call: LLMCallRecord) -> None:
        """Take a call that has ended; those of an inner run belong to the outer one as well."""
        if self._ended and not llm_calls_of([call]):
            return
        self.calls.append(call)
        if self._outer is not None:
            self._outer.add_call(call)
        elif self._ended and self._around is not None:
            # The request of this run may have been recorded, with the calls that there were.
            getattr(self._around, "add_late", self._around.add_call)(call)

    @contextmanager
    def active(self) -> Iterator[None]:
        """While the agent works: its calls come here."""
        with open_scope():
            token = current_sink.set(self)
            try:
                yield
            finally:
                current_sink.reset(token)

    def succeed(self, raw: Any, text: str) -> SenytlResponse:
        """End the run with what the agent gave."""
        response = self._end(text, raw)
        if self._outer is None:
            self._report(response)
            observer = run_observer.get()
            if observer is not None:
                observer(response, self.start)
        return response

    def fail(self, error: BaseException) -> None:
        """End the run with what the agent raised."""
        response = self._end("", None)
        if self._outer is not None:
            return
        if not is_interruption(error):
            self._report(response, error)
        elif self._around is not None:  # no request came of it, but its calls were made
            for call in response.llm_calls:
                self._around.add_call(call)

    def _report(self, response: SenytlResponse, error: BaseException | None = None) -> None:
        token = current_recorder.set(self._recorder)
        try:
            around = None if self._around is None else owner_of(self._around)
            record_wrapped_run(response, error, around)
        finally:
            current_recorder.reset(token)

    def _end(self, text: str, raw: Any) -> SenytlResponse:
        duration = perf_counter() - self.start
        flush(self)
        self._ended = True
        self.calls[:] = llm_calls_of(self.calls)
        if self._recorder is not None:
            self._recorder.under_way.discard(self)
        return SenytlResponse(text, raw, duration, self.calls)


def _measure(
    entry: Callable[..., Any], args: Any, kwargs: Any, before: Callable[[], None] | None
) -> Any:
    if before is not None:
        before()
    run = _Run()
    text: str | None = None
    try:
        with run.active():
            raw = entry(*args, **kwargs)
            if isinstance(raw, Iterator):
                raw = list(raw)
                text = join_chunks(raw)
    except BaseException as error:
        run.fail(error)
        raise
    if isawaitable(raw) or isinstance(raw, AsyncIterator):
        return _await(run, raw)
    return run.succeed(raw, _text_of(raw) if text is None else text)


async def _await(run: _Run, raw: Awaitable[Any] | AsyncIterator[Any]) -> SenytlResponse:
    if iscoroutine(raw) or isinstance(raw, AsyncIterator):
        run.start = perf_counter()  # it does not work before it is awaited
    answer: Any = raw
    text: str | None = None
    try:
        with run.active():
            if isawaitable(answer):
                answer = await answer
            if isinstance(answer, AsyncIterator):
                answer = [chunk async for chunk in answer]
                text = join_chunks(answer)
            elif isinstance(answer, Iterator):
                answer = list(answer)
                text = join_chunks(answer)
    except BaseException as error:
        run.fail(error)
        raise
    return run.succeed(answer, _text_of(answer) if text is None else text)


def _text_of(raw: Any) -> str:
    if raw is None:
        return ""
    text = find_text(raw)
    return str(raw) if text is None else text
