"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["check_writable", "write_whole"]


def write_whole(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file in UTF-8, so that a reader finds the old content or the new one.

    Folders are made as needed. A symbolic link stays one, and so do the permissions of a file
    that is replaced; what is no regular file (a pipe, a terminal) is written to as it is.

    Raises:
        OSError: If that fails; it names `path`, and leaves no temporary file behind.
    """
    content = text.encode("utf-8")
    with _naming(path):
        if _is_special(path):
            Path(path).write_bytes(content)
            return
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        with _temporary_file(target.parent) as temporary:
            temporary.write_bytes(content)
            if target.exists():
                shutil.copymode(target, temporary)
            temporary.replace(target)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Check that `write_whole` can write there, leaving no trace.

    Raises:
        OSError: If it cannot; it names `path`.
    """
    with _naming(path):
        if _is_special(path):
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        folder = next((one for one in Path(os.path.realpath(path)).parents if one.exists()), None)
        if folder is None:  # a drive that is not there
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        # The one sure test: access rights are not all that may forbid it.
        with _temporary_file(folder):
            pass


@contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let an OSError name the file that the user asked for, not a temporary one."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error


def _is_special(path: str | os.PathLike[str]) -> bool:
    """Whether the path leads to something that must not be replaced, such as /dev/stdout."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return not stat.S_ISREG(mode)


@contextmanager
def _temporary_file(folder: Path) -> Iterator[Path]:
    """An empty file in `folder`, with the permissions of any new file; gone at the end."""
    temporary = folder / f".senytl-{secrets.token_hex(8)}.tmp"
    temporary.touch(exist_ok=False)
    try:
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
