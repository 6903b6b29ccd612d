"""Whether load tests are shown while they run, and in which way."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from senytl.pytest_plugin.options import CONFIG

if TYPE_CHECKING:
    from senytl.pytest_plugin.stdout import Stdout

__all__ = ["WORKER_ADDRESS", "is_shown", "takes_panel"]

WORKER_ADDRESS = "senytl_progress"
"""Where an xdist worker's input says whom to tell of its load tests; missing where nobody is."""


def is_shown(config: pytest.Config) -> bool:
    """Whether load tests are to be shown in this process."""
    return (
        config.stash[CONFIG].progress != "off"
        and config.get_verbosity() >= 0
        and config.pluginmanager.has_plugin("terminalreporter")
    )


def takes_panel(config: pytest.Config, stdout: Stdout) -> bool:
    """Whether lines can be drawn anew there, and nobody else does so."""
    wanted = config.stash[CONFIG].progress
    if wanted == "plain" or not stdout.is_terminal:
        return False
    return wanted == "live" or not (
        sys.platform == "win32"  # its console obeys escape sequences only where it was told to
        or os.environ.get("TERM", "dumb") in ("dumb", "unknown")
        or os.environ.get("CI")
        or config.pluginmanager.has_plugin("sugar")
        or config.getini("log_cli")
        or config.getoption("log_cli_level", None) is not None
    )
