"""The command ``senytl`` and its subcommands, one module each; a new one is registered here."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from senytl import __version__
from senytl.models import SenytlError

__all__ = ["Command", "main"]

_COMMANDS = {
    "serve": "senytl.server.command",
}
"""Each subcommand and the module that is one, see `Command`."""


class Command(Protocol):
    """What the module of a subcommand has; it loads in every run, so it loads nothing heavy."""

    SUMMARY: str
    """What the subcommand does, in one line of the help."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add its arguments and options."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it, and give the exit code.

        Raises:
            SenytlError: If it cannot be done; the message is shown, and the exit code is 2.
        """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows the command's name; those of this process where not given.

    Returns:
        The exit code: 2 for what could not be done as it was asked for.

    Raises:
        SystemExit: For ``--help`` and ``--version``, and with 2 for arguments that are none.
    """
    parser = argparse.ArgumentParser(
        prog="senytl", description="Performance and SLA testing of LLM agents."
    )
    parser.add_argument("--version", action="version", version=f"senytl {__version__}")
    subparsers = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True
    )
    commands = {name: cast("Command", import_module(home)) for name, home in _COMMANDS.items()}
    for name, command in commands.items():
        subparser = subparsers.add_parser(
            name,
            help=command.SUMMARY,
            description=command.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(subparser)
    parsed = parser.parse_args(arguments)
    try:
        return commands[parsed.command].run(parsed)
    except SenytlError as problem:
        sys.stderr.write(f"senytl {parsed.command}: error: {problem}\n")
        return 2
