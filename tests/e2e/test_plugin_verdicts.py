"""Verdicts that take the uncertainty of figures, and of the load generator, into account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

BLOCKED_LOOP = """
    import asyncio, time
    import pytest

    @pytest.mark.load_test(concurrent_users=10, iterations=3{setting})
    @pytest.mark.sla(p50_latency=0.4)
    async def test_load():
        await asyncio.sleep(0.01)
        time.sleep(0.03)  # what no async agent should do: nobody else can go on meanwhile
"""
"""A load whose users keep each other waiting for the loop: a round of ten takes 0.3 s."""

MANY = """
    import pytest

    {mark}
    def test_it(perf):
        {body}
        for number in range({requests}):
            perf.record_request(number / 1000)
"""
"""A test with as many requests as are asked for, each a millisecond slower than the last."""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_load_that_slows_itself_down_is_inconclusive_and_fails(run: Run, workers: int) -> None:
    session = run(BLOCKED_LOOP.format(setting=""), workers=workers)
    assert session.exit_code == 1
    session.result.assert_outcomes(failed=1)
    measured = session.tests["test_load"]
    assert measured["verdict"] == "inconclusive"
    [sla] = measured["slas"]
    assert "the load generator was late by " in sla["doubt"]
    totals = session.report["totals"]
    assert (totals["failed"], totals["inconclusive"], totals["violations"]) == (0, 1, 0)
    session.result.stdout.fnmatch_lines(
        [
            "*InconclusiveError: p50_latency <= 0.400 s: *; inconclusive: the load generator*",
            "*? inconclusive*",
            "1 SLA inconclusive",
            "*? p50_latency <= 0.400 s: *",
            "*1 test*1 inconclusive*",
        ]
    )


@pytest.mark.parametrize(
    ("setting", "ini"),
    [(", allow_inconclusive=True", ""), ("", "senytl_allow_inconclusive = true")],
    ids=["mark", "ini"],
)
def test_whoever_allows_it_gets_a_passed_test_that_says_so(
    run: Run, setting: str, ini: str
) -> None:
    session = run(BLOCKED_LOOP.format(setting=setting), ini=ini)
    assert session.exit_code == 0, session.output
    session.result.assert_outcomes(passed=1)
    assert session.tests["test_load"]["verdict"] == "inconclusive"
    session.result.stdout.fnmatch_lines(["1 SLA inconclusive", "*1 test*1 inconclusive*"])


def test_what_is_broken_for_certain_fails_all_the_same(run: Run) -> None:
    source = BLOCKED_LOOP.format(setting="").replace(
        "p50_latency=0.4", "p50_latency=0.4, total_requests=31"
    )
    session = run(source, ini="senytl_allow_inconclusive = true")
    assert session.exit_code == 1
    assert session.tests["test_load"]["verdict"] == "failed"
    session.result.stdout.fnmatch_lines(
        [
            "*SLAViolationError: total_requests >= 31 requests: 30 requests*",
            "*1 SLA inconclusive: p50_latency*",
        ]
    )


def test_a_load_that_was_not_made_proves_nothing_unless_a_limit_says_how_much(run: Run) -> None:
    session = run(
        """
        import time
        import pytest

        pytestmark = pytest.mark.load_test(rate=50, concurrent_users=1, duration=0.6)

        @pytest.mark.sla(max_latency=20)
        def test_silent():
            time.sleep(0.2)

        @pytest.mark.sla(max_latency=20, dropped_starts=1000)
        def test_stated():
            time.sleep(0.2)

        @pytest.mark.sla(max_latency=20, dropped_starts=0)
        def test_forbidden():
            time.sleep(0.2)
        """
    )
    assert {name: test["verdict"] for name, test in session.tests.items()} == {
        "test_silent": "inconclusive",
        "test_stated": "passed",
        "test_forbidden": "failed",
    }
    session.result.assert_outcomes(passed=1, failed=2)
    session.result.stdout.fnmatch_lines(
        ["*InconclusiveError: max_latency*starts were dropped*", "*dropped_starts <= 0 requests: *"]
    )


@pytest.mark.parametrize(
    ("mark", "body"),
    [
        ("@pytest.mark.sla(p95_latency=0.97, confidence=0.95)", "pass"),
        ("", "perf.sla(p95_latency=0.97, confidence=0.95)"),
    ],
    ids=["mark", "fixture"],
)
@pytest.mark.parametrize(("requests", "passes"), [(1000, True), (1010, False), (60, False)])
def test_a_confidence_takes_room_and_data(
    run: Run, mark: str, body: str, requests: int, passes: bool
) -> None:
    # p95 of 1,010 requests is 0.959 s, 95 % sure to be at most 0.972 s; 60 have no upper end.
    session = run(MANY.format(mark=mark, body=body, requests=requests))
    assert session.exit_code == (0 if passes else 1)
    [sla] = session.tests["test_it"]["slas"]
    assert (sla["confidence"], sla["held"]) == (0.95, passes)
    assert sla["actual"] < 0.97


def test_a_violation_and_the_reports_tell_the_interval(run: Run) -> None:
    session = run(MANY.format(mark="@pytest.mark.sla(p95_latency=0.9)", body="pass", requests=1001))
    low, high = session.tests["test_it"]["slas"][0]["interval"]
    assert (low, high) == pytest.approx((0.936, 0.964))
    session.result.stdout.fnmatch_lines(
        [
            "*SLAViolationError: p95_latency <= 0.900 s: 0.950 s (0.050 s over, 5.6 %; 95 % "
            "confidence: 0.936 to 0.964 s); p50*"
        ]
    )


def test_the_closest_mark_that_states_a_metric_brings_its_own_confidence(run: Run) -> None:
    session = run(
        """
        import pytest

        pytestmark = pytest.mark.sla(p95_latency=30, p50_latency=30, confidence=0.9)

        @pytest.mark.sla(p95_latency=20)
        def test_without(perf):
            perf.sla(max_latency=30)

        @pytest.mark.sla(p95_latency=20, confidence=0.99)
        def test_with():
            pass
        """,
        ini="senytl_sla = p99_latency = 40",
    )
    stated = {
        name: {sla["metric"]: (sla["limit"], sla["confidence"]) for sla in test["slas"]}
        for name, test in session.tests.items()
    }
    assert stated == {
        "test_without": {
            "max_latency": (30, None),
            "p99_latency": (40, None),
            "p95_latency": (20, None),
            "p50_latency": (30, 0.9),
        },
        "test_with": {
            "p99_latency": (40, None),
            "p95_latency": (20, 0.99),
            "p50_latency": (30, 0.9),
        },
    }


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ("avg_latency=1, confidence=0.95", "*avg_latency has no confidence interval*"),
        ("p95_latency=1, confidence=95", "*the confidence for p95_latency is 95; it lies between*"),
        ("confidence=0.95", "*has a confidence and no limit that must hold with it*"),
    ],
)
def test_a_confidence_that_makes_no_sense_stops_the_session(
    run: Run, mark: str, message: str
) -> None:
    session = run(f"import pytest\n@pytest.mark.sla({mark})\ndef test_it(): pass")
    assert session.exit_code == 4
    session.result.stderr.fnmatch_lines([message])


def test_a_fixture_s_confidence_that_makes_no_sense_fails_the_test(run: Run) -> None:
    session = run(
        """
        def test_no_interval(perf):
            perf.sla(total_cost=1, confidence=0.95)

        def test_no_limit(perf):
            perf.sla(confidence=0.95)
        """
    )
    session.result.assert_outcomes(failed=2)
    session.result.stdout.fnmatch_lines(
        ["*MisuseError: total_cost has no confidence interval*", "*states no limit*"]
    )
