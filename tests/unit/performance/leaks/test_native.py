"""Native allocations that stay: found by memray, at the user's own line."""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from senytl.models import SenytlError
from senytl.performance.leaks.native import MemraySites, why_not_memray
from senytl.performance.leaks.sites import LeakSite

memray = pytest.importorskip("memray")

ROUND = 25
LINES = Path(__file__).read_text(encoding="utf-8").splitlines()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go; none may be left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def other_tracker(folder: Path) -> Iterator[None]:
    """Somebody else uses memray in this process."""
    with memray.Tracker("/dev/null"):
        yield


def find(body: Callable[[], object], finder: MemraySites | None = None) -> list[LeakSite]:
    """The sites of a body that is run in this thread, in four rounds."""
    finder = finder or MemraySites()
    finder.start()
    finder.mark(0)
    for number in range(1, 5):
        for _ in range(ROUND):
            body()
        finder.mark(number * ROUND)
    return finder.stop()


def marker_of(site: LeakSite) -> str:
    """The comment at the end of a site's line."""
    assert site.location.file == __file__
    return LINES[site.location.line - 1].rpartition("# ")[2]


def test_native_memory_that_stays_is_at_the_users_line(folder: Path) -> None:
    kept = []

    def body() -> None:
        zlib.compress(b"x" * 5_000)
        kept.append(zlib.compressobj())  # leaks

    site = find(body)[0]

    assert marker_of(site) == "leaks"
    assert site.bytes_per_request > 100_000  # what zlib takes for a window and its tables
    assert site.location.function == "body"
    assert list(folder.iterdir()) == []


def test_the_native_calls_below_the_line_are_shown() -> None:
    kept = []

    def body() -> None:
        kept.append(zlib.compressobj())

    site = find(body)[0]
    places = [frame.file for frame in site.frames]
    below = site.frames[len(places) - places[::-1].index(__file__) :]

    assert any("deflate" in frame.function for frame in below)
    assert not any(frame.function.startswith(("_Py", "Py")) for frame in below[:1])


def test_mappings_that_are_never_closed_are_found() -> None:
    kept = []

    def body() -> None:
        kept.append(mmap.mmap(-1, 16_384))  # leaks

    site = find(body)[0]

    assert marker_of(site) == "leaks"
    assert site.bytes_per_request == pytest.approx(16_384, rel=0.01)
    assert site.blocks_per_request == pytest.approx(1, abs=0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="the name of the C library")
def test_what_is_freed_is_no_site() -> None:
    libc = ctypes.CDLL("libc.so.6")
    libc.strdup.restype = ctypes.c_void_p
    libc.free.argtypes = (ctypes.c_void_p,)

    def body() -> None:
        zlib.compressobj().compress(b"x" * 100)
        libc.free(libc.strdup(b"x" * 3_000))

    assert find(body) == []


def test_small_objects_of_pythons_are_no_site() -> None:
    kept: list[str] = []

    def body() -> None:
        kept.extend(f"{number:>100}" for number in range(200))

    assert all(site.bytes_per_request < 5_000 for site in find(body))


def test_nothing_is_wrong_where_memray_can_run() -> None:
    assert why_not_memray() is None


@pytest.mark.usefixtures("other_tracker")
def test_another_tracker_is_told_of(folder: Path) -> None:
    assert "runs in this process already" in (why_not_memray() or "")
    finder = MemraySites()
    with pytest.raises(SenytlError, match="runs in this process already"):
        finder.start()
    finder.mark(1)
    assert finder.stop() == []
    assert list(folder.iterdir()) == []


def test_it_runs_again_after_it_was_stopped() -> None:
    for _ in range(2):
        finder = MemraySites()
        finder.start()
        assert finder.stop() == []
        assert why_not_memray() is None


def test_a_file_that_cannot_be_read_has_no_sites(folder: Path) -> None:
    finder = MemraySites()
    finder.start()
    finder.mark(0)
    next(folder.rglob("*.bin")).unlink()

    assert finder.stop() == []
    assert list(folder.iterdir()) == []
    assert why_not_memray() is None


def test_without_memray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "memray", None)

    assert why_not_memray() == "pip install 'senytl[memray]' finds the line"
    with pytest.raises(SenytlError, match=r"pip install 'senytl\[memray\]'"):
        MemraySites().start()


def test_windows_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")

    assert "Windows" in (why_not_memray() or "")


def test_memray_loads_when_it_is_needed() -> None:
    code = "import sys, senytl.performance.leaks.native; sys.exit('memray' in sys.modules)"

    subprocess.run([sys.executable, "-c", code], check=True)
