"""Chance that repeats: the n-th draw for a rule is the same in every run, on any thread."""

from __future__ import annotations

from hashlib import blake2b

__all__ = ["draw", "read_seed"]

_BYTES = 8
_RANGE = float(1 << 53)


def draw(seed: int, rule: str, number: int, count: int = 1) -> tuple[float, ...]:
    """Numbers that look random, each from 0 up to 1, which itself is never drawn.

    They depend on nothing but the arguments. A generator of `random` would have to be seeded anew
    for every call, which takes some ten times as long.

    Args:
        seed: The seed.
        rule: Whose chance it is, in words.
        number: The number of the rule's call.
        count: How many numbers; 8 at most.
    """
    text = f"{seed}\n{number}\n{rule}".encode("utf-8", "surrogatepass")
    digest = blake2b(text, digest_size=_BYTES * count).digest()
    return tuple(
        (int.from_bytes(digest[place : place + _BYTES], "little") >> 11) / _RANGE
        for place in range(0, len(digest), _BYTES)
    )


def read_seed(seed: object) -> int:
    """Read a seed that a user gives.

    Raises:
        ValueError: If it is no whole number.
    """
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"seed is {seed!r}; it must be a whole number")
    return seed
