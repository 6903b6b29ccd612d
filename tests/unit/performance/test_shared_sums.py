from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from senytl.performance.shared_sums import SharedSums, Sums

WRITER = """
import sys
from pathlib import Path
from senytl.performance.shared_sums import SharedSums

sums = SharedSums(Path(sys.argv[1]), int(sys.argv[2]))
for number in range(1, 1001):
    sums.write(number * 0.5, number, ["in-house", sys.argv[2]])
sums.write_refused(3)
"""


@pytest.fixture
def shared() -> Iterator[SharedSums]:
    """The sums of a process that has spent something before others take part."""
    alone = SharedSums()
    alone.write(0.25, 2, ["früh"])
    sums = SharedSums.in_file(alone)
    alone.close()
    yield sums
    file = sums.file
    sums.close()
    assert file is not None
    file.unlink()


def test_the_sums_of_one_process() -> None:
    sums = SharedSums()
    assert sums.file is None
    assert sums.read() == Sums(0.0, 0, 0, ())
    sums.write(0.5, 3, ["b", "a"])
    sums.write_refused(1)
    assert sums.dollars() == 0.5
    assert sums.read() == Sums(0.5, 3, 1, ("a", "b"))
    sums.close()
    sums.close()


def test_each_process_writes_its_part_and_all_read_the_whole(shared: SharedSums) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(shared.file), str(shared.new_part())])
        for _ in range(2)
    ]
    seen = [shared.dollars()]
    while any(process.poll() is None for process in processes):
        seen.append(shared.dollars())
    assert [process.returncode for process in processes] == [0, 0]
    assert seen == sorted(seen)  # no number is ever read half written
    assert shared.read() == Sums(0.25 + 1000.0, 2 + 2000, 6, ("2", "3", "früh", "in-house"))


def test_names_that_are_too_long_are_cut(shared: SharedSums) -> None:
    part = shared.new_part()
    assert shared.file is not None
    other = SharedSums(shared.file, part)
    other.write(1.0, 1, ["first", "ü" * 400])
    models = shared.read().unpriced_models
    assert models[0] == "first"
    assert set(models[2]) == {"ü"}
    assert shared.read().dollars == 1.25
    other.close()


def test_there_are_so_many_parts_and_no_more() -> None:
    sums = SharedSums()
    assert [sums.new_part() for _ in range(1022)][-1] == 1023
    with pytest.raises(OverflowError, match="more than 1,022 processes cannot share a budget"):
        sums.new_part()
    assert sums.read().dollars == 0


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SharedSums(tmp_path / "none", 2)
