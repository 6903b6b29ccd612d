from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
import types
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest

from senytl import Senytl, snapshot
from senytl.models import LLMCallRecord, MockResponse, SenytlResponse, TokenUsage, ToolCall
from senytl.snapshot.document import describe, difference, render
from senytl.snapshot.naming import place_of


class Module:
    """A test file in a folder of its own, whose code runs as if pytest ran it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.file = folder / "tests" / "test_it.py"
        self.file.parent.mkdir()
        self.file.write_text("")
        self._monkeypatch = monkeypatch

    def test(self, name: str) -> None:
        """Pretend that pytest runs this test."""
        self._monkeypatch.setenv("PYTEST_CURRENT_TEST", f"tests/test_it.py::{name} (call)")

    def run(self, code: str, **names: Any) -> None:
        """Run code of the file, as the test ``test_a``."""
        self.test("test_a")
        self.run_outside(code, **names)

    def run_outside(self, code: str, **names: Any) -> None:
        """Run code of the file, in the test that is set."""
        exec(compile(code, str(self.file), "exec"), {"snapshot": snapshot, **names})

    @property
    def files(self) -> list[str]:
        """The snapshots that there are, relative to the file's folder."""
        paths = self.file.parent.rglob("*.json")
        return sorted(path.relative_to(self.file.parent).as_posix() for path in paths)

    def read(self, name: str = "test_a") -> Any:
        path = self.file.parent / ".snapshots" / "test_it" / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    return Module(tmp_path, monkeypatch)


RUN_IN = 'with snapshot.snapshot_mode(mode): agent.run("hello")'


def agent(answer: str) -> Any:
    return Senytl().wrap(lambda *_: answer)


# What is kept


def test_a_snapshot_holds_what_should_stay_the_same() -> None:
    calls = [
        LLMCallRecord(
            "openai", model, {}, MockResponse(tool_calls=[tool]), TokenUsage(1, 1), start=start
        )
        for model, tool, start in (
            ("gpt-4", ToolCall("second", {"b": 1, "a": [2]}, "call_17"), 2.0),
            ("gpt-4o", ToolCall("first"), 1.0),
            ("gpt-4", ToolCall("third"), 3.0),
        )
    ]
    response = SenytlResponse("one\ntwo", raw=object(), duration_seconds=0.123, llm_calls=calls)
    assert describe([response, "text"]) == {
        "schema": "senytl-snapshot/1",
        "responses": [
            {
                "text": ["one", "two"],
                "tool_calls": [
                    {"name": "first", "arguments": {}},
                    {"name": "second", "arguments": {"a": [2], "b": 1}},
                    {"name": "third", "arguments": {}},
                ],
                "models": ["gpt-4o", "gpt-4"],
            },
            {"text": "text"},
        ],
    }


def test_the_order_of_arguments_does_not_change_the_file() -> None:
    files = set()
    for arguments in ({"b": {"d": 1, "c": 2}, "a": 3}, {"a": 3, "b": {"c": 2, "d": 1}}):
        call = LLMCallRecord("openai", "m", {}, MockResponse(tool_calls=[ToolCall("t", arguments)]))
        files.add(render(describe([SenytlResponse("", None, 0.1, [call])])))
    assert len(files) == 1


def test_a_snapshot_is_readable() -> None:
    assert render(describe(["Größe\n“1”"])) == (
        '{\n  "schema": "senytl-snapshot/1",\n  "responses": [\n    {\n      "text": [\n'
        '        "Größe",\n        "“1”"\n      ]\n    }\n  ]\n}\n'
    )


def test_a_difference_shows_the_line_that_changed() -> None:
    before, now = describe(["one\ntwo\nthree"]), describe(["one\n2\nthree"])
    lines = difference(before, now).splitlines()
    assert [line.strip() for line in lines if line[0] in "+-"] == [
        "--- snapshot",
        "+++ now",
        '-        "two",',
        '+        "2",',
    ]
    assert difference(before, before) == ""


def test_a_long_difference_is_cut() -> None:
    before, now = (describe(["\n".join(f"{word} {n}" for n in range(500))]) for word in "ab")
    assert re.search(r"\.\.\. \d+ more lines$", difference(before, now))


def test_what_has_no_text_cannot_be_kept() -> None:
    with pytest.raises(TypeError, match="neither a response nor a text"):
        describe([object()])


# Modes


def test_update_writes_and_writes_again(module: Module) -> None:
    for answer in ("one", "two"):
        module.run(RUN_IN, mode="update", agent=agent(answer))
        assert module.read()["responses"] == [{"text": answer, "tool_calls": [], "models": []}]
    assert module.files == [".snapshots/test_it/test_a.json"]


def test_auto_writes_once_and_compares_then(module: Module) -> None:
    module.run(RUN_IN, mode="auto", agent=agent("one"))
    module.run(RUN_IN, mode="auto", agent=agent("one"))
    with pytest.raises(snapshot.SnapshotMismatchError) as caught:
        module.run(RUN_IN, mode="auto", agent=agent("two"))
    message = str(caught.value)
    assert str(Path(".snapshots", "test_it", "test_a.json")) in message
    assert '-      "text": "one",\n+      "text": "two",' in message
    assert 'snapshot_mode("update")' in message
    assert isinstance(caught.value, AssertionError)
    assert module.read()["responses"][0]["text"] == "one"


def test_compare_wants_a_snapshot(module: Module) -> None:
    with pytest.raises(
        snapshot.SnapshotMissingError, match=r'once under snapshot_mode\("update"\)'
    ):
        module.run(RUN_IN, mode="compare", agent=agent("one"))
    assert module.files == []
    module.run(RUN_IN, mode="update", agent=agent("one"))
    module.run(RUN_IN, mode="compare", agent=agent("one"))
    with pytest.raises(snapshot.SnapshotMismatchError):
        module.run(RUN_IN, mode="compare", agent=agent("two"))


def test_line_ends_of_a_checkout_do_not_matter(module: Module) -> None:
    module.run(RUN_IN, mode="update", agent=agent("one\ntwo"))
    path = module.file.parent / module.files[0]
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    module.run(RUN_IN, mode="compare", agent=agent("one\ntwo"))


@pytest.mark.parametrize("content", ["<<<<<<< HEAD", "[]", '{"schema": "another/1"}'])
def test_a_file_that_is_no_snapshot_is_said_to_be_none(module: Module, content: str) -> None:
    module.run(RUN_IN, mode="update", agent=agent("one"))
    (module.file.parent / module.files[0]).write_text(content)
    with pytest.raises(snapshot.SnapshotMismatchError, match="cannot be read as a snapshot"):
        module.run(RUN_IN, mode="auto", agent=agent("one"))
    module.run(RUN_IN, mode="update", agent=agent("one"))
    assert module.read()["responses"][0]["text"] == "one"


def test_a_mode_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="'write'; it is one of 'update', 'compare', 'auto'"):
        snapshot.snapshot_mode("write")  # type: ignore[arg-type]


# What a block takes


def test_a_block_that_raised_takes_no_snapshot(module: Module) -> None:
    with pytest.raises(ZeroDivisionError):
        module.run(
            'with snapshot.snapshot_mode("update"):\n agent.run("hello")\n 1 / 0', agent=agent("a")
        )
    assert module.files == []


def test_a_run_that_raised_is_left_out(module: Module) -> None:
    module.run(
        'with snapshot.snapshot_mode("update"):\n'
        " try: broken.run()\n"
        " except ZeroDivisionError: good.run()",
        broken=Senytl().wrap(lambda: 1 / 0),
        good=agent("good"),
    )
    assert [one["text"] for one in module.read()["responses"]] == ["good"]


def test_a_block_with_nothing_in_it_is_an_error(module: Module) -> None:
    for mode in ("update", "auto", "compare"):
        with pytest.raises(snapshot.SnapshotMissingError, match="no wrapped agent ran"):
            module.run("with snapshot.snapshot_mode(mode): pass", mode=mode)


def test_of_nested_runs_the_outer_one_is_kept(module: Module) -> None:
    inner = agent("inner")
    outer = Senytl().wrap(lambda _: "outer of " + inner.run("").text)
    module.run(RUN_IN, mode="update", agent=outer)
    assert [one["text"] for one in module.read()["responses"]] == ["outer of inner"]


def test_runs_side_by_side_are_kept_in_the_order_in_which_they_started(module: Module) -> None:
    async def answer(text: str, wait: float) -> str:
        await asyncio.sleep(wait)
        return text

    wrapped = Senytl().wrap(answer)
    code = (
        "async def main():\n"
        ' with snapshot.snapshot_mode("update"):\n'
        '  await gather(agent.run("first", 0.03), agent.run("second", 0.0))\n'
        "run(main())"
    )
    module.run(code, agent=wrapped, gather=asyncio.gather, run=asyncio.run)
    assert [one["text"] for one in module.read()["responses"]] == ["first", "second"]


def test_runs_of_other_contexts_are_none_of_the_blocks_business(module: Module) -> None:
    def elsewhere(*, copied: bool) -> None:
        run = agent("copied" if copied else "not copied").run
        target = (copy_context().run, (run,)) if copied else (run, ())
        thread = threading.Thread(target=target[0], args=target[1])
        thread.start()
        thread.join()

    module.run(
        'with snapshot.snapshot_mode("update"):\n elsewhere(copied=True)\n elsewhere(copied=False)',
        elsewhere=elsewhere,
    )
    assert [one["text"] for one in module.read()["responses"]] == ["copied"]


def test_match_takes_what_it_is_given(module: Module) -> None:
    code = "snapshot.match(responses, name)"
    response = agent("one").run()
    module.run(code, responses=response, name="single")
    module.run(code, responses=[response, "two", {"output": "three"}], name="several")
    module.run(code, responses="text", name="text")
    assert [one["text"] for one in module.read("test_a.several")["responses"]] == [
        "one",
        "two",
        "three",
    ]
    assert module.read("test_a.text")["responses"] == [{"text": "text"}]
    with pytest.raises(snapshot.SnapshotMismatchError):  # without a block it is "auto"
        module.run(code, responses="other", name="text")
    with pytest.raises(snapshot.SnapshotMissingError, match="no responses"):
        module.run(code, responses=[], name="none")


def test_match_in_a_block_has_its_mode_and_takes_its_responses_away(module: Module) -> None:
    code = (
        "with snapshot.snapshot_mode(mode):\n"
        ' response = agent.run("hello")\n'
        ' snapshot.match([response], name="mine")'
    )
    with pytest.raises(snapshot.SnapshotMissingError):
        module.run(code, mode="compare", agent=agent("one"))
    module.run(code, mode="update", agent=agent("one"))
    module.run(code, mode="update", agent=agent("two"))
    assert module.files == [".snapshots/test_it/test_a.mine.json"]
    module.run(code + '\n agent.run("more")', mode="update", agent=agent("two"))
    assert module.files == [
        ".snapshots/test_it/test_a.json",
        ".snapshots/test_it/test_a.mine.json",
    ]
    assert len(module.read()["responses"]) == 1


# Names


def test_several_places_of_a_test_have_files_of_their_own(module: Module) -> None:
    code = "for n in range(2):\n snapshot.match('one')\n snapshot.match('two')"
    module.run(code)
    assert module.files == [".snapshots/test_it/test_a.json", ".snapshots/test_it/test_a~2.json"]
    module.run(code)
    assert module.read("test_a~2")["responses"] == [{"text": "two"}]


def test_a_block_can_be_named(module: Module) -> None:
    module.run('with snapshot.snapshot_mode("update", "x"): agent.run()', agent=agent("one"))
    assert module.files == [".snapshots/test_it/test_a.x.json"]


def test_a_helper_elsewhere_writes_beside_the_test(module: Module) -> None:
    helper = module.folder / "tests" / "helpers" / "taking.py"
    helper.parent.mkdir()
    helper.write_text("")
    module.test("test_a")
    exec(compile("snapshot.match('one')", str(helper), "exec"), {"snapshot": snapshot})
    assert module.files == [".snapshots/test_it/test_a.json"]


def path_of(module: Module, test: str, name: str | None = None) -> str:
    module.test(test)
    place = place_of(types.SimpleNamespace(f_code=_Code(str(module.file)), f_lineno=1))  # type: ignore[arg-type]
    return place.path(name).name


class _Code:
    co_qualname = "unused"

    def __init__(self, file: str) -> None:
        self.co_filename = file


@pytest.mark.parametrize(
    ("test", "file"),
    [
        ("test_a", "test_a.json"),
        ("TestAgent::test_a", "TestAgent.test_a.json"),
        ("test_a[x-1.5]", "test_a[x-1.5].json"),
    ],
)
def test_plain_names_stay_as_they_are(module: Module, test: str, file: str) -> None:
    assert path_of(module, test) == file


def test_names_are_safe_and_never_collide(module: Module) -> None:
    tests = [
        *("test_a", "test_A", "con", "CON", "nul", "test_a[a/b]", "test_a[a:b]", "test_a[a b]"),
        *(
            "test_a[a::b]",
            "test_a[A]",
            "test_a[a]",
            "test_a[ä]",
            "test_a[..]",
            "test_a[\U0001f600]",
        ),
        *("test_a[" + "x" * 300 + "]", "test_a[" + "x" * 301 + "]", "test_a[a\\b]", "test_a."),
        *("test_a[a (call)]", 'test_a[<>"|?*]'),
    ]
    files = [path_of(module, test) for test in tests]
    files += [path_of(module, "test_a", name) for name in ("a", "A", "a/b", "../b", "2", "")]
    assert len({file.casefold() for file in files}) == len(files), sorted(files)
    for file in files:
        assert re.fullmatch(r"[A-Za-z0-9_.\-\[\]~]+\.json", file)
        assert len(file) < 150
        stem = file.removesuffix(".json")
        assert not stem.endswith((".", " "))
        assert not _is_reserved(stem)


def _is_reserved(stem: str) -> bool:
    return stem.partition(".")[0].lower() in ("con", "nul", "aux", "prn") or (
        sys.version_info < (3, 13) and PureWindowsPath(stem).is_reserved()
    )


def test_outside_pytest_the_function_gives_the_name(
    module: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    module.run_outside(
        "snapshot.match('module')\n"
        "def outer():\n"
        " def inner(): snapshot.match('inner')\n"
        " inner()\n"
        "outer()"
    )
    assert module.files == [
        ".snapshots/test_it/module.json",
        ".snapshots/test_it/outer.inner.json",
    ]


def test_code_without_a_file_writes_below_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.chdir(tmp_path)
    exec(compile("snapshot.match('one')", "<stdin>", "exec"), {"snapshot": snapshot})
    assert (tmp_path / ".snapshots" / "interactive" / "module.json").is_file()


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Every block puts back what it found."""
    from senytl.agent import run_observer
    from senytl.snapshot.mode import _current_block

    yield
    assert run_observer.get() is None
    assert _current_block.get() is None
