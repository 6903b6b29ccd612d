"""The pytest plugin: hooks and nothing else.

What a session without a senytl test pays for is imported here, and is light; everything else
loads when the first measured test needs it. The hooks that only the process with the terminal
has (collecting, writing and showing the figures) are those of `session.SessionReport`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from senytl.pytest_plugin import markers, options

if TYPE_CHECKING:
    from senytl.pytest_plugin.fixture import Perf
    from senytl.server import ModelServer

__all__ = ["perf", "senytl_server"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; see `pytest --help`, group senytl."""
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, read the options, and open the session's report."""
    for line in markers.DESCRIPTIONS:
        config.addinivalue_line("markers", line)
    config.stash[options.CONFIG] = settings = options.PluginConfig.from_pytest_config(config)
    if settings.pricing:
        from senytl.performance.pricing import project_prices

        scope = ExitStack()
        scope.enter_context(project_prices(settings.pricing))
        config.add_cleanup(scope.close)
    if config.option.senytl_perf_plan:
        from senytl.pytest_plugin.plans import ShownPlans

        config.pluginmanager.register(ShownPlans(), "senytl-plans")
    if settings.dollars is not None and not config.option.collectonly:
        from senytl.pytest_plugin.spending import SessionSpending

        config.pluginmanager.register(SessionSpending(config, settings.dollars), "senytl-spending")
    if not hasattr(config, "workerinput"):
        from senytl.pytest_plugin.session import SessionReport

        config.pluginmanager.register(SessionReport(config, settings), "senytl-report")
        if settings.record != "none":
            from senytl.pytest_plugin.recorded import RecordedFiles

            config.pluginmanager.register(RecordedFiles(config), "senytl-recorded")


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Read the test's marks, and leave to other plugins only what is theirs."""
    if isinstance(item, pytest.Function):
        markers.plan_test(item)
        markers.plan_recording(item)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse the session if a test that would run cannot be measured as it is marked."""
    markers.refuse_bad_marks(config, items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Forget an earlier attempt at the same test."""
    markers.forget_attempt(item)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Measure the test's function."""
    __tracebackhide__ = True
    with markers.own_current_metrics():
        if not isinstance(item, pytest.Function) or not markers.is_measured(item):
            return (yield)
        from senytl.pytest_plugin.measuring import measured_call

        with measured_call(item):
            return (yield)


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a measured `async def` test that no other plugin runs."""
    if not markers.is_measured(pyfuncitem):
        return None
    from senytl.pytest_plugin.measuring import run_unclaimed_coroutine

    return run_unclaimed_coroutine(pyfuncitem)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the figures on the report of the call, which also carries them out of a worker."""
    report = yield
    if call.when == "call" and isinstance(item, pytest.Function) and markers.is_measured(item):
        from senytl.pytest_plugin.measuring import attach_figures

        attach_figures(item, report)
    return report


@pytest.fixture
def perf(request: pytest.FixtureRequest) -> Perf:
    """This test's measurement: the `performance` functions bound to it, and more.

    `perf.metrics` are its figures, `perf.measure()` makes a block a request of its own, and
    `perf.sla(p95_latency=2.0)` states limits. A test that uses it is measured.
    """
    from senytl.pytest_plugin.fixture import Perf
    from senytl.pytest_plugin.measuring import Attempt

    return Perf(Attempt.at(request.node))


@pytest.fixture
def senytl_server() -> Iterator[ModelServer]:
    """A model server on 127.0.0.1, for an agent in another process.

    `senytl_server.mock("gpt-4o").respond("Hello!")` states what it answers, `senytl_server.env`
    are the environment variables that lead the agent's SDKs to it, `senytl_server.calls` are the
    calls that it answered. In a measured test the agent's tokens and dollars count.
    """
    from senytl.pytest_plugin.serving import running_server

    yield from running_server()
