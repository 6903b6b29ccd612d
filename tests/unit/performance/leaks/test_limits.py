from __future__ import annotations

from typing import Any

import pytest

from senytl.performance.leaks import limits
from senytl.performance.leaks.detector import LeakLimits
from senytl.performance.leaks.limits import check_leak_check
from senytl.performance.metric import find_metric


@pytest.mark.parametrize("asked", [True, False, None])
def test_a_leak_check_is_asked_for_or_not_or_left_out(asked: bool | None) -> None:
    check_leak_check(asked)


@pytest.mark.parametrize("wrong", [1, 0, "yes", 0.5, [True]])
def test_anything_else_is_refused_with_what_it_may_be(wrong: Any) -> None:
    with pytest.raises(ValueError, match="it is True or False, or left out") as refused:
        check_leak_check(wrong)
    assert str(refused.value).startswith(f"leak_check is {wrong!r}")


def test_the_usual_limits_are_those_of_the_specification() -> None:
    assert LeakLimits() == LeakLimits(threshold=0.20, min_leak=64.0)


def test_a_run_is_read_often_enough_to_be_judged() -> None:
    assert limits.ROUNDS >= 2 * limits.FEWEST_READINGS


def test_the_metric_that_asks_for_a_leak_check_is_one() -> None:
    assert find_metric(limits.LEAK_METRIC).unit == "ratio"
