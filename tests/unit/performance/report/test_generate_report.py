from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from senytl import performance
from senytl.performance import PerformanceMetrics
from senytl.performance.report import find_format, format_for


def test_text_is_the_usual_format(example: PerformanceMetrics) -> None:
    report = performance.generate_report(example)
    assert report == performance.generate_report(example, format="text")
    assert report.startswith("Performance Report\n──")


def test_json_is_the_object_of_one_test(example: PerformanceMetrics) -> None:
    report = json.loads(performance.generate_report(example, format="json"))
    assert report["requests"] == {
        "total": 100,
        "failed": 2,
        "interrupted": 0,
        "timed_out": 0,
        "success_rate": 0.98,
    }
    assert report["latencies"]["avg"] == pytest.approx(1.234)


def test_markdown_is_a_table(example: PerformanceMetrics) -> None:
    report = performance.generate_report(example, format="markdown")
    assert "| P95 Latency | 2.100s |" in report


@pytest.mark.parametrize("as_path", [str, Path])
def test_the_file_holds_what_is_returned(
    example: PerformanceMetrics, tmp_path: Path, as_path: Any
) -> None:
    path = tmp_path / ".senytl" / "performance" / "report.md"
    report = performance.generate_report(example, output_path=as_path(path), format="markdown")
    assert path.read_bytes() == report.encode()
    assert [one.name for one in path.parent.iterdir()] == ["report.md"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("text", "text"),
        ("txt", "text"),
        ("json", "json"),
        ("markdown", "markdown"),
        ("md", "markdown"),
    ],
)
def test_a_format_is_known_by_its_name_and_its_suffix(name: str, expected: str) -> None:
    assert find_format(name).name == expected


def test_an_unknown_format_lists_those_there_are(
    example: PerformanceMetrics, tmp_path: Path
) -> None:
    message = "no report format 'html'; the formats are 'text', 'json', 'markdown'"
    with pytest.raises(ValueError, match=message):
        performance.generate_report(example, tmp_path / "x.html", format="html")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", [None, [PerformanceMetrics()], {"latencies": [1.0]}])
def test_what_is_no_run_is_refused(given: Any) -> None:
    message = f"PerformanceMetrics of a run, not {type(given).__name__}"
    with pytest.raises(TypeError, match=message):
        performance.generate_report(given)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("report.json", "json"),
        ("a/b.c/report.MD", "markdown"),
        (Path("report.markdown"), "markdown"),
        ("report.txt", "text"),
    ],
)
def test_a_file_is_written_in_the_format_of_its_suffix(path: Any, expected: str) -> None:
    assert format_for(path).name == expected


@pytest.mark.parametrize(
    ("path", "problem"), [("report.pdf", r"suffix '\.pdf'"), ("report", "no suffix")]
)
def test_an_unknown_suffix_lists_those_there_are(path: str, problem: str) -> None:
    with pytest.raises(ValueError, match=rf"{problem}.*\.txt, \.json, \.md, \.markdown"):
        format_for(path)
