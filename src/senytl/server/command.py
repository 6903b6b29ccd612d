"""Serve mocked models, or recorded ones, to agents in other processes.

RULES.py states the mocks, in a function that is given a session:

    def rules(senytl):
        senytl.mock("gpt-4o").respond("Hello!", ttft=0.3, tokens_per_second=50)

or it makes the session itself, a senytl.Senytl named senytl. The first line that is printed names
the address, the next ones set the environment variables that lead SDKs there, ready to be pasted
into the agent's shell. Ctrl-C ends the server.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from senytl.models import SenytlError

if TYPE_CHECKING:
    from types import FrameType

    from senytl.capture import Answerer
    from senytl.session import Senytl

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "serve mocked or recorded models on 127.0.0.1"

_LOCAL = ("127.0.0.1", "::1", "localhost")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments and options of ``senytl serve``."""
    parser.add_argument(
        "rules",
        metavar="RULES.py",
        nargs="?",
        help="the Python file that states the mocks; not needed with --replay",
    )
    parser.add_argument(
        "--replay",
        metavar="NAME_OR_FILE",
        help="answer from this recording where no mock does: its name, or its file",
    )
    parser.add_argument(
        "--port", type=_port, default=8080, help="the port, 0 for a free one (default: 8080)"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen at (default: 127.0.0.1, for this machine only)",
    )
    parser.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        help="how fast answers come: 2 halves all their times, inf leaves none (default: 1)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        help="what chance depends on: jitter, and the rate of faults (default: 0)",
    )
    parser.add_argument(
        "--quiet",
        action="store_true",
        help="print the address and, at the end, the sum of the calls; nothing else",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM.

    Raises:
        SenytlError: If the file, the recording or the port is not to be had.
    """
    from senytl.server.environment import assignments
    from senytl.server.log import CallLog
    from senytl.server.model_server import ModelServer

    log = CallLog(None if arguments.quiet else _say)
    server = ModelServer(
        _answers(arguments),
        host=arguments.host,
        port=arguments.port,
        speed=arguments.speed,
        keep_calls=False,
        on_call=log.add,
    )
    if arguments.host not in _LOCAL:
        _warn(
            f"at {arguments.host} other machines may call this server, which asks nobody for a key"
        )
    with _ended_by_signals() as ended, server:
        lines = [f"senytl serves at {server.url}"]
        if not arguments.quiet:
            lines += assignments(server.url, sys.platform)
        _say("\n".join(lines))
        while not ended.wait(1.0):  # by parts, since Windows takes no Ctrl-C while it waits
            pass
    _say(log.summary())
    return 0


def _answers(arguments: argparse.Namespace) -> Senytl | Answerer:
    """What answers: the mocks, and then the recording."""
    from senytl.server.rules_file import load_session, states_mocks
    from senytl.session import Senytl

    if arguments.rules is None and arguments.replay is None:
        raise SenytlError("nothing to serve: name the file that states the mocks, or --replay")
    if arguments.rules is None:
        session = Senytl(fallback="error", seed=arguments.seed or 0)
    else:
        session = load_session(arguments.rules, arguments.seed)
        if not states_mocks(session):
            left = "the recording alone answers" if arguments.replay else "every call is refused"
            _warn(
                f"{arguments.rules} states no mock, so {left}: write senytl.mock(...).respond(...)"
            )
    if arguments.replay is None:
        return session
    return session.replay(_recording(arguments.replay))


def _recording(name: str) -> Path:
    """The file of a recording: as it is given, or by its name in the working directory."""
    from senytl.recordings.naming import named_recording

    path = Path(name)
    if path.suffix == ".json" or path.name != name:
        return path
    try:
        return named_recording(Path.cwd(), name)
    except ValueError as error:
        raise SenytlError(str(error)) from error


@contextmanager
def _ended_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, instead of what they do otherwise."""
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _warn(problem: str) -> None:
    sys.stderr.write(f"senytl serve: warning: {problem}\n")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535, 0 for a free one")
    return int(text)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not speed > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no speed: a number above 0, or inf")
    return speed
