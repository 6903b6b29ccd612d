"""Whose memory a test measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

AGENT = """
    import subprocess, sys

    import psutil
    import pytest

    SOURCE = '''
    import sys
    kept = [b"x" * (40 * 2**20)]
    print("ready", flush=True)
    for line in sys.stdin:
        kept.append(b"x" * (10 * 2**20))
        print("done", flush=True)
    '''

    class Agent:
        def __init__(self, process):
            self.process = process
            self.pid = process.pid
            process.stdout.readline()

        @property
        def rss_mb(self):
            return psutil.Process(self.pid).memory_info().rss / 2**20

        def run(self):
            self.process.stdin.write("more" + chr(10))
            self.process.stdin.flush()
            self.process.stdout.readline()

    @pytest.fixture
    def agent():
        with subprocess.Popen(
            [sys.executable, "-c", SOURCE],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as process:
            yield Agent(process)
            process.kill()

    @pytest.fixture
    def watched(perf, agent):
        perf.watch_memory(pid=agent.pid)
        yield agent
        assert perf.metrics.max_memory_mb == pytest.approx(agent.rss_mb, rel=0.05)
        with pytest.raises(Exception, match="has ended"):
            perf.watch_memory()
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_fixture_says_in_which_process_the_agent_runs(run: Run, workers: int) -> None:
    session = run(
        AGENT
        + """
    @pytest.mark.benchmark(iterations=4)
    def test_alone(watched):
        watched.run()

    @pytest.mark.load_test(concurrent_users=1, iterations=4)
    @pytest.mark.sla(memory_per_user=60)
    def test_load(watched):
        watched.run()

    @pytest.mark.load_test(concurrent_users=2, iterations=2)
    @pytest.mark.sla(max_memory_mb=45)
    def test_too_much(watched, perf):
        perf.watch_memory(watched.pid)

    @pytest.mark.load_test(concurrent_users=2, iterations=2)
    @pytest.mark.sla(memory_per_user=5)
    def test_too_much_for_each(watched):
        pass
    """,
        workers=workers,
    )
    session.result.assert_outcomes(passed=3, failed=1)
    tests = session.tests
    memory = {name: test["memory"] for name, test in tests.items()}
    for name in ("test_alone", "test_load"):
        series = memory[name]["series"]["rss_mb"]
        assert series[0] == pytest.approx(memory[name]["max_mb"] - 40, abs=5)
    assert memory["test_load"]["per_user_mb"] == pytest.approx(40, abs=5)
    assert memory["test_alone"]["per_user_mb"] is None
    assert [test["verdict"] for test in tests.values()].count("failed") == 1
    assert tests["test_too_much"]["verdict"] == "failed"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_body_says_it_too(run: Run, workers: int) -> None:
    session = run(
        AGENT
        + """
    @pytest.mark.load_test(concurrent_users=3, iterations=3)
    def test_load(perf, agent):
        perf.watch_memory(agent.pid, children=True)
        assert perf.metrics.max_memory_mb == pytest.approx(agent.rss_mb, rel=0.05)

    async def test_async(perf, agent):
        perf.watch_memory(agent.pid)
        assert perf.metrics.max_memory_mb == pytest.approx(agent.rss_mb, rel=0.05)
    """,
        workers=workers,
    )
    session.result.assert_outcomes(passed=2)


def test_mistakes(run: Run) -> None:
    session = run(
        """
        import pytest

        @pytest.fixture
        def broken(perf):
            perf.watch_memory(pid=2**31 - 1)

        def test_in_a_fixture(broken):
            pass

        @pytest.mark.load_test(concurrent_users=2, iterations=2)
        def test_in_a_body(perf):
            perf.watch_memory(pid="agent")

        @pytest.mark.sla(memory_per_user=5)
        def test_of_no_users(perf):
            pass
        """
    )
    session.result.assert_outcomes(failed=2, errors=1)
    assert "MisuseError: there is no process 2147483647, or it has ended" in session.output
    assert "MisuseError: pid is 'agent'; it must be the number of a process" in session.output
    assert "only a load test has concurrent users" in session.output
