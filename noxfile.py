"""The project's checks; `nox` runs all of them, `nox -s NAME` one, `nox -l` lists them.

What follows ``--`` goes to the tool of the session: ``nox -s tests -- -k quick -x``.
Sessions run on the Python that runs nox.
"""

from __future__ import annotations

import shutil

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = [
    "lint", "types", "tests", "examples", "sdks_newest", "sdks_frameworks",
]  # fmt: skip
nox.options.error_on_missing_interpreters = True

PROJECT = nox.project.load_toml("pyproject.toml")
LOWEST_PYTEST = "pytest==8.2.*"


def install_group(session: nox.Session, group: str, *more: str) -> None:
    """Install the package, editable, with one of its dependency groups."""
    session.install("-e", ".", *nox.project.dependency_groups(PROJECT, group), *more)


def run_tests(session: nox.Session) -> None:
    """Run the whole suite, with the servers from npm that parts of it call."""
    if shutil.which("npm") is None:
        session.error("npm is needed: the tests call a mock server that is a Node package")
    session.run("npm", "ci", "--prefix", "tests/node", "--no-audit", "--no-fund", external=True)
    # One process: tests of timing on a busy machine would only measure each other.
    session.run("pytest", *session.posargs)


def run_sdks(session: nox.Session, environment: str) -> None:
    """Call models through each SDK, and compare docs/reference/sdks.md with what came of it."""
    install_group(session, f"sdks-{environment}")
    found = f"build/sdks-{environment}.json"
    switches = {"SENYTL_COMPAT": environment, "SENYTL_COMPAT_OUT": found}
    session.run("pytest", "tests/compat/test_cells.py", *session.posargs, env=switches)
    if not session.posargs:  # which may leave rows out
        session.run("python", "-m", "tests.compat.table", "check", found)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and layout."""
    session.install(*nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Static types of the package and its tests."""
    install_group(session, "dev")
    session.run("mypy", "--strict", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """The test suite, beside the newest pytest and the plugins that people use with it."""
    install_group(session, "test")
    run_tests(session)


@nox.session
def lowest(session: nox.Session) -> None:
    """The test suite on the lowest pytest that is supported."""
    install_group(session, "test", LOWEST_PYTEST)
    run_tests(session)


@nox.session
def examples(session: nox.Session) -> None:
    """The README's first command: senytl as its users get it, beside no other plugin."""
    session.install("-e", ".[examples]")
    session.run("pytest", "examples", *session.posargs)
    session.run("python", "examples/performance_demo.py")


@nox.session
def examples_lowest(session: nox.Session) -> None:
    """The examples on the lowest pytest that is supported, beside no other plugin."""
    session.install("-e", ".[examples]", LOWEST_PYTEST)
    session.run("pytest", "examples", *session.posargs)


@nox.session
def sdks_newest(session: nox.Session) -> None:
    """The providers' newest SDKs, and the table of what is seen of them."""
    run_sdks(session, "newest")


@nox.session
def sdks_frameworks(session: nox.Session) -> None:
    """Agent frameworks and the SDKs that they are held to, and the table of those."""
    run_sdks(session, "frameworks")
