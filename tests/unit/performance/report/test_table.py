from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from rich.cells import cell_len

from senytl.performance import PerformanceMetrics
from senytl.performance.leaks.evidence import LeakEvidence
from senytl.performance.leaks.sites import Frame, LeakSite
from senytl.performance.metrics import RequestError
from senytl.performance.report.document import describe_run, describe_session
from senytl.performance.report.schema import SessionDocument
from senytl.performance.report.table import session_table

MakeRun = Callable[..., PerformanceMetrics]
MakeEvidence = Callable[..., LeakEvidence]

LONG = "tests/performance/test_support_agent.py::TestSupport::test_load[gpt-4-turbo-100-users]"


def session(*runs: PerformanceMetrics) -> SessionDocument:
    return describe_session([describe_run(run) for run in runs])


def table(*runs: PerformanceMetrics, width: int = 80, ascii: bool = False) -> str:
    return session_table(session(*runs), width=width, colour=False, ascii=ascii)


def row(written: str, start: str) -> list[str]:
    """The words of the line that begins with `start`."""
    [line] = [line for line in written.splitlines() if line.startswith(start)]
    return line.split()


@pytest.fixture
def everything(make_run: MakeRun) -> SessionDocument:
    """A session of every kind of run there is to show."""
    return session(
        make_run("test_short"),
        make_run(
            LONG,
            latencies=(1234.0, 0.000012, 12.3) * 5000,
            failed=(3.0, 5.0),
            slas={"p95_latency": 2.0, "success_rate": 1.0, "throughput_rps": 99_999.0},
            interrupted_requests=3,
        ),
        make_run("tests/test_b.py::test_unpriced", priced=False, slas={"total_cost": 0.5}),
        make_run("tests/test_c.py::test_bare", calls=False, latencies=(), failed=(1.0,),
                 failure="AssertionError: " + "long " * 100),
    )  # fmt: skip


def test_a_test_is_a_row_of_its_figures_where_there_is_room(make_run: MakeRun) -> None:
    written = table(make_run("test_agent.py::test_load", latencies=(0.85, 1.2, 2.0)), width=100)
    headings = written.splitlines()[1].split()
    assert headings == ["test", "requests", "p50", "p95", "p99", "req/s", "/req", "/req", "MB",
                        "verdict"]  # fmt: skip
    assert row(written, "test_agent.py::test_load") == [
        "test_agent.py::test_load", "3", "1.20s", "1.92s", "1.98s", "0.30", "450", "$0.0225",
        "121.0", "✓", "passed",
    ]  # fmt: skip


def test_at_80_columns_the_figures_stand_below_the_name(make_run: MakeRun) -> None:
    lines = table(make_run("tests/test_agent.py::test_load")).splitlines()
    at = lines.index("tests/test_agent.py::test_load")
    assert lines[at + 1].split() == [
        "3", "1.00s", "1.45s", "1.49s", "0.30", "450", "$0.0225", "121.0", "✓", "passed",
    ]  # fmt: skip
    assert lines[0].split() == ["test", "tokens", "$", "peak"]


@pytest.mark.parametrize("width", [64, 72, 80, 100, 120, 160, 250])
@pytest.mark.parametrize("ascii", [False, True])
def test_it_fits_and_cuts_no_figure(everything: SessionDocument, width: int, ascii: bool) -> None:
    written = session_table(everything, width=width, colour=False, ascii=ascii)
    assert max(cell_len(line) for line in written.splitlines()) <= width
    assert {"15.0k", "21m", "1,500", "$0.0225", "450", "121.0", "0.10"} <= set(written.split())


@pytest.mark.parametrize("width", [80, 160])
def test_figures_stand_in_columns(everything: SessionDocument, width: int) -> None:
    lines = session_table(everything, width=width, colour=False).splitlines()
    rows = [line for line in lines if line.endswith(("✓ passed", "✗ failed"))]
    assert len(rows) == 4
    assert len({re.search("[✓✗]", line).start() for line in rows}) == 1  # type: ignore[union-attr]
    heading = lines[1]
    assert heading.index("verdict") == re.search("[✓✗]", rows[0]).start()  # type: ignore[union-attr]


def test_a_long_name_keeps_its_end(make_run: MakeRun) -> None:
    written = table(make_run(LONG), width=120)
    [line] = [line for line in written.splitlines() if line.startswith("…")]
    assert line.split()[0].endswith("test_load[gpt-4-turbo-100-users]")
    assert cell_len(line) == 120


def test_wide_characters_take_two_cells(make_run: MakeRun) -> None:
    written = table(make_run("test_" + "日本語" * 20), make_run("test_b"), width=160)
    rows = [line for line in written.splitlines() if line.endswith("✓ passed")]
    assert [cell_len(line) for line in rows] == [160, 160]


def test_what_was_not_measured_is_a_dash(make_run: MakeRun) -> None:
    run = make_run("test_a", calls=False, latencies=(), failed=(1.0,))
    run.memory_snapshots = []
    assert row(table(run, width=100), "test_a")[1:9] == ["1", "–", "–", "–", "0.10", "–", "–", "–"]
    assert row(table(run, width=100, ascii=True), "test_a")[2] == "-"


def test_failed_requests_are_shown_with_their_latencies_and_errors(make_run: MakeRun) -> None:
    kinds = [RequestError(f"Error{n}", f"message {n}", 9 - n) for n in range(5)]
    run = make_run(LONG, failed=(2.0, 6.0), errors=kinds, interrupted_requests=1)
    lines = table(run, width=100).splitlines()
    at = lines.index(LONG) + 2
    assert lines[at : at + 6] == [
        "    2 of 5 requests failed: 4.000s avg, 6.000s max",
        "    9x Error0: message 0",
        "    8x Error1: message 1",
        "    7x Error2: message 2",
        "    and 2 more kinds of error",
        "    1 request interrupted",
    ]


def test_one_failed_request_has_one_latency(make_run: MakeRun) -> None:
    assert "    1 of 4 requests failed after 2.500s\n" in table(make_run("test_a", failed=(2.5,)))


def test_what_ended_a_test_is_shown(make_run: MakeRun) -> None:
    written = table(make_run("test_a", failure="AssertionError: 3 is not 4"))
    assert "    ended by AssertionError: 3 is not 4\n" in written
    assert "✗ failed" in written


@pytest.mark.parametrize(
    ("iterations", "ended_in", "remark"),
    [
        (5, 3, "ended in iteration 3 of 5 by ValueError: x"),
        (5, 0, "ended in the warm-up by ValueError: x"),
        (1, 1, "ended by ValueError: x"),
    ],
)
def test_an_error_that_ended_a_benchmark_says_in_which_iteration(
    make_run: MakeRun, iterations: int, ended_in: int, remark: str
) -> None:
    run = make_run(failure="ValueError: x", iterations=iterations, ended_in_iteration=ended_in)
    assert f"    {remark}\n" in table(run)


def test_the_error_that_ended_a_test_is_said_once(make_run: MakeRun) -> None:
    errors = [RequestError("Timeout", "late", 2), RequestError("ValueError", "x", 1)]
    run = make_run("test_a", failed=(1.0,) * 3, errors=errors, failure="ValueError: x")
    written = table(run)
    assert "    ended by ValueError: x\n" in written
    assert "    3 of 6 requests failed: 1.000s avg, 1.000s max\n" in written
    assert "    2x Timeout: late\n" in written
    assert "1x ValueError" not in written


def test_violations_say_by_how_much_and_why(make_run: MakeRun) -> None:
    written = table(
        make_run("test_a", slas={"p95_latency": 1.0, "throughput_rps": 0.1}),
        make_run("test_b", priced=False, slas={"total_cost": 1.0}),
    )
    assert (
        "\n2 SLAs violated\n"
        "  test_a\n"
        "    ✗ p95_latency <= 1.000 s: 1.450 s (0.450 s over, 45.0 %; 95 % confidence:\n"
        "    1.000 s or more)\n"
        "      p50 1.000 s, p95 1.450 s, max 1.500 s over 3 successful requests\n"
        "  test_b\n"
        "    ✗ total_cost <= $1.0000: not measured\n"
        "      there is no price for my-model; add one to the ini option senytl_pricing\n"
    ) in written
    assert "throughput_rps" not in written


def test_a_test_with_several_violations_is_named_once(make_run: MakeRun) -> None:
    written = table(make_run("test_a", slas={"p50_latency": 0.1, "p95_latency": 1.0}))
    assert written.count("    ✗ ") == 2
    assert written.count("\n  test_a\n") == 1


def test_warnings_are_few_and_said_once(make_run: MakeRun) -> None:
    same = [make_run(f"test_{n}", slas={"p95_latency": 9.0}) for n in range(3)]
    others = [make_run(f"test_u{n}", interrupted_requests=n) for n in range(1, 8)]
    written = table(*same, *others)
    assert written.count("p95_latency over 3 requests") == 1
    assert "\n8 warnings\n" in written
    assert "    3 tests\n" in written
    assert "    test_u1\n" in written
    assert len(re.findall(r"^  \d requests? had not", written, re.MULTILINE)) == 4
    assert "  and 3 more warnings\n" in written


def test_the_sums_end_it(make_run: MakeRun) -> None:
    runs = [make_run("a"), make_run("b", failed=(1.0,), slas={"success_rate": 1.0})]
    assert table(*runs, width=120).splitlines()[-2:] == [
        "",
        "2 tests · 1 passed · 1 failed · 7 requests (1 failed) · 3,150 tokens · $0.1575 · 20.0 s",
    ]
    unpriced = table(make_run("a", priced=False)).splitlines()
    assert unpriced[-1].endswith("cost not known (no price for my-model) · 10.0 s")
    bare = table(make_run("a", calls=False)).splitlines()
    assert bare[-1] == "1 test · 1 passed · 3 requests · 10.0 s"


def test_many_tests_are_cut_and_the_failed_ones_kept(make_run: MakeRun) -> None:
    slas = {"p95_latency": 1.0}
    runs = [make_run(f"test_{n:03}", slas=slas if n in (7, 150) else None) for n in range(200)]
    written = table(*runs)
    names = re.findall(r"^test_\d+$", written, re.MULTILINE)
    assert len(names) == 50
    assert names == sorted(names)
    assert {"test_007", "test_150"} <= set(names)
    assert "\n… and 150 more tests, all passed\n" in written
    assert "200 tests · 198 passed · 2 failed" in written


def test_a_session_of_failures_is_bounded(make_run: MakeRun) -> None:
    limits = {"p95_latency": 1.0, "p99_latency": 1.0}
    errors = [RequestError("E" * 500, "m" * 5000, 1) for _ in range(100)]
    runs = [make_run(f"test_{n}", slas=limits, failed=(1.0,), errors=errors) for n in range(300)]
    written = table(*runs)
    assert "… and 250 more tests, 250 of them failed\n" in written
    assert "  and 550 more SLAs violated\n" in written
    assert len(written.splitlines()) < 600


def test_colour_says_what_the_words_say(make_run: MakeRun) -> None:
    document = session(make_run("good"), make_run("bad", slas={"p95_latency": 1.0}))
    written = session_table(document, width=80, colour=True)
    assert "\x1b[32m✓ passed\x1b[0m" in written
    assert "\x1b[1;31m✗ failed\x1b[0m" in written
    assert "\x1b[1;31m1.45s\x1b[0m" in written  # the figure that breaks its limit
    assert "\x1b[33m1 warning\x1b[0m" in written
    plain = session_table(document, width=80, colour=False)
    assert re.sub(r"\x1b\[[\d;]*m", "", written) == plain
    assert "\x1b" not in plain


@pytest.mark.parametrize(
    "environment",
    [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"COLUMNS": "40"}, {"FORCE_COLOR": "1"}],
    ids=lambda environment: "".join(environment),
)
@pytest.mark.parametrize("colour", [False, True])
def test_pytest_decides_on_width_and_colour_and_not_the_environment(
    everything: SessionDocument,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    colour: bool,
) -> None:
    expected = session_table(everything, width=120, colour=colour)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert session_table(everything, width=120, colour=colour) == expected


def test_ascii_only_where_the_terminal_has_no_more(make_run: MakeRun) -> None:
    run = make_run(
        "test[日本-é]",
        latencies=(0.000012,),
        failed=(0.0000034,),
        errors=[RequestError("E", "a…b “c”", 1)],
        slas={"p95_latency": 0.000001, "total_tokens": 1e9},
    )
    written = table(run, make_run(LONG, slas={"p95_latency": 1.0}), width=120, ascii=True)
    assert written.isascii()
    assert r"test[\u65e5\u672c-\xe9]" in written
    assert "12us" in written
    assert '1x E: a...b "c"' in written
    assert "x failed" in written
    assert max(map(len, written.splitlines())) <= 120


@pytest.mark.parametrize(
    "hostile", ["[red]x[/red]", "[/]", "\x1b[2Jx", ":smile:", "a\nb", "\x9b31m", "\u202ex"]
)
@pytest.mark.parametrize("width", [80, 160])
def test_hostile_text_is_shown_and_not_obeyed(make_run: MakeRun, hostile: str, width: int) -> None:
    run = make_run(
        f"tests/test_agent.py::test[{hostile}]",
        failed=(1.0,),
        errors=[RequestError(hostile, hostile, 1)],
        slas={"success_rate": 1.0},
        failure=hostile,
    )
    run.unpriced_models = (hostile,)
    written = table(run, width=width)
    assert not [c for c in written if c != "\n" and not c.isprintable()]
    if hostile.isprintable():
        assert f"1x {hostile}: {hostile}\n" in written
        assert f"test[{hostile}]" in written
    harmless = make_run(
        "tests/test_agent.py::test[x]",
        failed=(1.0,),
        errors=[RequestError("x", "x", 1)],
        slas={"success_rate": 1.0},
        failure="x",
        priced=False,
    )
    assert len(written.splitlines()) == len(table(harmless, width=width).splitlines())


def test_nothing_measured_is_nothing_printed() -> None:
    assert session_table(describe_session([]), width=80, colour=True) == ""


def test_rich_is_loaded_when_a_table_is_drawn_and_not_before() -> None:
    code = (
        "import sys; import senytl.performance.report, senytl.performance.report.table; "
        "sys.exit('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("ascii", [False, True])
@pytest.mark.parametrize("width", [64, 80, 120])
def test_figures_of_llm_calls_are_remarks_that_are_never_cut(
    busy: PerformanceMetrics, width: int, ascii: bool
) -> None:
    written = table(busy, width=width, ascii=ascii)
    lines = written.splitlines()
    [first] = [place for place, line in enumerate(lines) if line.startswith("    ttft")]
    last = next(place for place in range(first, len(lines)) if not lines[place].startswith("    "))
    figures = (
        "ttft p95 220ms", "tpot p95 48ms", "overhead p95 12ms", "3 retries", "2 rate limits",
        "goodput 94.7% (2 undetermined)",
    )  # fmt: skip
    separator = ", " if ascii else " · "
    assert separator.join(line[4:] for line in lines[first:last]) == separator.join(figures)
    assert all(cell_len(line) <= width for line in lines[first:last])
    assert written.isascii() or not ascii


def test_a_run_without_such_figures_has_no_remark(make_run: MakeRun) -> None:
    assert "ttft" not in table(make_run("test_a"))
    assert "overhead" not in table(make_run("test_a"))
    assert "goodput" not in table(make_run("test_a"))


def test_inconclusive_slas_are_told_apart_from_violations(
    make_run: MakeRun, unclear: PerformanceMetrics
) -> None:
    written = table(make_run("test_a", slas={"p50_latency": 0.1}), unclear, width=120)
    assert row(written, "tests/test_agent.py::test_unclear")[-2:] == ["?", "inconclusive"]
    violated, doubtful = written.split("\n1 SLA inconclusive\n")
    assert "\n1 SLA violated\n" in violated
    assert doubtful.startswith(
        "  tests/test_agent.py::test_unclear\n"
        "    ? p95_latency <= 1.460 s: 1.450 s (95 % confidence: 1.000 s or more)\n"
        "      the load generator was late by 40.0 ms at p95"
    )
    assert "2 tests · 1 failed · 1 inconclusive · " in doubtful


@pytest.mark.parametrize("width", [64, 69, 70, 80, 120])
@pytest.mark.parametrize("ascii", [False, True])
def test_an_inconclusive_verdict_fits(
    make_run: MakeRun, unclear: PerformanceMetrics, width: int, ascii: bool
) -> None:
    lines = table(make_run("test_a"), unclear, width=width, ascii=ascii).splitlines()
    assert max(map(cell_len, lines)) <= width
    [verdict] = [line for line in lines if "  ? " in line or " ? incon" in line][:1]
    assert ("inconclusive" in verdict) is (width >= 70)


def test_an_inconclusive_verdict_is_yellow(unclear: PerformanceMetrics) -> None:
    written = session_table(session(unclear), width=120, colour=True)
    assert "\x1b[1;33m? inconclusive\x1b[0m" in written
    assert "\x1b[33m1.45s\x1b[0m" in written


def test_inconclusive_tests_do_not_give_way_to_passed_ones(
    make_run: MakeRun, unclear: PerformanceMetrics
) -> None:
    written = table(*(make_run(f"test_{n}") for n in range(60)), unclear)
    assert unclear.name in written
    assert "… and 11 more tests, all passed\n" in written
    several = [unclear] * 60
    assert "… and 10 more tests, 10 of them inconclusive\n" in table(*several)


def test_timeouts_and_dropped_starts_are_remarked(make_run: MakeRun) -> None:
    run = make_run(failed=(1.0,), timed_out_requests=1, dropped_starts=4)
    lines = table(run).splitlines()
    assert "    1 request timed out" in lines
    assert "    4 starts dropped, since no user was free" in lines


def test_a_leak_is_shown_below_its_row_with_the_lines_that_leak(
    leaking: PerformanceMetrics, headline: str
) -> None:
    lines = table(leaking, width=100).splitlines()
    at = lines.index(f"    {headline}")
    assert lines[at - 1].endswith("✗ failed")
    assert lines[at + 1 : at + 11] == [
        "    1.1 KB (2.0 blocks) a request at agent.py:42: self.history.append(message)",
        *[f"        agent.py:{line} step_{line}()" for line in range(12, 17)],
        "        agent.py:42 self.history.append(message)",
        "    60 B (0.5 blocks) a request at agent.py:7",
        "        agent.py:7 in remember",
        "    0.3 blocks a request at agent.py:8: x = []",
    ]
    assert "never_shown" not in "\n".join(lines)


def test_a_leak_is_what_the_violation_says_and_not_the_share_alone(
    leaking: PerformanceMetrics,
) -> None:
    written = table(leaking, width=160)
    assert "✗ memory_growth <= 20 %: leaks 1.2 KB (3.0 blocks) a request\n" in written


def test_what_came_of_too_few_requests_is_one_line(
    make_run: MakeRun, make_evidence: MakeEvidence
) -> None:
    evidence = make_evidence(rounds=5)
    lines = table(make_run("test_a", leak_evidence=evidence), width=200).splitlines()
    [line] = [line for line in lines if "inconclusive" in line]
    assert line == f"    memory: inconclusive: {evidence.finding.why}"
    stable = table(make_run("test_a", leak_evidence=make_evidence(0.0, 0.0)), width=200)
    assert "memory" not in stable


@pytest.mark.parametrize("width", [64, 80, 100])
@pytest.mark.parametrize("ascii", [False, True])
def test_a_leak_fits_and_keeps_the_number_of_its_line(
    make_run: MakeRun, make_evidence: MakeEvidence, width: int, ascii: bool
) -> None:
    frames = (Frame("/opt/" + "deep/" * 50 + "ägent.py", 42, "", "日本 = [\x1b[31m]" * 20),) * 2
    evidence = make_evidence(
        sites=[LeakSite(1e6, 1e4, frames)], sites_note="native code may hold the rest, " * 9
    )
    written = table(make_run("test_a", leak_evidence=evidence), width=width, ascii=ascii)
    lines = written.splitlines()
    assert max(cell_len(line) for line in lines) <= width
    assert len([line for line in lines if ".py:42" in line]) == 3
    assert not [c for c in written if c != "\n" and not c.isprintable()]
    assert not ascii or written.isascii()
    assert len([line for line in lines if line.startswith("    native code may")]) == 1


def test_a_leak_is_coloured_by_what_came_of_the_test(
    leaking: PerformanceMetrics, make_run: MakeRun, make_evidence: MakeEvidence
) -> None:
    def colour_of(run: PerformanceMetrics) -> str:
        written = session_table(session(run), width=100, colour=True)
        return re.search(r"\x1b\[(\d+)mleaks ", written)[1]  # type: ignore[index]

    assert colour_of(leaking) == "31"
    assert colour_of(make_run("test_a", leak_evidence=make_evidence())) == "33"
