"""What comes of a limit on the growth of memory, and how it is worded."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from senytl.performance import MemorySnapshot, PerformanceMetrics, SLAViolationError
from senytl.performance.leaks.detector import Finding
from senytl.performance.leaks.evidence import LeakEvidence
from senytl.performance.leaks.frames import Frame
from senytl.performance.leaks.sites import LeakSite
from senytl.performance.leaks.verdict import describe_leak, judge_growth
from senytl.performance.sla import SLA, Judgement, enforce, judge

from .conftest import growing

LIMIT = SLA("memory_growth", 0.2)


def run_of(evidence: LeakEvidence | None = None, **fields: Any) -> PerformanceMetrics:
    fields.setdefault("kind", "load_test")
    return PerformanceMetrics(name="test_it", leak_evidence=evidence, **fields)


def sampled(*rss: float, **fields: Any) -> PerformanceMetrics:
    snapshots = [MemorySnapshot(mb, mb, 1.0, float(at)) for at, mb in enumerate(rss)]
    return run_of(memory_snapshots=snapshots, **fields)


def verdict(run: PerformanceMetrics, sla: SLA = LIMIT) -> Judgement:
    judgement = judge_growth(sla, run)
    assert judgement is not None
    return judgement


def test_a_leak_breaks_the_limit_however_small_the_growth_is_by_now() -> None:
    judgement = verdict(run_of(LeakEvidence(growing(152, 1), growing(152, 1))))
    assert not judgement.held
    assert judgement.doubt == ""
    assert judgement.actual is not None
    assert judgement.actual < 0.01
    assert judgement.outcome == "leaks 152 B (1.0 blocks) a request"
    text = str(judgement)
    assert text.startswith(
        "memory_growth <= 20 %: leaks 152 B (1.0 blocks) a request; the heap grew by 152 B a "
        "request, steadily over "
    )
    assert "; it reaches +20 % after 13" in text
    with pytest.raises(SLAViolationError, match="leaks 152 B"):
        enforce(run_of(LeakEvidence(growing(152, 1), growing(152, 1))), [LIMIT])


def test_memory_that_is_steady_keeps_the_limit_and_says_why() -> None:
    run = run_of(LeakEvidence(growing()))
    judgement = verdict(run)
    assert (judgement.held, judgement.doubt, judgement.actual) == (True, "", 0.0)
    assert judgement.why.startswith("the heap was steady")
    enforce(run, [LIMIT])
    assert run.verdict == "passed"


def test_what_is_unclear_is_inconclusive_and_raises_nothing() -> None:
    run = run_of(LeakEvidence(growing(2_000, requests=240)))
    enforce(run, [LIMIT])
    [judgement] = run.judgements
    assert judgement.held
    assert not judgement.doubt_is_failure
    assert "only 240 requests ended; 1,000 are needed" in judgement.doubt
    assert "inconclusive" in str(judgement)
    assert run.verdict == "inconclusive"


def test_a_growth_that_is_not_known_is_no_figure() -> None:
    readings = [one._replace(rss=math.nan, uss=math.nan) for one in growing(2_000, 1)]
    judgement = verdict(run_of(LeakEvidence(readings, readings)))
    assert judgement.actual is None
    assert not judgement.held
    assert str(judgement).startswith("memory_growth <= 20 %: leaks 2.0 KB (1.0 blocks) a request")
    with pytest.raises(SLAViolationError):
        enforce(run_of(LeakEvidence(readings, readings)), [LIMIT])


def test_the_threshold_that_is_told_of_is_that_of_the_limit() -> None:
    evidence = LeakEvidence(growing(152, 1), growing(152, 1))  # whose own one is 20 %
    text = str(verdict(run_of(evidence), SLA("memory_growth", 0.05)))
    assert "it reaches +5 % after 3" in text
    assert "20 %" not in text


def test_a_threshold_that_was_passed_is_not_still_to_come() -> None:
    evidence = LeakEvidence(growing(50_000, 1), growing(50_000, 1))
    judgement = verdict(run_of(evidence))
    assert judgement.actual is not None
    assert judgement.actual > 0.2
    assert "it reaches" not in str(judgement)


def test_a_smaller_leak_than_the_limit_allows_holds() -> None:
    run = run_of(LeakEvidence(growing(152, 0.5)))
    assert verdict(run, SLA("memory_growth", 0.2, min_leak=1_000)).held
    assert not verdict(run, SLA("memory_growth", 0.2, min_leak=100)).held


def test_the_worst_line_is_named_with_its_source() -> None:
    frames = (Frame("agent.py", 2, "", "run()"), Frame("agent.py", 41, "", "kept.append(x)"))
    evidence = LeakEvidence(growing(152, 1), growing(152, 1), sites=[LeakSite(150.0, 1.0, frames)])
    assert str(verdict(run_of(evidence))).endswith("; most of it at agent.py:41: kept.append(x)")
    bare = LeakSite(150.0, 1.0, (Frame("agent.py", 41, "", ""),))
    evidence = LeakEvidence(growing(152, 1), growing(152, 1), sites=[bare])
    assert str(verdict(run_of(evidence))).endswith("; most of it at agent.py:41")


def test_why_no_line_was_found_is_said_instead() -> None:
    note = "another process leaks: its lines cannot be seen from here"
    evidence = LeakEvidence(growing(152, 1), growing(152, 1), sites_note=note)
    assert str(verdict(run_of(evidence))).endswith(f"; {note}")


@pytest.mark.parametrize("kind", ["load_test", "benchmark"])
def test_without_a_leak_check_steady_samples_only_leave_doubt(kind: str) -> None:
    run = sampled(*[100.0] * 60, kind=kind)
    judgement = verdict(run)
    assert judgement.held
    assert judgement.actual == 0.0
    assert "give leak_check=True" in judgement.doubt
    enforce(run, [LIMIT])
    assert run.verdict == "inconclusive"


def test_without_a_leak_check_samples_may_show_growth_past_the_limit() -> None:
    judgement = verdict(sampled(*[100.0 + 3 * number for number in range(60)]))
    assert not judgement.held
    assert judgement.actual is not None
    assert judgement.actual > 0.2
    assert judgement.why == "it grew all through the later half of the run"


def test_without_samples_there_is_only_doubt() -> None:
    judgement = verdict(sampled(100.0, 300.0))
    assert judgement.actual is None
    assert judgement.held
    assert str(judgement).startswith("memory_growth <= 20 %: a leak cannot be told; inconc")


def test_figures_made_by_hand_are_judged_by_their_figure() -> None:
    run = sampled(100.0, 115.0, kind="")
    assert judge_growth(LIMIT, run) is None
    [held, broken] = judge(run, [LIMIT, SLA("memory_growth", 0.1)])
    assert (held.held, broken.held) == (True, False)
    assert broken.actual == pytest.approx(0.15)
    assert broken.doubt == ""


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (Finding("leak", bytes_per_request=152, blocks_per_request=1.04), "152 B (1.0 blocks)"),
        (Finding("leak", bytes_per_request=2_048), "2.0 KB"),
        (Finding("leak", blocks_per_request=3.26), "3.3 blocks"),
        (Finding("leak", bytes_per_request=300, blocks_per_request=-0.5), "300 B"),
        (Finding("leak", bytes_per_request=300, blocks_per_request=0.04), "300 B"),
    ],
)
def test_a_leak_is_described_by_what_is_known_of_it(finding: Finding, text: str) -> None:
    assert describe_leak(finding) == f"leaks {text} a request"


def test_a_leak_of_which_no_rate_is_known_is_one_all_the_same() -> None:
    assert describe_leak(replace(Finding("leak"), growth=0.5)) == "leaks"
