from __future__ import annotations

import math

import pytest

from senytl.performance.leaks.detector import LeakLimits
from senytl.performance.leaks.evidence import LeakEvidence
from senytl.performance.leaks.frames import Frame
from senytl.performance.leaks.sites import LeakSite

from .conftest import growing

NOTE = "requests were still in flight when the load was over"


def site(size: float) -> LeakSite:
    return LeakSite(size, 1.0, (Frame("agent.py", 3, "", "keep(x)"),))


def test_readings_alone_are_examined() -> None:
    assert LeakEvidence(growing(2_000, 1)).finding.outcome == "leak"
    assert LeakEvidence(growing()).finding.outcome == "stable"
    assert LeakEvidence(growing(2_000, requests=500)).finding.outcome == "unclear"


def test_further_rounds_confirm_or_refute_it() -> None:
    assert LeakEvidence(growing(2_000, 1), growing(2_000, 1)).finding.outcome == "leak"
    assert LeakEvidence(growing(2_000, 1), growing()).finding.outcome == "stable"


def test_nothing_that_was_read_is_unclear() -> None:
    finding = LeakEvidence([]).finding
    assert finding.outcome == "unclear"
    assert finding.why == "memory was not read"


def test_each_limit_is_judged_by_itself() -> None:
    evidence = LeakEvidence(growing(100, 1))
    assert evidence.judge(LeakLimits()).outcome == "leak"
    assert evidence.judge(LeakLimits(min_leak=10_000)).outcome == "stable"
    assert evidence.finding.outcome == "leak"
    evidence = LeakEvidence(growing(100, 1), limits=LeakLimits(min_leak=10_000))
    assert evidence.finding.outcome == "stable"


def test_a_note_comes_before_what_is_unclear() -> None:
    finding = LeakEvidence(growing(2_000, count=4), note=NOTE).finding
    assert finding.outcome == "unclear"
    assert finding.why.startswith(f"{NOTE}; memory was read only 4 times")


def test_what_looks_like_a_leak_is_unclear_where_it_could_not_be_proven() -> None:
    finding = LeakEvidence(growing(2_000, 1), note=NOTE).finding
    assert finding.outcome == "unclear"
    assert finding.why.startswith(f"{NOTE}; the heap grew by ")


def test_what_is_steady_is_so_whatever_is_noted() -> None:
    finding = LeakEvidence(growing(), note=NOTE).finding
    assert finding.outcome == "stable"
    assert NOTE not in finding.why


def test_small_objects_have_the_size_that_was_traced() -> None:
    readings = growing(0, 2)
    known = LeakEvidence(readings, growing(0, 2)).finding
    assert known.signal == "blocks"
    assert math.isnan(known.bytes_per_request)
    traced = LeakEvidence(readings, growing(0, 2), sites=[site(80.0), site(40.0)]).finding
    assert traced.bytes_per_request == 120.0
    assert math.isnan(traced.requests_to_threshold)


def test_a_larger_size_that_was_traced_comes_sooner_to_the_threshold() -> None:
    known = LeakEvidence(growing(200, 1), growing(200, 1)).finding
    assert known.bytes_per_request == pytest.approx(200)
    assert known.requests_to_threshold > 10_000
    double = LeakEvidence(growing(200, 1), growing(200, 1), sites=[site(400.0)]).finding
    assert double.bytes_per_request == 400.0
    assert double.requests_to_threshold == pytest.approx(known.requests_to_threshold / 2)
    less = LeakEvidence(growing(200, 1), growing(200, 1), sites=[site(50.0)]).finding
    assert less == known


def test_sites_say_nothing_where_there_is_no_leak() -> None:
    assert LeakEvidence(growing(), sites=[site(400.0)]).finding == LeakEvidence(growing()).finding
