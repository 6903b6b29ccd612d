"""Hooks that only notice: programs and functions that call models in a process of their own."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from senytl.capture.hooks.patching import Seat
from senytl.capture.scope import is_open
from senytl.capture.unseen import Unseen, note_unseen

__all__ = ["process_seats", "seats"]

_PROGRAMS = frozenset(("aider", "claude", "codex", "gemini", "llm", "opencode"))
_PYTHON = re.compile(r"python[\d.]*(?:\.exe)?$")
_SDKS = (
    "anthropic",
    "claude_agent_sdk",
    "cohere",
    "crewai",
    "dspy",
    "google.genai",
    "google.generativeai",
    "groq",
    "langchain",
    "langchain_core",
    "litellm",
    "llama_index",
    "mistralai",
    "ollama",
    "openai",
    "pydantic_ai",
    "smolagents",
    "together",
    "vertexai",
    "xai_sdk",
)
_IMPORT = re.compile(
    rf"^\s*(?:from|import)\s+(?P<sdk>{'|'.join(map(re.escape, _SDKS))}|langchain\w+)\b"
    r"|^\s*from\s+google\s+import\s+(?P<genai>genai)\b",
    re.MULTILINE,
)
_MOST = 200_000  # characters of a script that are searched


def seats(module: ModuleType) -> Iterator[Seat]:
    """The method of `subprocess` to wrap; asyncio starts its processes through it too."""
    yield Seat(module.Popen, "__init__", _wrap)


def process_seats(module: ModuleType) -> Iterator[Seat]:
    """The method of `multiprocessing.process` to wrap; process pools start their workers by it."""
    yield Seat(module.BaseProcess, "start", _wrap_process)


def _wrap_process(original: Callable[..., Any]) -> Callable[..., Any]:
    def start(self: Any) -> Any:
        # What a function will do cannot be told; where no SDK is about it is no call of a model.
        if is_open() and any(name in sys.modules for name in _SDKS):
            name = _function_of(self)
            if name is not None:
                note_unseen(Unseen("process", name))
        return original(self)

    return start


def _function_of(process: Any) -> str | None:
    """What a process of `multiprocessing` runs; None where it is a part of `multiprocessing`."""
    target = getattr(process, "_target", None)
    if target is None:
        return type(process).__name__
    module = getattr(target, "__module__", "")
    if module in ("concurrent.futures.process", "multiprocessing.pool"):
        return "a process pool"
    if module == "multiprocessing.managers":
        return None
    return str(getattr(target, "__qualname__", target))


def _wrap(original: Callable[..., Any]) -> Callable[..., Any]:
    def __init__(self: Any, args: Any, *rest: Any, **kwargs: Any) -> None:  # noqa: N807
        if is_open():
            try:
                name = _caller_of_models(args, kwargs.get("cwd"))
            except (OSError, TypeError, ValueError):
                name = None  # Popen will say what is wrong with its arguments
            if name is not None:
                note_unseen(Unseen("process", name))
        original(self, args, *rest, **kwargs)

    return __init__


def _caller_of_models(args: Any, cwd: Any) -> str | None:
    """What a command runs that calls models, as far as can be told; None for others."""
    if isinstance(args, str | bytes | os.PathLike):
        words = os.fsdecode(args).split()
    else:
        words = [os.fsdecode(word) for word in args]
    if not words:
        return None
    program = Path(words[0]).name
    if program.removesuffix(".exe") in _PROGRAMS:
        return program
    if words[0] != sys.executable and not _PYTHON.match(program):
        return None
    found = _IMPORT.search(_source(words[1:], Path(os.fsdecode(cwd or "."))))
    return None if found is None else found["sdk"] or "google.genai"


def _source(arguments: Sequence[str], folder: Path) -> str:
    """The Python code that an interpreter is given, as far as it is at hand."""
    words = iter(arguments)
    for word in words:
        if word == "-c":
            return re.sub(r"[;\n]\s*", "\n", next(words, ""))
        if word == "-m":
            return _read(folder / (next(words, "").replace(".", "/") + ".py"))
        if word in ("-W", "-X"):
            next(words, None)
        elif not word.startswith("-"):
            return _read(folder / word)
    return ""


def _read(script: Path) -> str:
    if not script.is_file():
        return ""
    with script.open(encoding="utf-8", errors="replace") as file:
        return file.read(_MOST)
