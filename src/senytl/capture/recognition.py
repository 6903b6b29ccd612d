"""Telling LLM calls from other traffic.

Method, path suffix and the body's shape decide the wire format, the host decides the vendor.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from senytl.capture.calls import PendingCall
from senytl.capture.framing import ARRAY, SSE, Framing
from senytl.capture.pacing import Pace
from senytl.capture.playback import Playback
from senytl.capture.providers import FORMATS
from senytl.capture.providers.base import Reply, WireFormat
from senytl.models import MockResponse

__all__ = ["Recognised", "is_candidate", "provider_of", "recognise"]

# Vendors by their domains, under the names that genai-prices knows them by.
_HOSTS = {
    "openai.com": "openai",
    "anthropic.com": "anthropic",
    "googleapis.com": "google",
    "azure.com": "azure",
    "azure-api.net": "azure",
    "mistral.ai": "mistral",
    "groq.com": "groq",
    "together.xyz": "together",
    "together.ai": "together",
    "openrouter.ai": "openrouter",
    "cohere.com": "cohere",
    "cohere.ai": "cohere",
    "deepseek.com": "deepseek",
    "x.ai": "x-ai",
    "fireworks.ai": "fireworks",
    "perplexity.ai": "perplexity",
    "cerebras.ai": "cerebras",
    "moonshot.ai": "moonshotai",
    "moonshot.cn": "moonshotai",
    "novita.ai": "novita",
    "z.ai": "zai",
    "bigmodel.cn": "zhipuai",
    "minimax.io": "minimax",
    "minimaxi.com": "minimax",
    "voyageai.com": "voyageai",
    "githubcopilot.com": "github-copilot",
    "baseten.co": "baseten",
    "cloud.databricks.com": "databricks",
    "gcp.databricks.com": "databricks",
    "azuredatabricks.net": "databricks",
    "ollama.com": "ollama",
}
_BEDROCK_HOST = re.compile(  # not all of amazonaws.com: agents live there too
    r"""
    (?:.+\.)? bedrock (?:-runtime|-mantle)? (?:-fips)? \. [a-z0-9-]+ \.
    (?:vpce\.)? (?:amazonaws\.com(?:\.cn)? | api\.aws)
    """,
    re.VERBOSE,
)
_AZURE_PATH = "/openai/deployments/"
_LOCAL_HOST = re.compile(
    r"""
    [^.]*                                                   # a single label: localhost, a container
    | .*\.(?:localhost|local|internal|lan|test|example|invalid)
    | \d+\.\d+\.\d+\.\d+ | .*:.*                            # addresses
    """,
    re.VERBOSE,
)


class Recognised(NamedTuple):
    """A request that is an LLM call, and the format in which it will be answered.

    Args:
        call: What is asked for.
        wire: The format.
        framing: How its stream is cut into events.
    """

    call: PendingCall
    wire: WireFormat
    framing: Framing

    def read_document(self, body: bytes) -> Reply:
        """Read a reply that is no stream.

        Raises:
            ValueError: If it is no JSON object.
        """
        document = json.loads(body)
        if not isinstance(document, dict):
            raise ValueError(f"the reply is not an object but {type(document).__name__}")
        return self.wire.read_reply(document)

    def play(
        self,
        response: MockResponse,
        pace: Pace | None = None,
        *,
        cut_after: int | None = None,
    ) -> Playback:
        """The response that says what a mock says, as the provider would write it.

        Args:
            response: What it says, with a usage.
            pace: How fast it comes; at once where it is not given.
            cut_after: The number of chunks after which the connection is lost; a reply that is
                no stream is then lost as a whole.
        """
        tokens = response.usage.completion_tokens if response.usage else 0
        if not self.call.streamed:
            return self._play_whole(
                response, 0.0 if pace is None else pace.whole(tokens), cut_after
            )
        events = list(self.wire.write_events(response, self.call))
        pieces = list(self.framing.write(events))
        chunks = [self.wire.chunk_kind(event) is not None for event in events]
        chunks += [False] * (len(pieces) - len(events))
        moments = [] if pace is None else pace.moments(chunks, tokens)
        headers = {"content-type": self.framing.content_type}
        if cut_after is None:
            return Playback(headers=headers, pieces=pieces, moments=moments, response=response)
        kept = _pieces_up_to(chunks, cut_after)
        return Playback(
            headers=headers, pieces=pieces[:kept], moments=moments[:kept], ending="disconnect"
        )

    def _play_whole(self, response: MockResponse, moment: float, cut_after: int | None) -> Playback:
        if cut_after is not None:
            return Playback(ending="disconnect", ends_at=moment)
        document = self.wire.write_reply(response, self.call)
        return Playback(
            headers={"content-type": "application/json"},
            pieces=[json.dumps(document, ensure_ascii=False).encode()],
            moments=[moment] if moment else [],
            head_at=moment,
            ends_at=moment,
            response=response,
        )

    def refuse(
        self,
        status: int,
        message: str,
        headers: Mapping[str, str] | None = None,
        moment: float = 0.0,
    ) -> Playback:
        """The response that refuses a call with an HTTP status, as the provider words it.

        Args:
            status: 400 or above.
            message: What is wrong.
            headers: More headers, such as ``retry-after``.
            moment: When it comes, in seconds from the call's start.
        """
        document = self.wire.write_error(status, message)
        return Playback(
            status=status,
            headers={"content-type": "application/json", **(headers or {})},
            pieces=[json.dumps(document, ensure_ascii=False).encode()],
            moments=[moment] if moment else [],
            head_at=moment,
        )


def _pieces_up_to(chunks: Sequence[bool], count: int) -> int:
    """How many pieces it takes to have so many chunks, or all; what comes before them counts.

    None of what follows the last chunk does: a stream that tells its end has not been cut off.
    """
    places = [place for place, is_chunk in enumerate(chunks) if is_chunk]
    if not places:
        return 0
    return places[count] if count < len(places) else places[-1] + 1


def is_candidate(method: str, path: str) -> bool:
    """Whether a request may be an LLM call, by what can be seen without reading its body.

    Args:
        method: The HTTP method.
        path: The URL's path, without its query.
    """
    return method == "POST" and bool(_formats_of(path))


@functools.lru_cache(maxsize=4096)
def _formats_of(path: str) -> tuple[WireFormat, ...]:
    """The formats whose calls have a path like this one; paths are few, and repeat."""
    path = unquote(path)
    formats = _BY_TAIL.get(_tail(path), ())
    return tuple(wire for wire in formats if path.endswith(wire.suffixes))


def _tail(path: str) -> str:
    """What follows the path's last slash or colon."""
    return path[max(path.rfind("/"), path.rfind(":")) + 1 :]


_BY_TAIL: dict[str, list[WireFormat]] = {}
for _wire in FORMATS:
    for _suffix in _wire.suffixes:
        _BY_TAIL.setdefault(_tail(_suffix), []).append(_wire)


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
    formats = _formats_of(path)
    if not formats:
        return None
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
    for wire in formats:
        asked = wire.recognise(path, document)
        if asked is not None:
            provider = provider_of(host, path, wire.vendor)
            call = PendingCall(wire.api, provider, asked.model, document, asked.streamed)
            framing = SSE if wire.framing is ARRAY and "alt=sse" in query else wire.framing
            return Recognised(call, wire, framing)
    return None


@functools.lru_cache(maxsize=1024)
def provider_of(host: str, path: str, vendor: str) -> str:
    """Name who serves a call.

    Args:
        host: The host's name or address.
        path: The URL's path.
        vendor: Whose format it speaks; this is the answer for hosts of nobody's, such as
            ``localhost``, addresses and test domains.
    """
    host = host.lower().rstrip(".")
    labels = host.split(".")
    for first in range(len(labels) - 1):
        provider = _HOSTS.get(".".join(labels[first:]))
        if provider is not None:
            return provider
    if _BEDROCK_HOST.fullmatch(host):
        return "aws"
    if _AZURE_PATH in path:
        return "azure"
    return vendor if _LOCAL_HOST.fullmatch(host) else host
