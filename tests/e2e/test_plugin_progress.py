"""What is seen of a load test while it runs: on a terminal, in a pipe, and under pytest-xdist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import pyte
import pytest

TESTS = """
    import time
    import pytest

    def test_before():
        pass

    @pytest.mark.load_test(concurrent_users=4, duration=1.2)
    @pytest.mark.sla(error_rate=0.9)
    def test_load():
        print("printed by a user")
        time.sleep(0.02)
        if time.monotonic() % 1 < 0.2:
            raise ValueError("sometimes")

    def test_after():
        pass
"""

OFTEN = """
    from senytl.pytest_plugin import progress_displays
    before = progress_displays._EVERY
    progress_displays._EVERY = 0.5

    def pytest_unconfigure():  # the process may go on
        progress_displays._EVERY = before
"""
"""A conftest.py with which the plain lines of a short load can be seen."""

# Plugins that measure too, and two that write to the terminal in ways of their own.
_OTHERS = ("benchmark", "codspeed", "cov", "hypothesispytest", "rerunfailures", "sugar")
_APART = [word for name in _OTHERS for word in ("-p", f"no:{name}")]


def _environment(extra: Mapping[str, str] = {}) -> dict[str, str]:
    hidden = {"CI", "BUILD_NUMBER", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PY_COLORS"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return {**kept, "TERM": "xterm-256color", **extra}


@dataclass
class Seen:
    """What a terminal of 80 columns showed of a session, as each piece of output came."""

    screens: list[list[str]] = field(default_factory=list)
    output: bytes = b""
    exit_code: int = -1

    @property
    def live(self) -> list[str]:
        """The lines about load tests that were there at one time or another."""
        return list(
            dict.fromkeys(
                line for screen in self.screens for line in screen if re.search(r" users? · ", line)
            )
        )

    @property
    def last(self) -> list[str]:
        return self.screens[-1]


def on_terminal(pytester: pytest.Pytester, *arguments: str, typed: str = "", **env: str) -> Seen:
    """Run the session on a terminal of its own; `typed` is what its user types at once."""
    pty = pytest.importorskip("pty", reason="Windows has no such terminals")
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 80, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *_APART, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=pytester.path,
        env=_environment(env),
    )
    os.close(theirs)
    if typed:
        os.write(ours, typed.encode())
    seen = Seen()
    screen = pyte.Screen(80, 80)
    stream = pyte.ByteStream(screen)
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # as Linux says that nobody is there any more
            break
        if not piece:
            break
        seen.output += piece
        stream.feed(piece)
        seen.screens.append([line.rstrip() for line in screen.display if line.strip()])
    seen.exit_code = process.wait(timeout=30)
    os.close(ours)
    return seen


def in_pipe(pytester: pytest.Pytester, *arguments: str, **env: str) -> str:
    process = subprocess.run(
        [sys.executable, "-m", "pytest", *_APART, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=pytester.path,
        env=_environment(env),
        timeout=60,
    )
    return process.stdout.decode()


@pytest.fixture(autouse=True)
def tests(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=TESTS)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")


def test_a_terminal_shows_a_line_that_lives_and_leaves_nothing_behind(
    pytester: pytest.Pytester,
) -> None:
    seen = on_terminal(pytester)
    assert seen.exit_code == 0
    assert len(seen.live) >= 3
    assert all(line.startswith("test_load: 0:0") for line in seen.live)
    assert any(
        re.search(r"0:01, 0:00 left · 4 users · \d+(\.\d+)? req/s · p95 2\dms · \d+ failed", line)
        for line in seen.live
    ), seen.live
    assert any(re.fullmatch(r"test_it\.py \.\.\. +\[100%\]", line) for line in seen.last), seen.last
    assert not any(" users " in line for line in seen.last)
    assert not any("printed by a user" in line for screen in seen.screens for line in screen)


def test_verbose_it_is_below_the_name_of_the_test_and_the_outcome_beside_it(
    pytester: pytest.Pytester,
) -> None:
    seen = on_terminal(pytester, "-v")
    during = next(screen for screen in seen.screens if " users · " in screen[-1])
    assert during[-2] == "test_it.py::test_load"
    outcomes = [line for line in seen.last if line.startswith("test_it.py::test_")]
    assert [line.split()[:2] for line in outcomes[:3]] == [
        ["test_it.py::test_before", "PASSED"],
        ["test_it.py::test_load", "PASSED"],
        ["test_it.py::test_after", "PASSED"],
    ]


@pytest.mark.parametrize("capture", ["-s", "--capture=tee-sys"])
def test_prints_that_are_not_captured_stay_whole(pytester: pytest.Pytester, capture: str) -> None:
    pytester.makepyfile(
        test_it="""
        import pytest, sys, time
        from senytl import performance

        @pytest.mark.load_test(concurrent_users=1, iterations=8)
        def test_load():
            print("out", "by", "a", "user")
            time.sleep(0.15)
            print("err by a user", file=sys.stderr)

        def test_after():
            print(type(sys.stdout).__module__)
        """
    )
    seen = on_terminal(pytester, capture)
    assert seen.live
    prints = [line for line in seen.last if "by a user" in line]
    assert [line.removeprefix("test_it.py ") for line in prints] == [
        *["out by a user", "err by a user"] * 8
    ]
    assert not any("senytl.pytest_plugin" in line for line in seen.last)


def test_a_failure_of_the_load_is_shown_as_ever(pytester: pytest.Pytester) -> None:
    seen = on_terminal(pytester, "--show-capture=no", "-o", "senytl_sla=max_latency=0.001")
    assert seen.exit_code == 1
    assert seen.live
    assert any(line.startswith("test_it.py .F.") for line in seen.last)


def test_an_interrupted_load_leaves_no_line(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import os, pytest, signal, threading, time

        timer = threading.Timer(0.8, os.kill, (os.getpid(), signal.SIGINT))

        @pytest.mark.load_test(concurrent_users=1, duration=20)
        def test_load():
            if timer.ident is None:
                timer.start()
            time.sleep(0.02)
        """
    )
    seen = on_terminal(pytester)
    assert seen.exit_code == 2
    assert seen.live
    assert not any(" users · " in line for line in seen.last)
    assert any("KeyboardInterrupt" in line for line in seen.last)


def test_a_debugger_has_the_terminal_for_itself(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import time, pytest

        @pytest.mark.load_test(concurrent_users=1, iterations=1)
        def test_debugged():
            time.sleep(0.8)
            breakpoint()
            time.sleep(0.8)
        """
    )
    seen = on_terminal(pytester, typed="c\n")
    assert seen.exit_code == 0
    entered = next(n for n, screen in enumerate(seen.screens) if "(Pdb)" in "".join(screen))
    before, after = seen.screens[:entered], seen.screens[entered:]
    assert any(" · 1 user · " in line for screen in before for line in screen)
    assert not any(" · 1 user · " in line for screen in after for line in screen)


@pytest.mark.parametrize("quiet", ["-q", "--senytl-perf-progress=off"])
def test_nothing_is_shown_to_who_wants_quiet(pytester: pytest.Pytester, quiet: str) -> None:
    assert not on_terminal(pytester, quiet).live
    pytester.makeconftest(OFTEN)
    assert " users · " not in in_pipe(pytester, quiet)


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["--senytl-perf-progress=plain"], {}),
        ([], {"TERM": "dumb"}),
        ([], {"CI": "true"}),
        (["--log-cli-level=INFO"], {}),
    ],
)
def test_terminals_that_do_not_suit_get_plain_lines(
    pytester: pytest.Pytester, arguments: list[str], env: dict[str, str]
) -> None:
    pytester.makeconftest(OFTEN)
    seen = on_terminal(pytester, *arguments, **env)
    assert b"\x1b[J" not in seen.output
    assert [line for line in seen.last if " users · " in line] == seen.live
    assert 1 <= len(seen.live) <= 3


def test_live_may_be_demanded_of_a_terminal(pytester: pytest.Pytester) -> None:
    seen = on_terminal(pytester, "--senytl-perf-progress=live", CI="true")
    assert seen.live
    assert not any(" users · " in line for line in seen.last)


def test_a_pipe_gets_a_line_now_and_then_and_pytest_begins_its_own_anew(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeconftest(OFTEN)
    lines = in_pipe(pytester).splitlines()
    begun = lines.index("test_it.py .")
    told = [line for line in lines if " users · " in line]
    assert 1 <= len(told) <= 3
    assert lines[begun + 1 : begun + 1 + len(told)] == told
    assert re.fullmatch(
        r"test_it\.py::test_load: 0:01, 0:0[01] left · 4 users · [\d.]+ req/s · p95 2\dms"
        r"( · \d+ failed)? · \d+ requests",
        told[0],
    ), told[0]
    assert lines[begun + 1 + len(told)] == ""
    assert re.fullmatch(r"test_it\.py \.\. +\[100%\]", lines[begun + 2 + len(told)])


def test_verbose_a_pipe_gets_the_outcome_beside_the_name(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(OFTEN)
    lines = in_pipe(pytester, "-v").splitlines()
    assert "test_it.py::test_load " in lines
    assert any(re.fullmatch(r"test_it\.py::test_load PASSED +\[ 66%\]", line) for line in lines)
    assert any(line.startswith("test_it.py::test_load: 0:0") for line in lines)


def test_a_short_load_says_nothing_in_a_pipe(pytester: pytest.Pytester) -> None:
    output = in_pipe(pytester)
    assert " users · " not in output
    assert re.search(r"^test_it\.py \.\.\. +\[100%\]$", output, re.MULTILINE)


def test_an_ascii_pipe_gets_ascii(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(OFTEN)
    output = in_pipe(pytester, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert " left | 4 users | " in output
    assert output.isascii()


def test_a_session_within_a_process_gets_plain_lines(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(OFTEN.replace("0.5", "0.01"))
    result = pytester.runpytest_inprocess(*_APART)
    result.stdout.fnmatch_lines(
        ["test_it.py .", "test_it.py::test_load: 0:0* users*", "", "test_it.py ..*"]
    )


def test_under_xdist_the_controller_shows_what_its_workers_do(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_two=TESTS.replace("test_load", "test_other").replace("4", "7"))
    seen = on_terminal(pytester, "-n", "2", "--dist=loadfile")
    assert seen.exit_code == 0
    assert any(line.startswith("test_load: ") and " 4 users " in line for line in seen.live)
    assert any(line.startswith("test_other: ") and " 7 users " in line for line in seen.live)
    assert any(sum(" users · " in line for line in screen) == 2 for screen in seen.screens)
    assert any(re.fullmatch(r"\.{6} +\[100%\]", line) for line in seen.last), seen.last
    assert not any(" users · " in line for line in seen.last)


def test_under_xdist_a_pipe_gets_lines_from_the_controller(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(OFTEN.replace("0.5", "0.1"))
    lines = in_pipe(pytester, "-n", "2").splitlines()
    assert any(re.match(r"test_it\.py::test_load: 0:0\d, .* 4 users", line) for line in lines)
    assert "3 passed" in lines[-1]


def test_under_xdist_a_quiet_controller_opens_no_socket(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        def pytest_sessionfinish(session):
            plugins = session.config.pluginmanager
            assert not plugins.has_plugin("senytl-progress")
            assert "senytl_progress" not in getattr(session.config, "workerinput", {})
        """
    )
    output = in_pipe(pytester, "-n", "2", "-q")
    assert "3 passed" in output
    assert " users · " not in output


def test_without_a_load_test_nothing_of_it_is_loaded(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import sys

        def test_measured(perf):
            perf.record_request(1)

        def test_loaded():
            parts = {name.rpartition(".")[2] for name in sys.modules if "pytest_plugin" in name}
            assert not [name for name in parts if "progress" in name or name == "stdout"]
            assert "senytl.performance.report.progress" not in sys.modules
        """
    )
    assert "2 passed" in in_pipe(pytester)


def test_a_wrong_choice_is_a_usage_error(pytester: pytest.Pytester) -> None:
    output = in_pipe(pytester, "--senytl-perf-progress=always")
    assert "invalid choice: 'always'" in output
