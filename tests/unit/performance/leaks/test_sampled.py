from __future__ import annotations

import pytest

from senytl.performance.leaks.sampled import settled_growth


def test_fewer_than_twelve_samples_tell_nothing() -> None:
    assert settled_growth([]) is None
    assert settled_growth([100.0 + number for number in range(11)]) is None
    assert settled_growth([100.0 + number for number in range(12)]) is not None


def test_memory_that_does_not_change_has_not_grown() -> None:
    assert settled_growth([100.0] * 60) == 0.0


def test_steady_growth_is_that_of_the_later_half() -> None:
    # From 200 on the earlier half has grown to 260; stretches of ten have means of 264.5 and 314.5.
    samples = [200.0 + number for number in range(120)]
    assert settled_growth(samples) == pytest.approx(314.5 / 264.5 - 1)


def test_what_grew_in_the_earlier_half_is_warm_up() -> None:
    assert settled_growth([*range(100, 400, 5), *[400.0] * 60]) == 0.0


def test_growth_that_came_at_once_is_none() -> None:
    assert settled_growth([*[100.0] * 90, *[200.0] * 30]) == 0.0
    assert settled_growth([*[100.0] * 80, *[150.0] * 20, *[200.0] * 20]) == 0.0


def test_growth_in_three_steps_is_growth() -> None:
    # The later half is the last 60; its stretches are ten samples each.
    steps = [*[100.0] * 60, *[100.0] * 20, *[120.0] * 10, *[140.0] * 10, *[160.0] * 20]
    assert settled_growth(steps) == pytest.approx(0.6)


def test_noise_on_the_way_up_hides_no_growth() -> None:
    samples = [200.0 + number + (5.0 if number % 2 else -5.0) for number in range(120)]
    assert settled_growth(samples) == pytest.approx(314.5 / 264.5 - 1)


def test_memory_that_shrank_has_a_negative_growth() -> None:
    growth = settled_growth([300.0 - number for number in range(120)])
    assert growth == pytest.approx(185.5 / 235.5 - 1)


def test_no_memory_at_all_has_not_grown() -> None:
    assert settled_growth([0.0] * 20) == 0.0
    assert settled_growth([*[0.0] * 15, *[10.0] * 5]) == 0.0
