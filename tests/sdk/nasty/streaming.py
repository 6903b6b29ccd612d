"""Streams of the real SDKs, and the pieces that a server sends for them."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
from tests.sdk.nasty.ways import MESSAGES, chat, google
from tests.sdk.wires import written

__all__ = ["PATHS", "VENDORS", "client_of", "first_chunk", "paused", "pieces_of", "stream_of"]

TEXT = "Hello, you."
PATHS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "google": "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
}
VENDORS = list(PATHS)


def pieces_of(vendor: str, usage: bool = True) -> list[bytes]:
    """The events of a whole stream, one piece each."""
    body = {"stream": True, "stream_options": {"include_usage": usage}}
    return written(PATHS[vendor], body, TEXT, (1117, 246))


def stream_of(client: Any) -> Any:
    """A stream of any SDK's client, that nothing has been read of."""
    if isinstance(client, openai.OpenAI | openai.AsyncOpenAI):
        return client.chat.completions.create(**chat(stream=True))
    if isinstance(client, anthropic.Anthropic | anthropic.AsyncAnthropic):
        return client.messages.create(
            model="claude-sonnet-4-6", max_tokens=9, messages=MESSAGES, stream=True
        )
    models = getattr(client, "models", client)
    return models.generate_content_stream(model="gemini-2.5-flash", contents="Hello?")


def client_of(vendor: str, url: str) -> Any:
    if vendor == "openai":
        return openai.OpenAI(api_key="none", base_url=url + "/v1", max_retries=0)
    if vendor == "anthropic":
        return anthropic.Anthropic(api_key="none", base_url=url, max_retries=0)
    return google(url)


def paused(answered: Any, pieces: list[bytes], pause: float = 0.05, **more: Any) -> Any:
    headers = {"content-type": "text/event-stream", **more.pop("headers", {})}
    return answered(pieces, headers=headers, pause=pause, **more)


def first_chunk(pieces: list[bytes]) -> int:
    """Which of a stream's pieces brings the first text."""
    return next(place for place, piece in enumerate(pieces) if b"Hello" in piece)
