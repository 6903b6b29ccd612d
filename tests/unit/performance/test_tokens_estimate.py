from __future__ import annotations

import time
from pathlib import Path
from statistics import mean

import pytest

from senytl.performance.tokens.estimate import estimate_tokens

_TEXTS = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted((Path(__file__).parent / "texts").glob("*.txt"))
}


def _count(vocabulary: str) -> dict[str, int]:
    import tiktoken

    encoding = tiktoken.get_encoding(vocabulary)
    return {name: len(encoding.encode(text)) for name, text in _TEXTS.items()}


def _errors(estimates: dict[str, int], counts: dict[str, int]) -> dict[str, float]:
    return {name: abs(estimates[name] / counts[name] - 1) for name in counts}


@pytest.mark.usefixtures("tiktoken_vocabularies")
@pytest.mark.parametrize("vocabulary", ["cl100k_base", "o200k_base"])
def test_the_estimate_is_some_ten_percent_off_where_a_quarter_of_the_length_is_forty(
    vocabulary: str,
) -> None:
    counts = _count(vocabulary)
    errors = _errors(
        {name: estimate_tokens(text, vocabulary) for name, text in _TEXTS.items()}, counts
    )
    quarters = _errors({name: len(text) // 4 for name, text in _TEXTS.items()}, counts)

    assert len(counts) == 45
    assert mean(errors.values()) < 0.10
    assert mean(errors.values()) < mean(quarters.values()) / 3
    assert max(errors.values()) < 0.40


@pytest.mark.usefixtures("tiktoken_vocabularies")
@pytest.mark.parametrize("vocabulary", ["cl100k_base", "o200k_base"])
def test_the_estimate_for_an_unknown_vocabulary_beats_a_quarter_of_the_length(
    vocabulary: str,
) -> None:
    counts = _count(vocabulary)
    errors = _errors({name: estimate_tokens(text) for name, text in _TEXTS.items()}, counts)
    quarters = _errors({name: len(text) // 4 for name, text in _TEXTS.items()}, counts)
    ascii_only = [error for name, error in errors.items() if _TEXTS[name].isascii()]

    assert mean(errors.values()) < 0.85 * mean(quarters.values())
    assert len(ascii_only) == 21
    assert mean(ascii_only) < 0.08


def test_no_text_has_no_tokens_and_any_text_has_one() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens(" ") == 1
    assert estimate_tokens("\x00") == 1


def test_a_text_of_unknown_characters_is_counted_by_its_bytes() -> None:
    ethiopic = "\u1200" * 100  # three bytes each

    assert estimate_tokens(ethiopic, "cl100k_base") == 150


@pytest.mark.parametrize("text", ["aA", "a", "A", " ", "é", "1", "!", " \n", "a ", "中", "\ud800"])
def test_a_hostile_text_takes_time_in_proportion_to_its_length(text: str) -> None:
    def seconds(length: int) -> float:
        whole = text * length
        start = time.thread_time()  # this thread's own work, whatever else the machine does
        estimate_tokens(whole)
        return time.thread_time() - start

    short, long = (min(seconds(length) for _ in range(3)) for length in (20_000, 160_000))
    # Eight times the text: eight times as long, where a quadratic search takes 64 times.
    assert long < 24 * max(short, 0.001)
