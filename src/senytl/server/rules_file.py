"""Reading the file that states what a server answers."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from senytl.mocking import MockRules
from senytl.models import SenytlError
from senytl.session import Senytl

__all__ = ["load_session", "states_mocks"]


def load_session(name: str, seed: int | None = None) -> Senytl:
    """Run a Python file, and take the session that it makes, or let it state mocks in one.

    Args:
        name: The file; it may import what lies beside it.
        seed: The seed of the session; 0 unless given.

    Raises:
        SenytlError: If there is no such file, it fails, or has neither a session named ``senytl``
            nor a function named ``rules``.
    """
    path = Path(name)
    module = _run_file(path)
    rules, session = getattr(module, "rules", None), getattr(module, "senytl", None)
    if callable(rules):
        session = Senytl(fallback="error", seed=seed or 0)
        try:
            rules(session)
        except Exception as error:
            raise SenytlError(f"rules() of {name} failed: {_described(error, path)}") from error
        return session
    if isinstance(session, Senytl):
        if seed is not None:
            raise SenytlError(
                f"{name} makes its session itself, so --seed has no effect on it: write "
                f"Senytl(seed={seed}) there, or define rules(senytl) instead"
            )
        return session
    raise SenytlError(
        f"{name} states nothing to serve: define a function rules(senytl) that calls "
        "senytl.mock(...), or a senytl.Senytl session named senytl"
    )


def states_mocks(session: Senytl) -> bool:
    """Whether a session has any mock that answers."""
    rules = getattr(session.answerer, "rules", None)
    return not isinstance(rules, MockRules) or bool(rules.describe())


def _run_file(path: Path) -> ModuleType:
    try:
        source = path.read_bytes()
    except OSError as error:
        raise SenytlError(f"cannot read {path}: {error.strerror}") from error
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    # What the file defines must find its module, as dataclasses do, unless a real one is so named.
    sys.modules.setdefault(path.stem, module)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        members: dict[str, Any] = vars(module)
        exec(compile(source, str(path), "exec"), members)
    except Exception as error:
        raise SenytlError(f"{path} failed: {_described(error, path)}") from error
    return module


def _described(error: Exception, path: Path) -> str:
    """An error in one line, with the line of the file that it comes from."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    number = error.lineno if isinstance(error, SyntaxError) else (lines[-1] if lines else None)
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    place = "" if number is None else f" (line {number})"
    return f"{type(error).__name__}: {message}{place}"
