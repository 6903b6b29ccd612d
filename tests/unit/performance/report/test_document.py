from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

import senytl
from senytl.models import TokenUsage
from senytl.performance import MemorySnapshot, PerformanceMetrics
from senytl.performance.load.health import GeneratorHealth
from senytl.performance.metrics import RequestError
from senytl.performance.report.document import describe_run, describe_session
from senytl.performance.sla import SLA, judge

MakeRun = Callable[..., PerformanceMetrics]

BUILT_IN = (str, int, float, bool, type(None), list, dict)


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        return {k: v for key in value for k, v in leaves(value[key], f"{path}.{key}").items()}
    if isinstance(value, list) and value:
        return {k: v for i, one in enumerate(value) for k, v in leaves(one, f"{path}[{i}]").items()}
    return {path: value}


def test_a_run_has_the_schema_of_the_report(make_run: MakeRun) -> None:
    run = make_run(
        failed=(3.0, 5.0), slas={"p95_latency": 1.0, "throughput_rps": 0.1}, concurrent_users=4
    )
    document = describe_run(run)
    assert document["nodeid"] == "tests/test_agent.py::test_load"
    assert (document["kind"], document["verdict"]) == ("load_test", "failed")
    assert document["latencies"] == {
        "avg": 1.0,
        "p50": 1.0,
        "p75": 1.25,
        "p90": 1.4,
        "p95": 1.45,
        "p99": 1.49,
        "min": 0.5,
        "max": 1.5,
    }
    assert document["failed_latencies"] == {"avg": 4.0, "max": 5.0}
    assert document["requests"] == {
        "total": 5,
        "failed": 2,
        "interrupted": 0,
        "timed_out": 0,
        "success_rate": 0.6,
    }
    assert document["tokens"] == {
        "total": 2250,
        "prompt": 1500,
        "completion": 750,
        "cached": 0,
        "cache_write": 0,
        "reasoning": 0,
        "avg_per_request": 450.0,
        "max_per_request": 450,
        "sources": {"provider": 5},
        "output_per_second": 75.0,
        "cached_share": 0.0,
        "reasoning_share": 0.0,
    }
    assert document["cost"] == {
        "total": pytest.approx(0.1125),
        "avg_per_request": pytest.approx(0.0225),
        "max_per_request": 0.0225,
        "unpriced_models": [],
    }
    assert document["memory"] == {
        "avg_mb": 120.5,
        "max_mb": 121.0,
        "per_user_mb": 0.25,
        "growth": None,
        "leak_detected": False,
        "samples": 2,
        "series": {"seconds": [0.0, 1.0], "rss_mb": [120.0, 121.0]},
        "leak": None,
    }
    assert document["throughput_rps"] == 0.5
    assert document["llm_calls"] == {
        "total": 5,
        "unattributed": 0,
        "avg_per_request": 1.0,
        "max_per_request": None,
        "tool_calls": 0,
        "avg_tool_calls_per_request": 0.0,
        "max_tool_calls_per_request": None,
        "retries": 0,
        "rate_limits": 0,
        "failed": 0,
        "error_rate": 0.0,
        "errors": [],
    }
    assert document["errors"] == [
        {"type": "RateLimitError", "message": "429: slow down", "count": 2}
    ]
    assert document["users"] == 4
    assert document["duration_seconds"] == 10.0
    assert document["started_at"] == "2026-09-21T14:13:20.000+00:00"
    assert document["failure"] is None
    assert any("p95_latency over 3 requests" in note for note in document["warnings"])


def test_an_sla_says_what_came_of_it_and_why(make_run: MakeRun) -> None:
    document = describe_run(make_run(slas={"p95_latency": 1.0, "throughput_rps": 0.1}))
    latency, throughput = document["slas"]
    assert latency == {
        "metric": "p95_latency",
        "limit": 1.0,
        "actual": 1.45,
        "held": False,
        "why": "p50 1.000 s, p95 1.450 s, max 1.500 s over 3 successful requests",
        "unit": "s",
        "direction": "lower",
        "confidence": None,
        "interval": [1.0, None],
        "doubt": None,
        "outcome": None,
    }
    assert throughput["interval"] is None
    assert (throughput["held"], throughput["direction"]) == (True, "higher")


def test_what_was_not_measured_is_null_and_never_zero() -> None:
    document = describe_run(PerformanceMetrics())
    known = {path: value for path, value in leaves(document).items() if value is not None}
    # Counts of what was seen are known, however little that was.
    assert known == {
        ".nodeid": "",
        ".verdict": "passed",
        ".requests.failed": 0,
        ".requests.interrupted": 0,
        ".requests.timed_out": 0,
        ".llm_calls.total": 0,
        ".llm_calls.unattributed": 0,
        ".llm_calls.tool_calls": 0,
        ".llm_calls.errors": [],
        ".streaming.streams": 0,
        ".streaming.timed": 0,
        ".streaming.upper_bounds": 0,
        ".streaming.untimed": 0,
        ".goodput.good": 0,
        ".goodput.bad": 0,
        ".goodput.undetermined": 0,
        ".goodput.limits": [],
        ".tokens.sources": {},
        ".cost.unpriced_models": [],
        ".memory.samples": 0,
        ".memory.series.seconds": [],
        ".memory.series.rss_mb": [],
        ".abandoned_users": [],
        ".slas": [],
        ".errors": [],
        ".warnings": [],
    }


def test_a_model_without_a_price_has_no_cost_and_a_broken_limit(make_run: MakeRun) -> None:
    document = describe_run(make_run(priced=False, slas={"total_cost": 1.0}))
    assert document["cost"]["total"] is None
    assert document["cost"]["unpriced_models"] == ["my-model"]
    [sla] = document["slas"]
    assert (sla["actual"], sla["held"]) == (None, False)
    assert "my-model" in sla["why"]


def test_parts_of_tokens_are_added_up(make_run: MakeRun) -> None:
    run = make_run()
    usage = TokenUsage(100, 50, cached_tokens=40, cache_write_tokens=10, reasoning_tokens=20)
    run.token_usage = [usage, usage]
    tokens = describe_run(run)["tokens"]
    assert (tokens["cached"], tokens["cache_write"], tokens["reasoning"]) == (80, 20, 40)


class Odd(str):
    """A subclass of a built-in type, as a test's parameters may be."""


class OddFloat(float):
    pass


class OddInt(int):
    pass


def test_only_exact_built_in_types_leave_and_survive_json(make_run: MakeRun) -> None:
    run = make_run(Odd("test"), slas={"p95_latency": 1.0}, failure=Odd("Error: x"))
    run.latencies = [OddFloat(1.0), OddFloat(2.0)]
    run.throughput_rps = OddFloat(2.0)
    run.total_requests = OddInt(2)
    run.errors = [RequestError(Odd("E"), Odd("m"), OddInt(1))]
    run.token_usage = [TokenUsage(OddInt(1), OddInt(2), OddInt(3))]
    document = describe_session([describe_run(run)])
    assert {type(value) for value in leaves(document).values()} <= set(BUILT_IN)
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_no_nan_and_no_infinity_leave() -> None:
    run = PerformanceMetrics()
    run.latencies = [float("nan")]
    run.throughput_rps = float("inf")
    run.memory_snapshots = [MemorySnapshot(0.0, 0, 0, 0), MemorySnapshot(1.0, 0, 0, 0)]
    judge(run, [SLA("avg_latency", 1.0)])
    document = describe_run(run)
    assert document["latencies"]["avg"] is None
    assert document["throughput_rps"] is None
    assert document["memory"]["growth"] is None
    assert document["memory"]["leak_detected"] is True
    assert document["slas"][0]["actual"] is None
    json.dumps(document, allow_nan=False)


def test_text_that_is_not_unicode_can_still_be_written() -> None:
    document = describe_run(PerformanceMetrics(name="test_\udc80"))
    assert document["nodeid"].encode("utf-8") == b"test_\\udc80"


def test_a_session_adds_up_its_tests(make_run: MakeRun) -> None:
    good = describe_run(make_run("test_a"))
    bad = describe_run(
        make_run(
            "test_b",
            failed=(2.0,),
            slas={"p95_latency": 1.0, "success_rate": 0.9, "throughput_rps": 0.1},
            interrupted_requests=2,
        )
    )
    document = describe_session([good, bad])
    assert document["schema"] == "senytl-perf/1"
    assert [test["nodeid"] for test in document["tests"]] == ["test_a", "test_b"]
    assert document["totals"] == {
        "tests": 2,
        "passed": 1,
        "failed": 1,
        "inconclusive": 0,
        "violations": 2,
        "requests": 7,
        "failed_requests": 1,
        "interrupted_requests": 2,
        "llm_calls": 7,
        "tokens": 7 * 450,
        "cost": pytest.approx(7 * 0.0225),
        "unpriced_models": [],
        "unpriced_tests": [],
        "duration_seconds": 20.0,
    }


def test_a_session_with_an_unpriced_test_has_no_cost_and_names_it(make_run: MakeRun) -> None:
    runs = [make_run("test_a"), make_run("test_b", priced=False), make_run("test_c", calls=False)]
    totals = describe_session([describe_run(run) for run in runs])["totals"]
    assert totals["cost"] is None
    assert totals["unpriced_tests"] == ["test_b"]
    assert totals["unpriced_models"] == ["my-model"]
    assert totals["tokens"] == 6 * 450


def test_a_session_without_llm_calls_has_no_tokens_and_no_cost(make_run: MakeRun) -> None:
    totals = describe_session([describe_run(make_run(calls=False))])["totals"]
    assert (totals["tokens"], totals["cost"]) == (None, None)
    assert describe_session([])["totals"]["tokens"] is None


def test_the_environment_names_versions_and_no_person_or_machine(make_run: MakeRun) -> None:
    early, late = make_run("a"), make_run("b", latencies=(1.0,))
    late.started_at += 5
    document = describe_session([describe_run(late), describe_run(early)])
    environment = document["environment"]
    assert environment["senytl"] == senytl.__version__
    assert environment["pytest"] == pytest.__version__
    assert environment["cpu_count"] == os.cpu_count()
    assert environment["started_at"] == "2026-09-21T14:13:20.000+00:00"
    text = json.dumps(environment)
    names = {socket.gethostname(), getpass.getuser(), os.getcwd()}
    assert not {name for name in names if name in text}


def test_a_given_environment_is_kept(make_run: MakeRun) -> None:
    environment = describe_session([])["environment"]
    environment["platform"] = "elsewhere"
    assert describe_session([], environment)["environment"]["platform"] == "elsewhere"


def test_figures_of_llm_calls_are_in_the_document(busy: PerformanceMetrics) -> None:
    document = describe_run(busy)
    assert document["streaming"] == {
        "streams": 44,
        "timed": 40,
        "upper_bounds": 4,
        "untimed": 0,
        "ttft": {
            "avg": pytest.approx(0.21),
            "p50": pytest.approx(0.21),
            "p95": 0.22,
            "p99": 0.22,
        },
        "time_to_first_output": {"p95": 0.4},
        "tpot": {"avg": pytest.approx(0.048), "p50": 0.048, "p95": 0.048},
        "inter_chunk": {"p50": 0.05, "p95": 0.05},
    }
    assert document["overhead"] == {
        "avg": pytest.approx(0.012),
        "p50": 0.012,
        "p95": 0.012,
        "p99": 0.012,
        "max": 0.012,
    }
    assert document["goodput"] == {
        "share": pytest.approx(36 / 38),
        "rps": 3.6,
        "good": 36,
        "bad": 2,
        "undetermined": 2,
        "limits": [
            {"limits": "latency", "limit": 2.0, "unit": "s", "broken": 2, "not_measured": 0},
            {"limits": "ttft", "limit": 0.5, "unit": "s", "broken": 0, "not_measured": 2},
        ],
    }
    assert document["llm_calls"]["errors"] == [
        {"kind": "rate_limit", "count": 2},
        {"kind": "timeout", "count": 1},
    ]
    assert (document["llm_calls"]["retries"], document["llm_calls"]["rate_limits"]) == (3, 2)
    assert document["llm_calls"]["max_tool_calls_per_request"] == 3
    assert all(type(value) in BUILT_IN for value in leaves(document).values())
    assert json.loads(json.dumps(document)) == document


def test_an_inconclusive_sla_is_neither_passed_nor_failed(
    make_run: MakeRun, unclear: PerformanceMetrics
) -> None:
    runs = (make_run("test_a"), make_run("test_b", slas={"p50_latency": 0.1}), unclear)
    document = describe_session([describe_run(run) for run in runs])
    assert [test["verdict"] for test in document["tests"]] == ["passed", "failed", "inconclusive"]
    latency, throughput = document["tests"][2]["slas"]
    assert latency["held"] is True
    assert (latency["doubt"] or "").startswith("the load generator was late by 40.0 ms at p95")
    assert throughput["doubt"] is None
    totals = document["totals"]
    assert (totals["passed"], totals["failed"], totals["inconclusive"]) == (1, 1, 1)
    assert totals["violations"] == 1


def test_a_doubtful_miss_is_no_violation(unclear: PerformanceMetrics) -> None:
    judge(unclear, [SLA("p95_latency", 1.44)])
    document = describe_session([describe_run(unclear)])
    assert document["tests"][0]["slas"][2]["held"] is False
    assert document["totals"]["violations"] == 0
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_a_confidence_is_in_the_document(make_run: MakeRun) -> None:
    run = make_run(latencies=(0.5,) * 100)
    judge(run, [SLA("p90_latency", 1.0, confidence=0.99)])
    [sla] = describe_run(run)["slas"]
    assert (sla["confidence"], sla["interval"], sla["held"]) == (0.99, [0.5, 0.5], True)


def test_the_generator_of_a_load_is_described(make_run: MakeRun) -> None:
    health = GeneratorHealth(
        lags=[0.01] * 99 + [0.03], cpu_share=0.97, gc_pauses=3, gc_seconds=0.2, longest_gc=0.15
    )
    assert describe_run(make_run(generator=health))["generator"] == {
        "kind": "threads",
        "lag": {
            "avg": pytest.approx(0.0102),
            "p50": 0.01,
            "p95": 0.01,
            "p99": pytest.approx(0.0102),
            "max": 0.03,
        },
        "cpu_share": 0.97,
        "saturated": True,
        "gc_pauses": 3,
        "gc_seconds": 0.2,
        "longest_gc": 0.15,
    }


def test_a_generator_that_was_not_looked_at_has_no_lag(make_run: MakeRun) -> None:
    assert describe_run(make_run())["generator"] is None
    document = describe_run(make_run(generator=GeneratorHealth(cpu_share=0.5)))["generator"]
    assert document is not None
    assert set(document["lag"].values()) == {None}
    assert document["cpu_share"] == 0.5
