from __future__ import annotations

import sys
from pathlib import Path

import pytest

from senytl.recordings.naming import named_recording, path_of, recording_of_test, shown


def test_under_pytest_recordings_lie_beside_the_test_s_file() -> None:
    folder = Path(__file__).parent / ".recordings"
    assert path_of("checkout", sys._getframe()) == folder / "checkout.json"


def test_elsewhere_they_lie_in_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.chdir(tmp_path)
    assert path_of("checkout", sys._getframe()) == tmp_path / ".recordings" / "checkout.json"


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    assert path_of(tmp_path / "x.json", sys._getframe()) == tmp_path / "x.json"


def test_names_become_safe_and_different_ones_stay_different(tmp_path: Path) -> None:
    names = ["a/b", "a:b", "../a", "A", "con", "a"]
    paths = {named_recording(tmp_path, name) for name in names}
    assert len(paths) == len(names)
    assert {path.parent for path in paths} == {tmp_path / ".recordings"}


def test_an_empty_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name is empty"):
        named_recording(tmp_path, " ")


def test_a_suffix_in_the_name_is_the_file_s(tmp_path: Path) -> None:
    assert named_recording(tmp_path, "a.json") == named_recording(tmp_path, "a")
    with pytest.raises(ValueError, match="the recording's name is empty"):
        named_recording(tmp_path, ".json")


def test_a_path_is_shown_from_the_working_directory_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tests" / ".recordings" / "a.json"
    monkeypatch.chdir(tmp_path)
    assert shown(path) == "tests/.recordings/a.json"
    monkeypatch.chdir("/")
    assert shown(path) == path.relative_to("/").as_posix()
    assert shown(Path("elsewhere.json")) == "elsewhere.json"


def test_a_test_s_own_recording(tmp_path: Path) -> None:
    path = recording_of_test(tmp_path / "test_it.py", "TestAgent::test_one[a]")
    assert path == tmp_path / ".recordings" / "test_it" / "TestAgent.test_one[a].json"
