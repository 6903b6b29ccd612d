from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from senytl.capture import CaptureScope, CaptureWarning
from senytl.capture.hooks import subprocess_start
from senytl.capture.unseen import Unseen, unseen_calls

AGENT = "import sys\nif False:\n    from openai import OpenAI\n"


def missed(before: Any) -> list[Unseen]:
    return list((unseen_calls() - before).elements())


@pytest.mark.parametrize(
    ("arguments", "sdk"),
    [
        (["-c", "import sys; import anthropic.nothing.of.that.name"], "anthropic"),
        (["-X", "dev", "agent.py", "import groq"], "openai"),
        (["-m", "agent"], "openai"),
        (["-c", "from google import genai.nothing"], "google.genai"),
    ],
)
def test_python_code_that_imports_an_sdk_is_noticed(
    arguments: list[str], sdk: str, scope: CaptureScope, tmp_path: Path
) -> None:
    (tmp_path / "agent.py").write_text(AGENT)
    before = unseen_calls()
    with pytest.warns(CaptureWarning, match=f"a process that runs {sdk}"):
        subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, check=False, stderr=subprocess.DEVNULL
        )
    assert missed(before) == [Unseen("process", sdk)]


def test_a_program_that_calls_models_is_noticed(scope: CaptureScope, tmp_path: Path) -> None:
    program = tmp_path / "claude"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o755)
    before = unseen_calls()

    async def run() -> bytes:
        process = await asyncio.create_subprocess_exec(
            program, "-p", "hi", stdout=asyncio.subprocess.PIPE
        )
        return (await process.communicate())[0]

    with pytest.warns(CaptureWarning, match="a process that runs claude"):
        assert asyncio.run(run()) == b"hello\n"
    # The second one is counted without a warning.
    subprocess.run(f"{program} -p hi", shell=True, check=True, stdout=subprocess.DEVNULL)
    assert missed(before) == [Unseen("process", "claude")] * 2


def test_other_programs_are_not(scope: CaptureScope, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("print('import openai is what an agent would say')\n")
    before = unseen_calls()
    quiet: Any = {"check": False, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([sys.executable, "-c", "import json"], **quiet)
    subprocess.run([sys.executable, "other.py"], cwd=tmp_path, **quiet)
    subprocess.run([sys.executable, "missing.py"], cwd=tmp_path, **quiet)
    subprocess.run([sys.executable, "-m", "json.tool", os.devnull], **quiet)
    subprocess.run(["true", "import openai"], **quiet)
    with pytest.raises(TypeError):
        subprocess.run([None], check=False)  # type: ignore[list-item]
    with pytest.raises(IndexError):
        subprocess.run([], check=False)
    assert missed(before) == []


def agent() -> None:
    """Stands for one that calls a model."""


class AgentProcess(multiprocessing.Process):
    def run(self) -> None:
        agent()


def run_process() -> None:
    process = multiprocessing.get_context("spawn").Process(target=os.getpid)
    process.start()
    process.join()


def run_subclass() -> None:
    process = AgentProcess()
    process.start()
    process.join()


def run_pool() -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(os.getpid).result() != os.getpid()


@pytest.mark.parametrize(
    ("run", "name"),
    [(run_process, "getpid"), (run_subclass, "AgentProcess"), (run_pool, "a process pool")],
)
def test_a_process_of_multiprocessing_is_noticed_where_an_sdk_is_imported(
    run: Callable[[], None], name: str, scope: CaptureScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openai", ModuleType("openai"))
    before = unseen_calls()
    with pytest.warns(CaptureWarning, match=f"a process that runs {name}"):
        run()
    assert missed(before) == [Unseen("process", name)]


def test_a_process_is_not_noticed_without_an_sdk_nor_multiprocessings_own(
    scope: CaptureScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = unseen_calls()
    for name in subprocess_start._SDKS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    run_process()
    monkeypatch.setitem(sys.modules, "openai", ModuleType("openai"))
    with multiprocessing.get_context("spawn").Manager() as manager:
        assert manager.list([1])[0] == 1
    assert missed(before) == []


def test_outside_a_scope_popen_is_pythons_own() -> None:
    assert subprocess.Popen.__init__.__module__ == "subprocess"
    assert not hasattr(subprocess.Popen.__init__, "__wrapped__")
