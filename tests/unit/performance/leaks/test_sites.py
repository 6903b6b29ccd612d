"""The lines that leak: found among what does not, and told by the user's own line."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import logging
import math
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from senytl.performance.leaks.further_tasks import further_rounds_in_tasks
from senytl.performance.leaks.further_threads import further_rounds_in_threads
from senytl.performance.leaks.sites import (
    Frame,
    Held,
    LeakSite,
    Mark,
    TracemallocSites,
    explained,
    rank_sites,
)
from senytl.performance.run import Run
from senytl.performance.user import CurrentUser

ROUND = 50


def find(body: Callable[[], object], finder: TracemallocSites | None = None) -> list[LeakSite]:
    """The sites of a body that is run in this thread, in four rounds."""
    finder = finder or TracemallocSites()
    finder.start()
    finder.mark(0)
    for number in range(1, 5):
        for _ in range(ROUND):
            body()
        gc.collect()
        finder.mark(number * ROUND)
    return finder.stop()


def line_of(function: Callable[..., Any], marker: str) -> int:
    """The number of the function's line that ends in a comment."""
    lines, first = inspect.getsourcelines(function)
    return next(first + place for place, line in enumerate(lines) if line.endswith(f"# {marker}\n"))


def places(sites: list[LeakSite]) -> list[tuple[str, int]]:
    return [(Path(site.location.file).name, site.location.line) for site in sites]


@pytest.fixture(autouse=True)
def _untraced() -> Iterator[None]:
    """No test leaves the process traced."""
    assert not tracemalloc.is_tracing()
    yield
    left = tracemalloc.is_tracing()
    tracemalloc.stop()
    assert not left


@pytest.fixture
def library(tmp_path: Path) -> ModuleType:
    """A module that lies where installed ones do, and keeps what it is told to."""
    folder = tmp_path / "lib" / "site-packages"
    folder.mkdir(parents=True)
    path = folder / "keeper.py"
    path.write_text(
        "kept = []\n"
        "def keep(size):\n"
        "    kept.append(bytearray(size))\n"
        "def deeply(size, depth):\n"
        "    return deeply(size, depth - 1) if depth else keep(size)\n"
        "def call(function):\n"
        "    return function()\n"
    )
    module = ModuleType("keeper")
    exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
    return module


class Noise:
    """What an agent does beside leaking, as much in every round, and more of it at first."""

    def __init__(self) -> None:
        self.requests = count()
        self.cache: dict[int, bytes] = {}
        self.ring: list[Any] = [None] * 30
        self.log = logging.Logger("noise")
        self.log.addHandler(logging.NullHandler())

    def __call__(self) -> None:
        request = next(self.requests)
        self.cache.setdefault(request % 90, b"x" * (20_000 + request % 90))
        self.ring[request % 30] = json.loads(json.dumps({"text": "x" * 2_000, "all": [1.5] * 100}))
        circle: list[Any] = ["x" * 50_000]
        circle.append(circle)
        self.log.warning("request %d", request)


@pytest.mark.parametrize("size", [100, 1_000, 10_000, 100_000])
def test_the_line_that_leaks_comes_first_among_caches_and_garbage(size: int) -> None:
    kept, noise = [], Noise()

    def body() -> None:
        noise()
        kept.append(bytes(size))  # leaks

    site = find(body)[0]

    assert places([site]) == [(Path(__file__).name, line_of(body, "leaks"))]
    assert site.location.source == "kept.append(bytes(size))  # leaks"
    assert size + 20 < site.bytes_per_request < size * 1.05 + 60
    assert site.blocks_per_request == pytest.approx(1, abs=0.05)


def test_what_keeps_nothing_has_no_site() -> None:
    sites = find(Noise())

    assert [site for site in sites if site.bytes_per_request < 500] == []
    assert {site.location.source.partition(".")[0] for site in sites} <= {"self"}  # the full cache


def test_a_leak_at_every_tenth_request_is_found() -> None:
    requests, kept = count(), []

    def body() -> None:
        if next(requests) % 10 == 0:
            kept.append(bytes(5_000))  # leaks

    (site,) = find(body)

    assert site.location.line == line_of(body, "leaks")
    assert site.blocks_per_request == pytest.approx(0.1, abs=0.02)


def test_growth_that_goes_on_comes_before_greater_growth_that_has_ended() -> None:
    requests, kept = count(), []

    def body() -> None:
        if next(requests) == 3 * ROUND:
            kept.append(bytes(1_000_000))  # once
        kept.append(bytes(200))  # leaks

    first, second = find(body)

    assert first.location.line == line_of(body, "leaks")
    assert second.location.line == line_of(body, "once")


def test_the_first_round_counts_as_warm_up() -> None:
    requests, cache = count(), {}

    def body() -> None:
        if (request := next(requests)) < ROUND:
            cache[request] = bytes(10_000)

    assert find(body) == []


def test_a_leak_inside_a_library_is_at_the_users_line(library: ModuleType) -> None:
    def body() -> None:
        library.deeply(3_000, 5)  # leaks

    (site,) = find(body)

    assert site.location.line == line_of(body, "leaks")
    assert site.bytes_per_request == pytest.approx(3_060, rel=0.05)
    assert Path(site.frames[-1].file).name == "keeper.py"
    assert site.frames[-1].source == "kept.append(bytearray(size))"


def test_code_that_a_library_calls_back_is_the_users(library: ModuleType) -> None:
    kept = []

    def body() -> None:
        def callback() -> None:
            kept.append(bytes(1_000))  # leaks

        library.call(callback)

    (site,) = find(body)

    assert site.location.line == line_of(body, "leaks")


def test_a_line_that_allocates_by_several_ways_is_one_site(library: ModuleType) -> None:
    depths = count()

    def body() -> None:
        library.deeply(2_000, next(depths) % 5)  # leaks

    (site,) = find(body)

    assert site.location.line == line_of(body, "leaks")
    assert site.bytes_per_request == pytest.approx(2_060, rel=0.1)


def test_a_deep_stack_is_kept_to_its_innermost_calls() -> None:
    kept = []

    def descend(depth: int) -> None:
        if depth:
            descend(depth - 1)
        else:
            kept.append(bytes(1_000))  # leaks

    (site,) = find(lambda: descend(60))

    assert site.location.line == line_of(descend, "leaks")
    assert 20 <= len(site.frames) <= 40


def test_a_buffer_that_grows_in_steps_is_found() -> None:
    buffer = bytearray(500_000)

    def body() -> None:
        buffer.extend(b"x" * 400)  # leaks

    assert line_of(body, "leaks") in [site.location.line for site in find(body)]


class TestInRounds:
    """In the rounds that senytl runs, whose own frames and records do not show."""

    def between(self, run: Run, finder: TracemallocSites) -> Callable[[int], bool]:
        def mark(requests: int) -> bool:
            run.read_calls()
            gc.collect()
            finder.mark(requests)
            return True

        return mark

    def find_in_threads(self, body: Callable[[], object]) -> list[LeakSite]:
        run, finder = Run("work", "load_test", concurrent_users=4), TracemallocSites()
        finder.start()
        further_rounds_in_threads(
            run,
            [CurrentUser(number) for number in range(4)],
            body,
            requests=4 * ROUND,
            rounds=4,
            seconds=30,
            between=self.between(run, finder),
        )
        return finder.stop()

    def find_in_tasks(self, body: Callable[[], Any]) -> list[LeakSite]:
        async def main() -> list[LeakSite]:
            run, finder = Run("work", "load_test", concurrent_users=4), TracemallocSites()
            finder.start()
            await further_rounds_in_tasks(
                run,
                [CurrentUser(number) for number in range(4)],
                body,
                requests=4 * ROUND,
                rounds=4,
                seconds=30,
                between=self.between(run, finder),
            )
            sites = finder.stop()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            return sites

        return asyncio.run(main())

    def test_users_in_threads_show_the_users_code_alone(self) -> None:
        kept = []

        def body() -> None:
            kept.append(bytes(1_000))  # leaks

        (site,) = self.find_in_threads(body)

        assert [(frame.file, frame.line) for frame in site.frames] == [
            (__file__, line_of(body, "leaks"))
        ]

    def test_what_senytl_keeps_is_no_site(self) -> None:
        def body() -> None:
            sum(range(100))

        assert self.find_in_threads(body) == []

    def test_a_body_of_a_librarys_is_at_the_librarys_line(self, library: ModuleType) -> None:
        (site,) = self.find_in_threads(lambda: library.keep(1_000))
        body_line = site.location

        assert Path(body_line.file) == Path(__file__)

        (site,) = self.find_in_threads(_partial(library.keep, 1_000))

        assert Path(site.location.file).name == "keeper.py"
        assert {Path(frame.file).name for frame in site.frames} == {"keeper.py"}

    def test_tasks_and_futures_that_never_end_are_at_the_lines_that_make_them(self) -> None:
        tasks: set[asyncio.Task[None]] = set()

        async def watch(text: str) -> None:
            future = asyncio.get_running_loop().create_future()
            future.add_done_callback(lambda _: text)
            await future

        async def body() -> None:
            tasks.add(asyncio.create_task(watch("x" * 300)))  # leaks
            await asyncio.sleep(0)

        sites = self.find_in_tasks(body)

        assert line_of(body, "leaks") in [site.location.line for site in sites]
        assert {site.location.file for site in sites} == {__file__}
        assert {site.frames[0].file for site in sites} == {__file__}

    def test_closures_in_a_list_of_callbacks_are_found_in_tasks(self) -> None:
        callbacks: list[Callable[[], str]] = []

        async def body() -> None:
            await asyncio.sleep(0)
            text = f"{len(callbacks):>500}"  # leaks
            callbacks.append(lambda: text)

        site = self.find_in_tasks(body)[0]

        assert site.location.line == line_of(body, "leaks")
        assert [frame.file for frame in site.frames] == [__file__]


def _partial(function: Callable[[int], None], size: int) -> Callable[[], None]:
    from functools import partial

    return partial(function, size)


class TestAProgramThatTraces:
    def test_goes_on_with_the_depth_that_it_has(self) -> None:
        kept = []

        def outer() -> None:
            kept.append(bytes(1_000))  # leaks

        tracemalloc.start(2)
        mine = bytearray(5_000)
        (site,) = find(outer)

        assert tracemalloc.is_tracing()
        assert tracemalloc.get_traceback_limit() == 2
        assert tracemalloc.get_object_traceback(mine) is not None
        assert (site.location.line, len(site.frames)) == (line_of(outer, "leaks"), 2)
        tracemalloc.stop()

    def test_may_end_its_tracing_in_between(self) -> None:
        finder = TracemallocSites()
        finder.start()
        finder.mark(0)
        tracemalloc.stop()
        finder.mark(10)

        assert finder.stop() == []


class TestTheLifeOfAFinder:
    def test_it_leaves_no_trace(self) -> None:
        finder = TracemallocSites()
        finder.start()
        assert tracemalloc.is_tracing()
        finder.stop()

        assert not tracemalloc.is_tracing()

    @pytest.mark.parametrize("marks", [[], [0], [0, 0], [50, 50]])
    def test_too_few_marks_have_no_sites(self, marks: list[int]) -> None:
        finder = TracemallocSites()
        finder.start()
        for requests in marks:
            finder.mark(requests)

        assert finder.stop() == []

    def test_stopping_what_was_not_started_does_nothing(self) -> None:
        finder = TracemallocSites()
        finder.mark(5)

        assert finder.stop() == []
        assert finder.stop() == []

    def test_three_marks_are_enough(self) -> None:
        kept: list[bytes] = []
        finder = TracemallocSites()
        finder.start()
        for requests in (0, 20, 40):
            finder.mark(requests)
            kept.extend(bytes(1_000) for _ in range(20))

        assert finder.stop()[0].bytes_per_request == pytest.approx(1_033, rel=0.05)

    def test_it_gives_as_many_sites_as_it_was_asked_for(self) -> None:
        kept: list[bytes] = []

        def body() -> None:
            kept.append(bytes(4_000))  # first
            kept.append(bytes(3_000))  # second
            kept.append(bytes(2_000))
            kept.append(bytes(1_000))

        sites = find(body, TracemallocSites(top=2))

        assert [site.location.line for site in sites] == [
            line_of(body, "first"),
            line_of(body, "second"),
        ]


class TestRanking:
    """By hand, with names of files for tracebacks."""

    def rank(self, *marks: dict[str, int]) -> list[LeakSite]:
        return rank_sites(
            [
                Mark(number * 100, {name: Held(size, size // 100) for name, size in mark.items()})
                for number, mark in enumerate(marks)
            ],
            lambda name: [(f"/app/{name}.py", 1, "")],
        )

    def test_lines_are_ordered_by_the_leanest_stretch(self) -> None:
        filling = {"cache": 0, "leak": 0}, {"cache": 90_000, "leak": 20_000}
        sites = self.rank(*filling, {"cache": 100_000, "leak": 40_000})

        assert [site.location.file for site in sites] == ["/app/leak.py", "/app/cache.py"]

    def test_a_quarter_of_many_marks_is_warm_up(self) -> None:
        marks = [{"warm": min(number, 3) * 50_000, "leak": number * 1_000} for number in range(13)]
        (site,) = self.rank(*marks)

        assert site.location.file == "/app/leak.py"
        assert site.bytes_per_request == 10.0

    def test_lines_that_shrink_are_none(self) -> None:
        assert self.rank({"a": 50_000}, {"a": 20_000}, {"a": 30_000}) == []

    def test_what_is_less_than_an_entry_of_a_list_is_none(self) -> None:
        assert self.rank({"a": 0}, {"a": 700}, {"a": 1_400}) == []

    def test_figures_are_those_of_all_requests(self) -> None:
        (site,) = self.rank({"a": 0}, {"a": 10_000}, {"a": 40_000})

        assert (site.bytes_per_request, site.blocks_per_request) == (200.0, 2.0)


class TestExplained:
    sites = tuple(LeakSite(size, 1.0, (Frame("a.py", 1),)) for size in (300.0, 100.0))

    def test_it_is_the_share_that_the_sites_account_for(self) -> None:
        assert explained(self.sites, 800.0) == 0.5
        assert explained([], 800.0) == 0.0

    @pytest.mark.parametrize("growth", [math.nan, 0.0, -5.0])
    def test_it_is_unknown_where_growth_is(self, growth: float) -> None:
        assert math.isnan(explained(self.sites, growth))


def test_a_background_thread_of_the_users_is_at_its_own_line() -> None:
    kept = []

    def work() -> None:
        kept.append(bytes(2_000))  # leaks

    def body() -> None:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    sites = find(body)

    assert sites[0].location.line == line_of(work, "leaks")
    assert sites[0].frames[0].file == __file__


def test_the_location_without_code_of_the_users_is_the_innermost_line() -> None:
    frames = tuple(Frame(f"{sys.prefix}/lib/site-packages/{name}.py", 1) for name in "ab")

    assert LeakSite(1.0, 1.0, frames).location is frames[-1]
