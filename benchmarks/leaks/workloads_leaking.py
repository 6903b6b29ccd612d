"""Workloads that leak Python objects in plain ways: containers, callbacks, caches, histories."""

from __future__ import annotations

import atexit
import functools
import json
import queue
import threading
import weakref
from collections import defaultdict
from collections.abc import Callable
from typing import Any, ClassVar

import leaky_helper
from corpus import Agent, leaking

__all__: list[str] = []

ALL_FORMS = ("sync", "async", "benchmark")


@leaking("dict_by_request", 1_100, forms=ALL_FORMS)
class DictByRequest(Agent):
    pause = 0.001

    def prepare(self) -> None:
        self.answers: dict[int, str] = {}

    def answer(self, request: int, user: int) -> None:
        self.answers[request] = f"{request:>1000}"  # leaks


@leaking("list_of_strings", 110, forms=ALL_FORMS)
class ListOfStrings(Agent):
    def prepare(self) -> None:
        self.seen: list[str] = []

    def answer(self, request: int, user: int) -> None:
        self.seen.append(f"{request:>50}")  # leaks


@leaking("list_of_strings_slow", 110)
class ListOfStringsSlow(ListOfStrings):
    pause = 0.002


@leaking("closures_in_callbacks", 970)
class Closures(Agent):
    def prepare(self) -> None:
        self.callbacks: list[Callable[[], int]] = []

    def answer(self, request: int, user: int) -> None:
        text = f"{request:>600}"  # leaks
        self.callbacks.append(lambda: len(text) + request)  # leaks


class Session:
    def __init__(self, name: str) -> None:
        self.name = name

    def on_change(self) -> None:
        pass


@leaking("observers", 600, forms=ALL_FORMS)
class Observers(Agent):
    def prepare(self) -> None:
        self.observers: list[Callable[[], None]] = []

    def answer(self, request: int, user: int) -> None:
        session = Session(f"{request:>400}")  # leaks
        self.observers.append(session.on_change)  # leaks


@leaking("growing_conversation", 930, forms=ALL_FORMS)
class GrowingConversation(Agent):
    """Each user's history grows for ever."""

    pause = 0.001

    def prepare(self) -> None:
        self.talks: dict[int, list[dict[str, str]]] = {}

    def answer(self, request: int, user: int) -> None:
        talk = self.talks.setdefault(user, [])
        talk.append({"role": "user", "content": f"{request:>150}"})  # leaks
        talk.append({"role": "assistant", "content": f"{request:>300}"})  # leaks


@leaking("growing_conversation_of_many", 2_700, users=12)
class GrowingConversations(GrowingConversation):
    def answer(self, request: int, user: int) -> None:
        talk = self.talks.setdefault(user, [])
        talk.append({"role": "user", "content": f"{request:>1000}"})  # leaks
        talk.append({"role": "assistant", "content": f"{request:>1200}"})  # leaks


@leaking("bytearrays_of_10_kb", 10_100)
class Buffers(Agent):
    each = 10_000

    def prepare(self) -> None:
        self.buffers: list[bytearray] = []

    def answer(self, request: int, user: int) -> None:
        self.buffers.append(bytearray(self.each))  # leaks


@leaking("bytearrays_of_100_kb", 100_100, forms=ALL_FORMS)
class LargeBuffers(Buffers):
    each = 100_000


class Record:
    __slots__ = ("request", "text", "user")

    def __init__(self, request: int, user: int, text: str) -> None:
        self.request, self.user, self.text = request, user, text


@leaking("objects_with_slots", 210)
class SlottedObjects(Agent):
    def prepare(self) -> None:
        self.records: list[Record] = []

    def answer(self, request: int, user: int) -> None:
        self.records.append(Record(request, user, f"{request:>70}"))  # leaks


@leaking("each_50th_request", 102, forms=ALL_FORMS)
class EachFiftieth(Agent):
    def prepare(self) -> None:
        self.kept: list[str] = []

    def answer(self, request: int, user: int) -> None:
        if request % 50 == 7:
            self.kept.append(f"{request:>5000}")  # leaks


@leaking("only_on_errors", 230)
class OnlyOnErrors(Agent):
    """One request in ten fails, and what it was about is kept."""

    pause = 0.001

    def prepare(self) -> None:
        self.failed: list[str] = []

    def answer(self, request: int, user: int) -> None:
        if request % 10 == 3:
            self.failed.append(f"{request:>2200}")  # leaks
            raise RuntimeError("the model did not answer")


@leaking("unbounded_lru_cache", 840, forms=ALL_FORMS)
class UnboundedCache(Agent):
    def prepare(self) -> None:
        @functools.lru_cache(maxsize=None)  # noqa: UP033
        def look_up(number: int) -> str:
            return f"{number:>700}"  # leaks

        self.look_up = look_up

    def answer(self, request: int, user: int) -> str:
        return self.look_up(request)  # leaks


EVENTS: defaultdict[str, list[str]] = defaultdict(list)


@leaking("global_defaultdict", 420)
class GlobalDefaultDict(Agent):
    def answer(self, request: int, user: int) -> None:
        EVENTS[f"topic {request % 20}"].append(f"{request:>350}")  # leaks


@leaking("thread_local", 650)
class ThreadLocal(Agent):
    pause = 0.001

    def prepare(self) -> None:
        self.local = threading.local()

    def answer(self, request: int, user: int) -> None:
        if not hasattr(self.local, "log"):
            self.local.log = []
        self.local.log.append(f"{request:>600}")  # leaks


class Document:
    def __init__(self, text: str) -> None:
        self.text = text


@leaking("weak_values_with_a_strong_twin", 1_320)
class StrongTwin(Agent):
    def prepare(self) -> None:
        self.known: weakref.WeakValueDictionary[int, Document] = weakref.WeakValueDictionary()
        self.recent: list[Document] = []

    def answer(self, request: int, user: int) -> None:
        document = Document(f"{request:>1000}")  # leaks
        self.known[request] = document  # leaks
        self.recent.append(document)


@leaking("alternating_sizes", 2_150)
class AlternatingSizes(Agent):
    """200 bytes at one request, 4 KB at the next."""

    def prepare(self) -> None:
        self.kept: list[bytes] = []

    def answer(self, request: int, user: int) -> None:
        self.kept.append(bytes(4_000 if request % 2 else 200))  # leaks


@leaking("class_attribute", 520, forms=ALL_FORMS)
class ClassAttribute(Agent):
    history: ClassVar[list[dict[str, Any]]] = []

    def answer(self, request: int, user: int) -> None:
        entry = {"request": request, "text": f"{request:>250}"}  # leaks
        self.history.append(entry)


@leaking("helper_module", 490)
class HelperModule(Agent):
    pause = 0.001
    helper = leaky_helper

    def answer(self, request: int, user: int) -> int:
        return leaky_helper.look_up(request)


@leaking("undrained_queue", 300)
class UndrainedQueue(Agent):
    def prepare(self) -> None:
        self.queue: queue.Queue[str] = queue.Queue()

    def answer(self, request: int, user: int) -> None:
        self.queue.put(f"{request:>240}")  # leaks


@leaking("transcript", 150)
class Transcript(Agent):
    """One text that grows."""

    def prepare(self) -> None:
        self.text = ""

    def answer(self, request: int, user: int) -> None:
        self.text += f"{request:>150}"  # leaks


@leaking("exit_handlers", 630)
class ExitHandlers(Agent):
    def answer(self, request: int, user: int) -> None:
        atexit.register(len, f"{request:>500}")  # leaks


@leaking("nested_replies", 2_900)
class NestedReplies(Agent):
    """Whole replies, as they came from JSON."""

    def prepare(self) -> None:
        self.replies: list[Any] = []

    def answer(self, request: int, user: int) -> None:
        text = json.dumps([{"id": f"{request}.{part}", "score": part / 3} for part in range(10)])
        self.replies.append(json.loads(text))  # leaks


@leaking("cache_beside_a_leak", 800)
class CacheBesideALeak(Agent):
    """A cache that fills in the first third, and a leak that it hides."""

    def prepare(self) -> None:
        self.cache: dict[int, str] = {}
        self.kept: list[str] = []

    def answer(self, request: int, user: int) -> None:
        key = request % max(1, self.requests // 3)
        if key not in self.cache:
            self.cache[key] = f"{request:>10000}"
        self.kept.append(f"{request:>740}")  # leaks
