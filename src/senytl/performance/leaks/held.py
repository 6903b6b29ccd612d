"""What is held, as far as it can be told from the size of the heap alone.

That the heap grew tells how much was taken, and by which line; that it shrank does not tell what
was given back. It is told by its size: what was taken last and has just that size, or what has it
together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Generic, TypeVar

from senytl.performance.leaks.sites import Held

__all__ = ["HeldBySize"]

_MOST_APART = 5_000
"""How many growths are kept apart; of older ones only the sum is known."""

_RECENT = 500
"""How many are looked at to tell what was given back."""

_TOGETHER = 12
"""Of how many the sums are tried."""

_MOST_SUMS = 4_096

K = TypeVar("K")


class HeldBySize(Generic[K]):
    """What each of several takers holds.

    Args:
        nobody: Stands for growth that is nobody's; it is given back first where nothing fits.
    """

    def __init__(self, nobody: K) -> None:
        self._nobody = nobody
        self._number = 0
        self._apart: dict[int, tuple[K, int]] = {}
        self._by_size: dict[int, list[int]] = {}
        self._older: Counter[K] = Counter()
        self._taken: Counter[K] = Counter()
        self._given_back: Counter[K] = Counter()

    def take(self, key: K, size: int) -> None:
        """Note that somebody took so many bytes."""
        self._number += 1
        self._apart[self._number] = key, size
        self._by_size.setdefault(size, []).append(self._number)
        self._taken[key] += size
        if len(self._apart) > _MOST_APART:
            oldest = next(iter(self._apart))
            key, size = self._remove(oldest)
            self._older[key] += size

    def give_back(self, size: int) -> None:
        """Note that so many bytes were given back, by whomever."""
        numbers = self._of_size(size) or self._together(size) or self._keys_together(size)
        if not numbers:
            self._give_back_roughly(size)
            return
        for number in numbers:
            self._remove(number)

    def held(self) -> dict[K, Held]:
        """What each holds now."""
        sizes = Counter(self._older)
        for key, size in self._apart.values():
            sizes[key] += size
        return {key: Held(size, 0) for key, size in sizes.items()}

    def _of_size(self, size: int) -> list[int]:
        """The one that has just this size: of several, of whom most is known to have come back."""
        numbers = self._by_size.get(size)
        if not numbers:
            return []
        keys = {self._apart[number][0] for number in numbers[-_TOGETHER:]}
        if len(keys) == 1:
            self._given_back[keys.pop()] += size
            return [numbers[-1]]
        return [max(numbers[-_TOGETHER:], key=self._how_surely)]

    def _together(self, size: int) -> list[int]:
        """Several of the last ones that have this size together."""
        recent = sorted(
            islice(reversed(self._apart), _TOGETHER), key=self._how_surely, reverse=True
        )
        numbers = _sum_up([(number, self._apart[number][1]) for number in recent], size)
        for number in numbers:
            key, had = self._apart[number]
            self._given_back[key] += had
        return numbers

    def _keys_together(self, size: int) -> list[int]:
        """All recent ones of some takers, if they have this size together: garbage, say."""
        recent: dict[K, list[int]] = {}
        for number in islice(reversed(self._apart), _RECENT):
            recent.setdefault(self._apart[number][0], []).append(number)
        sums = {key: sum(self._apart[one][1] for one in ones) for key, ones in recent.items()}
        largest = sorted(sums.items(), key=lambda item: item[1], reverse=True)[:_TOGETHER]
        return [number for key in _sum_up(largest, size) for number in recent[key]]

    def _give_back_roughly(self, size: int) -> None:
        """Give back as much, first of those of whom most is known to have come back."""
        recent = islice(reversed(self._apart), _RECENT)
        for number in sorted(recent, key=self._how_surely, reverse=True):
            key, had = self._remove(number)
            if had > size:
                self.take(key, had - size)
                self._taken[key] -= had - size
                return
            size -= had

    def _how_surely(self, number: int) -> tuple[float, int]:
        """By what one is chosen of several that may have been given back."""
        return round(self._share_of(number), 1), number

    def _share_of(self, number: int) -> float:
        """How much of what its taker took is known to have come back."""
        key, _ = self._apart[number]
        return 1.0 if key == self._nobody else self._given_back[key] / self._taken[key]

    def _remove(self, number: int) -> tuple[K, int]:
        key, size = self._apart.pop(number)
        numbers = self._by_size[size]
        numbers.remove(number)
        if not numbers:
            del self._by_size[size]
        return key, size


T = TypeVar("T")


def _sum_up(sizes: Iterable[tuple[T, int]], wanted: int) -> list[T]:
    """Some that have the size that is wanted together; nothing where none do."""
    sums: dict[int, list[T]] = {0: []}
    for one, size in sizes:
        for so_far, chosen in list(sums.items()):
            if so_far + size == wanted:
                return [*chosen, one]
            if so_far + size < wanted and len(sums) < _MOST_SUMS:
                sums.setdefault(so_far + size, [*chosen, one])
    return []
