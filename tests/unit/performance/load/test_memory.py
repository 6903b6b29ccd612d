from __future__ import annotations

import gc
import tracemalloc

from senytl import performance


def test_a_million_requests_keep_at_most_16_bytes_each() -> None:
    count = 1_000_000

    @performance.load_test(concurrent_users=10, iterations=count // 10)
    def work() -> None: ...

    work()  # whatever is loaded or cached on first use
    gc.collect()
    gc.disable()  # what is not needed must go by itself
    tracemalloc.start()
    try:
        run = work()
        unsorted, peak = tracemalloc.get_traced_memory()
        assert run.p99_latency >= run.p50_latency > 0
        whole = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        gc.enable()
    assert len(run.latencies) == count
    rest = 300_000  # bytes of everything else, however many requests there are
    assert peak < 18 * count + rest  # the users' columns, and the one that they are joined in
    assert unsorted < 8 * count + rest
    assert whole < 16 * count + rest
