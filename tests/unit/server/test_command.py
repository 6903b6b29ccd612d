"""``senytl serve``, from its start to its end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from senytl import Senytl
from senytl.cli import main
from senytl.server import ModelServer
from senytl.server.environment import assignments, environment

RULES = """
def rules(senytl):
    senytl.mock("gpt-4o").respond("Hello!", usage=(12, 3), latency=0.4)
"""


@pytest.fixture
def rules(tmp_path: Path) -> str:
    path = tmp_path / "rules.py"
    path.write_text(RULES, encoding="utf-8")
    return str(path)


class Serving:
    def __init__(self, process: subprocess.Popen[str], *, quiet: bool) -> None:
        assert process.stdout is not None
        self.process = process
        self.first_line = process.stdout.readline()
        assert self.first_line, process.communicate(timeout=10)[1]
        self.url = self.first_line.split()[3]
        variables = 0 if quiet else len(environment(self.url))
        self.exports = [process.stdout.readline().rstrip() for _ in range(variables)]

    def ask(self, prompt: str = "hello") -> Any:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}]}
        request = urllib.request.Request(
            f"{self.url}/v1/chat/completions", json.dumps(body).encode()
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)

    def end(self, how: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        self.process.send_signal(how)
        output, errors = self.process.communicate(timeout=20)
        return self.process.returncode, output, errors


@contextmanager
def serve(*arguments: str, folder: Path | None = None) -> Iterator[Serving]:
    command = [sys.executable, "-W", "error", "-m", "senytl", "serve", *arguments, "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", cwd=folder
    ) as process:
        try:
            yield Serving(process, quiet="--quiet" in arguments)
        finally:
            process.kill()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_says_what_it_did(how: signal.Signals, rules: str) -> None:
    with serve(rules) as serving:
        assert serving.first_line == f"senytl serves at {serving.url}\n"
        reply = serving.ask("a secret question")
        assert reply["choices"][0]["message"]["content"] == "Hello!"
        code, output, errors = serving.end(how)
    assert (code, errors) == (0, "")
    line, summary = output.splitlines()
    assert serving.exports == [
        f"export OPENAI_BASE_URL={serving.url}/v1",
        f"export ANTHROPIC_BASE_URL={serving.url}",
        f"export GOOGLE_GEMINI_BASE_URL={serving.url}",
        "export OPENAI_API_KEY=not-used",
        "export ANTHROPIC_API_KEY=not-used",
        "export GOOGLE_API_KEY=not-used",
    ]
    said = re.fullmatch(r"gpt-4o  openai-chat  200  12\+3 tokens  (\d+) ms", line)
    assert said is not None
    assert int(said[1]) >= 400
    assert summary == "served 1 call (1 completed), 12 prompt and 3 completion tokens"


def test_quiet_and_speed(rules: str) -> None:
    with serve(rules, "--quiet", "--speed", "inf") as serving:
        serving.ask()
        code, output, _ = serving.end()
    assert code == 0
    assert output == "served 1 call (1 completed), 12 prompt and 3 completion tokens\n"


def test_the_lines_can_be_pasted_and_are_the_variables_of_the_fixture() -> None:
    url = "http://[::1]:8080"
    script = "\n".join([*assignments(url, "linux"), "env"])
    output = subprocess.check_output(["sh", "-c", script], text=True).splitlines()
    expected = {f"{name}={value}" for name, value in environment(url).items()}
    assert expected <= set(output)
    assert set(assignments(url, "win32")) == {f"set {line}" for line in expected}


@pytest.mark.parametrize(
    ("options", "left"), [([], "every call is refused"), (["--replay", "x"], "the recording alone")]
)
def test_a_file_that_states_no_mock_is_warned_of(
    options: list[str], left: str, rules: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ModelServer() as other:
        port = ["--port", other.url.rpartition(":")[2]]  # taken, so that each run ends
        main(["serve", rules, *port, *options])
        assert "warning" not in capsys.readouterr().err
        Path(rules).write_text("def rules(senytl):\n    senytl.mock('gpt-4o')\n", encoding="utf-8")
        assert main(["serve", rules, *port, *options]) == 2
    first, _ = capsys.readouterr().err.splitlines()
    assert first.startswith(f"senytl serve: warning: {rules} states no mock, so {left}")


def test_it_replays_a_recording_by_its_name_and_by_its_file(tmp_path: Path) -> None:
    import httpx2

    path = tmp_path / ".recordings" / "greeting.json"
    with ModelServer() as real:
        real.mock("gpt-4o").respond("Recorded.", usage=(5, 2))
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
        with Senytl().record(path), httpx2.Client() as client:
            client.post(f"{real.url}/v1/chat/completions", json=body).raise_for_status()
    for name in ("greeting", str(path)):
        with serve("--replay", name, folder=tmp_path) as serving:
            assert serving.ask()["choices"][0]["message"]["content"] == "Recorded."
            with pytest.raises(urllib.error.HTTPError) as refused:
                serving.ask("never asked before")
            assert refused.value.code == 400
            refused.value.close()
            serving.end()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "senytl serve: error: nothing to serve"),
        (["nowhere.py"], "senytl serve: error: cannot read nowhere.py: No such file or directory"),
        (["--replay", "nowhere.json"], "senytl serve: error: there is no recording"),
        (["--replay", ""], "senytl serve: error: the recording's name is empty"),
    ],
)
def test_what_cannot_be_served_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *arguments]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith(message)
    assert errors.count("\n") == 1


def test_a_taken_port_is_one_line_and_exit_code_2(
    rules: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with ModelServer() as other:
        port = other.url.rpartition(":")[2]
        assert main(["serve", rules, "--port", port]) == 2
    errors = capsys.readouterr().err
    assert errors == (
        f"senytl serve: error: port {port} of 127.0.0.1 is taken: choose another, or 0 for a free "
        "one\n"
    )
    assert signal.getsignal(signal.SIGINT) is before


def test_letting_other_machines_in_is_warned_of(
    rules: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", rules, "--host", "192.0.2.1"]) == 2  # an address that nobody has
    errors = capsys.readouterr().err
    assert "warning: at 192.0.2.1 other machines may call this server" in errors
    assert "cannot listen at 192.0.2.1" in errors


@pytest.mark.parametrize(
    ("option", "value"), [("--port", "70000"), ("--port", "x"), ("--speed", "0"), ("--speed", "x")]
)
def test_senseless_options_are_refused(
    option: str, value: str, rules: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", rules, option, value])
    assert ended.value.code == 2
    assert f"argument {option}: {value!r} is no" in capsys.readouterr().err
