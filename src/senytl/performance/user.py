"""The user whose body runs: its number, its iteration, and what it keeps for itself."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from senytl.performance.recording import Recorder

__all__ = ["CurrentUser", "current_user"]

T = TypeVar("T")


class CurrentUser:
    """One user of a load test, as its body sees it; a benchmark has one, number 0.

    A user keeps it from its first iteration to its last one, the warm-up included. In an open
    model a user is whoever is free when a request starts, so that one may run many requests and
    another few.

    Args:
        number: Counted from 0.
        seed: The load's.

    Attributes:
        number: Which user this is, counted from 0.
        recorders: What its requests are recorded by.
    """

    __slots__ = ("_made", "_random", "_scratch", "_seed", "number", "recorders")

    def __init__(self, number: int, seed: int = 0) -> None:
        self.number = number
        self.recorders: list[Recorder] = []
        self._seed = seed
        # Made when they are asked for: ten thousand users may have none of them.
        self._random: Random | None = None
        self._scratch: SimpleNamespace | None = None
        self._made: dict[Hashable, Any] | None = None

    @property
    def random(self) -> Random:
        """A random generator of its own, with the same numbers in every run with the same seed."""
        if self._random is None:
            self._random = Random(f"senytl user {self._seed} {self.number}")
        return self._random

    @property
    def scratch(self) -> SimpleNamespace:
        """Takes whatever attributes the body wants to keep from one iteration to the next."""
        if self._scratch is None:
            self._scratch = SimpleNamespace()
        return self._scratch

    @property
    def iteration(self) -> int:
        """How many bodies this user has run before, the warm-up included."""
        return sum(recorder.bodies for recorder in self.recorders)

    @overload
    def setup(self, factory: Callable[[], Coroutine[Any, Any, T]]) -> Awaitable[T]: ...
    @overload
    def setup(self, factory: Callable[[], T]) -> T: ...
    def setup(self, factory: Callable[[], Any]) -> Any:
        """Make something once for this user, such as a client, and get the same from then on.

        The clock of the body stands still while it is made. Where it is made is what tells one
        thing from another: a lambda that is written in one place makes one thing.

        Args:
            factory: Makes it. Where it is an async function, await what `setup` gives.

        Returns:
            What the factory made.
        """
        key = _key_of(factory)
        if self._made is None:
            self._made = {}
        if inspect.iscoroutinefunction(factory) or isinstance(self._made.get(key), _Awaited):
            return _make_async(self._made, key, factory)
        if key not in self._made:
            from senytl.performance.recording import running_recorder

            with running_recorder().stopped_clock():
                made = factory()
            if inspect.iscoroutine(made):  # of a lambda that calls an async function
                return _make_async(self._made, key, lambda: made)
            self._made[key] = made
        return self._made[key]

    def __repr__(self) -> str:
        return f"<user {self.number}, iteration {self.iteration}>"


class _Awaited:
    """What an async factory made: it is awaited each time."""

    __slots__ = ("made",)

    def __init__(self, made: object) -> None:
        self.made = made


def _key_of(factory: Callable[[], Any]) -> Hashable:
    """What a factory is known by: its code; of a method, its object too, as a partial's values."""
    if inspect.ismethod(factory):
        return factory
    if isinstance(factory, functools.partial):
        arguments = (factory.args, tuple(sorted(factory.keywords.items())))
        return (_key_of(factory.func), *arguments)
    key: Hashable = getattr(factory, "__code__", factory)
    return key


async def _make_async(
    made: dict[Hashable, Any], key: Hashable, factory: Callable[[], Awaitable[Any]]
) -> Any:
    if key not in made:
        from senytl.performance.recording import running_recorder

        with running_recorder().stopped_clock():
            made[key] = _Awaited(await factory())
    return made[key].made


def current_user() -> CurrentUser:
    """The user whose body runs here.

    Raises:
        PerformanceError: If no benchmark or load test is running here.
    """
    from senytl.performance.recording import running_recorder

    return running_recorder().user
