"""Making a row's calls while senytl watches, and noting what each side saw."""

from __future__ import annotations

import asyncio
import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from tests.compat.row import Call, Row, Said, Style
from tests.compat.server import ModelServer, Served

from senytl import Senytl
from senytl.capture import CaptureWarning, open_scope
from senytl.models import LLMCallRecord, MockResponse

__all__ = ["Observation", "Watcher", "noted_stacks"]

_SENDERS = {
    "httpx": [("Client", "send"), ("AsyncClient", "send")],
    "httpx2": [("Client", "send"), ("AsyncClient", "send")],
    "aiohttp": [("ClientSession", "_request")],
    "requests": [("Session", "send")],
    "botocore.httpsession": [("URLLib3Session", "send")],
}


@dataclass
class Observation:
    """What came of one run.

    Args:
        said: What the SDK's own objects say.
        calls: The calls that senytl attributed to the run.
        lost: Those that it saw and could not attribute.
        served: What the server answered meanwhile.
        warned: What senytl warned of.
        stacks: The HTTP libraries that took part, the uppermost first.
    """

    said: Said
    calls: list[LLMCallRecord]
    lost: list[LLMCallRecord]
    served: list[Served]
    warned: list[str]
    stacks: list[str]


@dataclass
class _Lost:
    calls: list[LLMCallRecord] = field(default_factory=list)

    def add_call(self, call: LLMCallRecord) -> None:
        self.calls.append(call)


@dataclass
class Watcher:
    """Runs rows against a server; what came of a run is kept, since several tests ask for it."""

    server: ModelServer
    loop: asyncio.AbstractEventLoop
    stacks: list[str]
    _kept: dict[tuple[str, Style, bool], Observation | BaseException] = field(default_factory=dict)

    def observe(
        self, row: Row, style: Style, *, asks_weather: bool = False, afresh: bool = False
    ) -> Observation:
        """Run a row for real, once unless it shall be run afresh."""
        key = (row.name, style, asks_weather)
        if afresh or key not in self._kept:
            try:
                self._kept[key] = self._run(row, style, asks_weather, None)
            except Exception as error:
                self._kept[key] = error
        outcome = self._kept[key]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def stacks_of(self, row: Row, style: Style) -> list[str]:
        """The HTTP libraries of a run that was observed."""
        seen = self._kept.get((row.name, style, False))
        return seen.stacks if isinstance(seen, Observation) else []

    def mock(self, row: Row, style: Style, reply: MockResponse) -> Observation:
        """Run a row with a mock in the model's place."""
        return self._run(row, style, False, reply)

    def _run(
        self, row: Row, style: Style, asks_weather: bool, reply: MockResponse | None
    ) -> Observation:
        call = Call(self.server.url, style, asks_weather)
        lost = _Lost()
        first = len(self.server.served)
        self.stacks.clear()
        senytl = Senytl(fallback="pass" if reply is None else "error")
        if reply is not None:
            senytl.mock(row.model).respond(reply)
        with warnings.catch_warnings(record=True) as told, open_scope(unattributed=lost), senytl:
            warnings.simplefilter("always", CaptureWarning)
            if style.is_async:
                agent = senytl.wrap(row.run_async)
                response = self.loop.run_until_complete(agent.run(call))
            else:
                response = senytl.wrap(row.run).run(call)
        own_calls = response.llm_calls
        return Observation(
            said=response.raw,
            calls=own_calls,
            # The run's own calls are handed on, when it has ended, to whoever is around it.
            lost=[call for call in lost.calls if all(call is not own for own in own_calls)],
            served=self.server.served[first:],
            warned=[str(one.message) for one in told if one.category is CaptureWarning],
            stacks=list(dict.fromkeys(self.stacks)),
        )


@contextmanager
def noted_stacks() -> Iterator[list[str]]:
    """Note which HTTP libraries send, below what senytl hooks."""
    noted: list[str] = []
    restore: list[tuple[Any, str, Any]] = []
    for module_name, senders in _SENDERS.items():
        try:
            module = importlib.import_module(module_name)
        except ImportError:
            continue
        for owner_name, name in senders:
            owner = getattr(module, owner_name)
            original = getattr(owner, name)
            restore.append((owner, name, original))
            setattr(owner, name, _noting(original, noted, module_name.partition(".")[0]))
    try:
        yield noted
    finally:
        for owner, name, original in restore:
            setattr(owner, name, original)


def _noting(original: Any, noted: list[str], library: str) -> Any:
    @wraps(original)
    def sending(*args: Any, **kwargs: Any) -> Any:
        noted.append(library)
        return original(*args, **kwargs)

    return sending
