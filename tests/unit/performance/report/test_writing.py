from __future__ import annotations

import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from senytl.performance.report.writing import check_writable, write_whole

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX's files")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_are_made_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "report.txt"
    write_whole(path, "żółć ✓\n")
    assert path.read_bytes() == "żółć ✓\n".encode()
    assert os.listdir(path.parent) == ["report.txt"]


def test_an_earlier_report_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    write_whole(path, "a much longer text\n")
    write_whole(str(path), "new\n")
    assert path.read_text() == "new\n"


@posix
@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_permissions_of_any_new_file(
    tmp_path: Path, umask: int, expected: int
) -> None:
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "report.txt", "x")
    finally:
        os.umask(before)
    assert mode(tmp_path / "report.txt") == expected


@posix
def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    path.write_text("old")
    path.chmod(0o640)
    write_whole(path, "new")
    assert (path.read_text(), mode(path)) == ("new", 0o640)


@posix
def test_a_link_stays_one(tmp_path: Path) -> None:
    target, link = tmp_path / "target.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    write_whole(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


@posix
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pipe.txt"
    os.mkfifo(path)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(path.read_text()))
    reader.start()
    check_writable(path)
    write_whole(path, "whole")
    reader.join(10)
    assert read == ["whole"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_reader_never_finds_half_a_report(tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    texts = {"a" * 100_000, "b" * 100_000}
    write_whole(path, "a" * 100_000)
    seen: set[str] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(50):
        for text in texts:
            write_whole(path, text)
    done.set()
    reader.join(10)
    assert seen
    assert seen <= texts


def test_a_failure_names_the_file_and_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.txt"
    path.write_text("old")

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_whole(path, "new")
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.txt"]


@pytest.mark.parametrize("function", [check_writable, lambda path: write_whole(path, "x")])
def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path, function: object) -> None:
    assert callable(function)
    file = tmp_path / "file"
    file.write_text("mine")
    for path, kind in (
        (tmp_path, IsADirectoryError),
        (file / "report.txt", (NotADirectoryError, FileNotFoundError, FileExistsError)),
        (file / "below" / "report.txt", (NotADirectoryError, FileNotFoundError, FileExistsError)),
    ):
        with pytest.raises(kind) as caught:
            function(path)
        assert caught.value.filename == str(path)
    assert file.read_text() == "mine"


@posix
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that not even root can use")
def test_a_folder_that_takes_no_file_is_found_before_the_tests_run() -> None:
    for function, path in (
        (check_writable, "/proc/self/report.txt"),
        (lambda path: write_whole(path, "x"), "/proc/self/a/report.txt"),
    ):
        with pytest.raises(OSError) as caught:  # noqa: PT011  # its kind is the kernel's choice
            function(path)
        assert caught.value.filename == path


def test_checking_leaves_no_trace(tmp_path: Path) -> None:
    old = tmp_path / "old.txt"
    old.write_text("old")
    check_writable(tmp_path / "a" / "b" / "report.txt")
    check_writable(tmp_path / "new.txt")
    check_writable(old)
    assert os.listdir(tmp_path) == ["old.txt"]
    assert old.read_text() == "old"
