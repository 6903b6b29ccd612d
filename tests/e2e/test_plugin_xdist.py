"""Sessions spread over processes by pytest-xdist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

TESTS = """
    import pytest

    @pytest.mark.parametrize("number", range(6))
    def test_recorded(perf, number):
        for latency in range(number + 1):
            perf.record_request(latency / 10)
        perf.record_request(9.5, error="timeout")
        perf.sla(p95_latency=0.35)

    @pytest.mark.load_test(concurrent_users=2, iterations=2)
    @pytest.mark.sla(error_rate=0.5)
    def test_load():
        raise ValueError("broken")
"""


def exact_figures(session: Any) -> list[dict[str, Any]]:
    """What does not depend on the clock."""
    return [
        {
            "nodeid": test["nodeid"],
            "verdict": test["verdict"],
            "requests": test["requests"],
            "errors": test["errors"],
            "slas": test["slas"],
            "latencies": test["latencies"] if test["kind"] == "benchmark" else None,
        }
        for test in session.report["tests"]
    ]


def test_the_figures_are_the_same_with_and_without_it(run: Run) -> None:
    plain = run(TESTS)
    spread = run("", workers=2)
    plain.result.assert_outcomes(passed=4, failed=3)
    spread.result.assert_outcomes(passed=4, failed=3)
    assert plain.exit_code == spread.exit_code == 1
    assert exact_figures(plain) == exact_figures(spread)
    assert [test["nodeid"] for test in spread.report["tests"]] == [
        *(f"test_it.py::test_recorded[{number}]" for number in range(6)),
        "test_it.py::test_load",
    ]
    assert plain.tests["test_recorded[3]"]["latencies"]["p95"] == pytest.approx(0.285)


@pytest.mark.parametrize("how", ["--dist=loadfile", "--dist=loadgroup", "--dist=worksteal"])
def test_every_way_of_spreading_brings_every_figure(run: Run, how: str) -> None:
    session = run(TESTS, how, workers=2)
    assert len(session.report["tests"]) == 7


def test_sent_to_each_worker_a_test_has_figures_of_each(run: Run) -> None:
    session = run(TESTS, "--dist=each", workers=2)
    assert len(session.report["tests"]) == 14
