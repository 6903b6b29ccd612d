from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import wrapt

from senytl.capture.hooks.patching import Seat, put_on_top, take_off


class Owner:
    def method(self) -> list[str]:
        return ["original"]


ORIGINAL = Owner.__dict__["method"]


def ours(below: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self: ["ours", *below(self)]


def theirs(below: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(below)  # copies whatever attributes our wrapper has
    def method(self: Any) -> Any:
        return ["theirs", *below(self)]

    return method


SEAT = Seat(Owner, "method", ours)


def test_put_on_twice_it_is_there_once_and_taken_off_it_is_gone() -> None:
    put_on_top(SEAT)
    put_on_top(SEAT)
    assert Owner().method() == ["ours", "original"]
    assert Owner.method.__name__ == "method"
    take_off(SEAT)
    take_off(SEAT)
    assert Owner.__dict__["method"] is ORIGINAL


def test_another_librarys_patch_on_top_is_left_alone() -> None:
    put_on_top(SEAT)
    below = Owner.__dict__["method"]
    Owner.method = theirs(below)  # type: ignore[method-assign]
    take_off(SEAT)
    assert Owner().method() == ["theirs", "ours", "original"]
    put_on_top(SEAT)
    assert Owner().method() == ["ours", "theirs", "ours", "original"]
    take_off(SEAT)
    assert Owner().method() == ["theirs", "ours", "original"]
    Owner.method = below  # type: ignore[method-assign]
    take_off(SEAT)
    assert Owner.__dict__["method"] is ORIGINAL


def test_a_proxy_of_wrapt_that_equals_our_wrapper_is_not_taken_for_it() -> None:
    put_on_top(SEAT)
    below = Owner.__dict__["method"]
    proxy = wrapt.FunctionWrapper(below, lambda wrapped, self, args, kwargs: wrapped(*args))
    assert proxy == below
    Owner.method = proxy  # type: ignore[method-assign]
    take_off(SEAT)
    assert Owner.__dict__["method"] is proxy
    Owner.method = below  # type: ignore[method-assign]
    take_off(SEAT)
    assert Owner.__dict__["method"] is ORIGINAL


def test_a_class_that_only_inherits_the_method_is_left_alone() -> None:
    class Heir(Owner):
        pass

    put_on_top(Seat(Heir, "method", ours))
    assert "method" not in vars(Heir)
