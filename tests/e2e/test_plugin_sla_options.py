"""The ini options: project-wide SLAs, prices, the session's budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

ONE_CALL = """
    import pytest
    from senytl.models import LLMCallRecord, MockResponse, SenytlResponse, TokenUsage

    def answer(model, prompt, completion):
        call = LLMCallRecord(
            "openai", model, {"messages": "x"}, MockResponse("y"), TokenUsage(prompt, completion)
        )
        return SenytlResponse("y", None, 0.5, [call])
"""


def test_project_slas_hold_for_every_measured_test(run: Run) -> None:
    session = run(
        """
        def test_fast(perf):
            perf.record_request(0.5)

        def test_slow(perf):
            perf.record_request(1.5)

        def test_not_measured():
            pass
        """,
        ini="senytl_sla =\n  p95_latency = 1.0\n  success_rate=0.9",
    )
    assert session.exit_code == 1
    session.result.assert_outcomes(passed=2, failed=1)
    assert {n: {s["metric"]: s["held"] for s in t["slas"]} for n, t in session.tests.items()} == {
        "test_fast": {"p95_latency": True, "success_rate": True},
        "test_slow": {"p95_latency": False, "success_rate": True},
    }


def test_project_prices_price_the_calls(run: Run) -> None:
    session = run(
        ONE_CALL
        + """
    def test_it(perf):
        perf.record_request(0.5, answer("my-model", 1_000, 100))
        perf.assert_cost_under(cents=0.6)

    @pytest.mark.xfail(raises=perf_error, strict=True)
    def test_unpriced(perf):
        perf.record_request(0.5, answer("unheard-of", 1_000, 100))
        perf.assert_cost_under(cents=100)
    """.replace("perf_error", "__import__('senytl').performance.PerformanceError"),
        ini="senytl_pricing =\n  my-model: prompt=5.0 completion=10.0",
    )
    session.result.assert_outcomes(passed=1, xfailed=1)
    assert session.tests["test_it"]["cost"]["total"] == pytest.approx(0.006)
    assert session.tests["test_unpriced"]["cost"]["total"] is None


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("cost", "exit_code"), [(0.012, 0), (0.0119, 1)], ids=["within", "exceeded"]
)
def test_a_budget_limits_all_tests_together(
    run: Run, workers: int, cost: float, exit_code: int
) -> None:
    session = run(
        ONE_CALL
        + """
    @pytest.mark.parametrize("number", [1, 2])
    def test_it(perf, number):
        perf.record_request(0.5, answer("my-model", 1_000, 100))

    def test_without_calls(perf):
        pass
    """,
        ini=(
            "senytl_pricing = my-model: prompt=5.0 completion=10.0\n"
            f"senytl_budget =\n  total_cost={cost}\n  total_tokens=2200\n  failed_requests=0\n"
        ),
        workers=workers,
    )
    session.result.assert_outcomes(passed=3)
    assert session.exit_code == exit_code
    if exit_code:
        session.result.stdout.fnmatch_lines(
            ["senytl: the session exceeds its budget: total_cost <= $0.0119: $0.0120*"]
        )
    assert session.output.count("session exceeds its budget") == exit_code


def test_a_budget_fails_closed(run: Run) -> None:
    session = run(
        ONE_CALL
        + """
    def test_priced(perf):
        perf.record_request(0.5, answer("my-model", 1_000, 100))

    def test_unpriced(perf):
        perf.record_request(0.5, answer("unheard-of", 1_000, 100))
    """,
        ini=(
            "senytl_pricing = my-model: prompt=5.0 completion=10.0\n"
            "senytl_budget = total_cost=100\n"
        ),
    )
    session.result.assert_outcomes(passed=2)
    assert session.exit_code == 1
    session.result.stdout.fnmatch_lines(
        ["senytl: the session's budget cannot be judged: total_cost*unheard-of*"]
    )

    session = run("def test_it(perf): pass", ini="senytl_budget = total_tokens=100")
    assert session.exit_code == 1
    session.result.stdout.fnmatch_lines(
        ["senytl: the session's budget cannot be judged: total_tokens*no LLM call*"]
    )


def test_a_session_that_measures_nothing_keeps_any_budget(run: Run) -> None:
    session = run("def test_it(): pass", ini="senytl_budget = total_cost=0")
    assert session.exit_code == 0
    assert "senytl" not in session.result.stdout.lines[-1]


@pytest.mark.parametrize(
    ("ini", "message"),
    [
        ("senytl_sla = p95=1", "ini option senytl_sla: cannot use 'p95=1': *p95_latency*"),
        ("senytl_sla = p95_latency", "*cannot use 'p95_latency': *'metric=limit'"),
        ("senytl_sla = p95_latency=fast", "*: 'fast' is not a number"),
        ("senytl_sla = p95_latency=-1", "*: the limit of p95_latency is -1.0; *"),
        ("senytl_sla =\n  p95_latency=1\n  p95_latency=2", "*: p95_latency has a limit already"),
        ("senytl_pricing = my-model", "ini option senytl_pricing: cannot read 'my-model': *"),
        (
            "senytl_budget = p95_latency=1",
            "ini option senytl_budget: cannot use 'p95_latency=1': *sums*total_cost*",
        ),
        ("senytl_budget = total=1", "ini option senytl_budget: cannot use 'total=1': *"),
    ],
)
@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_value_is_refused_before_anything_runs(
    run: Run, ini: str, message: str, workers: int
) -> None:
    if workers and "p95=1" not in ini:
        pytest.skip("one is enough to see that workers do not change it")
    session = run("def test_it(): pass", ini=ini, workers=workers)
    assert session.exit_code == pytest.ExitCode.USAGE_ERROR
    session.result.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert "passed" not in session.output
