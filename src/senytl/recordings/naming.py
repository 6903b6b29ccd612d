"""Where a recording lies."""

from __future__ import annotations

import os
from pathlib import Path
from types import FrameType

from senytl.snapshot.naming import safe_name, test_file

__all__ = ["FOLDER", "named_recording", "path_of", "recording_of_test", "shown"]

FOLDER = ".recordings"


def path_of(name: str | os.PathLike[str], frame: FrameType) -> Path:
    """The file of a recording that code in this frame names.

    Args:
        name: Its name, or a path, which is taken as it is.
        frame: The code that records or replays. Under pytest its recordings lie beside the file of
            the test that runs, elsewhere in the working directory.

    Raises:
        ValueError: If the name is empty.
    """
    if not isinstance(name, str):
        return Path(name).absolute()
    node = os.environ.get("PYTEST_CURRENT_TEST", "")
    file = node.partition("::")[0]
    folder = test_file(file, frame.f_code.co_filename).parent if file else Path.cwd()
    return named_recording(folder, name)


def named_recording(folder: Path, name: str) -> Path:
    """The file of a recording by its name, for tests in this folder.

    Args:
        folder: The folder.
        name: The name; a ``.json`` at its end is the file's.

    Raises:
        ValueError: If the name is empty.
    """
    name = name.removesuffix(".json")
    if not name.strip():
        raise ValueError("the recording's name is empty; give it one, such as 'checkout'")
    return folder / FOLDER / f"{safe_name(name, name)}.json"


def recording_of_test(file: Path, test: str) -> Path:
    """The file of a recording without a name of its own: the test's.

    Args:
        file: The test's file.
        test: What follows it in the test's node id, such as ``"TestAgent::test_it[a]"``.
    """
    base, bracket, parameters = test.partition("[")
    base = base.replace("::", ".")
    name = safe_name(base + bracket + parameters, base)
    return file.parent / FOLDER / safe_name(file.stem, "") / f"{name}.json"


def shown(path: Path) -> str:
    """A path as messages name it: from the working directory on, where it lies in that."""
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):
        return str(path)
