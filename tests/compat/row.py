"""A row of the table: one way to call models through one SDK or framework, and how to drive it."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["CHAT_TOOL", "SCHEMA", "Call", "Row", "Said", "Style", "load", "now"]

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
CHAT_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": SCHEMA,
    },
}


@dataclass(frozen=True)
class Style:
    """How a call is made."""

    is_async: bool
    streams: bool

    def __str__(self) -> str:
        return f"{'async' if self.is_async else 'sync'}{'-stream' if self.streams else ''}"


@dataclass(frozen=True)
class Call:
    """A call to make.

    Args:
        url: The server's address.
        style: How to make it.
        asks_weather: Whether to ask for the weather, with a tool at hand, instead of a greeting.
    """

    url: str
    style: Style
    asks_weather: bool = False
    _clients: list[Any] = field(default_factory=list)

    def closing(self, client: Any) -> Any:
        """The client, to be closed after the call."""
        self._clients.append(client)
        return client

    async def close(self) -> None:
        """Close the clients, in the event loop in which they were used."""
        for client in self._clients:
            await now(client.close())

    @property
    def prompt(self) -> str:
        return "What is the weather like in Paris?" if self.asks_weather else "Say hello."

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [{"role": "user", "content": self.prompt}]

    @property
    def is_async(self) -> bool:
        return self.style.is_async

    @property
    def streams(self) -> bool:
        return self.style.streams

    async def each(self, values: Any) -> AsyncIterator[Any]:
        """The items of a stream, which may be one for sync and async code alike."""
        if self.is_async and hasattr(values, "__aiter__"):
            async for value in values:
                yield value
        else:
            for value in values:
                yield value

    def tools(self, *tools: Any) -> dict[str, Any]:
        """The keyword for tools, where there are any."""
        return {"tools": list(tools)} if self.asks_weather else {}


@dataclass
class Said:
    """What the SDK's own objects say of the reply."""

    text: str = ""
    tools: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def add_call(self, name: str, arguments: str | Mapping[str, Any]) -> None:
        """Note a call of a tool, its arguments parsed or not."""
        parsed = json.loads(arguments) if isinstance(arguments, str) else dict(arguments)
        self.tools.append((name, parsed))


@dataclass(frozen=True)
class Row:
    """One way to call models.

    Args:
        name: What the table calls it.
        package: The distribution whose version the table shows.
        module: What is imported from it.
        environments: Where it is installed: ``"newest"``, ``"frameworks"``.
        model: The model that it asks for.
        speak: Makes a call, synchronously where that is asked for.
        without: What it does not have, by capability (``"async"``, ``"stream"``, ``"tools"``,
            ``"TTFT"``), and why.
        stream_usage: Whether its streams report usage, or leave the tokens to be counted.
        has_text: Whether its replies are text; an embedding's are not.
    """

    name: str
    package: str
    module: str
    environments: tuple[str, ...]
    model: str
    speak: Callable[[Call], Coroutine[Any, Any, Said]]
    without: Mapping[str, str] = field(default_factory=dict)
    stream_usage: Literal["reported", "counted"] = "reported"
    has_text: bool = True

    @property
    def styles(self) -> list[Style]:
        """The styles that it has."""
        return [
            Style(is_async, streams)
            for streams in (False, True)
            for is_async in (False, True)
            if not (is_async and "async" in self.without)
            if not (not is_async and "sync" in self.without)
            if not (streams and "stream" in self.without)
            if str(Style(is_async, streams)) not in self.without
        ]

    def run(self, call: Call) -> Said:
        """Make a sync call."""
        coroutine = self.run_async(call)
        try:
            coroutine.send(None)
        except StopIteration as finished:
            said: Said = finished.value
            return said
        raise AssertionError(f"{self.name} awaited something in a sync call")

    async def run_async(self, call: Call) -> Said:
        """Make a call in the event loop that runs."""
        try:
            return await self.speak(call)
        finally:
            await call.close()


def load(module: str) -> Any:
    """Import a module of an SDK, which need not be installed where these tests are type-checked."""
    return importlib.import_module(module)


async def now(value: Any) -> Any:
    """The value, of a sync or an async method."""
    return await value if inspect.isawaitable(value) else value
