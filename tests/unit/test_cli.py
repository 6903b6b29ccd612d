from __future__ import annotations

import subprocess
import sys

import pytest

from senytl import __version__
from senytl.cli import main


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--version"], ["--help"], ["serve", "--help"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
    output = capsys.readouterr().out
    assert f"senytl {__version__}\n" in output
    assert "serve mocked or recorded models" in output
    assert "def rules(senytl):" in output


def test_a_command_is_required_and_must_exist(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["nothing"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_python_m_senytl_is_the_command() -> None:
    command = [sys.executable, "-W", "error", "-m", "senytl", "--version"]
    assert subprocess.check_output(command, text=True) == f"senytl {__version__}\n"


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from senytl.cli import main\n"
        "try: main(['serve', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'aiohttp', 'pytest', 'tiktoken', 'httpx2', 'psutil', 'rich'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
