"""`async def` tests, with and without a plugin that runs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


def test_without_another_plugin_a_measured_test_gets_a_loop_of_its_own(run: Run) -> None:
    session = run(
        """
        import asyncio, pytest
        from senytl import performance

        @pytest.mark.benchmark(iterations=2)
        async def test_marked(tmp_path):
            await asyncio.sleep(0.01)
            assert tmp_path.exists()

        @performance.load_test(concurrent_users=3)
        async def test_decorated():
            await asyncio.sleep(0.01)

        class TestClass:
            @pytest.mark.parametrize("it", [1])
            async def test_fixture(self, perf, it):
                with perf.measure():
                    await asyncio.sleep(0.01)

        @pytest.mark.sla(max_latency=0.001)
        async def test_violation():
            await asyncio.sleep(0.01)

        async def test_unmarked():
            pass
        """,
        "-p",
        "no:asyncio",
        "-p",
        "no:anyio",
    )
    session.result.assert_outcomes(passed=3, failed=2)
    session.result.stdout.fnmatch_lines(["*async def functions are not natively supported*"])
    assert {name: t["requests"]["total"] for name, t in session.tests.items()} == {
        "test_marked": 2,
        "test_decorated": 3,
        "TestClass::test_fixture[1]": 1,
        "test_violation": 1,
    }
    assert session.tests["test_marked"]["latencies"]["min"] >= 0.01
    assert session.tests["test_violation"]["verdict"] == "failed"


ASYNCIO = """
    import asyncio, pytest, pytest_asyncio
    from senytl import performance

    @pytest_asyncio.fixture
    async def loop():
        yield asyncio.get_running_loop()

    class Meeting:
        def __init__(self):
            self.here = 0

        async def join(self, expected):
            self.here += 1
            async with asyncio.timeout(10):
                while self.here < expected:
                    await asyncio.sleep(0.001)

    meeting = Meeting()

    MARK
    @pytest.mark.load_test(concurrent_users=5)
    async def test_load(loop):
        assert asyncio.get_running_loop() is loop
        await meeting.join(5)

    MARK
    @performance.benchmark(iterations=2)
    async def test_decorated(loop):
        assert asyncio.get_running_loop() is loop
        await asyncio.sleep(0.01)

    MARK
    async def test_fixture(loop, perf):
        with perf.measure():
            await asyncio.sleep(0.01)
        perf.assert_latency_under(0.001)

    @pytest.mark.benchmark(iterations=2)
    def test_sync():
        pass
"""


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_with_pytest_asyncio_users_share_the_loop_of_the_fixtures(run: Run, mode: str) -> None:
    mark = "@pytest.mark.asyncio" if mode == "strict" else ""
    session = run(ASYNCIO.replace("MARK", mark), ini=f"asyncio_mode = {mode}\n")
    session.result.assert_outcomes(passed=3, failed=1)
    assert {name: t["requests"]["total"] for name, t in session.tests.items()} == {
        "test_load": 5,
        "test_decorated": 2,
        "test_fixture": 1,
        "test_sync": 2,
    }
    assert session.tests["test_load"]["requests"]["failed"] == 0
    assert session.tests["test_fixture"]["verdict"] == "failed"


def test_with_anyio_users_share_the_loop_of_the_fixtures(run: Run) -> None:
    session = run(
        """
        import anyio, pytest, sniffio

        pytestmark = pytest.mark.anyio

        @pytest.fixture(params=["asyncio", "trio"])
        def anyio_backend(request):
            return request.param

        @pytest.fixture
        async def started():
            async with anyio.create_task_group() as group:
                event = anyio.Event()
                yield group, event

        class Meeting:
            here = 0

            async def join(self, expected):
                self.here += 1
                with anyio.fail_after(10):
                    while self.here % expected:
                        await anyio.sleep(0.001)

        meeting = Meeting()

        @pytest.mark.load_test(concurrent_users=5)
        async def test_load(started, anyio_backend):
            group, event = started
            group.start_soon(event.set if False else anyio.sleep, 0)
            await meeting.join(5)

        @pytest.mark.benchmark(iterations=2)
        async def test_benchmark(anyio_backend):
            await anyio.sleep(0.01)
        """.replace(", sniffio", ""),
        "-p",
        "no:asyncio",
    )
    session.result.assert_outcomes(passed=4)
    assert {name: t["requests"]["total"] for name, t in session.tests.items()} == {
        "test_load[asyncio]": 5,
        "test_load[trio]": 5,
        "test_benchmark[asyncio]": 2,
        "test_benchmark[trio]": 2,
    }
    assert not any(t["requests"]["failed"] for t in session.tests.values())
