"""Taking secrets out of what is recorded: of JSON at any depth, and of streams across chunks."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from senytl.capture.eventstream import AWS_EVENTS
from senytl.capture.framing import SSE, Event, Framing, framing_of
from senytl.redaction import SECRET, find_secrets, names_a_secret, redact

__all__ = ["Scrubber"]

# A token of a model's vocabulary, as replies with log probabilities name them, is no secret.
_VOCABULARY = frozenset(("logprob", "logProbability"))
# Members that a stream brings in parts, which belong together across its events.
_PARTS = frozenset(
    ("arguments", "content", "delta", "partial_json", "reasoning", "reasoning_content", "refusal",
     "response", "text", "thinking", "transcript")
)  # fmt: skip
_PLACES = ("index", "output_index", "content_index", "item_id")
_LEAST = 8  # characters of an environment variable that may be looked for in texts
_DATA = re.compile(rb"(?:^|[\r\n])data: ?")
_BASE64 = re.compile(r"(?:data:[^,]{0,100},)?[A-Za-z0-9+/_\-\r\n]{2000,}={0,2}\s*")

_KEPT_CHARACTERS = 4_000_000
"""Characters of texts of which is remembered what they are without secrets."""


class Scrubber:
    """Takes out what looks like a secret, what is named one, and the secrets of the environment.

    Args:
        environment: Whose variables' values are secrets where their names say so.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        known = {
            value
            for name, value in environment.items()
            if len(value) >= _LEAST and names_a_secret(name) and not value.isspace()
        }
        # Longest first: one may be the beginning of another.
        self._known = tuple(sorted(known, key=lambda value: (-len(value), value)))
        self._redacted: dict[str, str] = {}
        self._room = _KEPT_CHARACTERS

    def text(self, text: str) -> str:
        """A text without secrets."""
        for value in self._known:
            if value in text:
                text = text.replace(value, SECRET)
        found = self._redacted.get(text)
        if found is None:
            found = redact(text)
            # Under load the same prompts come again and again.
            self._room -= len(text)
            if self._room < 0:
                self._redacted.clear()
                self._room = _KEPT_CHARACTERS
            self._redacted[text] = found
        return found

    def document(self, value: Any, *, name: str = "") -> Any:
        """A JSON value without secrets.

        Args:
            value: The value; it stays as it is.
            name: The member that it stands in.
        """
        if isinstance(value, str):
            return SECRET if value and name and names_a_secret(name) else self.text(value)
        if isinstance(value, Mapping):
            is_vocabulary = not _VOCABULARY.isdisjoint(value)
            return {
                self.text(key): self.document(
                    inner, name="" if is_vocabulary and key == "token" else key
                )
                for key, inner in value.items()
            }
        if isinstance(value, list):
            return [self.document(item, name=name) for item in value]
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return SECRET if is_number and name and names_a_secret(name) else value

    def request(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A request's body without secrets, and with digests in the place of images and files."""
        scrubbed = self.document(_digested(body))
        assert isinstance(scrubbed, dict)
        return scrubbed

    def whole(self, body: bytes) -> bytes:
        """The body of a reply that is no stream, without secrets."""
        try:
            document = json.loads(body)
        except ValueError:
            return self._loose(body)
        scrubbed = self.document(document)
        return body if scrubbed == document else _dump(scrubbed)

    def stream(self, pieces: Sequence[bytes], usual: Framing) -> list[bytes]:
        """The pieces of a stream without secrets, as many as there were.

        A secret may be spread over pieces and over events: what belongs together is put together,
        and what is taken out of it leaves ``[secret]`` where it began.

        Args:
            pieces: The body, decompressed.
            usual: How its format frames events.
        """
        body = b"".join(pieces)
        framing = framing_of(body, usual)
        framed = framing is AWS_EVENTS
        edits: list[tuple[int, int, bytes]] = []
        position = 0
        try:
            read = list(framing.read(body))
        except ValueError:
            read = []
        events = [event for _, event in read]
        for (end, event), document in zip(read, self._documents(events), strict=True):
            start = position + _data_start(body[position:end], framing)
            before = self._loose(body[position:start], framed=framed)  # comments, names of events
            if before != body[position:start]:
                edits.append((position, start, before))
            if event.document is not None and document != event.document:
                edits.append((start, end, _written(Event(document, event.name), framing)))
            position = end
        rest = self._loose(body[position:], framed=framed)
        if rest != body[position:]:
            edits.append((position, len(body), rest))
        return _edited(pieces, edits)

    def _loose(self, data: bytes, *, framed: bool = False) -> bytes:
        """Bytes without the secrets in them; what is no text is left out but in binary frames.

        It might be anything, such as a compressed reply.
        """
        try:
            return self.text(data.decode("utf-8")).encode("utf-8")
        except UnicodeError:
            return data if framed else b""

    def _documents(self, events: Sequence[Event]) -> Iterator[Any]:
        """The events' documents without secrets, also those that are spread over several."""
        documents = [self.document(event.document) for event in events]
        channels: dict[Any, list[tuple[dict[str, Any], str]]] = {}
        for document in documents:
            for channel, place in _parts(document, ()):
                channels.setdefault(channel, []).append(place)
        for places in channels.values():
            self._scrub_together(places)
        return iter(documents)

    def _scrub_together(self, places: Sequence[tuple[dict[str, Any], str]]) -> None:
        texts = [holder[key] for holder, key in places]
        whole = "".join(texts)
        spans = find_secrets(whole)
        for value in self._known:
            spans += [(m.start(), m.end()) for m in re.finditer(re.escape(value), whole)]
        if not spans:
            return
        ends = list(accumulate(map(len, texts)))
        for (holder, key), text, end in zip(places, texts, ends, strict=True):
            start = end - len(text)
            kept: list[str] = []
            position = start
            for first, last in sorted(spans):
                if last <= position or first >= end:
                    continue
                kept.append(whole[position : max(position, first)])
                if start <= first < end:
                    kept.append(SECRET)
                position = min(last, end)
            holder[key] = "".join((*kept, whole[position:end]))


def _digested(value: Any) -> Any:
    if isinstance(value, str):
        if len(value) < 2000 or not _BASE64.fullmatch(value):
            return value
        digest = hashlib.sha256(value.encode()).hexdigest()[:32]
        return f"[{len(value)} characters of base64, sha256 {digest}]"
    if isinstance(value, Mapping):
        return {key: _digested(inner) for key, inner in value.items()}
    return [_digested(item) for item in value] if isinstance(value, list) else value


def _parts(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, tuple[dict[str, Any], str]]]:
    """The texts in an event that go on in later ones: which text, and where its part stands."""
    if isinstance(value, dict):
        place = tuple(value[key] for key in _PLACES if isinstance(value.get(key), int | str))
        for key, inner in value.items():
            if isinstance(inner, str):
                if key in _PARTS:
                    yield (*path, place, key), (value, key)
            else:
                yield from _parts(inner, (*path, place, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _parts(item, (*path, number))


def _data_start(segment: bytes, framing: Framing) -> int:
    """Where in the part of a body that brings an event its data begin."""
    if framing is AWS_EVENTS:
        return 0
    if framing is SSE:
        match = _DATA.search(segment)
        return match.end() if match else 0
    return max(segment.find(b"{"), 0)


def _written(event: Event, framing: Framing) -> bytes:
    """The data of an event, to stand in the place of what came."""
    if framing is AWS_EVENTS:
        return b"".join(framing.write([event]))
    return _dump(event.document)


def _dump(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace")


def _edited(pieces: Sequence[bytes], edits: Iterable[tuple[int, int, bytes]]) -> list[bytes]:
    """The pieces with parts of the whole replaced; a replacement goes where its part ended.

    An event is complete with its last byte, so that there its replacement comes in time.
    """
    ends = list(accumulate(map(len, pieces)))
    edited: list[bytearray] = [bytearray() for _ in pieces]
    waiting = sorted(edits)
    for number, (piece, end) in enumerate(zip(pieces, ends, strict=True)):
        start = position = end - len(piece)
        while waiting and waiting[0][0] < end:
            first, last, replacement = waiting[0]
            edited[number] += piece[position - start : max(first, position) - start]
            position = max(position, min(last, end))
            if last > end:
                break
            edited[number] += replacement
            waiting.pop(0)
        edited[number] += piece[position - start :]
    return [bytes(piece) for piece in edited]
