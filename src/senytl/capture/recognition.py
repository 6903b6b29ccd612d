"""Telling LLM calls from other traffic.

Method, path suffix and the body's shape decide the wire format, the host decides the vendor.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from senytl.capture.calls import PendingCall
from senytl.capture.providers import FORMATS, SUFFIXES
from senytl.capture.providers.base import Reply, WireFormat
from senytl.capture.sse import read_events, starts_like_events, write_array, write_events
from senytl.models import MockResponse

__all__ = ["Recognised", "is_candidate", "provider_of", "recognise"]

_HOSTS = {
    "openai.com": "openai",
    "anthropic.com": "anthropic",
    "googleapis.com": "google",
    "azure.com": "azure",
}
_AZURE_PATH = "/openai/deployments/"
_LOCAL_HOST = re.compile(
    r"""
    [^.]*                                                   # a single label: localhost, a container
    | .*\.(?:localhost|local|internal|lan|test|example|invalid)
    | \d+\.\d+\.\d+\.\d+ | .*:.*                            # addresses
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Recognised:
    """A request that is an LLM call, and the format in which it will be answered.

    Args:
        call: What is asked for.
        wire: The format.
        as_array: Whether a stream comes as one JSON array, as Gemini's do without ``alt=sse``.
    """

    call: PendingCall
    wire: WireFormat
    as_array: bool

    def read(self, body: bytes) -> Reply:
        """Read a reply of status 200: a JSON document, or a stream's events.

        Raises:
            ValueError: If it is neither.
        """
        if starts_like_events(body) or (self.call.streamed and body.lstrip().startswith(b"[")):
            return self.wire.read_events(read_events(body))
        document = json.loads(body)
        if not isinstance(document, dict):
            raise ValueError(f"the reply is not an object but {type(document).__name__}")
        return self.wire.read_reply(document)

    def write(self, response: MockResponse) -> tuple[str, list[bytes]]:
        """Write a reply: its content type, and its body in the pieces in which it is streamed."""
        if not self.call.streamed:
            document = self.wire.write_reply(response, self.call)
            return "application/json", [json.dumps(document, ensure_ascii=False).encode()]
        events = self.wire.write_events(response, self.call)
        if self.as_array:
            return "application/json", list(write_array(events))
        return "text/event-stream", list(write_events(events))


def is_candidate(method: str, path: str) -> bool:
    """Whether a request may be an LLM call, by what can be seen without reading its body.

    Args:
        method: The HTTP method.
        path: The URL's path, without its query.
    """
    return method == "POST" and path.endswith(SUFFIXES)


def recognise(
    host: str, path: str, query: str, body: bytes | str | Mapping[str, Any]
) -> Recognised | None:
    """Recognise an LLM call; None for any other request.

    Args:
        host: The host's name or address.
        path: The URL's path as it was sent, without its query.
        query: The query, without its question mark.
        body: The request's body.
    """
    if isinstance(body, Mapping):
        document: Any = dict(body)
    else:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return None
    if not isinstance(document, dict):
        return None
    path = unquote(path)
    for wire in FORMATS:
        asked = wire.recognise(path, document)
        if asked is not None:
            provider = provider_of(host, path, wire.vendor)
            call = PendingCall(wire.api, provider, asked.model, document, asked.streamed)
            as_array = asked.streamed and wire.streams_arrays and "alt=sse" not in query
            return Recognised(call, wire, as_array)
    return None


def provider_of(host: str, path: str, vendor: str) -> str:
    """Name who serves a call.

    Args:
        host: The host's name or address.
        path: The URL's path.
        vendor: Whose format it speaks; this is the answer for hosts of nobody's, such as
            ``localhost``, addresses and test domains.
    """
    host = host.lower().rstrip(".")
    for domain, provider in _HOSTS.items():
        if host == domain or host.endswith("." + domain):
            return provider
    if _AZURE_PATH in path:
        return "azure"
    return vendor if _LOCAL_HOST.fullmatch(host) else host
