"""What senytl's own records take, so that it is not taken for what the agent keeps."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

__all__ = ["OwnMemory", "memory_of"]

_SMALL = 512
"""Bytes up to which CPython allocates by itself; malloc's figures know only of more, and the count
of blocks of both."""

_HEADERS: dict[type, int] = {
    kind: sys.getsizeof(kind()) for kind in (list, dict, set, frozenset)
} | {array: sys.getsizeof(array("d"))}
"""Bytes of a container apart from its table, which is another allocation; a tuple has none."""

_SHARED_INTEGERS = range(-5, 257)
"""Those that CPython has once for all."""
_LARGEST_SHARED = 256
_LEAVES = (int, float, str, bytes, array)


class OwnMemory(NamedTuple):
    """Memory by the two counters that tell of it.

    Args:
        bytes: Of allocations that are malloc's.
        blocks: Allocations that CPython counts, malloc's included.
    """

    bytes: int
    blocks: int


def memory_of(roots: Iterable[object]) -> OwnMemory:
    """What some records take, as the counters of the process see it.

    Follows lists, tuples, dicts and sets, columns of numbers, and objects of senytl's own classes
    by their slots and attributes; what belongs to the user is left alone.

    Args:
        roots: The records. What two of them share counts once.
    """
    heap = blocks = 0
    seen: set[int] = set()
    waiting: list[Any] = list(roots)
    while waiting:
        record = waiting.pop()
        kind = type(record)
        if record is None or kind is bool or id(record) in seen:
            continue
        if kind is int and record in _SHARED_INTEGERS:
            continue
        if issubclass(kind, tuple | frozenset) and not record:
            continue
        if issubclass(kind, list | tuple | dict | set | frozenset):
            for held in (record, record.values()) if isinstance(record, dict) else (record,):
                # Buckets of counts, which are most of it: a hundred times faster than one by one.
                if set(map(type, held)) == {int}:
                    blocks += sum(map(_LARGEST_SHARED.__lt__, held))
                else:
                    waiting += held
        elif kind.__module__.startswith("senytl."):
            waiting += _parts_of(record)
        elif not issubclass(kind, _LEAVES):
            continue
        whole = sys.getsizeof(record)
        header = _HEADERS.get(kind, whole)
        seen.add(id(record))
        for size in (header, whole - header):
            if size > _SMALL:
                heap += size
            if size > 0:
                blocks += 1
    return OwnMemory(heap, blocks)


def _parts_of(record: object) -> list[Any]:
    parts = list(getattr(record, "__dict__", {}).values())
    kind: Any = type(record)
    parts += [getattr(record, name, None) for name in _slots_of(kind)]
    return parts


@cache
def _slots_of(kind: type) -> tuple[str, ...]:
    names: list[str] = []
    for one in kind.__mro__:
        slots = one.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else slots
    return tuple(names)
