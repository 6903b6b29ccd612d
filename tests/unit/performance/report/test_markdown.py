from __future__ import annotations

import re
from collections.abc import Callable
from html import escape, unescape

import pytest
from markdown_it import MarkdownIt

from senytl.performance import PerformanceMetrics
from senytl.performance.leaks.evidence import LeakEvidence
from senytl.performance.leaks.sites import Frame, LeakSite
from senytl.performance.metrics import RequestError
from senytl.performance.report import markdown
from senytl.performance.report.document import describe_run, describe_session
from senytl.performance.report.plain import one_line

MakeRun = Callable[..., PerformanceMetrics]
MakeEvidence = Callable[..., LeakEvidence]


def tables(written: str) -> list[list[list[str]]]:
    """The cells of every table, as a Markdown parser reads them."""
    html = MarkdownIt("commonmark").enable("table").render(written)
    return [
        [
            [unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
            for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
        ]
        for table in re.findall(r"<table>(.*?)</table>", html, re.DOTALL)
    ]


def test_a_run_is_tables_of_figures_slas_and_errors(make_run: MakeRun) -> None:
    run = make_run(failed=(2.0, 4.0), slas={"p95_latency": 1.0, "throughput_rps": 0.1})
    written = markdown.render_run(describe_run(run))
    assert written.startswith("# Performance Report\n\n")
    figures, slas, errors = tables(written)
    assert ["P95 Latency", "1.450s"] in figures
    assert ["Success Rate", "60.0% (3/5)"] in figures
    assert ["Failed Latency", "3.000s avg, 4.000s max"] in figures
    assert slas[1][:3] == [
        "p95_latency <= 1.000 s",
        "1.450 s (0.450 s over, 45.0 %; 95 % confidence: 1.000 s or more)",
        "✗ violated",
    ]
    assert slas[2][:3] == ["throughput_rps >= 0.10 req/s", "0.50 req/s", "✓ held"]
    assert errors[1:] == [["2", "RateLimitError", "429: slow down"]]
    assert "\n## Warnings\n\n- p95_latency over 3 requests" in written


def test_a_session_has_a_row_for_each_test_and_each_violation(make_run: MakeRun) -> None:
    runs = [make_run("test_a"), make_run("test_b", calls=False, slas={"p95_latency": 1.0})]
    written = markdown.render_session(describe_session([describe_run(run) for run in runs]))
    sums, tests, violations, *_ = tables(written)
    assert ["Tests", "2 (1 passed, 1 failed)"] in sums
    assert tests == [
        ["Test", "requests", "p50", "p95", "p99", "req/s", "tokens/req", "$/req", "peak MB",
         "failed", "verdict"],
        ["test_a", "3", "1.00s", "1.45s", "1.49s", "0.30", "450", "$0.0225", "121.0", "0",
         "✓ passed"],
        ["test_b", "3", "1.00s", "1.45s", "1.49s", "0.30", "n/a", "n/a", "121.0", "0",
         "✗ failed"],
    ]  # fmt: skip
    assert [row[0] for row in violations] == ["Test", "test_b"]
    assert "\n## test_b\n" in written


@pytest.mark.parametrize(
    "hostile",
    [
        "a|b",
        r"a\|b\\|c",
        "<script>alert(1)</script>",
        "&lt;b&gt; &amp;",
        "`code` ``",
        "*bold* __init__ _x_ (_y_) ___z___ _a __b _ c_ snake_case_",
        "[link](http://x) ![image](y)",
        "# title ~~gone~~",
        "<!-- hidden",
    ],
)
def test_hostile_text_is_read_back_as_it_was(make_run: MakeRun, hostile: str) -> None:
    run = make_run(f"test[{hostile}]", failed=(1.0,))
    run.errors = [RequestError("E", hostile, 1)]
    document = describe_run(run)
    for written in (
        markdown.render_run(document),
        markdown.render_session(describe_session([document])),
    ):
        found = tables(written)
        assert ["1", "E", hostile] in [row for table in found for row in table]
        for table in found:
            assert len({len(row) for row in table}) == 1
    html = MarkdownIt("commonmark").render(markdown.render_session(describe_session([document])))
    headings = [unescape(one) for one in re.findall(r"<h2>(.*?)</h2>", html)]
    assert f"test[{hostile}]" in headings


@pytest.mark.parametrize("hostile", ["a\n\n# b", "x\r\n| y |", "\x1b[31m", "\u2028z"])
def test_hostile_text_stays_on_its_line(make_run: MakeRun, hostile: str) -> None:
    run = make_run(hostile, failure=hostile)
    run.errors = [RequestError("E", hostile, 1)]
    run.unpriced_models = (hostile,)
    written = markdown.render_session(describe_session([describe_run(run)]))
    assert not [c for c in written if c != "\n" and not c.isprintable()]
    assert all(line.startswith(("#", "| ", "- ")) or not line for line in written.splitlines())
    headings = [line for line in written.splitlines() if line.startswith("#")]
    assert [line for line in headings if line.startswith("# ")] == ["# SLA Report"]


def test_figures_of_llm_calls_are_rows(busy: PerformanceMetrics) -> None:
    figures = tables(markdown.render_run(describe_run(busy)))[0]
    assert ["TTFT", "0.210s avg, 0.220s p95 (40 streams)"] in figures
    assert ["LLM Errors", "3, 7.5% of calls (2 rate_limit, 1 timeout)"] in figures
    assert ["Agent Overhead", "0.012s avg, 0.012s p95, 0.012s max"] in figures
    assert ["Goodput", "94.7% (36 good, 2 bad, 2 undetermined)"] in figures
    assert ["Request Limit", "latency <= 2.000 s (2 over)"] in figures


def test_inconclusive_slas_have_a_table_of_their_own(unclear: PerformanceMetrics) -> None:
    written = markdown.render_session(describe_session([describe_run(unclear)]))
    _, tests, doubtful, *_ = tables(written)
    assert tests[1][-1] == "? inconclusive"
    assert "\n## Inconclusive\n" in written
    assert "\n## Violations\n" not in written
    [row] = doubtful[1:]
    assert row[3] == "? inconclusive"
    assert row[4].startswith("the load generator was late by 40.0 ms at p95")


def test_a_leak_has_a_section_with_a_table_and_tracebacks(
    leaking: PerformanceMetrics, headline: str
) -> None:
    document = describe_run(leaking)
    written = markdown.render_session(describe_session([document]))
    start = written.index("\n### Memory leak\n")
    section = written[start : written.index("\n## Environment", start)]
    assert f"\n- {headline}\n" in section
    [sites] = tables(section)
    assert sites == [
        ["Bytes/request", "Blocks/request", "Where", "Line"],
        ["1.1 KB", "2.0", "agent.py:42", "self.history.append(message)"],
        ["60 B", "0.5", "agent.py:7", ""],
        ["n/a", "0.3", "agent.py:8", "x = []"],
    ]
    assert section.count("```text\n") == 2
    assert "Traceback of agent.py:42:\n\n```text\nagent.py:12 step_12()\n" in section
    assert "agent.py:42 self.history.append(message)\n```\n" in section
    assert "\n## Memory leak\n" in markdown.render_run(document)


def test_stable_memory_has_no_section(make_run: MakeRun, make_evidence: MakeEvidence) -> None:
    written = markdown.render_run(describe_run(make_run(leak_evidence=make_evidence(0.0, 0.0))))
    assert "Memory leak" not in written
    assert "Memory check" not in written


def test_doubt_about_memory_has_a_section(make_run: MakeRun, make_evidence: MakeEvidence) -> None:
    evidence = make_evidence(rounds=5)
    written = markdown.render_run(describe_run(make_run(leak_evidence=evidence)))
    section = written[written.index("\n## Memory check\n") :]
    html = MarkdownIt("commonmark").render(section)
    why = escape(evidence.finding.why, quote=False)
    assert f"<li>memory: inconclusive: {why}</li>" in html


@pytest.mark.parametrize(
    "hostile",
    ["````", "```\n# out", "<script>x</script>", "a|b", "\x1b[31mred", "[link](http://x)", "~~~"],
)
def test_code_of_a_leak_is_read_back_as_it_was(
    make_run: MakeRun, make_evidence: MakeEvidence, hostile: str
) -> None:
    site = LeakSite(1000.0, 1.0, (Frame(hostile, 1, hostile, hostile),) * 2)
    evidence = make_evidence(sites=[site], sites_by=hostile, sites_note=hostile)
    written = markdown.render_run(describe_run(make_run(leak_evidence=evidence)))
    shown = one_line(hostile)
    html = MarkdownIt("commonmark").enable("table").render(written)
    [fenced] = re.findall(r"<pre><code[^>]*>(.*?)</code></pre>", html, re.DOTALL)
    assert unescape(fenced) == f"{shown}:1 {shown}\n" * 2
    sites = tables(written)[1]
    assert sites[1] == ["1000 B", "1.0", f"{shown}:1", shown]
    assert f"<p>Traceback of {escape(shown, quote=False)}:1:</p>" in html
    assert len(re.findall("<h1>", html)) == 1
    assert not [c for c in written if c != "\n" and not c.isprintable()]
