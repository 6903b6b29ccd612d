from __future__ import annotations

import unittest

import pytest

from senytl.models import PerformanceError
from senytl.performance.failures import describe_error, is_failure, is_interruption


@pytest.mark.parametrize(
    ("error", "failure", "interruption"),
    [
        (RuntimeError(), True, False),
        (AssertionError(), True, False),
        (pytest.fail.Exception("no"), True, False),
        (pytest.skip.Exception("later"), False, True),
        (unittest.SkipTest("later"), False, True),
        (pytest.exit.Exception("enough"), False, True),
        (KeyboardInterrupt(), False, True),
        (SystemExit(), False, True),
        (PerformanceError(), False, False),
    ],
)
def test_what_an_exception_says(error: BaseException, failure: bool, interruption: bool) -> None:
    assert is_failure(error) is failure
    assert is_interruption(error) is interruption


def test_an_error_is_described_on_one_line_without_secrets() -> None:
    kind, message = describe_error(RuntimeError("bad key sk-abcdefghijkl\n  twice " + "x" * 500))
    assert kind == "RuntimeError"
    assert message.startswith("bad key [secret] twice xxx")
    assert len(message) == 300
    assert message.endswith("…")


def test_an_error_given_as_a_text() -> None:
    assert describe_error("the answer was empty") == ("error", "the answer was empty")
