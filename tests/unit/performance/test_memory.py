from __future__ import annotations

import itertools
import math
import mmap
import os
import threading
import time

import psutil
import pytest

from senytl.performance.memory import (
    MemorySampler,
    MemorySnapshot,
    capture_memory_snapshot,
    memory_growth,
)


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
