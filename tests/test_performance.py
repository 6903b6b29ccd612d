"""The specification, docs/performance.md, block by block.

Every Python block runs as it is printed, except that numbers of seconds are scaled down: once
as a plain script, once as a module of tests inside pytest. What a block presupposes (an agent,
figures of a finished run, ...) stands in `PRELUDE`, in front of it; nothing stands between its
lines. Use it as a pattern for tests of your own.
"""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from senytl import performance
from senytl.models import TokenUsage
from senytl.performance import PerformanceMetrics

SPECIFICATION = Path(__file__).parents[1] / "docs" / "performance.md"
SCALE = 200
"""By how much the specification's times are shortened: ten minutes become three seconds."""

PRELUDE = '''
import time
from datetime import datetime

from openai import OpenAI

from senytl import Senytl, expect, performance, snapshot
from senytl.models import MockResponse, TokenUsage, ToolCall

USAGE = TokenUsage(30, 12)
COST = (30 * 0.50 + 12 * 1.50) / 1_000_000  # gpt-3.5-turbo, by the specification's table


class Agent:
    """An agent on the real SDK, as a user of senytl brings it."""

    def __init__(self):
        self.client = OpenAI(api_key="not used")

    def run(self, query):
        reply = self.client.chat.completions.create(
            model="gpt-3.5-turbo", messages=[{"role": "user", "content": query}]
        )
        return reply.choices[0].message.content


models = Senytl(fallback="error")
models.install()
models.mock("gpt-3.5-turbo").respond(
    MockResponse("the expected text", tool_calls=[ToolCall("tool_name")], usage=USAGE)
)
my_agent = Agent()
my_agent.run("The first call of a process loads what the SDK needs.")
agent = models.wrap(my_agent) if WRAPPED else my_agent


def generate_realistic_query():
    return "Where is my order?"


@performance.benchmark(iterations=20)
def finished_run():
    agent.run("Query")


finished_run()
metrics = finished_run._performance_metrics[-1]
metrics.throughput_rps = 60.0  # the specification's bare assertions are those of a load test
get_current_metrics = performance.get_current_metrics
performance.set_current_metrics(metrics if CURRENT else None)
token_usage = TokenUsage(1_000_000, 1_000_000)
'''


@dataclass(frozen=True)
class Block:
    """One Python block of the specification."""

    number: int
    heading: str
    printed: str

    @property
    def scaled(self) -> str:
        """The block with its numbers of seconds shortened."""
        return re.sub(
            r"\b(duration|ramp_up)=(\d+)",
            lambda found: f"{found[1]}={int(found[2]) / SCALE}",
            self.printed,
        )

    @property
    def needs_wrapped_agent(self) -> bool:
        """Whether it reads what only the response of a wrapped agent has."""
        return "response.duration_seconds" in self.printed or "expect(" in self.printed

    @property
    def runs_anything(self) -> bool:
        """Whether it measures something itself; else it speaks of figures of a finished run."""
        return "@performance." in self.printed


@dataclass(frozen=True)
class Case:
    """A block and the agent that it meets."""

    block: Block
    wrapped: bool

    @property
    def source(self) -> str:
        """A module that holds the prelude and the block."""
        settings = f"WRAPPED = {self.wrapped}\nCURRENT = {not self.block.runs_anything}\n"
        return settings + PRELUDE + self.block.scaled

    def __str__(self) -> str:
        heading = re.sub(r"[^a-z0-9]+", "_", self.block.heading.lower())
        return f"{self.block.number:02}_{heading}_{'wrapped' if self.wrapped else 'plain'}"


def read_blocks(text: str) -> list[Block]:
    """The Python blocks of a Markdown text, each with the heading that it stands under."""
    heading = ""
    blocks: list[Block] = []
    for found in re.finditer(r"^#{2,} ([^\n]+)$|^```python\n(.*?)^```$", text, re.M | re.S):
        if found[1]:
            heading = found[1]
        else:
            blocks.append(Block(len(blocks), heading, found[2]))
    return blocks


TEXT = SPECIFICATION.read_text(encoding="utf-8")
BLOCKS = read_blocks(TEXT)
CASES = [
    Case(block, wrapped)
    for block in BLOCKS
    for wrapped in (True, False)
    if wrapped or not block.needs_wrapped_agent
]


def test_all_python_blocks_are_read() -> None:
    assert len(BLOCKS) == TEXT.count("```python") == 26
    assert {block.heading for block in BLOCKS} >= {
        "Quick Start",
        "Complete Example",
        "API Reference",
    }
    assert all(block.printed in TEXT for block in BLOCKS)


def test_only_seconds_differ_from_what_is_printed() -> None:
    for block in BLOCKS:
        pairs = zip(block.printed.splitlines(), block.scaled.splitlines(), strict=True)
        changed = [printed for printed, scaled in pairs if printed != scaled]
        assert all("duration=" in line or "ramp_up=" in line for line in changed)


# Once as a plain script.


def call_tests(namespace: dict[str, Any]) -> None:
    """Call what a block defines and leaves to pytest."""
    for name, value in list(namespace.items()):
        if name.startswith("test_") and not list.__len__(value._performance_metrics):
            value()


def run_plainly(case: Case) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "block"}
    try:
        exec(compile(case.source, str(SPECIFICATION), "exec"), namespace)
        call_tests(namespace)
    finally:
        performance.set_current_metrics(None)
        if "models" in namespace:
            namespace["models"].uninstall()
    return namespace


@pytest.fixture
def run_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Run the block under a heading, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(heading: str, containing: str = "", *, wrapped: bool = True) -> dict[str, Any]:
        [block] = (b for b in BLOCKS if b.heading == heading and containing in b.printed)
        return run_plainly(Case(block, wrapped))

    return run


@pytest.mark.parametrize("case", CASES, ids=str)
def test_block_runs_as_a_script(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace = run_plainly(case)
    for name, value in namespace.items():
        if name.startswith("test_"):
            run = value._performance_metrics[-1]
            assert run.failure is None
            assert run.failed_requests == 0
            assert all(judgement.held for judgement in run.judgements)
            assert run.total_requests == len(run.latencies) >= 1
            assert len(run.memory_snapshots) >= 2
            if "senytl.mock" not in case.block.printed:
                check_tokens_and_cost(run, namespace)


def check_tokens_and_cost(run: PerformanceMetrics, namespace: dict[str, Any]) -> None:
    """They are those of the model's reply, for every request that called it."""
    assert set(run.token_usage) <= {namespace["USAGE"]}
    costs = [cost.total_cost for cost in run.costs]
    assert costs == pytest.approx([namespace["COST"]] * len(run.token_usage))
    assert not run.token_usage or run.min_latency > 0


# Once inside pytest, all blocks in one session.


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The outcome of every test of every block's module."""
    folder = tmp_path_factory.mktemp("specification")
    for case in CASES:
        # A block of bare statements runs when its module is imported.
        after = "" if "def test_" in case.source else "\n\ndef test_nothing_more():\n    pass\n"
        (folder / f"test_{case}.py").write_text(case.source + after, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-m", "pytest", "-q", "-W", "error", "--strict-markers",
         "--junitxml=outcomes.xml", "-p", "no:cacheprovider", "-p", "no:asyncio"],
        cwd=folder, capture_output=True, encoding="utf-8", timeout=300, check=False,
    )  # fmt: skip
    assert (folder / "outcomes.xml").exists(), done.stdout + done.stderr
    found: dict[str, list[str]] = {}
    for test in ET.parse(folder / "outcomes.xml").iter("testcase"):
        module = (test.get("classname") or test.get("name") or "").split(".")[-1]
        problem = next((child for child in test if child.tag in ("failure", "error")), None)
        outcome = "passed" if problem is None else f"{problem.tag}: {problem.text}"
        found.setdefault(module, []).append(outcome)
    return found


@pytest.mark.parametrize("case", CASES, ids=str)
def test_block_runs_inside_pytest(case: Case, outcomes: dict[str, list[str]]) -> None:
    results = outcomes[f"test_{case}"]
    assert results == ["passed"] * max(1, case.block.printed.count("def test_"))


# What single blocks promise.


@pytest.mark.parametrize("wrapped", [True, False])
def test_quick_start_measures_latency_tokens_and_cost(
    run_block: Callable[..., dict[str, Any]], wrapped: bool
) -> None:
    namespace = run_block("Quick Start", wrapped=wrapped)
    [run] = namespace["test_response_time"]._performance_metrics
    assert run.total_requests == 1
    assert 0 < run.avg_latency < 2
    assert run.total_tokens == 42
    assert run.total_cost == pytest.approx(namespace["COST"])
    assert [str(one.sla.metric) for one in run.judgements] == [
        "avg_latency",
        "avg_tokens_per_request",
        "avg_cost_per_request",
    ]


def test_recording_by_hand_is_the_request(run_block: Callable[..., dict[str, Any]]) -> None:
    for wrapped in (True, False):
        namespace = run_block("Recording Metrics Manually", wrapped=wrapped)
        [run] = namespace["test_custom"]._performance_metrics
        assert run.total_requests == 1
        assert run.total_tokens == 42


def test_load_test_checks_what_its_body_states(run_block: Callable[..., dict[str, Any]]) -> None:
    namespace = run_block("Load Testing")
    [run] = namespace["test_agent_under_load"]._performance_metrics
    assert run.concurrent_users == 100
    assert run.total_requests >= 10
    assert [(one.sla.metric, one.sla.limit) for one in run.judgements] == [
        ("throughput_rps", 50),
        ("p95_latency", 3),
        ("memory_growth", 0.2),
    ]


def test_iterations_are_those_of_each_user(run_block: Callable[..., dict[str, Any]]) -> None:
    namespace = run_block("Load Test Parameters")
    [run] = namespace["test_fixed_iterations"]._performance_metrics
    assert run.total_requests == 20 * 10


def test_reports_come_in_three_formats(
    run_block: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    namespace = run_block("Performance Reports")
    assert namespace["text_report"].startswith("Performance Report\n──────")
    assert namespace["json_report"].lstrip().startswith("{")
    assert namespace["md_report"].startswith("#")
    saved = (tmp_path / "performance_report.txt").read_text(encoding="utf-8")
    assert saved.rstrip() == namespace["text_report"].rstrip()


def test_text_report_reads_as_the_example(run_block: Callable[..., dict[str, Any]]) -> None:
    [example] = re.findall(r"### Report Example\n\n```\n(.*?)```", TEXT, re.S)
    report: str = run_block("Performance Reports")["text_report"]

    def shape(text: str) -> list[str]:
        # Figures differ, and a report may say more; the words and their order do not differ.
        return [re.sub(r"\d[\d.,]*", "0", line).rstrip() for line in text.splitlines() if line]

    lines = iter(shape(report))
    missing = [line for line in shape(example) if line not in lines]
    assert missing == []


def test_complete_example_saves_its_report(
    run_block: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    namespace = run_block("Complete Example")
    assert namespace["result"].concurrent_users == 100
    assert namespace["report"].startswith("Performance Report")
    assert (tmp_path / ".senytl/performance/load_test_report.json").stat().st_size > 0


def test_custom_pricing_decides(run_block: Callable[..., dict[str, Any]]) -> None:
    cost = run_block("Custom Pricing")["cost"]
    assert (cost.prompt_cost, cost.completion_cost, cost.total_cost) == (5.0, 10.0, 15.0)


def test_usage_is_extracted_from_records(run_block: Callable[..., dict[str, Any]]) -> None:
    usage = run_block("Token Usage Tracking")["usage"]
    assert usage.prompt_tokens >= 3
    assert usage.completion_tokens >= 2
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_memory_of_a_load_test_is_plausible(run_block: Callable[..., dict[str, Any]]) -> None:
    result = run_block("Memory Profiling")["result"]
    assert 10 < result.avg_memory_mb <= result.max_memory_mb


def test_memory_snapshot_is_plausible(run_block: Callable[..., dict[str, Any]]) -> None:
    snapshot = run_block("Memory Snapshot")["snapshot"]
    assert 10 < snapshot.rss_mb <= snapshot.vms_mb
    assert 0 < snapshot.percent <= 100


# What its tables and its prose promise.

PRICES = re.findall(r"^\| ([^|]+) \| \$([\d.]+) \| \$([\d.]+) \|$", TEXT, re.M)


def test_price_table_is_read() -> None:
    assert len(PRICES) == 7


@pytest.mark.parametrize(("model", "prompt", "completion"), PRICES)
def test_default_prices_are_those_of_the_table(model: str, prompt: str, completion: str) -> None:
    name = model.lower().replace(" ", "-")
    cost = performance.estimate_cost(TokenUsage(1_000_000, 1_000_000), name)
    assert (cost.prompt_cost, cost.completion_cost) == (float(prompt), float(completion))


@pytest.mark.parametrize("name", sorted(set(re.findall(r"performance\.(\w+)\(", TEXT))))
def test_every_function_it_calls_has_a_docstring(name: str) -> None:
    assert (getattr(performance, name).__doc__ or "").strip()


def test_every_attribute_it_reads_of_metrics_exists() -> None:
    names = set(re.findall(r"\b(?:metrics|result)\.(\w+)", TEXT))
    run = PerformanceMetrics()
    assert len(names) > 15
    assert [name for name in sorted(names) if not hasattr(run, name)] == []


def test_its_workflow_finds_violations_in_the_output(pytester: pytest.Pytester) -> None:
    [needle] = re.findall(r'grep -q "(\w+)" test_output\.log', TEXT)
    pytester.makepyfile(
        """
        from senytl import performance

        @performance.benchmark
        def test_too_slow():
            performance.record_request(3.0)
            performance.assert_latency_under(seconds=2)
        """
    )
    result = pytester.runpytest_subprocess("--verbose")
    assert result.ret == 1
    assert needle in result.stdout.str()
