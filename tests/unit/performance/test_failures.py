from __future__ import annotations

import unittest
from collections import Counter

import pytest

from senytl.models import PerformanceError
from senytl.performance.failures import describe_error, fold_errors, is_failure, is_interruption


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


def test_an_error_whose_message_cannot_be_read_is_an_error_all_the_same() -> None:
    class ApiError(Exception):
        def __str__(self) -> str:
            return str(self.code)  # type: ignore[attr-defined]  # the mistake

    assert describe_error(ApiError()) == ("ApiError", "(no message: AttributeError in __str__)")


def test_of_many_users_errors_the_frequent_ones_are_kept() -> None:
    errors = Counter({("ValueError", f"number {number}"): 1 for number in range(500)})
    errors["ValueError", "(more messages)"] = 7
    errors["KeyError", "'answer'"] = 2
    folded = fold_errors(errors)
    assert folded.total() == errors.total()
    assert len(folded) == 101
    assert folded["KeyError", "'answer'"] == 2
    assert folded["ValueError", "(more messages)"] == 7 + 500 - 99
