from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from senytl.performance.leaks.detector import Finding, LeakLimits, confirm, examine
from senytl.performance.leaks.readings import Reading

KB, MB = 2**10, 2**20
LIMITS = LeakLimits()
ROUNDS = 30

Levels = Callable[[float], float]
"""What is in use after so many requests."""


def read(
    requests: int = 1200,
    *,
    heap: Levels = lambda at: 0.0,
    blocks: Levels = lambda at: 0.0,
    pages: Levels = lambda at: 0.0,
    after: float = 0.0,
    noise: float = 0.0,
    noise_of_blocks: float = 0.0,
    seed: int = 1,
    base: float = 80 * MB,
) -> list[Reading]:
    """Readings of rounds, in which memory goes on from what it was after some requests."""
    rng = random.Random(seed)
    readings = []
    for number in range(1 if not after else 0, ROUNDS + 1):
        done = number * requests / ROUNDS
        uss = base + pages(after + done)
        readings.append(
            Reading(
                done,
                5 * MB + heap(after + done) + rng.uniform(-noise, noise),
                100_000 + blocks(after + done) + rng.uniform(-noise_of_blocks, noise_of_blocks),
                uss + 20 * MB,
                uss,
            )
        )
    return readings


def judge(
    requests: int = 1200, *, limits: LeakLimits = LIMITS, seed: int = 1, **levels: Any
) -> Finding:
    """What comes of a run and, where that leaves doubt, of as many requests again."""
    first = examine(read(requests, seed=seed, **levels), limits)
    if first.outcome == "stable":
        return first
    further = read(requests, after=requests, seed=seed + 1000, **levels)
    return confirm(first, further, limits)


def fills(share: float, each: float, requests: int = 1200) -> Levels:
    return lambda at: each * min(at, share * requests)


def climbs(each: float, every: int = 1) -> Levels:
    return lambda at: each * every * (at // every)


def table(entries: float) -> float:
    """A dict's table, which doubles."""
    return 36.0 * 2.0 ** math.ceil(math.log2(max(8.0, 1.5 * entries)))


def seen_of(keys: int, seed: int) -> Levels:
    """How many of so many keys that come at random have come after so many requests."""
    rng = random.Random(seed)
    seen: set[int] = set()
    counts = [0]
    for _ in range(10_000):
        seen.add(rng.randrange(keys))
        counts.append(len(seen))
    return lambda at: counts[round(at)]


@pytest.mark.parametrize("requests", [1200, 5000])
@pytest.mark.parametrize("each", [80, 200, 1_100, 100_000])
def test_a_steady_leak_of_the_heap_is_found(each: float, requests: int) -> None:
    found = judge(requests, heap=climbs(each), noise=2_000, noise_of_blocks=20)

    assert (found.outcome, found.signal) == ("leak", "heap")
    assert found.bytes_per_request == pytest.approx(each, rel=0.1)
    assert ", steadily over " in found.why


@pytest.mark.parametrize("every", [1, 10, 50, 100])
def test_a_leak_at_one_request_in_many_is_found(every: int) -> None:
    for seed in range(10):
        found = judge(heap=climbs(100, every), seed=seed, noise=2_000)

        assert found.outcome == "leak", found
        assert found.bytes_per_request == pytest.approx(100, rel=0.25)


def test_small_objects_are_found_by_their_number() -> None:
    found = judge(blocks=climbs(1.0), noise=10_000, noise_of_blocks=50)

    assert (found.outcome, found.signal) == ("leak", "blocks")
    assert found.blocks_per_request == pytest.approx(1.0, rel=0.1)
    assert "1.0 objects a request" in found.why
    assert math.isnan(found.bytes_per_request) or found.bytes_per_request == 0


def test_noise_of_readings_hides_no_leak() -> None:
    outcomes = [
        judge(heap=climbs(100), noise=10_000, noise_of_blocks=50, seed=seed).outcome
        for seed in range(60)
    ]

    assert outcomes.count("leak") >= 59


def test_noise_of_readings_is_no_leak() -> None:
    outcomes = [judge(noise=10_000, noise_of_blocks=50, seed=seed).outcome for seed in range(100)]

    assert outcomes.count("leak") == 0
    assert outcomes.count("stable") >= 98


def test_a_table_that_doubles_hides_no_leak_and_is_none() -> None:
    leaking = judge(heap=lambda at: 600 * at + table(at), noise=2_000)
    filled = judge(heap=lambda at: table(min(at, 700)), noise=2_000)

    assert leaking.outcome == "leak"
    assert leaking.bytes_per_request == pytest.approx(600, rel=0.05)
    assert filled.outcome == "stable"


@settings(max_examples=60, deadline=None)
@given(share=st.floats(0.02, 1.6), each=st.integers(100, 50_000), seed=st.integers(0, 10_000))
def test_a_cache_that_fills_is_no_leak_whenever_it_has_filled(
    share: float, each: int, seed: int
) -> None:
    size = 1200 * share * each
    found = judge(
        heap=fills(share, each), blocks=fills(share, 1), noise=2_000, noise_of_blocks=15,
        pages=fills(share, each), base=max(80 * MB, 6 * size), seed=seed,
    )  # fmt: skip

    assert found.outcome != "leak", found


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9, 1.2])
def test_a_cache_that_has_filled_is_stable_in_the_end(share: float) -> None:
    found = judge(heap=fills(share, 2_000), blocks=fills(share, 2), noise=2_000)

    assert found.outcome == "stable", found


def test_a_cache_that_has_not_filled_looks_like_a_leak_until_more_requests_tell() -> None:
    readings = read(heap=fills(1.2, 2_000))

    assert examine(readings, LIMITS).outcome == "leak"
    assert judge(heap=fills(1.2, 2_000)).outcome == "stable"


@pytest.mark.parametrize("keys", [120, 300, 600, 1200])
def test_a_cache_whose_keys_come_at_random_is_no_leak(keys: int) -> None:
    for seed in range(12):
        count = seen_of(keys, seed)
        found = judge(
            heap=lambda at, count=count: 1_000 * count(at) + table(count(at)),
            blocks=count,
            noise=2_000,
            noise_of_blocks=15,
            seed=seed,
        )
        assert found.outcome != "leak", found


@settings(max_examples=80, deadline=None)
@given(period=st.integers(3, 1_150), each=st.integers(100, 5_000), start=st.integers(0, 2_000))
def test_a_buffer_that_is_cleared_is_no_leak(period: int, each: int, start: int) -> None:
    found = judge(
        heap=lambda at: each * ((start + at) % period), blocks=lambda at: (start + at) % period
    )

    assert found.outcome != "leak", found


def test_a_buffer_that_is_cleared_in_the_first_further_round_is_no_leak() -> None:
    found = judge(heap=lambda at: 1_000 * (at % 1_220))

    assert found.outcome == "unclear"


@pytest.mark.parametrize("at_requests", [650, 900, 1150, 1900])
def test_one_jump_is_no_leak(at_requests: int) -> None:
    found = judge(
        heap=lambda at: 5e6 * (at > at_requests), pages=lambda at: 3e7 * (at > at_requests)
    )

    assert found.outcome == "stable", found


def test_a_leak_beside_a_cache_that_fills_is_found() -> None:
    found = judge(heap=lambda at: 2_000 * min(at, 1_080) + 300 * at, noise=2_000)

    assert found.outcome == "leak"
    assert found.bytes_per_request == pytest.approx(300, rel=0.1)


def test_a_leak_beside_a_buffer_that_is_cleared_is_found() -> None:
    found = judge(heap=lambda at: 1_000 * (at % 110) + 1_000 * at)

    assert found.outcome == "leak"
    assert found.bytes_per_request == pytest.approx(1_000, rel=0.1)


def test_growth_below_the_limit_is_no_leak_and_a_lower_limit_finds_it() -> None:
    levels: dict[str, Any] = {"heap": climbs(40), "blocks": climbs(0.2)}

    assert judge(**levels).outcome == "stable"
    assert judge(**levels, limits=LeakLimits(min_leak=20)).outcome == "leak"


def test_the_limit_on_objects_goes_with_that_on_bytes() -> None:
    two: dict[str, Any] = {"blocks": climbs(2.0)}

    assert judge(**two).outcome == "leak"
    assert judge(**two, limits=LeakLimits(min_leak=640)).outcome == "stable"
    assert judge(blocks=climbs(4.0), limits=LeakLimits(min_leak=640)).outcome == "leak"


def test_memory_past_malloc_is_found_by_its_pages() -> None:
    found = judge(pages=climbs(4_096))

    assert (found.outcome, found.signal) == ("leak", "uss")
    assert found.bytes_per_request == pytest.approx(4_096)


@pytest.mark.parametrize("each", [300, 800])
def test_pages_that_grow_a_little_are_no_leak(each: float) -> None:
    assert judge(pages=climbs(each)).outcome == "stable"


def elsewhere(readings: list[Reading]) -> list[Reading]:
    """The same as they would be read of another process."""
    return [one._replace(heap=math.nan, blocks=math.nan) for one in readings]


def test_another_process_is_judged_by_its_pages() -> None:
    first = examine(elsewhere(read(pages=climbs(3_000))), LIMITS)
    found = confirm(first, elsewhere(read(pages=climbs(3_000), after=1200)), LIMITS)

    assert (found.outcome, found.signal) == ("leak", "uss")
    assert found.bytes_per_request == pytest.approx(3_000)
    assert math.isnan(found.blocks_per_request)
    assert examine(elsewhere(read()), LIMITS).outcome == "stable"


def test_where_uss_was_hardly_read_rss_counts() -> None:
    readings = [
        one if number % 6 == 0 else one._replace(uss=math.nan)
        for number, one in enumerate(read(pages=climbs(20_000)))
    ]

    found = examine(readings, LIMITS)

    assert found.outcome == "leak"
    assert found.bytes_per_request == pytest.approx(20_000)


def test_growth_past_the_threshold_is_a_leak_even_if_it_slows() -> None:
    def slowing(at: float) -> float:
        return 60e6 * math.sqrt(at / 100)

    found = judge(pages=slowing, heap=slowing)

    assert (found.outcome, found.signal) == ("leak", "growth")
    assert found.growth > 0.2
    assert f"{found.growth:.0%}" in found.why
    assert judge(pages=slowing, heap=slowing, limits=LeakLimits(threshold=5.0)).signal != "growth"


def test_growth_is_the_share_by_which_settled_memory_grew() -> None:
    found = examine(read(heap=climbs(20_000), pages=climbs(20_000), base=80 * MB), LIMITS)

    settled = 80 * MB + 640 * 20_000  # the first reading of the second half
    assert found.growth == pytest.approx(560 * 20_000 / settled)
    assert found.requests == 560


def test_the_threshold_is_so_many_requests_away() -> None:
    found = judge(heap=climbs(1_000), pages=climbs(1_000), base=100 * MB)

    start = 100 * MB + 1_240 * 1_000
    left = (0.2 * start - 1_160 * 1_000) / 1_000
    assert found.requests_to_threshold == pytest.approx(left, rel=0.02)


def test_what_does_not_grow_never_reaches_the_threshold() -> None:
    assert examine(read(), LIMITS).requests_to_threshold == math.inf


def test_few_requests_are_unclear_whatever_grew() -> None:
    for each in (100_000, 0):
        found = examine(read(240, heap=climbs(each)), LIMITS)

        assert found.outcome == "unclear"
        assert "only 240 requests ended; 1,000 are needed" in found.why


def test_few_readings_are_unclear() -> None:
    found = examine(read(heap=climbs(100_000))[::4], LIMITS)

    assert found.outcome == "unclear"
    assert "memory was read only 8 times; 10 are needed" in found.why


def test_no_readings_are_unclear() -> None:
    assert examine([], LIMITS).why == "memory was not read"


def test_memory_that_nothing_tells_of_is_unclear() -> None:
    unknown = [Reading(one.requests, *[math.nan] * 4) for one in read()]

    found = examine(unknown, LIMITS)

    assert found.outcome == "unclear"
    assert "could not be read" in found.why


@pytest.mark.parametrize(("readings", "ended"), [(6, 200), (11, 400)])
def test_further_rounds_that_were_cut_short_prove_no_leak(readings: int, ended: int) -> None:
    first = examine(read(heap=climbs(1_000)), LIMITS)

    found = confirm(first, read(heap=climbs(1_000), after=1200)[:readings], LIMITS)

    assert first.outcome == "leak"
    assert found.outcome == "unclear"
    assert f"in the rounds run to make sure, only {ended} requests ended" in found.why


def test_further_rounds_that_were_cut_short_may_show_that_memory_is_stable() -> None:
    first = examine(read(heap=fills(1.0, 1_000)), LIMITS)

    found = confirm(first, read(heap=fills(1.0, 1_000), after=1200)[:11], LIMITS)

    assert (first.outcome, found.outcome) == ("leak", "stable")


def test_further_rounds_that_were_cut_short_leave_stable_memory_stable() -> None:
    first = examine(read(), LIMITS)

    assert confirm(first, read(after=1200)[:8], LIMITS) == first


def test_a_leak_in_further_rounds_alone_is_unclear() -> None:
    first = examine(read(), LIMITS)

    found = confirm(first, read(heap=climbs(1_000), after=1200), LIMITS)

    assert found.outcome == "unclear"
    assert "stable in the run" in found.why


def test_a_doubt_is_settled_by_further_rounds_that_are_clear() -> None:
    doubt = replace(examine(read(heap=climbs(1_000)), LIMITS), outcome="unclear")

    assert confirm(doubt, read(heap=climbs(1_000), after=1200), LIMITS).outcome == "leak"
    assert confirm(doubt, read(after=1200), LIMITS).outcome == "stable"


def test_a_rate_that_has_fallen_is_no_proof() -> None:
    def slowing(at: float) -> float:
        return 1e6 * math.log(1 + at / 400)

    found = judge(heap=slowing)

    assert found.outcome == "unclear"
    assert "not steadily" in found.why
