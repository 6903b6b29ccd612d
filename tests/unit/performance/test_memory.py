from __future__ import annotations

import gc
import itertools
import math
import mmap
import os
import sys
import threading
import time
from collections.abc import Callable

import psutil
import pytest

from senytl.models import MisuseError
from senytl.performance.memory import (
    MemorySampler,
    MemorySnapshot,
    capture_memory_snapshot,
    memory_growth,
)

from .conftest import GrowingAgent


def _snapshots(*rss: float) -> list[MemorySnapshot]:
    return [MemorySnapshot(value, 0.0, 0.0, float(at)) for at, value in enumerate(rss)]


class TestSnapshot:
    def test_reads_this_process_in_mb_of_two_to_the_twentieth(self) -> None:
        before = time.time()
        snapshot = capture_memory_snapshot()
        after = time.time()
        memory = psutil.Process().memory_info()

        assert snapshot.rss_mb == pytest.approx(memory.rss / 2**20, rel=0.1)
        assert snapshot.vms_mb == pytest.approx(memory.vms / 2**20, rel=0.1)
        assert snapshot.percent == pytest.approx(psutil.Process().memory_percent(), rel=0.1)
        assert before <= snapshot.timestamp <= after

    def test_sees_memory_that_was_taken(self) -> None:
        before = capture_memory_snapshot()
        # Pages that nobody had before: an allocator may hand out what was freed earlier.
        with mmap.mmap(-1, 50 * 2**20) as taken:
            taken.write(b"x" * len(taken))
            after = capture_memory_snapshot()

        assert after.rss_mb - before.rss_mb >= 45

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_a_forked_process_reads_its_own(self) -> None:
        capture_memory_snapshot()
        reader, writer = os.pipe()
        child = os.fork()
        if not child:  # pragma: no cover  # in the other process
            taken = b"x" * (50 * 2**20)
            os.write(writer, f"{capture_memory_snapshot().rss_mb} {len(taken)}".encode())
            os._exit(0)
        os.waitpid(child, 0)
        rss_mb = float(os.read(reader, 100).split()[0])
        os.close(reader)
        os.close(writer)

        assert rss_mb > 50
        assert rss_mb != capture_memory_snapshot().rss_mb

    def test_reads_another_process(self, agent: GrowingAgent) -> None:
        before = capture_memory_snapshot(agent.pid)
        agent.keep(50)
        after = capture_memory_snapshot(agent.pid)

        assert after.rss_mb - before.rss_mb == pytest.approx(50, abs=5)
        assert after.rss_mb == pytest.approx(agent.rss_mb, rel=0.05)
        assert after.vms_mb >= after.rss_mb
        assert after.percent == pytest.approx(psutil.Process(agent.pid).memory_percent(), rel=0.05)

    def test_adds_all_descendants_where_asked_for(self, agent: GrowingAgent) -> None:
        agent.start_child(60)
        alone = capture_memory_snapshot(agent.pid)
        together = capture_memory_snapshot(agent.pid, children=True)
        of_this = capture_memory_snapshot(children=True)
        agent.end_child()

        assert together.rss_mb - alone.rss_mb > 60
        assert of_this.rss_mb > together.rss_mb + 5  # this process, its child and grandchild
        after = capture_memory_snapshot(agent.pid, children=True)
        assert after.rss_mb == pytest.approx(alone.rss_mb, rel=0.1)

    def test_leaves_out_a_descendant_that_ends_while_it_reads(
        self, agent: GrowingAgent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        find = psutil.Process.children

        def find_and_lose(process: psutil.Process, recursive: bool = False) -> object:
            found = find(process, recursive=recursive)
            assert found
            agent.end_child()
            return found

        agent.start_child(60)
        monkeypatch.setattr(psutil.Process, "children", find_and_lose)
        snapshot = capture_memory_snapshot(agent.pid, children=True)

        assert snapshot.rss_mb == pytest.approx(agent.rss_mb, rel=0.1)

    @pytest.mark.parametrize("pid", [0, -1, True, 1.5, "12"])
    def test_a_pid_that_makes_no_sense(self, pid: int) -> None:
        with pytest.raises(MisuseError, match=rf"pid is {pid!r}; it must be the number of a proc"):
            capture_memory_snapshot(pid)

    @pytest.mark.parametrize("pid", [2**31 - 1, 2**70])
    def test_a_process_that_does_not_exist(self, pid: int) -> None:
        with pytest.raises(MisuseError, match=f"there is no process {pid}, or it has ended"):
            capture_memory_snapshot(pid)

    def test_a_process_that_has_ended(self, agent: GrowingAgent) -> None:
        agent.end_unnoticed()
        with pytest.raises(MisuseError, match=f"process {agent.pid}.* has ended"):
            capture_memory_snapshot(agent.pid)
        agent.end()
        with pytest.raises(MisuseError, match=f"there is no process {agent.pid}"):
            capture_memory_snapshot(agent.pid)

    def test_a_process_that_may_not_be_read(
        self, agent: GrowingAgent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Which processes those are differs by platform and user; what psutil then does is the same.
        def refuse(process: psutil.Process) -> object:
            raise psutil.AccessDenied(process.pid)

        monkeypatch.setattr(psutil.Process, "memory_info", refuse)
        with pytest.raises(MisuseError, match=f"process {agent.pid} may not be read by this user"):
            capture_memory_snapshot(agent.pid)


class TestGrowth:
    def test_is_the_last_tenth_against_the_first(self) -> None:
        rss = [100.0, 110.0, *[500.0] * 16, 120.0, 132.0]

        assert memory_growth(_snapshots(*rss)) == pytest.approx(0.2)

    def test_takes_one_snapshot_at_least(self) -> None:
        assert memory_growth(_snapshots(100.0, 130.0)) == pytest.approx(0.3)

    def test_is_negative_where_memory_shrank(self) -> None:
        assert memory_growth(_snapshots(100.0, 80.0)) == pytest.approx(-0.2)

    def test_is_unknown_for_fewer_than_two(self) -> None:
        assert memory_growth([]) is None
        assert memory_growth(_snapshots(100.0)) is None

    def test_of_snapshots_of_nothing(self) -> None:
        assert memory_growth(_snapshots(0.0, 0.0)) == 0.0
        assert memory_growth(_snapshots(0.0, 1.0)) == math.inf


class TestSampler:
    def test_samples_at_start_in_between_and_at_the_stop(self) -> None:
        sampler = MemorySampler(interval=0.01)
        started = time.time()
        sampler.start()
        time.sleep(0.3)
        stopping = time.time()
        snapshots = sampler.stop()

        assert 5 <= len(snapshots) <= 35
        assert started <= snapshots[0].timestamp <= started + 0.1
        assert snapshots[-1].timestamp >= stopping
        assert all(a.timestamp <= b.timestamp for a, b in itertools.pairwise(snapshots))

    def test_holds_the_first_and_the_last_even_of_no_time_at_all(self) -> None:
        sampler = MemorySampler(interval=60.0)
        sampler.start()

        assert len(sampler.stop()) == 2

    def test_stops_at_once_and_leaves_no_thread(self) -> None:
        before = threading.active_count()
        sampler = MemorySampler(interval=60.0)
        sampler.start()
        start = time.monotonic()
        sampler.stop()

        assert time.monotonic() - start < 5
        assert threading.active_count() == before

    def test_its_thread_does_not_keep_the_process_alive(self) -> None:
        sampler = MemorySampler()
        sampler.start()

        (thread,) = [one for one in threading.enumerate() if one.name == "senytl-memory"]
        assert thread.daemon
        sampler.stop()

    def test_stays_below_its_limit_and_evenly_spaced(self) -> None:
        sampler = MemorySampler(interval=0.002, limit=20)
        started = time.time()
        sampler.start()
        time.sleep(0.6)
        snapshots = sampler.stop()
        gaps = [b.timestamp - a.timestamp for a, b in itertools.pairwise(snapshots)]

        assert 8 <= len(snapshots) <= 20
        assert snapshots[0].timestamp <= started + 0.1
        # 300 samples were due; all but the last, which the stop took, are as far apart as any.
        # The middle one of the gaps tells, since a busy machine may delay a sample or two.
        middle = sorted(gaps[:-1])[len(gaps[:-1]) // 2]
        assert middle == pytest.approx(0.6 / len(gaps), rel=0.6)
        assert max(gaps) < 0.3

    def test_samples_asked_for_by_hand_do_not_slow_it_down(self) -> None:
        sampler = MemorySampler(interval=0.02, limit=50)
        sampler.start()
        for _ in range(500):
            sampler.sample()
        assert len(sampler.snapshots) <= 50
        before = len(sampler.snapshots)
        time.sleep(0.4)
        added = len(sampler.stop()) - before

        assert added >= 5  # 20 were due, and 3 if the interval had doubled with every thinning

    def test_a_sample_asked_for_is_the_latest(self) -> None:
        sampler = MemorySampler(interval=60.0)
        sampler.start()
        before = time.time()
        sampler.sample()

        assert [snapshot.timestamp >= before for snapshot in sampler.snapshots] == [False, True]
        sampler.stop()

    def test_stopping_again_gives_the_same(self) -> None:
        sampler = MemorySampler(interval=60.0)
        sampler.start()

        assert sampler.stop() == sampler.stop()

    def test_lives_once(self) -> None:
        sampler = MemorySampler(interval=60.0)
        with pytest.raises(RuntimeError, match="never started"):
            sampler.stop()
        sampler.start()
        sampler.stop()
        with pytest.raises(RuntimeError, match="make a new one"):
            sampler.start()

    @pytest.mark.parametrize("interval", [0, -1.0, math.inf, math.nan])
    def test_an_interval_that_makes_no_sense(self, interval: float) -> None:
        with pytest.raises(ValueError, match="interval="):
            MemorySampler(interval=interval)

    def test_a_limit_that_makes_no_sense(self) -> None:
        with pytest.raises(ValueError, match="limit=3 must be 4"):
            MemorySampler(limit=3)

    @pytest.mark.parametrize("limit", [100, 10_000])
    def test_allocates_nothing_that_lasts(self, limit: int) -> None:
        sampler = MemorySampler(interval=60.0, limit=limit)
        sampler.start()
        for _ in range(300):  # whatever is made once, and the first times that samples are dropped
            sampler.sample()
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(3000):
            sampler.sample()
        gc.collect()
        grew = sys.getallocatedblocks() - before
        sampler.stop()

        assert grew < 60  # other threads of the session may have some

    def test_gives_new_lists_of_equal_samples(self) -> None:
        sampler = MemorySampler(interval=60.0)
        sampler.start()
        first, second = sampler.snapshots, sampler.snapshots
        sampler.stop()

        assert first == second
        assert first is not second


class TestSamplerOfAnotherProcess:
    def test_sees_an_agent_grow(self, agent: GrowingAgent) -> None:
        sampler = MemorySampler(interval=0.01, pid=agent.pid)
        sampler.start()
        for _ in range(4):
            agent.keep(10)
            time.sleep(0.03)
        snapshots = sampler.stop()

        assert snapshots[-1].rss_mb - snapshots[0].rss_mb == pytest.approx(40, abs=4)
        assert snapshots[-1].rss_mb == pytest.approx(agent.rss_mb, rel=0.05)
        seen = {round((one.rss_mb - snapshots[0].rss_mb) / 10) for one in snapshots}
        assert len(seen) >= 4  # the steps in between too

    def test_sees_children_come_and_go(self, agent: GrowingAgent) -> None:
        sampler = MemorySampler(interval=0.01, pid=agent.pid, children=True)
        sampler.start()
        agent.start_child(80)
        found = _sampled_until(sampler, lambda rss: rss > agent.rss_mb + 80)
        agent.end_child()
        sampler.sample()
        snapshots = sampler.stop()

        assert found
        assert snapshots[0].rss_mb == pytest.approx(snapshots[-1].rss_mb, abs=5)

    @pytest.mark.parametrize("unnoticed", [False, True])
    def test_ends_quietly_with_the_process(self, agent: GrowingAgent, unnoticed: bool) -> None:
        sampler = MemorySampler(interval=0.01, pid=agent.pid)
        sampler.start()
        sampler.sample()
        if unnoticed:
            agent.end_unnoticed()
        else:
            agent.end()
        ended = time.time()
        time.sleep(0.1)
        sampler.sample()
        snapshots = sampler.stop()

        assert len(snapshots) >= 2
        assert all(one.rss_mb > 1 for one in snapshots)
        assert snapshots[-1].timestamp <= ended

    def test_switches_to_a_process_and_drops_what_was_of_another(self, agent: GrowingAgent) -> None:
        sampler = MemorySampler(interval=60.0)
        sampler.start()
        sampler.sample()

        assert sampler.watch(agent.pid, False)
        (first,) = sampler.snapshots
        assert first.rss_mb == pytest.approx(agent.rss_mb, rel=0.05)
        assert not sampler.watch(agent.pid, False)
        assert sampler.snapshots == [first]
        assert sampler.watch(None, False)
        assert sampler.stop()[0].rss_mb == pytest.approx(capture_memory_snapshot().rss_mb, rel=0.1)

    def test_goes_on_with_another_process_after_one_has_ended(self, agent: GrowingAgent) -> None:
        sampler = MemorySampler(interval=0.01, pid=agent.pid)
        sampler.start()
        agent.end()
        sampler.sample()
        sampler.watch(None, False)
        time.sleep(0.1)

        assert len(sampler.stop()) >= 4

    def test_a_bad_process_changes_nothing(self) -> None:
        sampler = MemorySampler(interval=60.0)
        sampler.start()
        with pytest.raises(MisuseError, match="there is no process"):
            sampler.watch(2**31 - 1, False)
        with pytest.raises(MisuseError, match="there is no process"):
            MemorySampler(pid=2**31 - 1)

        assert len(sampler.stop()) == 2

    def test_once_stopped_the_samples_stay(self, agent: GrowingAgent) -> None:
        sampler = MemorySampler(interval=60.0)
        sampler.start()
        snapshots = sampler.stop()

        assert not sampler.watch(agent.pid, False)
        assert sampler.snapshots == snapshots


def _sampled_until(sampler: MemorySampler, holds: Callable[[float], bool]) -> bool:
    """Whether a sample came for which this holds, within some seconds."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if any(holds(one.rss_mb) for one in sampler.snapshots):
            return True
        time.sleep(0.02)
    return False
