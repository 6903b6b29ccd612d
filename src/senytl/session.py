"""The session object: mocked models and wrapped agents, for as long as it is installed."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from senytl.capture import CaptureScope, PendingCall, open_scope
from senytl.mocking import MockRules, ModelMock, UnmockedCallError
from senytl.models import MockResponse
from senytl.prompts import read_prompt

if TYPE_CHECKING:
    from senytl.agent import WrappedAgent

__all__ = ["Fallback", "Senytl"]

Fallback = Literal["pass", "error"]
"""What becomes of a call that no mock answers."""

_lock = threading.Lock()
_installed: tuple[_Answers, ...] = ()  # of all sessions, oldest first; replaced, never changed


class Senytl:
    """Mocks for models, and wrappers for agents.

    While it is installed, its mocks answer the LLM calls of this process, whatever SDK makes
    them. It is also a context manager::

        with Senytl(fallback="error") as senytl:
            senytl.mock("gpt-4o").when(contains="hello").respond("Hello!")
            response = senytl.wrap(agent).run("hello")

    Several may be installed at once: the one installed last is asked first.

    Args:
        fallback: What becomes of a call that no mock of any installed session answers:
            ``"pass"`` lets it through to the real API, ``"error"`` raises
            `senytl.mocking.UnmockedCallError` in the code that made it.

    Raises:
        ValueError: If `fallback` is neither.
    """

    def __init__(self, *, fallback: Fallback = "pass") -> None:
        if fallback not in ("pass", "error"):
            raise ValueError(f"fallback is {fallback!r}; it is 'pass' or 'error'")
        self._rules = MockRules()
        self._answers = _Answers(self._rules, strict=fallback == "error")
        self._scope: CaptureScope | None = None
        self._was_installed: list[bool] = []

    def install(self) -> None:
        """Let the mocks answer, and see the LLM calls of this process; once is enough."""
        global _installed
        with _lock:
            if self._scope is None:
                self._scope = open_scope(answerer=self._answers)
                _installed = (*_installed, self._answers)

    def uninstall(self) -> None:
        """Undo `install`, however often that was called; without it nothing happens."""
        global _installed
        with _lock:
            if self._scope is not None:
                self._scope.close()
                self._scope = None
                _installed = tuple(one for one in _installed if one is not self._answers)

    def mock(self, model: str) -> ModelMock:
        """Begin to state what a model replies, before or after `install`.

        Args:
            model: Its name, which also holds with a route to its vendor in front
                (``openai/gpt-4``, ``models/gemini-pro``), or a glob such as ``"gpt-4*"``.

        Raises:
            ValueError: If it is empty.
        """
        return self._rules.mock(model)

    def wrap(self, agent: Any) -> WrappedAgent:
        """Wrap an agent, so that its runs are timed, recorded and give a `SenytlResponse`.

        Args:
            agent: A callable, or an object with ``run`` or ``invoke``; sync or async. It need
                not be installed for this session's sake.

        Raises:
            TypeError: If it is none of these.
        """
        from senytl.agent import WrappedAgent

        return agent if isinstance(agent, WrappedAgent) else WrappedAgent(agent)

    def __enter__(self) -> Self:
        self._was_installed.append(self._scope is not None)
        self.install()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._was_installed.pop():
            self.uninstall()


class _Answers:
    """What one session says to a call: its mocks' reply, or that there must be one."""

    def __init__(self, rules: MockRules, *, strict: bool) -> None:
        self.rules = rules
        self._strict = strict

    def answer(self, call: PendingCall) -> MockResponse | None:
        __tracebackhide__ = True
        reply = self.rules.answer(call)
        if reply is not None or not self._strict:
            return reply
        # Sessions that were installed before this one would be asked after it.
        others = [one for one in reversed(_installed) if one is not self]
        for other in others:
            reply = other.rules.answer(call)
            if reply is not None:
                return reply
        prompt = read_prompt(call.request)
        mocks = [mock for one in (self, *others) for mock in one.rules.describe()]
        raise UnmockedCallError(call.model, prompt.last_user or prompt.text, mocks)
