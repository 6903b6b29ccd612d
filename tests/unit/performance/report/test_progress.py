"""The line that says how a load test goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from senytl.performance.load.progress import LoadProgress
from senytl.performance.report.progress import write_progress

PROGRESS = LoadProgress(
    name="tests/test_it.py::test_load",
    phase="load",
    elapsed=12.4,
    remaining=47.6,
    users=50,
    requests=9_744,
    failed=3,
    rps=812.1,
    p95=1.234,
    dollars=0.0213,
)


def test_it_holds_every_figure() -> None:
    assert write_progress(PROGRESS) == (
        "tests/test_it.py::test_load: 0:12, 0:48 left · 50 users · 812.1 req/s · p95 1.23s"
        " · 3 failed · $0.0213 · 9,744 requests"
    )


def test_what_is_not_known_is_left_out() -> None:
    begun = replace(
        PROGRESS, remaining=None, users=1, requests=0, failed=0, rps=0.0, p95=None, dollars=None
    )
    assert (
        write_progress(begun) == "tests/test_it.py::test_load: 0:12 · 1 user · 0 req/s · 0 requests"
    )


def test_a_number_of_requests_that_is_planned_stands_beside_those_that_ended() -> None:
    assert write_progress(replace(PROGRESS, planned_requests=50_000)).endswith(
        "$0.0213 · 9,744 of 50.0k requests"
    )


def test_the_warm_up_has_no_figures_and_the_end_says_what_it_is() -> None:
    warm_up = replace(PROGRESS, phase="warm-up", elapsed=3, remaining=2)
    assert (
        write_progress(warm_up) == "tests/test_it.py::test_load: warm-up 0:03, 0:02 left · 50 users"
    )
    ending = replace(PROGRESS, phase="ending", elapsed=0.2, remaining=29.8, users=2)
    assert "::test_load: ending 0:00, 0:30 left · 2 users · 812.1 req/s" in write_progress(ending)


@pytest.mark.parametrize(
    ("seconds", "written"), [(59.4, "0:59"), (59.6, "1:00"), (3_599, "59:59"), (7_265, "2:01:05")]
)
def test_times_are_written_as_clocks_show_them(seconds: float, written: str) -> None:
    line = write_progress(replace(PROGRESS, elapsed=seconds, remaining=None))
    assert f"test_load: {written} · " in line


@pytest.mark.parametrize("width", range(1, 140))
def test_it_never_exceeds_the_width_and_uses_what_there_is(width: int) -> None:
    line = write_progress(PROGRESS, width=width)
    assert len(line) <= width
    if width >= len(write_progress(PROGRESS)):
        assert line == write_progress(PROGRESS)


def test_the_name_is_cut_before_figures_go_and_the_most_important_stay() -> None:
    named = replace(PROGRESS, name="tests/test_it.py::test_many_users_at_once")
    lines = [write_progress(named, width=width) for width in (140, 120, 110, 100, 80, 50)]
    users = "0:12, 0:48 left · 50 users"
    failed = f"{users} · 812.1 req/s · p95 1.23s · 3 failed"
    assert lines == [
        f"tests/test_it.py::test_many_users_at_once: {failed} · $0.0213 · 9,744 requests",
        f"test_many_users_at_once: {failed} · $0.0213 · 9,744 requests",
        f"test_many_users_a…: {failed} · $0.0213 · 9,744 requests",
        f"test_many_users_at_once: {failed} · $0.0213",
        f"test_many_user…: {failed}",
        f"test_many_users_at_on…: {users}",
    ]


def test_wide_letters_count_for_two_columns() -> None:
    line = write_progress(replace(PROGRESS, name="test_it.py::test_負荷試験[速い]"), width=40)
    assert line == "test_負荷試…: 0:12, 0:48 left · 50 users"


def test_ascii_stays_ascii() -> None:
    line = write_progress(replace(PROGRESS, name="test_it.py::test_größe", p95=0.00012), ascii=True)
    assert line.startswith("test_it.py::test_gr??e: 0:12, 0:48 left | 50 users | 812.1 req/s")
    assert "p95 120us" in line
    assert line.isascii()


def test_a_name_cannot_command_the_terminal() -> None:
    line = write_progress(replace(PROGRESS, name="test_it.py::test[\x1b[2J\r\n\x07]"))
    assert line.startswith("test_it.py::test[?[2J???]: ")
