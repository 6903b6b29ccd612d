"""What is held, told from sizes alone."""

from __future__ import annotations

from senytl.performance.leaks.held import HeldBySize


def sizes_of(held: HeldBySize[str]) -> dict[str, int]:
    return {key: one.bytes for key, one in held.held().items() if one.bytes}


def taken(*what: tuple[str, int]) -> HeldBySize[str]:
    held = HeldBySize("")
    for key, size in what:
        held.take(key, size)
    return held


def test_what_was_given_back_is_told_by_its_size() -> None:
    held = taken(("buffer", 100_000), ("leak", 112))
    held.give_back(100_000)
    assert sizes_of(held) == {"leak": 112}


def test_several_that_are_given_back_at_once_are_told_by_their_sum() -> None:
    held = taken(("text", 50_000), ("one", 112), ("list", 700), ("table", 1_300))
    held.give_back(52_000)
    assert sizes_of(held) == {"one": 112}


def test_garbage_of_many_requests_is_told_by_what_one_line_took() -> None:
    held = HeldBySize("")
    for number in range(40):
        held.take("garbage", 2_000 + 16 * number)
        held.take("leak", 112)
    held.give_back(sum(2_000 + 16 * number for number in range(40)))
    assert sizes_of(held) == {"leak": 40 * 112}


def test_what_fits_nothing_is_taken_from_those_who_give_back() -> None:
    held = HeldBySize("")
    for _ in range(5):
        held.take("buffer", 900)
        held.take("leak", 900_000)
        held.give_back(900)
    held.take("buffer", 900)
    held.give_back(891)
    assert sizes_of(held) == {"leak": 4_500_000, "buffer": 9}


def test_growth_that_is_nobodys_is_given_back_first() -> None:
    held = taken(("", 5_000), ("leak", 4_000))
    held.give_back(3_500)
    assert sizes_of(held) == {"": 1_500, "leak": 4_000}


def test_of_two_that_have_the_size_the_one_that_gave_back_before_gives_back() -> None:
    held = HeldBySize("")
    for size in (300, 400, 500):
        held.take("buffer", size)
        held.give_back(size)
    held.take("buffer", 112)
    held.take("leak", 112)
    held.give_back(112)
    assert sizes_of(held) == {"leak": 112}


def test_more_is_given_back_than_was_seen_to_be_taken() -> None:
    held = taken(("one", 1_000))
    held.give_back(2_000)
    assert sizes_of(held) == {}


def test_thousands_of_growths_are_added_up() -> None:
    held = HeldBySize("")
    for _ in range(12_000):
        held.take("leak", 112)
        held.take("buffer", 640)
        held.give_back(640)
    assert sizes_of(held) == {"leak": 12_000 * 112}
