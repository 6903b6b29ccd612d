from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from senytl.performance import MemorySnapshot, PerformanceMetrics
from senytl.performance.leaks.evidence import LeakEvidence
from senytl.performance.leaks.sites import Frame, LeakSite
from senytl.performance.report.document import describe_run
from senytl.performance.report.leaks import (
    describe_leak,
    leak_details,
    leak_headline,
    leak_sites,
    memory_trend,
    write_pauses,
)
from senytl.performance.report.memory import MOST_POINTS
from senytl.performance.report.schema_memory import LeakDocument

MakeRun = Callable[..., PerformanceMetrics]
MakeEvidence = Callable[..., LeakEvidence]


@pytest.fixture
def leak(make_evidence: MakeEvidence) -> LeakDocument:
    return {**describe_leak(make_evidence()), "requests": 600.0}


def changed(leak: LeakDocument, **fields: Any) -> LeakDocument:
    return {**leak, **fields}  # type: ignore[typeddict-item]


def test_a_leak_is_described_with_its_figures(leaking: PerformanceMetrics) -> None:
    document = describe_run(leaking)["memory"]
    leak = document["leak"]
    assert leak is not None
    assert document["leak_detected"] is True
    assert leak["outcome"] == "leak"
    assert leak["bytes_per_request"] == pytest.approx(1200)
    assert leak["blocks_per_request"] == pytest.approx(3)
    finding = leaking.leak_evidence.finding  # type: ignore[union-attr]
    assert (leak["signal"], leak["why"]) == (finding.signal, finding.why)
    assert leak["requests"] == finding.requests > 100
    assert leak["requests_to_threshold"] == finding.requests_to_threshold > 10_000
    assert (leak["rounds"], leak["pauses"], leak["traced_requests"]) == (30, 29, 600)
    assert (leak["paused_seconds"], leak["longest_pause"]) == (0.412, 0.031)
    assert leak["sites_by"] == "tracemalloc"
    assert leak["readings"]["requests"] == [40.0 * number for number in range(31)]
    assert leak["readings"]["heap"][1] == 20e6 + 48_000
    assert leak["further"] is not None
    assert leak["further"]["blocks"][0] == 303_600
    assert len({len(column) for column in leak["readings"].values()}) == 1  # type: ignore[arg-type]


def test_a_site_has_the_line_to_look_at_and_how_it_was_come_to(
    leaking: PerformanceMetrics,
) -> None:
    leak = describe_run(leaking)["memory"]["leak"]
    assert leak is not None
    first, _, third, _ = leak["sites"]
    assert (first["bytes_per_request"], first["blocks_per_request"]) == (1126.4, 2.0)
    assert (first["file"], first["line"]) == ("agent.py", 42)
    assert first["source"] == "self.history.append(message)"
    assert len(first["traceback"]) == 8
    assert first["traceback"][-1] == {
        "file": "agent.py",
        "line": 42,
        "function": "",
        "source": "self.history.append(message)",
    }
    assert third["bytes_per_request"] is None


def test_what_is_known_of_a_leak_survives_json(leaking: PerformanceMetrics) -> None:
    document = describe_run(leaking)
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_readings_that_were_not_taken_are_null(make_evidence: MakeEvidence) -> None:
    nan = float("nan")
    evidence = make_evidence()
    known = [one._replace(heap=nan, blocks=nan) for one in evidence.readings]
    readings = describe_leak(replace(evidence, readings=known))["readings"]
    assert set(readings["heap"]) == set(readings["blocks"]) == {None}
    assert None not in readings["uss"]


@pytest.mark.parametrize(
    ("size", "rounds", "outcome", "detected"),
    [(1200.0, 30, "leak", True), (0.0, 30, "stable", False), (1200.0, 5, "inconclusive", None)],
)
def test_an_outcome_is_told_and_doubt_is_neither_way(
    make_run: MakeRun,
    make_evidence: MakeEvidence,
    size: float,
    rounds: int,
    outcome: str,
    detected: bool | None,
) -> None:
    evidence = make_evidence(size, size / 400, rounds=rounds)
    memory = describe_run(make_run(leak_evidence=evidence))["memory"]
    assert memory["leak"] is not None
    assert memory["leak"]["outcome"] == outcome
    assert memory["leak_detected"] is detected


def test_paths_start_from_the_working_directory_where_that_is_shorter(
    make_evidence: MakeEvidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "a" / "project"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    far = str(Path(tmp_path.anchor) / "x.py")
    files = [str(here / "src" / "agent.py"), far, "<string>", "agent.py"]
    site = LeakSite(1.0, 1.0, tuple(Frame(file, 1, "", "") for file in files))
    [described] = describe_leak(make_evidence(sites=[site]))["sites"]
    shown = [frame["file"] for frame in described["traceback"]]
    assert shown == [str(Path("src", "agent.py")), far, "<string>", "agent.py"]


def test_an_endless_line_of_code_is_cut(make_evidence: MakeEvidence) -> None:
    site = LeakSite(1.0, 1.0, (Frame("agent.py", 1, "", "x" * 100_000),))
    [described] = describe_leak(make_evidence(sites=[site]))["sites"]
    assert len(described["source"]) == 200
    assert described["source"].endswith("x…")


@pytest.mark.parametrize(
    ("fields", "headline", "trend"),
    [
        (
            {},
            "leaks 1.2 KB (3.0 blocks) a request, steadily over 600 requests",
            "✗ leaking, +1.2 KB/request",
        ),
        (
            {"bytes_per_request": -20.0},
            "leaks 3.0 blocks a request, steadily over 600 requests",
            "✗ leaking, +3.0 blocks/request",
        ),
        (
            {"bytes_per_request": 3.5 * 2**20, "blocks_per_request": None},
            "leaks 3.5 MB a request, steadily over 600 requests",
            "✗ leaking, +3.5 MB/request",
        ),
        (
            {"signal": "growth", "growth": 0.25},
            "memory grew by 25.0% over 600 requests",
            "✗ growing, +25.0%",
        ),
        (
            {"bytes_per_request": None, "blocks_per_request": None, "growth": None},
            "memory grew over 600 requests",
            "✗ leaking",
        ),
        ({"outcome": "stable"}, "", "✓ stable"),
        (
            {"outcome": "inconclusive", "why": "too few"},
            "memory: inconclusive: too few",
            "? inconclusive",
        ),
    ],
)
def test_a_finding_in_a_line(
    leak: LeakDocument, fields: dict[str, Any], headline: str, trend: str
) -> None:
    assert leak_headline(changed(leak, **fields)) == headline
    assert memory_trend(changed(leak, **fields)) == trend


def test_details_say_why_when_and_what_is_not_explained(leak: LeakDocument) -> None:
    full = changed(leak, why="it grew", requests_to_threshold=12_345.6, sites_note="not all")
    assert list(leak_details(full)) == [
        "it grew",
        "at this rate memory grows past its limit after 12,346 more requests",
        "not all",
    ]
    assert list(leak_details(changed(full, requests_to_threshold=None, sites_note=""))) == [
        "it grew"
    ]
    assert list(leak_details(changed(full, outcome="inconclusive"))) == []


def test_sites_are_of_leaks_alone(leaking: PerformanceMetrics) -> None:
    assert leaking.leak_evidence is not None
    leak = describe_leak(leaking.leak_evidence)
    assert len([line for line in leak_sites(leak) if line.depth == 0]) == 3
    assert not list(leak_sites(changed(leak, outcome="inconclusive")))


def test_pauses_are_told_where_there_were_some(leak: LeakDocument) -> None:
    paused = changed(leak, pauses=29, paused_seconds=0.412, longest_pause=0.031)
    assert write_pauses(paused) == "29 between rounds, 0.412 s in all, longest 0.031 s"
    assert write_pauses(leak) == ""


@pytest.mark.parametrize("count", [1, 2, 239, 240, 241, 1000])
def test_the_course_of_memory_is_bounded_and_even(make_run: MakeRun, count: int) -> None:
    run = make_run()
    run.memory_snapshots = [
        MemorySnapshot(100.0 + number, 0, 0, run.started_at + 0.25 + number)
        for number in range(count)
    ]
    series = describe_run(run)["memory"]["series"]
    assert len(series["seconds"]) == len(series["rss_mb"]) == min(count, MOST_POINTS)
    assert (series["seconds"][0], series["seconds"][-1]) == (0.25, count - 0.75)
    assert (series["rss_mb"][0], series["rss_mb"][-1]) == (100.0, 99.0 + count)
    steps = {b - a for a, b in zip(series["seconds"], series["seconds"][1:], strict=False)}
    assert max(steps, default=0) - min(steps, default=0) <= 1


def test_the_course_of_figures_made_by_hand_begins_at_0() -> None:
    run = PerformanceMetrics()
    run.memory_snapshots = [MemorySnapshot(1.5, 0, 0, 1_700_000_000.0 + at) for at in (0, 2)]
    assert describe_run(run)["memory"]["series"] == {"seconds": [0.0, 2.0], "rss_mb": [1.5, 1.5]}
