"""The README and the documentation: every Python block runs, every name and link in them exists.

A page's Python blocks make up one script, in their order, except those whose first line is a
comment with a file's name: these are files, as are ini blocks of that kind, and comments of the
page that begin ``<!-- file: NAME``; test files among them run under pytest. A page that says
``<!-- uses: examples -->`` has the files of examples/ beside them, and the wrapped support agent
as ``agent`` in its script. The specification has a test of its own, tests/test_performance.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from array import array
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from senytl.performance import PerformanceMetrics
from senytl.performance.leaks.evidence import LeakEvidence
from senytl.performance.leaks.readings import Reading
from senytl.performance.leaks.sites import Frame, LeakSite
from senytl.performance.load.health import GeneratorHealth
from senytl.performance.metric import all_metrics
from senytl.performance.report.document import describe_run, describe_session
from senytl.performance.timeline import Timeline

ROOT = Path(__file__).parents[2]
SPECIFICATION = ROOT / "docs" / "performance.md"

EXAMPLES = """
from mocked_model import mock_model as _mock_model
from openai import OpenAI as _OpenAI
from support_agent import SupportAgent as _SupportAgent

from senytl import Senytl as _Senytl

_models = _Senytl(fallback="error")
_models.install()
_mock_model(_models)
agent = _models.wrap(_SupportAgent(_OpenAI(api_key="not used")))
"""


@dataclass(frozen=True)
class Page:
    """A Markdown file."""

    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def uses_examples(self) -> bool:
        return "<!-- uses: examples -->" in self.text

    def blocks(self, *languages: str) -> list[str]:
        """The fenced blocks of these languages."""
        fences = re.findall(r"^```(\w*)\n(.*?)^```$", self.text, re.M | re.S)
        return [code for language, code in fences if language in languages]

    @property
    def files(self) -> dict[str, str]:
        """The blocks that are files, by their name."""
        found = dict(re.findall(r"^<!-- file: (\S+)\n(.*?)^-->$", self.text, re.M | re.S))
        for code in self.blocks("python", "ini", "toml"):
            if name := re.match(r"# ([\w./-]+\.(?:py|ini|toml))\n", code):
                found[name[1]] = code
        return found

    @property
    def script(self) -> str:
        """The Python blocks that are no files, as one."""
        files = self.files.values()
        return "\n".join(code for code in self.blocks("python") if code not in files)

    def write_into(self, folder: Path) -> None:
        """Write its files, and those that it builds upon."""
        if self.uses_examples:
            for name in ("support_agent.py", "mocked_model.py", "conftest.py"):
                shutil.copy(ROOT / "examples" / name, folder)
        for name, code in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(code, encoding="utf-8")

    def __str__(self) -> str:
        return self.path.relative_to(ROOT).as_posix()


README = Page(ROOT / "README.md")
PAGES = [
    README,
    Page(ROOT / "CHANGELOG.md"),
    *(Page(path) for path in sorted((ROOT / "docs").rglob("*.md")) if path != SPECIFICATION),
]


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    # Colour and the session around it are no business of what runs.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "OPENAI_")) and name != "FORCE_COLOR"
    }
    return subprocess.run(
        [sys.executable, "-X", "utf8", *command],
        cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=120,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize("page", [page for page in PAGES if page.script], ids=str)
def test_script_of_page_runs(page: Page, tmp_path: Path) -> None:
    page.write_into(tmp_path)
    prelude = EXAMPLES if page.uses_examples else ""
    (tmp_path / "page.py").write_text(prelude + page.script, encoding="utf-8")
    done = run(tmp_path, "-W", "error", "page.py")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", [page for page in PAGES if page.files], ids=str)
def test_tests_of_page_pass(page: Page, tmp_path: Path) -> None:
    page.write_into(tmp_path)
    tests = "".join(code for name, code in page.files.items() if name.endswith(".py"))
    expected = len(re.findall(r"^(?:async )?def test_", tests, re.M))
    done = run(tmp_path, "-m", "pytest", "-p", "no:asyncio", "--strict-markers", "-rA")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{expected} passed" in done.stdout
    assert "not measured" not in done.stdout


def test_pages_have_blocks_that_run() -> None:
    # The tests above would pass on pages whose blocks nobody finds.
    assert sum(bool(page.script) for page in PAGES) >= 9
    assert sum(bool(page.files) for page in PAGES) >= 5
    assert all("```py\n" not in page.text and "``` python" not in page.text for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Page) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.text, flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.path.parent / name) if name else page.path
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.M)
            anchors = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in anchors, link


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_names_of_options_and_metrics_exist(page: Page, pytestconfig: pytest.Config) -> None:
    for option in set(re.findall(r"--senytl-[a-z-]+", page.text)):
        pytestconfig.getoption(option)
    # A property of JUnit's is named senytl_<metric>, a fixture senytl_server, a marker
    # senytl_recording.
    known = {*all_metrics(), "server", "recording"}
    for name in set(re.findall(r"\bsenytl_(\w+)", page.text)) - known:
        pytestconfig.getini(f"senytl_{name}")
    for mark in re.findall(r"mark\.sla\(([^)]*)\)", page.text):
        names = set(re.findall(r"(\w+)=", mark)) - {"metric", "confidence"}
        assert names <= set(all_metrics())


@pytest.mark.parametrize("name", ["README.md", "docs/reference/metrics.md"])
def test_table_lists_exactly_the_metrics(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([\w/]+) \| (lower|higher) \|", text, re.M)
    metrics = all_metrics().values()
    assert sorted(rows) == sorted((m.name, m.unit, m.direction.value) for m in metrics)


def test_json_example_has_the_keys_of_the_report() -> None:
    [block] = Page(ROOT / "docs" / "reference" / "json.md").blocks("json")
    example = json.loads(block)

    def keys(value: object) -> object:
        if isinstance(value, dict):
            return {key: keys(inner) for key, inner in value.items() if key != "sources"}
        return None

    timeline = Timeline()
    timeline.add(0.25, [array("d", [0.1])], failed=0, timed_out=0, users=1)
    evidence = LeakEvidence(
        [Reading(1, 1, 1, 1, 1)],
        [Reading(1, 1, 1, 1, 1)],
        sites=[LeakSite(1.0, 1.0, (Frame("agent.py", 1, "", ""),))],
    )
    load = PerformanceMetrics(
        generator=GeneratorHealth(), timeline=timeline, leak_evidence=evidence
    )
    session = describe_session([describe_run(load)])
    assert keys({**example, "tests": None}) == keys({**session, "tests": None})
    assert keys(example["tests"][0]) == keys(session["tests"][0])


def test_readme_s_second_command_is_what_ci_runs() -> None:
    first, *others = (code.strip().removeprefix("$ ") for code in README.blocks("console"))
    assert first == 'pip install -e ".[examples]" && pytest examples'
    [second] = (command for command in others if "nox" in command)
    assert second in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
