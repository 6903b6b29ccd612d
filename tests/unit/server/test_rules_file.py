from __future__ import annotations

from pathlib import Path

import pytest

from senytl.capture import PendingCall
from senytl.mocking import MockRules
from senytl.models import SenytlError
from senytl.server.rules_file import load_session
from senytl.session import Senytl

CALL = PendingCall("openai-chat", "openai", "gpt-4o", {"messages": []}, False)


def write(folder: Path, source: str) -> str:
    path = folder / "served_rules.py"
    path.write_text(source, encoding="utf-8")
    return str(path)


def test_a_function_states_mocks_in_a_session_with_the_seed(tmp_path: Path) -> None:
    name = write(tmp_path, "def rules(senytl):\n    senytl.mock('gpt-4o').respond('Hello!')")
    session = load_session(name, 7)
    assert session.answerer.answer(CALL) is not None


def test_the_seed_decides_what_chance_does(tmp_path: Path) -> None:
    source = """
def rules(senytl):
    senytl.mock("gpt-4o").fail(429, rate=0.5).respond("Hello!")
"""
    name = write(tmp_path, source)

    def fates(seed: int | None) -> list[str]:
        session = load_session(name, seed)
        return [type(session.answerer.answer(CALL)).__name__ for _ in range(40)]

    assert fates(1) == fates(1)
    assert fates(1) != fates(2)
    assert fates(None) == fates(0)


def test_a_session_in_the_file_is_taken_as_it_is(tmp_path: Path) -> None:
    source = "from senytl import Senytl\nsenytl = Senytl(seed=3)\nsenytl.mock('gpt-4o').fail(500)"
    name = write(tmp_path, source)
    session = load_session(name)
    assert isinstance(session, Senytl)
    assert session.answerer.answer(CALL) is not None
    with pytest.raises(SenytlError, match=r"--seed has no effect.*Senytl\(seed=1\)"):
        load_session(name, 1)


def test_the_file_may_import_what_lies_beside_it_and_define_dataclasses(tmp_path: Path) -> None:
    (tmp_path / "served_texts.py").write_text("TEXT = 'Imported.'", encoding="utf-8")
    source = """
from __future__ import annotations
from dataclasses import dataclass
from served_texts import TEXT

@dataclass
class Reply:
    text: str

def rules(senytl):
    senytl.mock("gpt-4o").respond(Reply(TEXT).text)
"""
    assert load_session(write(tmp_path, source)).answerer.answer(CALL) is not None


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", r"served_rules\.py states nothing to serve: define a function rules\(senytl\)"),
        ("senytl = 'no session'", "states nothing to serve"),
        ("def rules(:", r"served_rules\.py failed: SyntaxError: .* \(line 1\)"),
        ("x = 1\nraise KeyError('x')", r"failed: KeyError: 'x' \(line 2\)"),
        (
            "def rules(senytl):\n    senytl.mock('')",
            r"rules\(\) of .* failed: ValueError: .*line 2",
        ),
        ("def rules():\n    pass", r"rules\(\) of .* failed: TypeError: "),
    ],
)
def test_a_file_that_cannot_be_served_is_one_clear_error(
    source: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(SenytlError, match=message):
        load_session(write(tmp_path, source))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SenytlError, match=r"cannot read .*nowhere\.py: No such file"):
        load_session(str(tmp_path / "nowhere.py"))


def test_rules_name_the_models_that_anything_is_stated_for() -> None:
    rules = MockRules()
    rules.mock("gpt-4o").when(contains="a").respond("a").respond("b")
    rules.mock("claude-*").fail(429)
    rules.mock("gpt-4o").timeout()
    assert rules.models == ["gpt-4o", "claude-*"]
