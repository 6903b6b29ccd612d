"""The model server: its life, its address, and the calls that it answered."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from senytl.capture.calls import Answerer
from senytl.capture.unseen import count_for_processes
from senytl.mocking import MockRules, ModelMock
from senytl.models import LLMCallRecord, SenytlError
from senytl.server.answering import Answering
from senytl.server.app import App
from senytl.server.counting import Counting
from senytl.server.environment import environment
from senytl.session import Senytl

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["ModelServer"]

_PATIENCE = 10.0
"""Seconds in which the server's thread starts and ends, far more than it takes."""
_STEPS_TO_ACCEPT = 5
"""Steps of the event loop in which asyncio makes of a connection one that can be closed again."""


class ModelServer:
    """Answers calls of models over HTTP, for agents that run in other processes.

    It runs on a thread of its own from `start` to `stop`, and is also a context manager. It never
    calls a real API: a call that nothing answers gets the status 404 and the reason, in the
    provider's wording.

    While a test is measured, the calls of other processes count for the body that runs, with
    their tokens and dollars. Those of this process do not: they are seen where they are made.

    Args:
        answers: The session whose mocks and recordings answer; it need not be installed. Or rules,
            or any other answerer. A new session where it is not given.
        host: The address to listen at. Others than the default let other machines in.
        port: The port; 0 for a free one.
        speed: How fast answers are played: 2 halves all their times, infinity leaves none.
        count: Whether the calls of other processes count for the body that runs.
        keep_calls: Whether `calls` keeps the records; a server that runs for days had better not.
        on_call: Given the record of each call that was answered, on a thread of the server's.

    Raises:
        ValueError: If `port` or `speed` makes no sense.
    """

    def __init__(
        self,
        answers: Senytl | Answerer | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        speed: float = 1.0,
        count: bool = True,
        keep_calls: bool = True,
        on_call: Callable[[LLMCallRecord], None] | None = None,
    ) -> None:
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
            raise ValueError(f"port is {port!r}; it must be from 0 to 65535, 0 for a free one")
        if isinstance(speed, bool) or not isinstance(speed, int | float) or not speed > 0:
            raise ValueError(
                f"speed is {speed!r}; it must be a number above 0: 1 for the stated times, 2 for "
                "half of them, float('inf') for none"
            )
        if answers is None:
            answers = Senytl(fallback="error")
        self._session = answers if isinstance(answers, Senytl) else None
        answerer = answers.answerer if isinstance(answers, Senytl) else answers
        rules = getattr(answerer, "rules", answerer)
        self._answering = Answering(
            answerer, rules if isinstance(rules, MockRules) else None, speed=speed
        )
        self._rules = answers
        self._host = host
        self._port = port
        self._counts = count
        self._counted = ExitStack()
        self._counting = Counting(self._keep, others=count)
        self._keep_calls = keep_calls
        self._on_call = on_call
        self._calls: list[LLMCallRecord] = []
        self._running: _Running | None = None

    def start(self) -> None:
        """Start to answer; once is enough.

        Raises:
            SenytlError: If aiohttp is missing, or the port is not to be had.
        """
        if self._running is None:
            app = App(self._answering, self._counting)
            self._running = _Running(app, self._host, self._port)
            if self._counts:
                self._counted.enter_context(count_for_processes())

    def stop(self) -> None:
        """Stop to answer, and cut what is still being answered; without `start` nothing happens."""
        running, self._running = self._running, None
        if running is not None:
            self._counted.close()
            running.stop()

    @property
    def url(self) -> str:
        """The address, such as ``http://127.0.0.1:8080``, without a slash at its end.

        Raises:
            SenytlError: If the server does not run.
        """
        if self._running is None:
            raise SenytlError("the model server does not run: call start(), or use it in `with`")
        # An address that stands for all of a machine's is none that a client could call.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self._running.port}"

    @property
    def env(self) -> dict[str, str]:
        """Environment variables with which the SDKs of a subprocess call this server.

        They set the base URLs and, since SDKs refuse to start without, keys that are none.

        Raises:
            SenytlError: If the server does not run.
        """
        return environment(self.url)

    @property
    def calls(self) -> list[LLMCallRecord]:
        """The calls that were answered, in the order in which they ended, as the server saw them.

        Times are those of the server's side.
        """
        return list(self._calls)

    def mock(self, model: str) -> ModelMock:
        """Begin to state what a model replies, before or after `start`.

        Args:
            model: Its name, or a glob, as in `senytl.Senytl.mock`.

        Raises:
            ValueError: If it is empty.
            SenytlError: If the server answers from something that has no mocks.
        """
        if isinstance(self._rules, Senytl | MockRules):
            return self._rules.mock(model)
        raise SenytlError(
            f"this server answers from {type(self._rules).__name__}, which takes no mocks: make "
            "it of a Senytl session to state some"
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _keep(self, call: LLMCallRecord) -> None:
        if self._keep_calls:
            self._calls.append(call)
        if self._on_call is not None:
            self._on_call(call)


class _Running:
    """A server that runs: its thread and its event loop.

    Args:
        app: Its requests.
        host: The address to listen at.
        port: The port; 0 for a free one.

    Raises:
        SenytlError: If aiohttp is missing, or the port is not to be had.
    """

    def __init__(self, app: App, host: str, port: int) -> None:
        self.port = port
        self._app = app
        self._host = host
        self._runner = _make_runner(app)
        self._is_ready = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="senytl-server", daemon=True)
        # The calls that it answers belong to whichever body runs then, not to the one that
        # happens to start it.
        contextvars.Context().run(self._thread.start)
        if not self._is_ready.wait(_PATIENCE):
            raise SenytlError(f"the model server did not start within {_PATIENCE:.0f} seconds")
        if self._problem is not None:
            self._thread.join(_PATIENCE)
            raise self._problem

    def stop(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as problem:  # for the thread that waits for the start
            self._problem = problem
        finally:
            self._is_ready.set()

    async def _serve(self) -> None:
        from aiohttp import web

        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        await self._runner.setup()
        try:
            site = web.TCPSite(self._runner, self._host, self.port)
            try:
                await site.start()
            except (OSError, UnicodeError) as error:
                raise SenytlError(_why_not(self._host, self.port, error)) from error
            self.port = self._runner.addresses[0][1]
            self._is_ready.set()
            await self._stopped.wait()
            for _ in range(_STEPS_TO_ACCEPT):
                await asyncio.sleep(0)
        finally:
            self._app.hang_up()
            await self._runner.cleanup()
            self._app.close()


def _make_runner(app: App) -> web.AppRunner:
    try:
        from aiohttp import web
    except ImportError as error:
        raise SenytlError(
            "the model server needs aiohttp, which is not installed: pip install aiohttp, or "
            "install senytl with its extra 'serve'"
        ) from error
    return web.AppRunner(
        app.make(), access_log=None, handler_cancellation=True, shutdown_timeout=1.0
    )


def _why_not(host: str, port: int, error: Exception) -> str:
    import errno

    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return f"port {port} of {host} is taken: choose another, or 0 for a free one"
    reason = getattr(error, "strerror", None) or str(error)
    return f"the model server cannot listen at {host}, port {port}: {reason}"
