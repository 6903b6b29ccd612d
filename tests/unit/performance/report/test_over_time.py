from __future__ import annotations

from array import array
from collections.abc import Callable

import pytest

from senytl.performance import PerformanceMetrics
from senytl.performance.report import markdown, text
from senytl.performance.report.document import describe_run
from senytl.performance.report.json import render_run as render_json
from senytl.performance.report.over_time import describe_timeline, over_time, sparkline
from senytl.performance.timeline import Timeline

MakeRun = Callable[..., PerformanceMetrics]


def ramp(seconds: int = 8, *, scale: float = 1.0) -> Timeline:
    """So many requests as seconds have passed, as slow as that; nothing succeeds in the third."""
    timeline = Timeline(interval=1.0)
    for second in range(1, seconds + 1):
        succeeded = 0 if second == 3 else second
        timeline.add(
            float(second),
            [array("d", [second / 8 * scale] * succeeded)],
            failed=second - succeeded,
            timed_out=0,
            users=2 * second,
        )
    return timeline


def test_a_timeline_is_described_in_columns_of_equal_length() -> None:
    timeline = ramp()
    timeline.add_calls([0.5, 1.5], [10, 20], [0.1, float("nan")])
    timeline.add_memory([0.5], [80.0])
    document = describe_timeline(timeline)
    assert document is not None
    assert {len(column) for column in document.values()} == {8}  # type: ignore[arg-type]
    assert document["start"] == [float(second) for second in range(8)]
    assert document["seconds"] == [1.0] * 8
    assert document["requests"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert document["failed"] == [0, 0, 3, 0, 0, 0, 0, 0]
    assert document["users"] == [2, 4, 6, 8, 10, 12, 14, 16]
    assert document["p95"][2] is None
    assert document["p95"][7] == pytest.approx(1.0, rel=0.01)
    assert document["tokens"] == [10, 20, 0, 0, 0, 0, 0, 0]
    assert document["cost"][:3] == [0.1, None, 0.0]
    assert document["memory_mb"][:2] == [80.0, None]


def test_only_a_load_test_with_intervals_has_a_timeline(make_run: MakeRun) -> None:
    assert describe_run(make_run())["timeline"] is None
    assert describe_run(make_run(timeline=Timeline()))["timeline"] is None
    run = make_run(timeline=ramp())
    assert describe_run(run)["timeline"] == describe_timeline(ramp())
    assert '"timeline": {' in render_json(describe_run(run))


def test_the_text_report_shows_the_course_of_a_load(make_run: MakeRun) -> None:
    lines = text.render_run(describe_run(make_run(timeline=ramp()))).splitlines()
    first = lines.index("Req/s Over Time: ▂▃▄▅▆▇██ 1.00 to 8.00")
    assert lines[first - 1] == ""
    assert lines[first + 1] == "P95 Over Time:   ▂▃ ▅▆▇██ 125ms to 1.00s"
    assert lines[first + 2] == "Users Over Time: ▂▃▄▅▆▇██ 2 to 16"
    assert lines[first + 3] == ""


def test_the_markdown_report_shows_it_too(make_run: MakeRun) -> None:
    report = markdown.render_run(describe_run(make_run(timeline=ramp())))
    assert "| Req/s Over Time | ▂▃▄▅▆▇██ 1.00 to 8.00 |" in report


def test_a_load_of_few_intervals_has_no_course(make_run: MakeRun) -> None:
    assert "Over Time" not in text.render_run(describe_run(make_run(timeline=ramp(7))))
    assert "Over Time" not in text.render_run(describe_run(make_run()))


def test_nothing_is_said_of_latencies_where_no_request_succeeded() -> None:
    timeline = Timeline(interval=1.0)
    for second in range(1, 9):
        timeline.add(float(second), [], failed=1, timed_out=0, users=1)
    document = describe_timeline(timeline)
    assert document is not None
    assert [label for label, _ in over_time(document)] == ["Req/s Over Time", "Users Over Time"]


def test_the_course_can_be_written_in_ascii() -> None:
    document = describe_timeline(ramp(scale=2**-10))
    assert document is not None
    lines = dict(over_time(document, ascii=True))
    assert lines["Req/s Over Time"] == ".:-=+*## 1.00 to 8.00"
    assert lines["P95 Over Time"] == ".: =+*## 122us to 977us"
    assert all(line.isascii() for line in lines.values())


def test_a_sparkline_starts_from_zero_and_leaves_a_gap_where_nothing_is_known() -> None:
    assert sparkline([0.0, 4.0, None, 8.0]) == "▁▅ █"
    assert sparkline([7.0, 7.0]) == "██"
    assert sparkline([0.0, 0.0]) == "▁▁"
    assert sparkline([None, None]) == "  "
    assert sparkline([]) == ""


def test_neighbours_share_a_character_where_there_are_too_many() -> None:
    figures = [float(number) for number in range(1, 9)]
    assert sparkline(figures, width=4) == "▃▅▇█"
    assert sparkline(figures, min, width=4) == "▂▄▆█"
    assert sparkline([None, 1.0, None, None], width=2) == "█ "
    assert len(sparkline([1.0] * 239)) == 40
