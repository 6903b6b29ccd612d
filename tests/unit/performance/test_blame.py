from __future__ import annotations

import linecache
import traceback
from pathlib import Path

import pytest

from senytl import performance
from senytl.performance.blame import Place, raise_at
from senytl.performance.run import RunSettings, current_settings


def innermost(error: BaseException) -> traceback.FrameSummary:
    return traceback.extract_tb(error.__traceback__)[-1]


def example() -> None:
    """A function of several lines."""
    raise AssertionError("never called")


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_an_error_is_raised_at_a_line_of_the_users_code(offset: int) -> None:
    line = example.__code__.co_firstlineno + offset
    error = ValueError("over the limit")
    with pytest.raises(ValueError, match="over the limit") as caught:
        raise_at(error, Place(example.__code__, line))
    assert caught.value is error
    frame = innermost(error)
    assert (frame.filename, frame.lineno, frame.name) == (__file__, line, "example")
    assert frame.line == linecache.getline(__file__, line).strip()


def test_earlier_frames_of_the_error_are_forgotten() -> None:
    try:
        raise ValueError("over the limit")
    except ValueError as error:
        first = innermost(error)
        with pytest.raises(ValueError, match="over") as caught:
            raise_at(error, Place.top_of(example.__code__))
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert first not in frames


def test_a_limit_stated_in_a_load_test_is_blamed_on_its_own_line() -> None:
    @performance.load_test(concurrent_users=2, iterations=2)
    def work() -> None:
        performance.record_request(0.5)
        performance.assert_latency_under(seconds=0.9)
        performance.assert_latency_under(
            seconds=0.1,
        )

    with pytest.raises(performance.SLAViolationError) as caught:
        work()
    frame = innermost(caught.value)
    source = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert frame.name == "work"
    assert frame.lineno is not None
    assert source[frame.lineno - 1].strip() == "performance.assert_latency_under("
    assert source[frame.lineno].strip() == "seconds=0.1,"


def test_a_load_that_fails_shows_where_its_first_request_did() -> None:
    def agent() -> None:
        raise KeyError("deep")

    @performance.load_test(concurrent_users=2, iterations=2)
    def work() -> None:
        agent()

    token = current_settings.set(RunSettings(requires_success=True))
    try:
        with pytest.raises(performance.SLAViolationError, match="state one, such as") as caught:
            work()
    finally:
        current_settings.reset(token)
    cause = caught.value.__cause__
    assert isinstance(cause, KeyError)
    assert innermost(cause).name == "agent"


def test_a_limit_on_latency_is_not_blamed_on_a_failed_request() -> None:
    @performance.load_test(concurrent_users=1, iterations=2)
    def work() -> None:
        performance.assert_latency_under(seconds=0.1)
        performance.record_request(0.5)
        performance.record_request(0.5, error=ValueError("one of them"))

    with pytest.raises(performance.SLAViolationError) as caught:
        work()
    assert caught.value.__cause__ is None
