from __future__ import annotations

import statistics
import subprocess
import sys

import pytest

from senytl.mocking.draws import draw, read_seed


def test_a_draw_depends_on_seed_rule_and_number_and_on_nothing_else() -> None:
    first = draw(0, "gpt-4", 7, 3)
    assert draw(0, "gpt-4", 7, 3) == first
    assert draw(0, "gpt-4", 7)[0] != draw(0, "gpt-4", 8)[0]
    assert draw(0, "gpt-4", 7)[0] != draw(1, "gpt-4", 7)[0]
    assert draw(0, "gpt-4", 7)[0] != draw(0, "gpt-5", 7)[0]
    code = "from senytl.mocking.draws import draw; print(draw(0, 'gpt-4', 7, 3))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(first)


def test_draws_are_spread_evenly_and_do_not_depend_on_each_other() -> None:
    drawn = [draw(0, "gpt-4", number, 2) for number in range(4000)]
    for place in (0, 1):
        column = [pair[place] for pair in drawn]
        assert all(0 <= value < 1 for value in column)
        assert statistics.mean(column) == pytest.approx(0.5, abs=0.02)
        assert statistics.pstdev(column) == pytest.approx(12**-0.5, abs=0.01)
    firsts, seconds = zip(*drawn, strict=True)
    assert abs(statistics.correlation(firsts, seconds)) < 0.06
    assert abs(statistics.correlation(firsts[1:], firsts[:-1])) < 0.06


@pytest.mark.parametrize("seed", [1.5, "1", None, True])
def test_a_seed_is_a_whole_number(seed: object) -> None:
    with pytest.raises(ValueError, match=r"seed is .*; it must be a whole number"):
        read_seed(seed)
    assert read_seed(-3) == -3
