from __future__ import annotations

import base64
import math
import struct

import pytest

from senytl.capture.providers.vectors import as_base64, contents_of, vector_of


def test_a_vector_depends_on_the_content_alone_and_has_length_one() -> None:
    one = vector_of("Grüße", "text-embedding-3-small")
    assert one == vector_of("Grüße", "text-embedding-3-small")
    assert one != vector_of("Gruß", "text-embedding-3-small")
    assert len(one) == 1536
    assert math.hypot(*one) == pytest.approx(1)


def test_contents_that_mean_nothing_to_each_other_are_far_apart() -> None:
    one, other = vector_of("a", "m", 512), vector_of("b", "m", 512)
    assert abs(sum(a * b for a, b in zip(one, other, strict=True))) < 0.3


@pytest.mark.parametrize(
    ("model", "dimensions", "expected"),
    [
        ("text-embedding-3-large", None, 3072),
        ("models/gemini-embedding-001", None, 3072),
        ("nomic-embed-text:latest", None, 768),
        ("text-embedding-3-large", 256, 256),
        ("unheard-of", None, 16),
        ("unheard-of", 0, 16),
        ("unheard-of", "many", 16),
    ],
)
def test_the_request_or_else_the_model_decides_on_the_dimensions(
    model: str, dimensions: object, expected: int
) -> None:
    assert len(vector_of("a", model, dimensions)) == expected


def test_base64_holds_floats_of_32_bits() -> None:
    vector = vector_of("a", "m", 4)
    assert struct.unpack("<4f", base64.b64decode(as_base64(vector))) == pytest.approx(vector)


def test_a_list_of_token_numbers_is_one_content() -> None:
    assert contents_of("a") == ["a"]
    assert contents_of(["a", "b"]) == ["a", "b"]
    assert contents_of([1, 2]) == [[1, 2]]
    assert contents_of([[1], [2]]) == [[1], [2]]
