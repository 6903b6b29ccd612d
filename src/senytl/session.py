"""The session object: mocked models and wrapped agents, for as long as it is installed."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from senytl.capture import CaptureScope, PendingCall, open_scope
from senytl.mocking import MockRules, ModelMock, UnmockedCallError
from senytl.models import SenytlError
from senytl.prompts import read_prompt

if TYPE_CHECKING:
    from senytl.agent import WrappedAgent
    from senytl.capture.calls import Answer, Answerer
    from senytl.recordings import Recorder, Replay

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
        seed: What the chance in mocks depends on (``jitter``, ``rate``): with the same seed the
            n-th call of a mock has the same times and the same fate in every run.
        carry_context: Whether threads that start while it is installed get a copy of the context
            of the code that starts them, and pools one with each piece of work, so that the LLM
            calls of an agent's own threads are attributed to its requests.

    Raises:
        ValueError: If `fallback` is neither, or `seed` is no whole number.
    """

    def __init__(
        self, *, fallback: Fallback = "pass", seed: int = 0, carry_context: bool = True
    ) -> None:
        if fallback not in ("pass", "error"):
            raise ValueError(f"fallback is {fallback!r}; it is 'pass' or 'error'")
        self._rules = MockRules(seed)
        self._answers = _Answers(self._rules, strict=fallback == "error")
        self._carry_context = carry_context
        self._scope: CaptureScope | None = None
        self._was_installed: list[bool] = []
        self._use_is_clear = False

    def install(self) -> None:
        """Let the mocks answer, and see the LLM calls of this process; once is enough."""
        global _installed
        with _lock:
            if self._scope is None:
                self._scope = open_scope(answerer=self._answers, carry_context=self._carry_context)
                _installed = (*_installed, self._answers)
                self._use_is_clear = True  # whoever uninstalls it knows

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

        return agent if isinstance(agent, WrappedAgent) else WrappedAgent(agent, self._check_use)

    def _check_use(self) -> None:
        """Say that this session's mocks answer nothing, where that is so.

        Raises:
            SenytlError: If its calls must not go to the real API, as they would.
        """
        __tracebackhide__ = True
        if self._scope is not None or self._use_is_clear or not self._rules.describe():
            return
        from senytl.recordings.replay import is_replaying

        if is_replaying():  # which asks the mocks of its session, installed or not
            return
        message = (
            "this Senytl session has mocks and is not installed: they answer nothing, and calls go "
            "to the real API. Use it as `with Senytl() as senytl:`, or call senytl.install()"
        )
        if self._answers.is_strict:
            raise SenytlError(message)
        self._use_is_clear = True
        warnings.warn(message, stacklevel=4)

    def record(self, name: str | os.PathLike[str]) -> Recorder:
        """Keep the real LLM calls of a block in a file, with the times at which they came.

        The file is written when the block has ended well; one that is there already is replaced.
        Where the block raises, or made no call, nothing is written. Secrets are taken out before,
        and no header is kept but the content type and what a refusal says of trying again.

        Args:
            name: The file is ``.recordings/<name>.json``, beside the test's file under pytest, in
                the working directory elsewhere. A path object names the file itself.

        Returns:
            A context manager, for sync and async code; or call its ``start`` and ``stop``.

        Raises:
            ValueError: If the name is empty.
            RecordingError: At the block's end, if it made no call.
        """
        from senytl.recordings import Recorder
        from senytl.recordings.naming import path_of

        return Recorder(path_of(name, sys._getframe(1)))

    def replay(
        self,
        name: str | os.PathLike[str],
        speed: float | None = 1.0,
        *,
        ignore: Sequence[str] = (),
    ) -> Replay:
        """Answer the LLM calls of a block from a recording, with the times that it holds.

        The order of calls does not matter, nor do identifiers and members such as ``user`` and
        ``metadata``, nor UUIDs and moments in texts. Mocks of installed sessions and of this one
        come first. A call that was never recorded raises `senytl.recordings.UnrecordedCallError`
        in the code that made it, and shows what is nearest.

        Args:
            name: As for `record`.
            speed: 2 is twice as fast as it was, 0.5 half as fast; None is without waiting.
            ignore: Regular expressions of what else may differ in the texts of requests, such as
                ``"Today is .*"``.

        Returns:
            A context manager, for sync and async code; or call its ``start`` and ``stop``.

        Raises:
            RecordingError: If there is no such recording, or it cannot be read.
            ValueError: If an argument makes no sense.
        """
        from senytl.recordings import Replay
        from senytl.recordings.naming import path_of

        path = path_of(name, sys._getframe(1))
        return Replay(path, speed=speed, ignore=ignore, mocks=self._answer_by_mocks)

    def _answer_by_mocks(self, call: PendingCall) -> Answer | None:
        """What this session's mocks, or those of the installed ones, answer."""
        own = (self._rules, *(one.rules for one in reversed(_installed)))
        for rules in dict.fromkeys(own):
            reply = rules.answer(call)
            if reply is not None:
                return reply
        return None

    @property
    def answerer(self) -> Answerer:
        """Who answers calls for this session; a model server asks it for other processes."""
        self._use_is_clear = True  # its mocks answer somebody, installed or not
        return self._answers

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
    """What one session says to a call: its mocks' answer, or that there must be one."""

    def __init__(self, rules: MockRules, *, strict: bool) -> None:
        self.rules = rules
        self.is_strict = strict

    def answer(self, call: PendingCall) -> Answer | None:
        __tracebackhide__ = True
        reply = self.rules.answer(call)
        if reply is not None or not self.is_strict:
            return reply
        # Sessions that were installed before this one would be asked after it.
        others = [one for one in reversed(_installed) if one is not self]
        for other in others:
            reply = other.rules.answer(call)
            if reply is not None:
                return reply
        from senytl.recordings.replay import is_replaying

        if is_replaying():  # asked later, it knows the call or says that it does not
            return None
        prompt = read_prompt(call.request)
        mocks = [mock for one in (self, *others) for mock in one.rules.describe()]
        raise UnmockedCallError(call.model, prompt.last_user or prompt.text, mocks)
