"""Where a snapshot lies: which file, for which test, under a name that every system takes."""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from types import FrameType

__all__ = ["Place", "place_of", "safe_name", "test_file"]

_FOLDER = ".snapshots"
_UNSAFE = re.compile(r"[^a-z0-9_.\-\[\]]+", re.IGNORECASE)
_LENGTH = 100
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)

_lock = threading.Lock()
# The places in the code where a test takes unnamed snapshots, in the order in which it first came
# to them. A body that is repeated comes to the same place, and so to the same file, again.
_sites: dict[tuple[Path, str], list[tuple[str, int]]] = {}


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a test where a snapshot is taken.

    Args:
        folder: Where the snapshots of the test's module lie.
        test: The test's name, safe as a file's.
        site: The place in the code: its file and line.
    """

    folder: Path
    test: str
    site: tuple[str, int]

    def path(self, name: str | None) -> Path:
        """The snapshot's file.

        Args:
            name: What tells it from others of the same test. Those without a name are numbered
                from the second place in the test on.
        """
        if name is not None:
            return self.folder / f"{self.test}.{safe_name(name, name)}.json"
        with _lock:
            sites = _sites.setdefault((self.folder, self.test), [])
            if self.site not in sites:
                sites.append(self.site)
            number = sites.index(self.site) + 1
        return self.folder / (f"{self.test}~{number}.json" if number > 1 else f"{self.test}.json")


def place_of(frame: FrameType) -> Place:
    """The place of a snapshot that is taken in this frame.

    Under pytest the test that runs gives the names, whichever function takes the snapshot;
    elsewhere that function and its file do.
    """
    code_file = frame.f_code.co_filename
    site = (code_file, frame.f_lineno)
    node = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    if node:
        file, _, test = node.partition("::")
        base, bracket, parameters = test.partition("[")
        base = base.replace("::", ".")
        path = test_file(file, code_file)
        return Place(_folder(path), safe_name(base + bracket + parameters, base), site)
    path = Path(code_file)
    if not path.is_file():  # an interactive session, or code without a file
        path = Path.cwd() / "interactive"
    name = frame.f_code.co_qualname.replace(".<locals>", "").replace("<module>", "module")
    return Place(_folder(path), safe_name(name, name), site)


def test_file(file: str, code_file: str) -> Path:
    """The test's file, which pytest names relative to a folder that it does not tell."""
    roots = (*Path(code_file).parents, Path.cwd(), *Path.cwd().parents)
    return next((root / file for root in roots if (root / file).is_file()), Path.cwd() / file)


def _folder(path: Path) -> Path:
    return path.parent / _FOLDER / safe_name(path.stem, "")


def safe_name(name: str, caseless: str) -> str:
    """The name as a file's, different for different names.

    Args:
        name: The name.
        caseless: The part of it, up to its last dot, in which capitals are no reason for a
            suffix, since no two names differ in nothing but these.
    """
    safe = _UNSAFE.sub("_", name)[:_LENGTH].rstrip(". ")
    tail = name[len(caseless.rpartition(".")[0]) :]
    if name and safe == name and tail == tail.lower() and not _RESERVED.fullmatch(name):
        return safe
    return f"{safe}-{blake2b(name.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}"
