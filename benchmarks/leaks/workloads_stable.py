"""Stable workloads that keep things for a while: caches, rings, sessions, histories, buffers."""

from __future__ import annotations

import functools
import json
import logging
import random
import re
import sys
import threading
import weakref
from collections import Counter, OrderedDict, deque
from importlib import import_module
from logging.handlers import BufferingHandler

from corpus import Agent, stable

__all__: list[str] = []

ALL_FORMS = ("sync", "async", "benchmark")


@stable("flat", forms=ALL_FORMS)
class Flat(Agent):
    pause = 0.001

    def answer(self, request: int, user: int) -> str:
        return json.dumps(
            {"request": request, "words": [f"{request}.{word}" for word in range(50)]}
        )


class FillingCache(Agent):
    """A cache of all answers, whose keys have all been seen after a share of the requests."""

    share = 0.0
    each = 2_000

    def prepare(self) -> None:
        self.keys = max(1, int(self.requests * self.share))
        self.cache: dict[int, str] = {}

    def answer(self, request: int, user: int) -> str:
        key = request % self.keys
        if key not in self.cache:
            self.cache[key] = f"{request:>{self.each}}"
        return self.cache[key]


@stable("cache_fills_at_10", forms=ALL_FORMS)
class FillingCache10(FillingCache):
    share, each = 0.1, 20_000


@stable("cache_fills_at_30")
class FillingCache30(FillingCache):
    share, each, pause = 0.3, 5_000, 0.001


@stable("cache_fills_at_60", forms=ALL_FORMS)
class FillingCache60(FillingCache):
    share, each = 0.6, 2_000


@stable("cache_fills_at_90")
class FillingCache90(FillingCache):
    share, each, pause = 0.9, 500, 0.001


@stable("cache_fills_at_120", forms=ALL_FORMS)
class FillingCache120(FillingCache):
    """Looks like a leak to the end, as long as nobody waits longer."""

    share, each = 1.2, 1_000


@stable("lru_ring", forms=ALL_FORMS)
class Ring(Agent):
    def prepare(self) -> None:
        self.ring: OrderedDict[int, str] = OrderedDict()

    def answer(self, request: int, user: int) -> None:
        self.ring[request] = f"{request:>3000}"
        if len(self.ring) > 200:
            self.ring.popitem(last=False)


@stable("deque_with_maxlen")
class RecentAnswers(Agent):
    pause = 0.001

    def prepare(self) -> None:
        self.recent: deque[str] = deque(maxlen=300)

    def answer(self, request: int, user: int) -> None:
        self.recent.append(json.dumps({"request": request, "text": "x" * (request % 700)}))


@stable("random_keys", forms=ALL_FORMS)
class RandomKeys(Agent):
    """A cache whose keys come at random: the last of them come late."""

    def prepare(self) -> None:
        self.random = random.Random(7)
        self.keys = self.requests // 4
        self.cache: dict[int, str] = {}

    def answer(self, request: int, user: int) -> None:
        key = self.random.randrange(self.keys)
        if key not in self.cache:
            self.cache[key] = f"{key:>1000}"


@stable("random_eviction")
class RandomEviction(Agent):
    """A cache of mixed sizes that throws out anything when it is full."""

    def prepare(self) -> None:
        self.random = random.Random(8)
        self.cache: dict[int, bytes] = {}

    def answer(self, request: int, user: int) -> None:
        self.cache[self.random.randrange(10_000)] = bytes(self.random.randrange(50, 4_000))
        if len(self.cache) > 250:
            del self.cache[self.random.choice(list(self.cache))]


@stable("user_ramp", users=12, load={"ramp_up": 1.0})
class UserRamp(Agent):
    """Each user has a session of 200 KB, and they come one after the other."""

    pause = 0.002

    def prepare(self) -> None:
        self.sessions: dict[int, bytearray] = {}

    def answer(self, request: int, user: int) -> None:
        if user not in self.sessions:
            self.sessions[user] = bytearray(200_000)


@stable("late_users")
class LateUsers(Agent):
    """Twenty customers with 200 KB each, the last of whom comes after 45 % of the requests."""

    def prepare(self) -> None:
        self.sessions: dict[int, bytearray] = {}

    def answer(self, request: int, user: int) -> None:
        known = 1 + int(19 * min(1.0, request / (0.45 * self.requests)))
        customer = request % known
        if customer not in self.sessions:
            self.sessions[customer] = bytearray(200_000)


@stable("trimmed_conversation", forms=ALL_FORMS)
class TrimmedConversation(Agent):
    def prepare(self) -> None:
        self.talks: dict[int, list[dict[str, str]]] = {}

    def answer(self, request: int, user: int) -> None:
        talk = self.talks.setdefault(user, [])
        talk.append({"role": "user", "content": f"Where is order {request}? " * 10})
        talk.append({"role": "assistant", "content": f"Order {request} is in transit. " * 20})
        del talk[:-20]


@stable("lazy_modules", users=2)
class LazyModules(Agent):
    """Tools that import what they need at their first use, in the first 40 % of the requests."""

    pause = 0.001
    tools = (
        "csv", "decimal", "difflib", "email.mime.text", "fractions", "html.parser", "http.client",
        "mailbox", "optparse", "pdb", "plistlib", "pydoc", "sqlite3", "statistics", "tarfile",
        "turtledemo", "unittest.mock", "wsgiref.simple_server", "xml.dom.minidom", "xmlrpc.client",
    )  # fmt: skip

    def answer(self, request: int, user: int) -> None:
        step = max(1, int(0.4 * self.requests / len(self.tools)))
        if request % step == 0 and request // step < len(self.tools):
            import_module(self.tools[request // step])


class ClearedBuffer(Agent):
    """A batch that is sent off when it is full."""

    size = 100

    def prepare(self) -> None:
        self.batch: list[str] = []

    def answer(self, request: int, user: int) -> None:
        self.batch.append(f"{request:>1000}")
        if len(self.batch) >= self.size:
            self.batch.clear()


@stable("buffer_of_100")
class ClearedBuffer100(ClearedBuffer):
    pause = 0.001


@stable("buffer_of_110", forms=ALL_FORMS)
class ClearedBuffer110(ClearedBuffer):
    """Somewhat fuller each time that a tenth of 1,200 requests has ended."""

    size = 110


@stable("buffer_of_500")
class ClearedBuffer500(ClearedBuffer):
    size = 500


@stable("bounded_log_handler")
class BoundedLog(Agent):
    def prepare(self) -> None:
        self.log = logging.Logger("bounded")
        self.log.addHandler(BufferingHandler(150))

    def answer(self, request: int, user: int) -> None:
        self.log.warning("request %d of user %d: %s", request, user, f"{request:>600}")


@stable("bounded_caches")
class BoundedCaches(Agent):
    """Those of the standard library: of compiled patterns, and of results."""

    def prepare(self) -> None:
        self.lookup = functools.lru_cache(maxsize=128)(lambda number: f"{number:>1500}")

    def answer(self, request: int, user: int) -> None:
        re.compile(rf"order[ -]{request % 300}(\d+)").search(f"order {request}")
        self.lookup(request)


@stable("interned_strings")
class Interned(Agent):
    def answer(self, request: int, user: int) -> None:
        for word in range(10):
            sys.intern(f"topic-{(request * 7 + word) % 200}")


@stable("counted_labels")
class CountedLabels(Agent):
    """Statistics of the agent's own: labels from a bounded set, and a sample of 400 latencies."""

    def prepare(self) -> None:
        self.random = random.Random(9)
        self.counts: Counter[str] = Counter()
        self.sample: list[float] = []

    def answer(self, request: int, user: int) -> None:
        self.counts[f"status-{request % 60}"] += 1_000_003
        if len(self.sample) < 400:
            self.sample.append(self.random.random())
        else:
            self.sample[self.random.randrange(400)] = self.random.random()


class Document:
    def __init__(self, text: str) -> None:
        self.text = text


@stable("weak_cache")
class WeakCache(Agent):
    def prepare(self) -> None:
        self.known: weakref.WeakValueDictionary[int, Document] = weakref.WeakValueDictionary()

    def answer(self, request: int, user: int) -> int:
        document = Document(f"{request:>2000}")
        self.known[request] = document
        return len(self.known[request].text)


@stable("thread_local_client")
class ThreadLocalClient(Agent):
    """Each thread makes a client once, with buffers of 50 KB."""

    pause = 0.001

    def prepare(self) -> None:
        self.local = threading.local()

    def answer(self, request: int, user: int) -> None:
        if not hasattr(self.local, "client"):
            self.local.client = {"buffer": bytearray(50_000)}
        self.local.client["last"] = f"{request:>500}"
