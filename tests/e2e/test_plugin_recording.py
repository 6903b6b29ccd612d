"""Marked tests in real pytest sessions: recorded from a server, and replayed without it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import openai  # noqa: F401  # so that it need not be imported anew in every session below
import pytest
from tests.compat.server import ModelServer, running_server

_LEFT_OUT = ("benchmark", "codspeed", "cov", "hypothesispytest")
PLUGINS = [word for name in _LEFT_OUT for word in ("-p", f"no:{name}")]
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY")

AGENT = """
import os
import openai
import pytest
from senytl import Senytl, performance

def ask(text="hello"):
    with openai.OpenAI(max_retries=0) as client:
        completion = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": text}]
        )
    return completion.choices[0].message.content
"""
MARKED = (
    AGENT
    + """
@pytest.mark.senytl_recording("checkout")
def test_it():
    assert ask() == "Hello from the other side."
"""
)

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with running_server() as running:
        yield running


@pytest.fixture
def run(pytester: pytest.Pytester, server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the test files: with a key and the server's address to record, else with neither."""
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    pytester.makeini(
        "[pytest]\naddopts = --strict-markers\nasyncio_default_fixture_loop_scope = function"
    )

    def run(
        *arguments: str, live: bool = False, workers: int = 0, apart: bool = False
    ) -> pytest.RunResult:
        address = server.url if live else "http://127.0.0.1:9"
        monkeypatch.setenv("OPENAI_BASE_URL", address + "/v1")
        if live:
            monkeypatch.setenv("OPENAI_API_KEY", "sk-proj-PLANTED1234567890")
        else:
            monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        command = ["-W", "error", *PLUGINS, *arguments]
        if workers:
            command += ["-n", str(workers)]
        if workers or apart:
            return pytester.runpytest_subprocess(*command, timeout=60)
        return pytester.runpytest_inprocess(*command)

    return run


def recordings(pytester: pytest.Pytester) -> dict[str, str]:
    paths = Path(pytester.path).rglob(".recordings/**/*")
    return {
        path.relative_to(pytester.path).as_posix(): path.read_text()
        for path in sorted(paths)
        if path.is_file()
    }


def test_a_missing_recording_is_an_error_that_says_how_to_record(
    run: Run, pytester: pytest.Pytester, server: ModelServer
) -> None:
    pytester.makepyfile(test_it=MARKED)
    result = run(live=True)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "no recording: --senytl-record=once makes .recordings/checkout.json, from the calls *",
            "ERROR test_it.py::test_it - Failed: no recording: --senytl-record=once*",
        ]
    )
    assert "above exception" not in str(result.stdout)
    said, _, _ = str(result.stdout).partition("short test summary info")
    assert said.count("then review that file") == 1
    assert server.served == []
    assert recordings(pytester) == {}


def test_once_records_what_is_missing_and_replays_without_keys_or_network(
    run: Run, pytester: pytest.Pytester, server: ModelServer
) -> None:
    pytester.makepyfile(test_it=MARKED)
    run("--senytl-record=once", live=True).assert_outcomes(passed=1)
    [(name, text)] = recordings(pytester).items()
    assert name == ".recordings/checkout.json"
    assert "PLANTED" not in text
    assert len(server.served) == 1
    run("--senytl-record=once", live=True).assert_outcomes(passed=1)
    assert len(server.served) == 1
    run().assert_outcomes(passed=1)
    assert recordings(pytester) == {name: text}
    assert not any(key in os.environ for key in KEYS)


def test_all_records_anew(run: Run, pytester: pytest.Pytester, server: ModelServer) -> None:
    pytester.makepyfile(test_it=MARKED)
    run("--senytl-record=all", live=True).assert_outcomes(passed=1)
    [first] = recordings(pytester).values()
    run("--senytl-record=all", live=True).assert_outcomes(passed=1)
    [second] = recordings(pytester).values()
    assert len(server.served) == 2
    assert "reply-1" in first
    assert "reply-2" in second


def test_an_unrecorded_call_fails_the_test_and_shows_the_nearest(
    run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(test_it=MARKED)
    run("--senytl-record=once", live=True).assert_outcomes(passed=1)
    pytester.makepyfile(test_it=MARKED.replace("ask()", 'ask("goodbye")'))
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*UnrecordedCallError: this call of 'gpt-4o' is not in the recording *checkout.json*",
            "E*messages?0?.content: 'hello' was recorded, now it is 'goodbye'",
        ]
    )


def test_a_test_that_fails_leaves_the_earlier_recording_and_says_so(
    run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(test_it=MARKED)
    run("--senytl-record=all", live=True).assert_outcomes(passed=1)
    before = recordings(pytester)
    pytester.makepyfile(test_it=MARKED.replace("Hello", "HELLO"))
    result = run("--senytl-record=all", live=True)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*recording*", "*checkout.json was not written, since the test failed; the earlier one*"]
    )
    assert recordings(pytester) == before


def test_an_interrupted_test_leaves_the_earlier_recording(
    run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(test_it=MARKED)
    run("--senytl-record=all", live=True).assert_outcomes(passed=1)
    before = recordings(pytester)
    pytester.makepyfile(test_it=MARKED + "    raise KeyboardInterrupt\n")
    result = run("--senytl-record=all", "-n0", live=True, apart=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["senytl: the recording *checkout.json was not written, since the test was interrupted; *"]
    )
    assert recordings(pytester) == before


@pytest.mark.parametrize(
    ("end", "reason", "workers"),
    [
        ("pytest.skip('no')", "test test_it.py::test_it was skipped", 0),
        ("pytest.skip('no')", "test test_it.py::test_it was skipped", 1),
        ("pytest.xfail('no')", "test test_it.py::test_it failed as expected", 0),
        ("raise SystemExit", "test failed", 0),
    ],
)
def test_a_test_that_does_not_pass_is_not_recorded_and_that_is_said(
    end: str, reason: str, workers: int, run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(test_it=MARKED + f"    {end}\n")
    result = run("--senytl-record=all", live=True, workers=workers)
    assert recordings(pytester) == {}
    said = "senytl: the recording .recordings/checkout.json was not written, since the "
    assert str(result.stdout).count(f"{said}{reason}; there is none yet") == 1


def test_a_teardown_that_fails_leaves_no_recording_and_that_is_said(
    run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_it=MARKED.replace("test_it()", "test_it(broken)")
        + """
@pytest.fixture
def broken():
    yield
    pytest.fail("broken")
"""
    )
    result = run("--senytl-record=all", live=True)
    result.assert_outcomes(passed=1, errors=1)
    assert recordings(pytester) == {}
    said = "checkout.json was not written, since its teardown failed; there is none yet"
    assert str(result.stdout).count(said) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_what_was_recorded_is_named_at_the_end(
    workers: int, run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_it=MARKED
        + """
@pytest.mark.senytl_recording
def test_other():
    ask("one"), ask("two")
"""
    )
    result = run("--senytl-record=once", live=True, workers=workers)
    lines = [line for line in result.outlines if line.startswith("senytl: ")]
    assert sorted(lines) == [
        "senytl: recorded .recordings/checkout.json (1 call)",
        "senytl: recorded .recordings/test_it/test_other.json (2 calls)",
    ]
    assert "senytl: recorded" not in str(run("--senytl-record=once", live=True).stdout)
    assert "senytl: recorded" not in str(run("--senytl-record=all", "-qq", live=True).stdout)


TWO = """
@pytest.mark.senytl_recording("checkout")
def test_two():
"""


@pytest.mark.parametrize("mode", ["once", "all"])
@pytest.mark.parametrize("is_swallowed", [False, True])
def test_a_test_does_not_replace_what_another_has_recorded_in_the_session(
    mode: str, is_swallowed: bool, run: Run, pytester: pytest.Pytester, server: ModelServer
) -> None:
    body = "    try: ask('goodbye')\n    except Exception: pass\n"
    two = TWO + (body if is_swallowed else "    ask('goodbye')\n")
    pytester.makepyfile(test_it=MARKED + two)
    result = run(f"--senytl-record={mode}", live=True)
    if is_swallowed:
        result.assert_outcomes(passed=2, errors=1)
    else:
        result.assert_outcomes(passed=1, failed=1)
    output = str(result.stdout)
    assert "test_it.py::test_it has recorded that file in this session, and this test" in output
    assert "would replace it: give each its own name, or record both in one test" in output
    assert "Record it anew" not in output
    assert len(server.served) == 1
    [text] = recordings(pytester).values()
    assert "goodbye" not in text


def test_tests_that_make_the_same_calls_share_a_recording_that_is_made_anew(
    run: Run, pytester: pytest.Pytester, server: ModelServer
) -> None:
    pytester.makepyfile(test_it=MARKED + TWO + "    ask()\n")
    run("--senytl-record=all", live=True).assert_outcomes(passed=2)
    run("--senytl-record=all", live=True).assert_outcomes(passed=2)
    assert len(server.served) == 2


def test_workers_that_record_the_same_file_are_named(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_a=MARKED.replace("def test_it():", "def test_it():\n    import time; time.sleep(1)"),
        test_b=MARKED.replace("def test_it():", "def test_it():\n    import time; time.sleep(1)"),
    )
    result = run("--senytl-record=all", live=True, workers=2)
    result.assert_outcomes(passed=2)
    result.stdout.re_match_lines(
        [
            r"senytl: \.recordings/checkout\.json was recorded by test_[ab]\.py::test_it and "
            r"test_[ab]\.py::test_it on different workers, and the last one stays: .*"
        ]
    )


@pytest.mark.parametrize("text", ["{", '{"schema": "senytl-recording/9", "calls": []}'])
def test_a_file_that_is_no_recording_says_what_to_do(
    text: str, run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(test_it=MARKED)
    (pytester.mkdir(".recordings") / "checkout.json").write_text(text)
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [".recordings/checkout.json cannot be read as a recording: *. Restore it from version *"]
    )
    assert "above exception" not in str(result.stdout)


@pytest.mark.parametrize(
    ("speed", "warning"), [("1.0", ""), ("2.0", "replayed at 2x"), ("None", "without waiting")]
)
def test_times_of_a_replay_at_another_speed_are_said_to_be_so(
    speed: str, warning: str, run: Run, pytester: pytest.Pytester
) -> None:
    source = MARKED.replace('"checkout"', f'"checkout", speed={speed}').replace(
        "test_it()", "test_it(perf)"
    )
    pytester.makepyfile(test_it=source)
    run("--senytl-record=once", live=True).assert_outcomes(passed=1)
    run("--senytl-perf-report=figures.json").assert_outcomes(passed=1)
    [measured] = json.loads((pytester.path / "figures.json").read_text())["tests"]
    said = [note for note in measured["warnings"] if "a recording was replayed" in note]
    assert len(said) == bool(warning)
    assert all(warning in note for note in said)


def test_a_test_that_makes_no_call_has_nothing_to_record(
    run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_it="import pytest\n@pytest.mark.senytl_recording\ndef test_it(): pass\n"
    )
    result = run("--senytl-record=once", live=True)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["senytl: there is nothing to record in *API in this test.*"])
    assert "above exception" not in str(result.stdout)
    assert recordings(pytester) == {}


def test_without_a_name_each_test_has_its_own_file(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it=AGENT
        + """
pytestmark = pytest.mark.senytl_recording(speed=None)

@pytest.mark.parametrize("text", ["hello", "hello/ä"])
def test_texts(text):
    ask(text)

class TestAgent:
    def test_one(self):
        ask("three")
"""
    )
    run("--senytl-record=once", live=True).assert_outcomes(passed=3)
    names = list(recordings(pytester))
    assert len(names) == 3
    assert ".recordings/test_it/TestAgent.test_one.json" in names
    assert ".recordings/test_it/test_texts[hello].json" in names
    run().assert_outcomes(passed=3)


def test_calls_of_fixtures_are_part_of_the_recording(
    run: Run, pytester: pytest.Pytester, server: ModelServer
) -> None:
    pytester.makepyfile(
        test_it=AGENT
        + """
@pytest.fixture
def greeted():
    yield ask("setup")
    ask("teardown")

@pytest.mark.senytl_recording
def test_it(greeted):
    assert greeted
"""
    )
    run("--senytl-record=once", live=True).assert_outcomes(passed=1)
    assert len(server.served) == 2
    run().assert_outcomes(passed=1)


def test_placeholders_stand_in_for_missing_keys_only_and_only_meanwhile(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(
        test_it=MARKED
        + """
@pytest.mark.senytl_recording("checkout")
def test_keys():
    assert os.environ["ANTHROPIC_API_KEY"] == "mine"
    assert os.environ["GEMINI_API_KEY"]
    ask()

def test_afterwards():
    assert os.environ["ANTHROPIC_API_KEY"] == "mine"
    assert "GEMINI_API_KEY" not in os.environ
    assert "OPENAI_API_KEY" not in os.environ
"""
    )
    monkeypatch.setenv("ANTHROPIC_API_KEY", "mine")
    run("--senytl-record=once", "-k", "test_it", live=True)
    run("-k", "test_keys or test_afterwards").assert_outcomes(passed=2, deselected=1)


def test_a_skipped_test_needs_no_recording(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it=MARKED.replace("@pytest.mark", "@pytest.mark.skip(reason='no')\n@pytest.mark", 1)
    )
    run().assert_outcomes(skipped=1)


def test_each_attempt_of_a_rerun_test_is_recorded_anew(
    run: Run, pytester: pytest.Pytester, server: ModelServer
) -> None:
    pytester.makepyfile(
        test_it=AGENT
        + """
attempts = []

@pytest.mark.flaky(reruns=1)
@pytest.mark.senytl_recording
def test_it():
    attempts.append(1)
    ask(f"attempt {len(attempts)}")
    assert len(attempts) == 2
"""
    )
    outcomes = run("--senytl-record=once", live=True).parseoutcomes()
    assert outcomes == {"passed": 1, "rerun": 1}
    [text] = recordings(pytester).values()
    assert len(json.loads(text)["calls"]) == 1
    assert "attempt 2" in text


def test_workers_of_xdist_record_each_its_file_and_share_one_without_harm(
    run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_it=AGENT
        + """
@pytest.mark.senytl_recording
@pytest.mark.parametrize("number", range(4))
def test_own(number):
    ask(f"number {number}")

@pytest.mark.senytl_recording("shared")
@pytest.mark.parametrize("number", range(4))
def test_shared(number):
    for _ in range(20):
        ask()
"""
    )
    run("--senytl-record=all", live=True, workers=2).assert_outcomes(passed=8)
    written = recordings(pytester)
    assert len(written) == 5
    assert all(json.loads(text)["schema"] == "senytl-recording/1" for text in written.values())
    assert len(json.loads(written[".recordings/shared.json"])["calls"]) == 20
    run(workers=2).assert_outcomes(passed=8)


def test_a_load_test_replays_what_one_test_recorded(
    run: Run, pytester: pytest.Pytester, server: ModelServer
) -> None:
    pytester.makepyfile(
        test_it=MARKED
        + """
@pytest.mark.senytl_recording("checkout", speed=None)
@pytest.mark.load_test(concurrent_users=5, iterations=4)
@pytest.mark.sla(success_rate=1.0)
def test_load():
    assert ask() == "Hello from the other side."
"""
    )
    run("--senytl-record=once", live=True).assert_outcomes(passed=2)
    assert len(server.served) == 1
    run().assert_outcomes(passed=2)


def test_a_strict_session_in_a_fixture_leaves_calls_to_the_recording(
    run: Run, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        test_it=AGENT
        + """
@pytest.fixture
def agent():
    with Senytl(fallback="error") as senytl:
        senytl.mock("gpt-4o").when(contains="mocked").respond("a mock")
        yield senytl.wrap(ask)

@pytest.mark.senytl_recording
def test_it(agent):
    assert agent.run("mocked").text == "a mock"
    assert agent.run("hello").text == "Hello from the other side."
"""
    )
    text = (pytester.path / "test_it.py").read_text()
    (pytester.path / "test_it.py").write_text(text.replace('fallback="error"', 'fallback="pass"'))
    run("--senytl-record=once", live=True).assert_outcomes(passed=1)
    (pytester.path / "test_it.py").write_text(text)
    run().assert_outcomes(passed=1)


def test_names_and_paths_of_record_and_replay_in_a_test(
    run: Run, pytester: pytest.Pytester
) -> None:
    folder = pytester.mkdir("unit")
    (folder / "test_it.py").write_text(
        AGENT
        + """
def test_it():
    senytl = Senytl()
    with senytl.record("by hand"):
        text = ask()
    with senytl.replay("by hand", speed=None):
        assert ask() == text
"""
    )
    run(live=True).assert_outcomes(passed=1)
    [name] = recordings(pytester)
    assert name.startswith("unit/.recordings/by_hand")


MISTAKES = {
    "unknown keyword": ("(sped=2)", "it has no setting 'sped'*"),
    "two names": ('("a", "b")', "it takes one name, not 'a', 'b'*"),
    "speed": ('("a", speed=0)', "speed is 0; it is a number above 0*"),
    "speed as a text": ('(speed="fast")', "speed is 'fast'; it is a number above 0*"),
    "name": ("(3)", "the name is 3, not a string*"),
    "empty name": ('("")', "the recording's name is empty*"),
    "pattern": ('(ignore=["("])', "ignore holds '(', which is no regular expression*"),
    "no pattern": ("(ignore=[3])", "ignore is [[]3]; it is a list of regular expressions*"),
}


@pytest.mark.parametrize(
    ("mistake", "workers"), [*((mistake, 0) for mistake in MISTAKES), ("speed", 2)]
)
def test_marks_that_make_no_sense_are_refused_before_anything_runs(
    mistake: str, workers: int, run: Run, pytester: pytest.Pytester
) -> None:
    mark, problem = MISTAKES[mistake]
    pytester.makepyfile(
        test_it=f"import pytest\n@pytest.mark.senytl_recording{mark}\ndef test_it(): pass\n"
    )
    result = run(workers=workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: senytl cannot replay these tests as they are written:",
            f"  test_it.py::test_it: @pytest.mark.senytl_recording: *{problem}",
        ]
    )


def test_an_unknown_mode_is_a_usage_error(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=MARKED)
    result = run("--senytl-record=always")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--senytl-record*always*"])
