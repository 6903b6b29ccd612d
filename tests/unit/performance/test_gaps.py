from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from senytl.performance import gaps
from senytl.performance.gaps import RELATIVE_ERROR, Gaps
from senytl.performance.series import percentiles

times = st.lists(st.floats(0.0, 1e4), min_size=1, max_size=60)


@given(times)
def test_few_gaps_are_kept_as_they_are(values: list[float]) -> None:
    kept = Gaps(values)
    assert kept.exact
    assert list(kept) == values
    assert list(kept.ordered) == sorted(values)
    assert percentiles(kept, 0.0, 0.95, 1.0) == percentiles(values, 0.0, 0.95, 1.0)


@given(times, times)
def test_many_gaps_are_within_the_error_that_is_documented(
    first: list[float], second: list[float]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gaps, "MOST_EXACT", 20)
        kept, other = Gaps(first), Gaps(second)
        kept.extend(other)
    whole = sorted(first + second)
    assert len(kept) == len(whole)
    assert kept.exact == (len(whole) <= 20)
    for at, value in zip(kept.ordered, whole, strict=True):
        assert at == pytest.approx(value, rel=RELATIVE_ERROR * 1.000001, abs=1e-9)


def test_a_quarter_of_a_million_gaps_take_little_memory_and_keep_their_percentiles() -> None:
    draw = random.Random(7)
    values = [draw.lognormvariate(-3.0, 0.5) for _ in range(250_000)]
    kept = Gaps()
    for start in range(0, len(values), 50_000):
        kept.extend(values[start : start + 50_000])
    assert not kept.exact
    assert len(kept._exact) == 0
    assert len(kept._buckets) < 1_000
    exact = percentiles(values, 0.5, 0.95, 0.99)
    assert percentiles(kept, 0.5, 0.95, 0.99) == pytest.approx(exact, rel=RELATIVE_ERROR)
    assert kept[0] == pytest.approx(min(values), rel=RELATIVE_ERROR)
    assert kept[-1] == pytest.approx(max(values), rel=RELATIVE_ERROR)
    assert statistics.median(kept[:3]) >= kept[0]
    with pytest.raises(IndexError):
        kept[250_000]
