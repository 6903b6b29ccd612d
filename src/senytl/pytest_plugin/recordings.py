"""Tests marked `senytl_recording`: their LLM calls are recorded, or answered from a recording."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from senytl.pytest_plugin.options import CONFIG
from senytl.pytest_plugin.recorded import RECORDED, RecordedFiles
from senytl.recordings import Recorder, RecordingError, Replay
from senytl.recordings.matching import Matcher
from senytl.recordings.naming import named_recording, recording_of_test, shown
from senytl.recordings.replay import check_speed
from senytl.session import Senytl

__all__ = ["BadRecordingMarkError", "RecordedTests", "plan_test"]

_MARK: Final = "senytl_recording"

_KEY = "no-key-is-needed-to-replay"
# What SDKs refuse to start without, and agents read themselves.
_CREDENTIALS = (
    "ANTHROPIC_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AZURE_API_KEY",
    "AZURE_OPENAI_API_KEY", "COHERE_API_KEY", "CO_API_KEY", "DEEPSEEK_API_KEY", "GEMINI_API_KEY",
    "GOOGLE_API_KEY", "GROQ_API_KEY", "MISTRAL_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY",
    "TOGETHER_API_KEY", "XAI_API_KEY",
)  # fmt: skip


class BadRecordingMarkError(Exception):
    """A mark makes no sense."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a test's mark asks for."""

    path: Path
    speed: float | None
    ignore: Sequence[str]

    def begin(self, mode: str, recorded_by: str | None) -> _Attempt:
        """Begin to record or to replay.

        Args:
            mode: Which recordings are made.
            recorded_by: The other test that has recorded the file in this session.

        Raises:
            RecordingError: If there is nothing to replay.
        """
        if recorded_by is None and (mode == "all" or (mode == "once" and not self.path.exists())):
            recorder = Recorder(self.path, what="this test")
            recorder.start()
            return _Attempt(recorder, None)
        if not self.path.exists():
            raise RecordingError(
                f"no recording: --senytl-record=once makes {shown(self.path)}, from the calls that "
                "this test makes to the real models; then review that file and commit it"
            )
        replay = Senytl().replay(self.path, speed=self.speed, ignore=self.ignore)
        if recorded_by is None:
            return _Attempt(None, replay)
        replay.advice = (
            f"{recorded_by} has recorded that file in this session, and this test would replace "
            "it: give each its own name, or record both in one test."
        )
        return _Attempt(None, replay, must_hold_all=True)


_PLAN: pytest.StashKey[_Plan] = pytest.StashKey()


def _plan_of(item: pytest.Function) -> _Plan:
    """Read the mark of a test.

    Raises:
        BadRecordingMarkError: If it makes no sense.
    """
    mark = item.get_closest_marker(_MARK)
    assert mark is not None
    try:
        if len(mark.args) > 1:
            raise TypeError(f"it takes one name, not {', '.join(map(repr, mark.args))}")
        for setting in mark.kwargs:
            if setting not in ("name", "speed", "ignore"):
                raise TypeError(f"it has no setting {setting!r}")
        path, speed, ignore = _read(item, *mark.args, **mark.kwargs)
        check_speed(speed)
        Matcher(ignore)
    except (TypeError, ValueError) as error:
        raise BadRecordingMarkError(
            f"@pytest.mark.{_MARK}: {error}; it is written {_MARK}(name=None, *, speed=1.0, "
            "ignore=())"
        ) from None
    return _Plan(path, speed, tuple(ignore))


def _read(
    item: pytest.Function,
    name: str | None = None,
    *,
    speed: float | None = 1.0,
    ignore: Sequence[str] = (),
) -> tuple[Path, float | None, Sequence[str]]:
    if isinstance(ignore, str):
        ignore = (ignore,)
    if not all(isinstance(pattern, str) for pattern in ignore):
        raise TypeError(f"ignore is {ignore!r}; it is a list of regular expressions")
    if name is None:
        return recording_of_test(item.path, item.nodeid.partition("::")[2]), speed, ignore
    if not isinstance(name, str):
        raise TypeError(f"the name is {name!r}, not a string")
    return named_recording(item.path.parent, name), speed, ignore


class _Attempt:
    """One attempt at a test, from its fixtures' setup to their teardown.

    Args:
        recorder: What keeps its calls, where they are recorded.
        replay: What answers them, where they are replayed.
        must_hold_all: Whether a call that the replay does not know fails the test, also where the
            agent goes on without it.
    """

    def __init__(
        self, recorder: Recorder | None, replay: Replay | None, *, must_hold_all: bool = False
    ) -> None:
        self.recorder = recorder
        self.passed = True
        self._replay = replay
        self._must_hold_all = must_hold_all
        self._ends = ExitStack()
        if replay is not None:
            self._ends.enter_context(_replaying(replay))

    def end(self) -> None:
        """Write what was recorded if the test passed, and leave everything as it was.

        Raises:
            RecordingError: If no call was made, or one that another test's recording lacks.
            OSError: If the file cannot be written.
        """
        self._ends.close()
        if self.recorder is not None and self.passed:
            self.recorder.stop()
        self.discard()
        if self._must_hold_all and self.passed and self._replay is not None and self._replay.lacked:
            raise RecordingError(
                f"a call of this test is not in the recording {shown(self._replay.path)}. "
                f"{self._replay.advice}"
            )

    def discard(self) -> None:
        """Write nothing, and leave everything as it was."""
        self._ends.close()
        if self.recorder is not None:
            self.recorder.discard()


@contextmanager
def _replaying(replay: Replay) -> Generator[None]:
    missing = [name for name in _CREDENTIALS if not os.environ.get(name)]
    before: Mapping[str, str | None] = {name: os.environ.get(name) for name in missing}
    os.environ.update(dict.fromkeys(missing, _KEY))
    try:
        with replay:
            yield
    finally:
        for name, value in before.items():
            if os.environ.get(name) != _KEY:
                continue  # the test has set one of its own
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class RecordedTests:
    """The hooks of marked tests; registered when the first one is collected.

    Its life: before a test's fixtures are set up its calls begin to be recorded or replayed, after
    their teardown that ends. A recording is written only if the test has passed; what became of it
    travels with the test's reports to `RecordedFiles`. A file that one test has recorded is
    replayed to the others that name it, so that none replaces what another has made.

    Args:
        config: The session's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._mode = config.stash[CONFIG].record
        self._attempt: _Attempt | None = None
        self._recorders: dict[Path, str] = {}
        self._unwritten: str | None = None
        self._written: tuple[Path, int] | None = None

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Begin, once it is known that the test is not skipped."""
        self._drop()
        self._unwritten = self._written = None
        plan = item.stash.get(_PLAN, None)
        if plan is None:
            return
        recorded_by = self._recorders.get(plan.path)
        try:
            self._attempt = plan.begin(
                self._mode, None if recorded_by == item.nodeid else recorded_by
            )
        except RecordingError as error:
            raise _failure(str(error)) from None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """End, after the teardown of the test's fixtures."""
        try:
            result = yield
        except (KeyboardInterrupt, pytest.exit.Exception):
            raise  # what is said of it then is said by `pytest_keyboard_interrupt`
        except BaseException:
            self._unwritten = self._dropped("its teardown failed")
            self._drop()
            raise
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            try:
                attempt.end()
            except (RecordingError, OSError) as error:
                attempt.discard()
                raise _failure(f"senytl: {error}") from None
            recorder = attempt.recorder
            if recorder is not None and recorder.written:
                self._recorders[recorder.path] = item.nodeid
                self._written = recorder.path, recorder.written
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note that the test did not pass, and say what became of its recording."""
        report = yield
        attempt = self._attempt
        if attempt is not None and not report.passed:
            self._unwritten = self._dropped(_reason(report))
            attempt.passed = False
        if self._unwritten is not None:
            if report.failed:
                report.sections.append(("recording", self._unwritten))
            else:  # pytest shows no sections of these
                setattr(report, RECORDED, {"said": self._unwritten})
            self._unwritten = None
        if self._written is not None:
            path, calls = self._written
            setattr(report, RECORDED, {"path": str(path), "calls": calls, "test": report.nodeid})
            self._written = None
        return report

    def pytest_keyboard_interrupt(self) -> None:
        """Say what an interrupted test, which gets no report, has not written."""
        files = self._config.pluginmanager.get_plugin("senytl-recorded")
        said = self._dropped("the test was interrupted")
        if said is not None and isinstance(files, RecordedFiles):
            files.say(said)

    def pytest_unconfigure(self) -> None:
        """End what an interrupted test has left."""
        self._drop()

    def _dropped(self, reason: str) -> str | None:
        """What to say of a recording that is not written, if that has not been said before."""
        attempt = self._attempt
        if attempt is None or attempt.recorder is None or not attempt.passed:
            return None
        return attempt.recorder.left_as_it_is(reason)

    def _drop(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.discard()


def _failure(message: str) -> BaseException:
    """The failure of a test for a reason that no line of it is to be shown for."""
    return pytest.fail.Exception(message, pytrace=False)


def _reason(report: pytest.TestReport) -> str:
    """Why a test that did not pass is not recorded."""
    if hasattr(report, "wasxfail"):
        return f"the test {report.nodeid} failed as expected"
    return f"the test {report.nodeid} was skipped" if report.skipped else "the test failed"


def plan_test(item: pytest.Function) -> None:
    """Note what the mark of a test asks for, and see to it that its hooks are there.

    Raises:
        BadRecordingMarkError: If the mark makes no sense.
    """
    item.stash[_PLAN] = _plan_of(item)
    plugins: Any = item.config.pluginmanager
    if not plugins.has_plugin("senytl-recordings"):
        plugins.register(RecordedTests(item.config), "senytl-recordings")
