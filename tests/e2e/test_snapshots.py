"""Snapshots in real pytest sessions, of an agent on the real OpenAI SDK whose model is mocked."""

from __future__ import annotations

import json
from pathlib import Path

import openai  # noqa: F401  # so that it need not be imported anew in every session below
import pytest

# Plugins that take long to load and are none of this file's business.
_LEFT_OUT = ("benchmark", "codspeed", "cov", "hypothesispytest", "rerunfailures")
PLUGINS = [word for name in _LEFT_OUT for word in ("-p", f"no:{name}")]

AGENT = """
import openai
import pytest
from senytl import Senytl, expect, performance, snapshot


def ask(query):
    client = openai.OpenAI(api_key="x", base_url="http://127.0.0.1:9/v1", max_retries=0)
    messages = [{"role": "user", "content": query}]
    completion = client.chat.completions.create(model="gpt-4o", messages=messages)
    return completion.choices[0].message.content


@pytest.fixture
def agent():
    with Senytl(fallback="error") as senytl:
        senytl.mock("gpt-4o").when(contains="Query").respond(
            "ANSWER", tools={"tool_name": {"b": 1, "a": 2}}
        )
        yield senytl.wrap(ask)
"""

COMBINED = (
    AGENT
    + """
@performance.benchmark
def test_comprehensive(agent):
    # Snapshot for regression testing
    with snapshot.snapshot_mode("MODE"):
        response = agent.run("Query")

    # Performance SLAs
    performance.record_request(response.duration_seconds, response)
    performance.assert_latency_under(seconds=20.0)

    # Behavioral assertions
    expect(response).to_contain("ANSWER")
    expect(response).to_have_called("tool_name")
"""
)


@pytest.fixture(autouse=True)
def _ini(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(*PLUGINS, *arguments)


def snapshots(pytester: pytest.Pytester) -> list[str]:
    paths = Path(pytester.path).rglob(".snapshots/**/*.json")
    return sorted(path.relative_to(pytester.path).as_posix() for path in paths)


def test_the_combination_of_the_specification(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=COMBINED.replace("MODE", "update"))
    run(pytester).assert_outcomes(passed=1)
    assert snapshots(pytester) == [".snapshots/test_it/test_comprehensive.json"]
    document = json.loads((pytester.path / snapshots(pytester)[0]).read_text())
    assert document["responses"] == [
        {
            "text": "ANSWER",
            "tool_calls": [{"name": "tool_name", "arguments": {"a": 2, "b": 1}}],
            "models": ["gpt-4o"],
        }
    ]
    source = COMBINED.replace("MODE", "compare")
    pytester.makepyfile(test_it=source)
    run(pytester).assert_outcomes(passed=1)
    pytester.makepyfile(test_it=source.replace("ANSWER", "REPLY"))
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            '>*with snapshot.snapshot_mode("compare"):',
            "E*SnapshotMismatchError: the responses differ from the snapshot *test_compreh*",
            'E*-*"text": "ANSWER",',
            'E*+*"text": "REPLY",',
        ]
    )
    result.stdout.no_fnmatch_line("*mode.py*")


def test_each_test_has_its_own_file_beside_its_module(pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("unit")
    (folder / "test_it.py").write_text(
        AGENT
        + """
@pytest.mark.parametrize("query", ["Query", "query/Query", "Query: ä"])
def test_queries(agent, query):
    with snapshot.snapshot_mode("auto"):
        agent.run(query)

class TestAgent:
    def test_twice(self, agent):
        with snapshot.snapshot_mode("auto"):
            agent.run("Query")
        with snapshot.snapshot_mode("auto", "second"):
            agent.run("Query 2")
            snapshot.match("a text", name="third")
""",
        encoding="utf-8",
    )
    run(pytester).assert_outcomes(passed=4)
    files = snapshots(pytester)
    assert len(files) == 6
    assert [file for file in files if "queries" not in file] == [
        "unit/.snapshots/test_it/TestAgent.test_twice.json",
        "unit/.snapshots/test_it/TestAgent.test_twice.second.json",
        "unit/.snapshots/test_it/TestAgent.test_twice.third.json",
    ]
    written = {file: (pytester.path / file).stat().st_mtime_ns for file in files}
    run(pytester, "unit/test_it.py").assert_outcomes(passed=4)
    assert {file: (pytester.path / file).stat().st_mtime_ns for file in files} == written


def test_the_working_directory_does_not_matter(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pytester.mkdir("unit")
    (folder / "test_it.py").write_text(
        AGENT
        + """
def test_a(agent):
    with snapshot.snapshot_mode("auto"):
        agent.run("Query")
"""
    )
    monkeypatch.chdir(folder)
    run(pytester, "--rootdir", str(pytester.path), "-c", "../tox.ini").assert_outcomes(passed=1)
    assert snapshots(pytester) == ["unit/.snapshots/test_it/test_a.json"]


def test_repeated_and_concurrent_bodies_share_one_file(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it=AGENT
        + """
@performance.benchmark(iterations=3)
def test_repeated(agent):
    with snapshot.snapshot_mode("auto"):
        agent.run("Query")

@performance.load_test(concurrent_users=5, iterations=2)
def test_loaded(agent):
    with snapshot.snapshot_mode("auto"):
        agent.run("Query")
"""
    )
    run(pytester).assert_outcomes(passed=2)
    assert snapshots(pytester) == [
        ".snapshots/test_it/test_loaded.json",
        ".snapshots/test_it/test_repeated.json",
    ]
    for file in snapshots(pytester):
        assert len(json.loads((pytester.path / file).read_text())["responses"]) == 1


def test_async_tests_and_workers_of_xdist(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it=AGENT
        + """
import asyncio

async def ask_async(query):
    async with openai.AsyncOpenAI(
        api_key="x", base_url="http://127.0.0.1:9/v1", max_retries=0
    ) as client:
        completion = await client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": query}]
        )
        return query + completion.choices[0].message.content

@pytest.mark.asyncio
@pytest.mark.parametrize("number", range(3))
async def test_both(number):
    with Senytl(fallback="error") as senytl:
        senytl.mock("gpt-4o").respond("!")
        agent = senytl.wrap(ask_async)
        with snapshot.snapshot_mode("auto"):
            await asyncio.gather(agent.run("one"), agent.run("two"))
"""
    )
    pytester.runpytest_subprocess(*PLUGINS, "-n", "2").assert_outcomes(passed=3)
    assert snapshots(pytester) == [
        f".snapshots/test_it/test_both[{number}].json" for number in range(3)
    ]
    for file in snapshots(pytester):
        responses = json.loads((pytester.path / file).read_text())["responses"]
        assert [response["text"] for response in responses] == ["one!", "two!"]
    run(pytester).assert_outcomes(passed=3)


def test_a_snapshot_that_is_missing_tells_how_to_make_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=COMBINED.replace("MODE", "compare"))
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E*SnapshotMissingError: there is no snapshot *run the test once under*"]
    )
    assert snapshots(pytester) == []
