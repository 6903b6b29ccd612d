"""What the workloads are made of: an agent, the truth about it, and the register of all.

A workload is an agent that serves requests, written once and run in up to three forms: by users
in threads, by users in tasks, and in a benchmark. Lines that leak end in the comment ``leaks``;
that is how the driver knows the true place. Nothing here imports senytl, so that other tools can
run the same code.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["WORKLOADS", "Agent", "Workload", "leaking", "stable"]

FORMS = ("sync", "async")
MARKER = "# leaks"


class Agent:
    """Serves requests, with a little real work for each of them.

    Args:
        requests: How many are planned, for what fills at a share of them.

    Attributes:
        pause: Seconds that each request waits for its "model".
        helper: A module of which lines leak too.
    """

    pause = 0.0
    helper: ModuleType | None = None

    def __init__(self, requests: int) -> None:
        self.requests = requests
        self._numbers = itertools.count()
        self.prepare()

    def prepare(self) -> None:
        """Make what the agent keeps."""

    def answer(self, request: int, user: int) -> object:
        """Serve a request.

        Args:
            request: Its number among all, counted from 0.
            user: Whose it is.
        """
        return None

    def think(self, request: int) -> dict[str, Any]:
        """The work that all of them do: a prompt is put together, a reply is read."""
        prompt = " ".join(f"item {request % 97}.{part}" for part in range(40))
        reply = json.dumps({"prompt": prompt, "tokens": len(prompt) // 4, "parts": list(range(40))})
        read: dict[str, Any] = json.loads(reply)
        read["prompt"] = read["prompt"].upper().replace("ITEM", "order")
        return read

    def run(self, user: int) -> None:
        request = next(self._numbers)
        if self.pause:
            time.sleep(self.pause)
        self.think(request)
        self.answer(request, user)

    async def run_async(self, user: int) -> None:
        request = next(self._numbers)
        await asyncio.sleep(self.pause)
        self.think(request)
        await self.answer_async(request, user)

    async def answer_async(self, request: int, user: int) -> object:
        """Serve a request on a loop; as `answer` does, unless there is more to it."""
        return self.answer(request, user)

    def close(self) -> None:
        """Give back what must not outlive the agent, such as threads."""


@dataclass(frozen=True)
class Workload:
    """A workload, and the truth about it.

    Args:
        name: What it is called.
        agent: Makes it.
        leaks: Bytes that a request leaves behind on average; 0 for a stable one.
        forms: In which it runs: ``"sync"``, ``"async"``, ``"benchmark"``.
        users: How many there are at once.
        load: What else its load tests are told.
        native: What holds lost memory that Python has not allocated: ``"heap"`` (malloc's) or
            ``"pages"`` (the system's); else empty.
        alone: Whether other tools can run it: it needs no senytl.
    """

    name: str
    agent: type[Agent]
    leaks: float = 0.0
    forms: tuple[str, ...] = FORMS
    users: int = 4
    load: dict[str, Any] = field(default_factory=dict)
    native: str = ""
    alone: bool = True

    @property
    def sites(self) -> set[tuple[str, int]]:
        """The lines that leak: the file's name and the line."""
        found = set()
        for kind in self.agent.__mro__:
            if kind is not Agent and issubclass(kind, Agent):
                lines, first = inspect.getsourcelines(kind)
                found |= _marked(Path(inspect.getfile(kind)), lines, first)
        if self.agent.helper is not None:
            path = Path(str(self.agent.helper.__file__))
            found |= _marked(path, path.read_text(encoding="utf-8").splitlines(), 1)
        return found


def _marked(path: Path, lines: list[str], first: int) -> set[tuple[str, int]]:
    numbered = enumerate(lines, first)
    return {(path.name, number) for number, line in numbered if line.rstrip().endswith(MARKER)}


WORKLOADS: dict[str, Workload] = {}


def stable(name: str, **truth: Any) -> Callable[[type[Agent]], type[Agent]]:
    """Register an agent that keeps nothing for ever."""
    return leaking(name, 0.0, **truth)


def leaking(name: str, each: float, **truth: Any) -> Callable[[type[Agent]], type[Agent]]:
    """Register an agent that leaks `each` bytes a request."""

    def register(agent: type[Agent]) -> type[Agent]:
        if name in WORKLOADS:
            raise ValueError(f"two workloads are called {name!r}")
        WORKLOADS[name] = Workload(name, agent, each, **truth)
        return agent

    return register
