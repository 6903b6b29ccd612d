"""What the plugin adds to the start of pytest, in a session that has no test of senytl.

    python benchmarks/startup.py

``pytest --version`` alone prints its line before it loads any plugin, so it is asked twice, which
loads them; beside it stands a whole session with one test. Each runs with the plugin and without
it in turn, so that whatever else the machine does hits both, and with no other plugin, so that
what several of them import is not taken for free. Exits with 1 if the target, which is that of
the first, is missed.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

MOST_MILLISECONDS = 15.0
ENVIRONMENT = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
# Compiled once, as an installed package is, whether or not this environment keeps bytecode.
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)
TARGETED = "pytest --version --version"
WHAT = {
    TARGETED: ["--version", "--version"],
    "a session with one test": ["-q", "-p", "no:cacheprovider", "test_nothing.py"],
}


def command(arguments: list[str], *, plugin: bool) -> list[str]:
    return ["-m", "pytest", *arguments, *(["-p", "senytl.pytest_plugin"] if plugin else [])]


def run(arguments: list[str], folder: str) -> tuple[float, float]:
    """Milliseconds of wall time, and of processor time, of a process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True, cwd=folder, env=ENVIRONMENT
    )
    wall, after = perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return wall * 1000, processor * 1000


def imported(arguments: list[str], folder: str) -> set[str]:
    """The modules of senytl that a process imports, besides the one that pytest itself asks for."""
    report = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        capture_output=True, text=True, cwd=folder, env=ENVIRONMENT,
    )  # fmt: skip
    names = (line.rpartition("|")[2].strip() for line in report.stderr.splitlines())
    return {name for name in names if name.split(".")[0] == "senytl"}


def compare(arguments: list[str], rounds: int, folder: str) -> float:
    """Measure and print; gives the milliseconds of wall time that are added."""
    with_, without = command(arguments, plugin=True), command(arguments, plugin=False)
    modules = imported(with_, folder)
    assert modules, f"{sys.executable} has no such plugin: install senytl"
    assert not imported(without, folder)

    pairs = [(run(without, folder), run(with_, folder)) for _ in range(rounds)]
    added = []
    for column, kind in enumerate(("wall", "processor")):
        # The least of each: other work on the machine can only add to it.
        base, whole = (min(pair[i][column] for pair in pairs) for i in (0, 1))
        added.append(whole - base)
        print(
            f"  {kind:10} without {base:6.1f} ms, with {whole:6.1f} ms, added {added[-1]:+5.1f} ms"
        )
    print(f"  {len(modules)} modules below senytl.pytest_plugin: {', '.join(sorted(modules))}")
    return added[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    added = {}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_nothing.py").write_text("def test_nothing(): pass\n")
        for what, arguments in WHAT.items():
            print(what)
            added[what] = compare(arguments, options.rounds, folder)
    missed = added[TARGETED] > MOST_MILLISECONDS
    print(f"target: at most {MOST_MILLISECONDS:g} ms of wall time: {'MISSED' if missed else 'met'}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
