"""Marks that make no sense: refused before anything runs, with what is wrong and what would do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

MISTAKES = {
    "unknown setting": (
        "@pytest.mark.benchmark(iteration=3)\ndef test_it(): pass",
        "@pytest.mark.benchmark has no setting 'iteration'; "
        "its settings are: iterations, warmup, leak_check",
    ),
    "unknown setting of a load": (
        "@pytest.mark.load_test(users=3)\ndef test_it(): pass",
        "@pytest.mark.load_test has no setting 'users'; its settings are: concurrent_users, *",
    ),
    "positional": (
        "@pytest.mark.benchmark(3)\ndef test_it(): pass",
        "@pytest.mark.benchmark takes its settings by name, not 3; "
        "they are: iterations, warmup, leak_check",
    ),
    "bad value": (
        "@pytest.mark.benchmark(iterations=0)\ndef test_it(): pass",
        "@pytest.mark.benchmark: iterations is 0; *",
    ),
    "no users": (
        "@pytest.mark.load_test\ndef test_it(): pass",
        "@pytest.mark.load_test: *concurrent_users*",
    ),
    "duration and iterations": (
        "@pytest.mark.load_test(concurrent_users=1, duration=1, iterations=1)\ndef test_it(): pass",
        "@pytest.mark.load_test: *duration*iterations*",
    ),
    "unknown metric": (
        "@pytest.mark.sla(p95=1)\ndef test_it(): pass",
        "@pytest.mark.sla: there is no metric named 'p95'*p95_latency*success_rate*",
    ),
    "impossible limit": (
        "@pytest.mark.sla(success_rate=98)\ndef test_it(): pass",
        "@pytest.mark.sla: the limit of success_rate is 98; *between 0 and 1",
    ),
    "positional limit": (
        "@pytest.mark.sla(2)\ndef test_it(): pass",
        "@pytest.mark.sla takes limits by the metric's name, not 2; *",
    ),
    "no limit": (
        "@pytest.mark.sla\ndef test_it(): pass",
        "@pytest.mark.sla takes limits by the metric's name, and has none; *",
    ),
    "two kinds": (
        "@pytest.mark.benchmark\n@pytest.mark.load_test(concurrent_users=1)\ndef test_it(): pass",
        "it is marked benchmark and load_test, *",
    ),
    "decorated and marked": (
        "@pytest.mark.benchmark(iterations=2)\n@performance.benchmark\ndef test_it(): pass",
        "it is decorated by @performance.benchmark and marked benchmark(iterations=2), *",
    ),
    "decorated and marked of the other kind": (
        "@pytest.mark.load_test(concurrent_users=1)\n@performance.benchmark\ndef test_it(): pass",
        "it is decorated by @performance.benchmark and marked load_test(concurrent_users=1), *",
    ),
    "decorated twice": (
        "@performance.benchmark\n@performance.load_test(concurrent_users=1)\ndef test_it(): pass",
        "it is decorated twice, by @performance.benchmark and @performance.load_test; *",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_mark_is_refused_before_anything_runs(
    run: Run, pytester: pytest.Pytester, mistake: str
) -> None:
    test, message = MISTAKES[mistake]
    session = run(
        "import pytest\nfrom pathlib import Path\nfrom senytl import performance\n\n"
        "def test_before(): Path('ran').touch()\n\n" + test
    )
    assert session.exit_code == pytest.ExitCode.USAGE_ERROR
    session.result.stderr.fnmatch_lines(
        [
            "ERROR: senytl cannot measure these tests as they are written:",
            f"  test_it.py::test_it: {message.replace('[', '[[]')}",
        ]
    )
    assert not (pytester.path / "ran").exists()


def test_mistakes_are_told_together_and_also_of_workers(run: Run) -> None:
    source = """
        import pytest

        @pytest.mark.sla(p95=1)
        def test_one():
            pass

        @pytest.mark.benchmark(rounds=1)
        def test_two():
            pass
    """
    expected = ["*test_it.py::test_one: *'p95'*", "*test_it.py::test_two: *'rounds'*"]
    for workers in (0, 2):
        session = run(source, workers=workers)
        assert session.exit_code == pytest.ExitCode.USAGE_ERROR
        session.result.stderr.fnmatch_lines(expected)


def test_a_mistake_in_a_test_that_is_not_selected_does_not_matter(run: Run) -> None:
    session = run(
        """
        import pytest

        @pytest.mark.sla(p95=1)
        def test_bad():
            pass

        def test_good():
            pass
        """,
        "-k",
        "good",
    )
    assert session.exit_code == 0
    session.result.assert_outcomes(passed=1, deselected=1)
