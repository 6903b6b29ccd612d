"""News of load tests from the workers of pytest-xdist, whose own output nobody sees.

They come as datagrams on 127.0.0.1: losing one does no harm, and sending one never waits.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
from collections.abc import Generator
from contextlib import ExitStack, suppress
from dataclasses import asdict
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any

import pytest

from senytl.pytest_plugin.progress_choice import WORKER_ADDRESS, is_shown

if TYPE_CHECKING:
    from senytl.performance.load.progress import LoadProgress
    from senytl.pytest_plugin.progress_displays import Display

__all__ = ["Receiver", "Sender", "tell_worker"]

_PLUGIN = "senytl-progress"
_HOST = "127.0.0.1"
_LONGEST = 65_535


class Sender:
    """A worker's side: tells the controller of one load test.

    Args:
        address: The port at which the controller listens, and what it knows its workers by.
        worker: The worker's name.
        nodeid: The test.
    """

    def __init__(self, address: tuple[int, str], worker: str, nodeid: str) -> None:
        port, token = address
        self._address = (_HOST, port)
        self._letter = {"token": token, "worker": worker, "test": nodeid}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def show(self, progress: LoadProgress) -> None:
        """Tell how the load goes."""
        self._send(asdict(progress))

    def end(self) -> None:
        """Tell that it is over."""
        self._send(None)

    def close(self) -> None:
        """Send nothing any more."""
        self._socket.close()

    def _send(self, progress: dict[str, Any] | None) -> None:
        with suppress(OSError):
            letter = json.dumps({**self._letter, "progress": progress})
            self._socket.sendto(letter.encode(), self._address)


def tell_worker(config: pytest.Config, node: Any) -> None:
    """Give a worker that is about to start the address for its news, if they are to be shown."""
    # What a worker on another machine sends to this address would not come here.
    if not is_shown(config) or not node.gateway.spec.popen:
        return
    receiver = config.pluginmanager.get_plugin(_PLUGIN)
    if receiver is None:
        receiver = Receiver(config)
        config.pluginmanager.register(receiver, _PLUGIN)
        config.add_cleanup(receiver.close)
    node.workerinput[WORKER_ADDRESS] = receiver.address


class Receiver:
    """The controller's side: listens, and shows what comes; a plugin of its own.

    Its life: made when the first worker is about to start; its thread makes the display when the
    first news come; the session's end closes both.

    Args:
        config: The controller's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._token = secrets.token_hex(16)
        self._scope = ExitStack()
        self._display: Display | None = None
        self._lock = RLock()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((_HOST, 0))
        self._socket.settimeout(1.0)  # lest the thread misses that it is over
        self._listening = True
        self._thread = Thread(target=self._listen, name="senytl-progress", daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[int, str]:
        """What a worker needs to reach it."""
        return self._socket.getsockname()[1], self._token

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self) -> Generator[None, object, object]:
        """Keep out of pytest's way."""
        return (yield from self._aside())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self) -> Generator[None, object, object]:
        """Keep out of pytest's way."""
        return (yield from self._aside())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logfinish(self) -> Generator[None, object, object]:
        """Keep out of pytest's way."""
        return (yield from self._aside())

    @pytest.hookimpl(wrapper=True, tryfirst=True, optionalhook=True)
    def pytest_testnodedown(self) -> Generator[None, object, object]:
        """Keep out of pytest's way."""
        return (yield from self._aside())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, object, object]:
        """Listen no longer, before the session is summed up."""
        self.close()
        return (yield)

    def close(self) -> None:
        """End the thread, and take away what is shown."""
        if self._listening:
            self._listening = False
            self._socket.sendto(b"", self._socket.getsockname())
            self._thread.join()
            self._socket.close()
            self._scope.close()

    def _aside(self) -> Generator[None, object, object]:
        with self._lock:
            if self._display is None:
                return (yield)
            with self._display.paused():
                result = yield
                # The display goes by what pytest has written.
                self._config.get_terminal_writer().flush()
                return result

    def _listen(self) -> None:
        while self._listening:
            try:
                letter = json.loads(self._socket.recv(_LONGEST))
                if hmac.compare_digest(letter["token"], self._token):
                    self._show((letter["worker"], letter["test"]), letter["progress"])
            except (OSError, ValueError, LookupError, TypeError):
                continue  # of someone else, or not whole

    def _show(self, key: tuple[str, str], progress: dict[str, Any] | None) -> None:
        # This may take a while the first time, in which pytest is not to wait for the lock.
        from senytl.performance.load.progress import LoadProgress
        from senytl.pytest_plugin.progress import controller_display

        with self._lock:
            if self._display is None:
                self._display = self._scope.enter_context(controller_display(self._config))
            if progress is None:
                self._display.end(key)
            else:
                self._display.show(key, LoadProgress(**progress))
