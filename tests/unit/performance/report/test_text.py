from __future__ import annotations

from collections.abc import Callable

import pytest

from senytl.performance import MemorySnapshot, PerformanceMetrics
from senytl.performance.leaks.evidence import LeakEvidence
from senytl.performance.load.health import GeneratorHealth
from senytl.performance.metrics import RequestError
from senytl.performance.report import text
from senytl.performance.report.document import describe_run, describe_session
from senytl.performance.sla import SLA, judge

MakeRun = Callable[..., PerformanceMetrics]
MakeEvidence = Callable[..., LeakEvidence]

EXAMPLE = """\
Performance Report
──────────────────────────────────────────────────
Avg Latency:     1.234s
P50 Latency:     1.200s
P95 Latency:     2.100s
P99 Latency:     2.500s
Max Latency:     2.800s

Token Usage:     450 tokens/request
Total Tokens:    4500

Cost:            $0.0225/request
Total Cost:      $0.2250

Throughput:      67.50 req/s

Memory:          125.3 MB avg (✓ stable)
Peak Memory:     138.7 MB

Success Rate:    98.0% (98/100)
"""


def report(run: PerformanceMetrics) -> str:
    return text.render_run(describe_run(run))


def test_the_example_of_the_documentation_comes_out_verbatim(example: PerformanceMetrics) -> None:
    assert report(example) == EXAMPLE


def test_what_else_there_is_to_say_comes_below_the_example(example: PerformanceMetrics) -> None:
    example.name = "tests/test_agent.py::test_load"
    example.kind = "load_test"
    # Ten samples are too few to tell a trend of a run.
    example.memory_snapshots = [one for one in example.memory_snapshots for _ in range(2)]
    example.concurrent_users = 100
    example.duration_seconds = 60.0
    example.failed_latencies = [1.0, 3.0]
    example.errors = [RequestError("Timeout", "", 2)]
    example.llm_calls = 10
    example.unattributed_calls = 1
    example.interrupted_requests = 1
    first, rest = report(example)[: len(EXAMPLE)], report(example)[len(EXAMPLE) :]
    assert first == EXAMPLE
    assert rest == (
        "\n"
        "Output Rate:     25.00 tokens/s\n"
        "\n"
        "Test:            tests/test_agent.py::test_load\n"
        "Kind:            load test\n"
        "Verdict:         failed\n"
        "Users:           100\n"
        "Memory Per User: 191.5 KB\n"
        "Duration:        60.000s\n"
        "Failed Latency:  2.000s avg, 3.000s max\n"
        "Interrupted:     1 request\n"
        "LLM Calls:       10 (1 unattributed)\n"
        "\n"
        "Errors:\n"
        "  2x Timeout\n"
        "\n"
        "Warnings:\n"
        "  ! 1 LLM call could not be attributed to a request; "
        "the tokens and cost stand with the last one\n"
        "  ! 1 request had not ended when the load was over; not among the requests above\n"
    )


def test_a_figure_that_was_not_measured_is_not_shown() -> None:
    lines = report(PerformanceMetrics()).splitlines()[2:]
    assert [line for line in lines if line] == [
        "Avg Latency:     n/a (no latency recorded)",
        "Token Usage:     n/a (no LLM calls seen)",
        "Cost:            n/a (no LLM calls seen)",
        "Throughput:      n/a (not measured)",
        "Memory:          n/a (not sampled)",
        "Success Rate:    n/a (no request recorded)",
    ]


def test_a_run_without_a_success_has_no_latency(make_run: MakeRun) -> None:
    lines = report(make_run(latencies=(), failed=(2.0,))).splitlines()
    assert "Avg Latency:     n/a (no request succeeded)" in lines
    assert "Failed Latency:  2.000s avg, 2.000s max" in lines
    assert "Success Rate:    0.0% (0/1)" in lines


def test_counts_without_latencies_do_not_say_that_all_failed() -> None:
    run = PerformanceMetrics()
    run.total_requests, run.failed_requests = 100, 2
    assert "Avg Latency:     n/a (no latency recorded)\n" in report(run)


def test_a_leak_is_shown_with_its_growth(example: PerformanceMetrics) -> None:
    example.memory_snapshots = [MemorySnapshot(mb, 0, 0, 0) for mb in (100.0, 200.0)]
    assert "Memory:          150.0 MB avg (✗ growing, +100.0%)\n" in report(example)


def test_one_sample_of_memory_tells_no_trend(example: PerformanceMetrics) -> None:
    example.memory_snapshots = example.memory_snapshots[:1]
    assert "Memory:          120.0 MB avg\n" in report(example)


def test_a_model_without_a_price_is_named_in_place_of_the_cost(make_run: MakeRun) -> None:
    lines = report(make_run(priced=False)).splitlines()
    assert "Cost:            n/a (no price for my-model)" in lines
    assert not [line for line in lines if line.startswith("Total Cost")]


def test_slas_come_with_actual_limit_and_reason(make_run: MakeRun) -> None:
    run = make_run(slas={"p95_latency": 1.0, "throughput_rps": 0.1}, priced=False)
    run.judgements += make_run(priced=False, slas={"total_cost": 1.0}).judgements
    lines = report(run).split("SLAs:\n")[1].splitlines()
    assert lines[:3] == [
        "  ✗ p95_latency <= 1.000 s: 1.450 s (0.450 s over, 45.0 %; 95 % confidence: 1.000 s or "
        "more); p50 1.000 s, p95 1.450 s, max 1.500 s over 3 successful requests",
        "  ✓ throughput_rps >= 0.10 req/s: 0.30 req/s",
        "  ✗ total_cost <= $1.0000: not measured; there is no price for my-model; add one to "
        "the ini option senytl_pricing",
    ]


@pytest.mark.parametrize("hostile", ["\x1b[2J\x1b[31mred", "a\nb\r\nc", "\x9b31m", "\u202eabc"])
def test_hostile_text_is_shown_and_not_obeyed(make_run: MakeRun, hostile: str) -> None:
    run = make_run(f"test[{hostile}]", failure=f"Error: {hostile}")
    run.errors = [RequestError(hostile, hostile, 1)]
    run.unpriced_models = (hostile,)
    written = text.render_session(describe_session([describe_run(run)])) + report(run)
    assert not [c for c in written if c != "\n" and not c.isprintable()]


def test_a_session_lists_its_sums_and_each_test_under_its_name(make_run: MakeRun) -> None:
    runs = [make_run("tests/test_a.py::test_a"), make_run("tests/test_b.py::test_b", failed=(1.0,))]
    written = text.render_session(describe_session([describe_run(run) for run in runs]))
    head, first, second, environment = written.split("\n\n\n")
    assert "Tests:           2 (1 passed, 1 failed)" in head
    assert "Requests:        7 (1 failed)" in head
    assert "Total Cost:      $0.1575" in head
    assert first.startswith("tests/test_a.py::test_a\n" + "─" * 50 + "\nAvg Latency:     1.000s\n")
    assert "Test: " not in first
    assert "1x RateLimitError: 429: slow down" in second
    assert "senytl:" in environment


def test_figures_of_llm_calls_stand_below_where_they_were_measured(
    busy: PerformanceMetrics,
) -> None:
    written = report(busy)
    start = written.index("TTFT:")
    assert written[start : written.index("Test:")] == (
        "TTFT:            0.210s avg, 0.220s p95 (40 streams)\n"
        "First Output:    0.400s p95\n"
        "TPOT:            0.048s avg, 0.048s p95\n"
        "Chunk Gaps:      0.050s p50, 0.050s p95\n"
        "Output Rate:     600.00 tokens/s\n"
        "\n"
        "Agent Overhead:  0.012s avg, 0.012s p95, 0.012s max\n"
        "LLM Calls/Req:   1.00 avg, 2 max\n"
        "Tool Calls/Req:  0.10 avg, 3 max\n"
        "Retries:         3\n"
        "Rate Limits:     2 responses\n"
        "LLM Errors:      3, 7.5% of calls (2 rate_limit, 1 timeout)\n"
        "\n"
        "Goodput:         94.7% (36 good, 2 bad, 2 undetermined)\n"
        "Goodput Rate:    3.60 req/s\n"
        "Request Limit:   latency <= 2.000 s (2 over)\n"
        "Request Limit:   ttft <= 0.500 s (2 not measured)\n"
        "\n"
    )
    assert (
        "  ! the first token of 4 of 40 streams may have come earlier: the code that read them "
        "was busy elsewhere\n"
    ) in written


def test_an_inconclusive_sla_has_a_mark_of_its_own(unclear: PerformanceMetrics) -> None:
    written = report(unclear)
    assert "Verdict:         inconclusive\n" in written
    lines = written.split("SLAs:\n")[1].splitlines()
    assert lines[0].startswith(
        "  ? p95_latency <= 1.460 s: 1.450 s (95 % confidence: 1.000 s or more); inconclusive: "
        "the load generator was late by 40.0 ms at p95"
    )
    assert lines[1].startswith("  ✓ throughput_rps")
    session = text.render_session(describe_session([describe_run(unclear)]))
    assert "Tests:           1 (0 passed, 0 failed, 1 inconclusive)\n" in session


def test_an_end_of_an_interval_that_misses_the_limit_is_told(make_run: MakeRun) -> None:
    run = make_run(latencies=(0.5,) * 180 + (0.9,) * 20)
    judge(run, [SLA("p90_latency", 0.6, confidence=0.95)])
    assert (
        "  ✗ p90_latency <= 0.600 s at 95 % confidence: 0.540 s (95 % confidence: 0.50 to 0.90 s, "
        "0.300 s over, 50.0 %); p50 0.500 s, "
    ) in report(run)


def test_a_schedule_is_told_where_there_was_one(
    make_run: MakeRun, unclear: PerformanceMetrics
) -> None:
    unclear.dropped_starts, unclear.timed_out_requests = 2, 1
    written = report(unclear)
    assert "Starts:          3 starts made, 2 dropped\n" in written
    assert "Start Lag:       0.001s p99, 0.001s max\n" in written
    assert "Service Time:    0.900s p50, 1.350s p95, 1.400s max\n" in written
    assert "Timed Out:       1 request\n" in written
    assert "Starts:" not in report(make_run())


def test_the_generator_of_a_load_is_told(make_run: MakeRun) -> None:
    health = GeneratorHealth(
        lags=[0.01] * 99 + [0.03], cpu_share=0.97, gc_pauses=3, gc_seconds=0.2, longest_gc=0.15
    )
    written = report(make_run(generator=health))
    assert "Generator Lag:   0.010s p50, 0.010s p95, 0.030s max\n" in written
    assert "Generator CPU:   97.0% of a core (✗ the bottleneck)\n" in written
    assert "GC:              3 pauses, the longest 0.150s\n" in written
    easy = report(make_run(generator=GeneratorHealth(cpu_share=0.2)))
    assert "Generator CPU:   20.0% of a core\n" in easy
    assert "Generator Lag" not in easy
    assert "Generator" not in report(make_run())


def test_a_leak_is_told_with_its_lines_and_how_they_were_come_to(
    leaking: PerformanceMetrics, headline: str
) -> None:
    written = report(leaking)
    assert "Memory:          120.5 MB avg (✗ leaking, +1.2 KB/request)\n" in written
    assert "Pauses:          29 between rounds, 0.412 s in all, longest 0.031 s\n" in written
    start = written.index("\nMemory leak:\n")
    lines = written[start:].split("\nWarnings:")[0].strip().splitlines()
    assert lines[1] == f"  {headline}"
    details, sites = lines[2 : lines.index(SITE)], lines[lines.index(SITE) :]
    assert details[0] == f"  {leaking.leak_evidence.finding.why}"  # type: ignore[union-attr]
    assert details[-1] == "  located by tracemalloc in 600 further requests"
    assert sites == [
        SITE,
        *[f"    agent.py:{line} step_{line}()" for line in range(12, 17)],
        "    agent.py:42 self.history.append(message)",
        "  60 B (0.5 blocks) a request at agent.py:7",
        "    agent.py:7 in remember",
        "  0.3 blocks a request at agent.py:8: x = []",
    ]


SITE = "  1.1 KB (2.0 blocks) a request at agent.py:42: self.history.append(message)"


def test_memory_that_was_checked_and_is_stable_takes_no_more_lines(
    make_run: MakeRun, make_evidence: MakeEvidence
) -> None:
    written = report(make_run(leak_evidence=make_evidence(0.0, 0.0)))
    assert "Memory:          120.5 MB avg (✓ stable)\n" in written
    assert "Memory leak" not in written
    assert "Pauses" not in written


def test_a_check_decides_over_what_the_samples_look_like(
    make_run: MakeRun, make_evidence: MakeEvidence
) -> None:
    run = make_run(leak_evidence=make_evidence(0.0, 0.0))
    run.memory_snapshots = [MemorySnapshot(mb, 0, 0, 0) for mb in (100.0, 200.0)]
    assert "Memory:          150.0 MB avg (✓ stable)\n" in report(run)


def test_too_few_requests_for_a_finding_are_told(
    make_run: MakeRun, make_evidence: MakeEvidence
) -> None:
    evidence = make_evidence(rounds=5)
    written = report(make_run(leak_evidence=evidence))
    assert "Memory:          120.5 MB avg (? inconclusive)\n" in written
    assert f"Memory check:\n  memory: inconclusive: {evidence.finding.why}\n" in written
