from __future__ import annotations

import pickle

from senytl.mocking import MockError, MockExhaustedError, UnmockedCallError


def test_the_error_names_the_model_the_prompt_and_the_mocks() -> None:
    mocks = ["gpt-4 when(contains='a')", "gpt-5 for any prompt"]
    error = UnmockedCallError("gpt-4o", "Where  is\nParis? " + "x" * 100, mocks)
    message = str(error)
    assert "'gpt-4o'" in message
    assert "begins 'Where is Paris? xxx" in message
    assert "\n  gpt-4 when(contains='a')\n  gpt-5 for any prompt\n" in message
    assert "senytl.mock('gpt-4o').when(" in message
    assert (error.model, len(error.prompt)) == ("gpt-4o", 80)
    assert error.prompt.endswith("x…")


def test_the_error_says_that_there_are_no_mocks() -> None:
    assert "Mocks stated: none" in str(UnmockedCallError("gpt-4o", "hello", []))


def test_a_key_in_the_prompt_is_not_repeated() -> None:
    error = UnmockedCallError("gpt-4o", "my key is sk-abcdefghijklmnop", [])
    assert "abcdefgh" not in str(error)


def test_errors_can_be_sent_to_another_process() -> None:
    errors: list[MockError] = [
        UnmockedCallError("gpt-4o", "hello", ["gpt-4 for any prompt"]),
        MockExhaustedError("gpt-4 for any prompt", 1),
    ]
    for error in errors:
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
    assert "its only reply was given already" in str(errors[1])
