"""Load tests of every shape in sessions of pytest."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

SHAPES = """
    import asyncio
    import time

    import pytest

    @pytest.mark.load_test(concurrent_users=3, total_iterations=20, warmup=4)
    def test_shared(perf):
        time.sleep(0.002)

    @pytest.mark.load_test(stages=[(0.2, 4), (0.2, 4), (0.1, 0)], think_time=(0.01, 0.02))
    def test_stages(perf):
        perf.user.scratch.turns = getattr(perf.user.scratch, "turns", 0) + 1
        assert perf.user.scratch.turns == perf.user.iteration + 1

    @pytest.mark.load_test(rate=50, duration=0.5, warmup=0.2, concurrent_users=30)
    @pytest.mark.sla(dropped_starts=0)
    def test_rate(perf):
        time.sleep(0.01)

    @pytest.mark.load_test(rate=[(0.2, 50), (0.2, 50)], arrivals="poisson", seed=3)
    async def test_poisson(perf):
        await asyncio.sleep(0.01)

    @pytest.mark.load_test(concurrent_users=2, duration=0.45, pacing=0.1)
    async def test_paced(perf):
        await asyncio.sleep(0.01)

    @pytest.mark.load_test(concurrent_users=3, iterations=4, engine="threads")
    async def test_own_loops(perf):
        assert perf.user.setup(asyncio.get_running_loop) is asyncio.get_running_loop()
        await asyncio.sleep(0.01)

    @pytest.mark.load_test(concurrent_users=2, iterations=3, timeout=0.1)
    @pytest.mark.sla(timed_out_requests=2, failed_requests=2)
    async def test_timeouts(perf):
        await asyncio.sleep(20 if perf.user.iteration == 1 else 0.001)
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_loads_of_every_shape_run_as_their_marks_say(run: Run, workers: int) -> None:
    session = run(SHAPES, "-p", "no:asyncio", workers=workers)
    session.result.assert_outcomes(passed=7)
    requests = {name: test["requests"] for name, test in session.tests.items()}
    assert requests["test_shared"]["total"] == 20
    assert requests["test_stages"]["failed"] == 0
    assert requests["test_stages"]["total"] >= 30
    assert requests["test_rate"]["total"] == 25
    assert 3 <= requests["test_poisson"]["total"] <= 35
    assert requests["test_paced"]["total"] == 10
    assert requests["test_own_loops"]["total"] == 12
    assert requests["test_timeouts"]["failed"] == 2
    assert {test["kind"] for test in session.tests.values()} == {"load_test"}


def test_users_get_the_fixtures_and_parameters_of_their_test(run: Run) -> None:
    session = run(
        """
        import asyncio
        import contextvars

        import pytest

        tenant = contextvars.ContextVar("tenant", default=None)

        @pytest.fixture
        def greeting():
            tenant.set("acme")
            yield "hello"

        @pytest.mark.parametrize("name", ["a", "b"])
        @pytest.mark.load_test(concurrent_users=3, iterations=2)
        def test_sync(perf, greeting, name, tmp_path):
            assert (greeting, tenant.get()) == ("hello", "acme")
            assert tmp_path.is_dir()
            perf.user.scratch.name = name

        @pytest.mark.parametrize("engine", [
            pytest.param(None, marks=pytest.mark.load_test(concurrent_users=3, iterations=2)),
            pytest.param("threads", marks=pytest.mark.load_test(
                concurrent_users=3, iterations=2, engine="threads")),
        ])
        async def test_async(perf, greeting, engine):
            assert (greeting, tenant.get()) == ("hello", "acme")
            await asyncio.sleep(0.001)
        """,
        "-p",
        "no:asyncio",
    )
    session.result.assert_outcomes(passed=4)
    assert {test["requests"]["total"] for test in session.tests.values()} == {6}
    assert {test["requests"]["failed"] for test in session.tests.values()} == {0}


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ("concurrent_users=2, stages=[(1, 2)]", "*concurrent_users is 2 and stages is ((1, 2),)*"),
        ("rate=5", "*rate is 5 and there is no duration*"),
        ("rate=5, duration=1, pacing=2", "*rate is 5 and pacing is 2*"),
        ("concurrent_users=2, abort_on={'p95': 1}", "*there is no metric named 'p95'*"),
        ("concurrent_users=2, abort_on={'total_cost': 1}", "*abort_on has total_cost*"),
        ("concurrent_users=2, engine='fibers'", "*engine is 'fibers'; it must be*"),
        ("concurrent_users=2, engine='tasks'", "*engine is 'tasks' and *no async function*"),
    ],
)
def test_a_mark_that_contradicts_itself_is_refused_before_anything_runs(
    run: Run, pytester: pytest.Pytester, mark: str, message: str
) -> None:
    session = run(
        "import pytest\nfrom pathlib import Path\n\n"
        "def test_before(): Path('ran').touch()\n\n"
        f"@pytest.mark.load_test({mark})\ndef test_it(): Path('ran').touch()\n"
    )
    assert session.exit_code == pytest.ExitCode.USAGE_ERROR
    session.result.stderr.fnmatch_lines([message])
    assert not (pytester.path / "ran").exists()


@pytest.mark.parametrize("workers", [0, 2])
def test_threads_that_hang_are_named_and_do_not_keep_pytest(run: Run, workers: int) -> None:
    began = time.perf_counter()
    session = run(
        """
        import threading

        import pytest

        @pytest.mark.load_test(concurrent_users=5, duration=0.2, grace=0.1)
        def test_it(perf):
            if perf.user.number == 2:
                threading.Event().wait()  # for ever
            threading.Event().wait(0.01)
        """,
        workers=workers,
        apart=True,
    )
    assert time.perf_counter() - began < 30
    session.result.assert_outcomes(passed=1)
    test = session.tests["test_it"]
    assert test["requests"]["interrupted"] == 1
    (abandoned,) = test["abandoned_users"]
    assert re.search(r"user 2 at .*test_it\.py:8 in test_it", abandoned)
    assert "user 2 at" in session.output


def test_async_bodies_that_hang_are_cancelled(run: Run) -> None:
    session = run(
        """
        import asyncio

        import pytest

        @pytest.mark.load_test(concurrent_users=5, duration=0.2, grace=0.1)
        async def test_it(perf):
            await asyncio.sleep(60 if perf.user.number == 2 else 0.01)
        """,
        "-p",
        "no:asyncio",
    )
    session.result.assert_outcomes(passed=1)
    assert session.tests["test_it"]["requests"]["interrupted"] == 1


def test_a_load_that_is_broken_beyond_repair_ends_early_and_fails(run: Run) -> None:
    session = run(
        """
        import time

        import pytest

        @pytest.mark.load_test(concurrent_users=2, duration=8, abort_on={"error_rate": 0.1},
                               abort_after=0.3)
        def test_it():
            time.sleep(0.01)
            raise ValueError("no answer")

        def test_after():
            pass
        """,
    )
    session.result.assert_outcomes(passed=1, failed=1)
    assert session.exit_code == 1
    assert "broken beyond repair" in session.output
    # Until a tenth of the time has passed, all others might still have succeeded.
    assert 0.75 <= session.tests["test_it"]["duration_seconds"] < 5


ENDINGS = {
    "raise KeyboardInterrupt": pytest.ExitCode.INTERRUPTED,
    "pytest.exit('enough', returncode=7)": 7,
    "raise SystemExit(3)": pytest.ExitCode.TESTS_FAILED,
    "raise performance.PerformanceError('at fault')": pytest.ExitCode.TESTS_FAILED,
    "pytest.skip('no key')": pytest.ExitCode.OK,
}


@pytest.mark.parametrize("statement", ENDINGS)
@pytest.mark.parametrize("is_async", [False, True])
def test_what_ends_a_body_for_good_ends_the_load_and_keeps_its_figures(
    run: Run, statement: str, is_async: bool
) -> None:
    began = time.perf_counter()
    session = run(
        f"""
        import asyncio
        import time

        import pytest
        from senytl import performance

        @pytest.mark.load_test(concurrent_users=3, duration=60)
        {"async " * is_async}def test_it(perf):
            if perf.user.number == 1 and perf.user.iteration == 5:
                {statement}
            {"await asyncio" if is_async else "time"}.sleep(0.005)
        """,
        "-p",
        "no:asyncio",
        apart="Keyboard" in statement,
    )
    assert time.perf_counter() - began < 30
    assert session.exit_code == ENDINGS[statement]
    if "skip" in statement:
        session.result.assert_outcomes(skipped=1)
        return
    test = session.tests["test_it"]
    assert test["requests"]["total"] >= 10
    assert test["requests"]["failed"] == 0
    assert test["duration_seconds"] < 10


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ("concurrent_users=3, duration=60", "def test_it(perf): time.sleep(0.01); tell(perf)"),
        ("rate=50, duration=60", "async def test_it(perf): await asyncio.sleep(0.01); tell(perf)"),
    ],
)
def test_ctrl_c_ends_a_load_and_shows_what_there_is(
    pytester: pytest.Pytester, shape: str, body: str
) -> None:
    path = pytester.makepyfile(
        test_it="import asyncio, time, pytest\n"
        "def tell(perf):\n"
        "    if perf.user.iteration == 8: print('it runs', flush=True)\n"
        f"@pytest.mark.load_test({shape})\n{body}\n"
        "def test_after(): pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-s", "-p", "no:asyncio", "-p", "no:cacheprovider",
               "--senytl-perf-report=figures.json", str(path)]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=pytester.path
    ) as child:
        assert child.stdout is not None
        output = ""
        while "it runs" not in output:
            line = child.stdout.readline()
            assert line
            output += line
        pressed = time.perf_counter()
        child.send_signal(signal.SIGINT)
        try:
            output += child.communicate(timeout=20)[0]
        finally:
            child.kill()
    assert time.perf_counter() - pressed < 10
    assert child.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in output
    (test,) = json.loads((pytester.path / "figures.json").read_text())["tests"]
    assert test["requests"]["total"] >= 8
    assert test["requests"]["failed"] == 0
    assert re.search(r"1 test .* requests", output)


def test_goodput_and_slas_hold_for_open_loads(run: Run) -> None:
    session = run(
        """
        import time

        import pytest

        @pytest.mark.load_test(rate=40, duration=0.5, concurrent_users=1)
        @pytest.mark.sla(dropped_starts=2)
        def test_it():
            time.sleep(0.1)
        """,
    )
    session.result.assert_outcomes(failed=1)
    assert "dropped_starts" in session.output
    starts = session.tests["test_it"]["starts"]
    assert starts["dropped"] + session.tests["test_it"]["requests"]["total"] == 20
