from __future__ import annotations

import pytest

from senytl.pytest_plugin.markers import FOREIGN_KEYWORDS, TEST_PLAN, is_measured
from senytl.pytest_plugin.planning import TestPlan


@pytest.fixture(autouse=True)
def quiet(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")


def plan_of(pytester: pytest.Pytester, source: str) -> TestPlan | None:
    return pytester.getitem(source, "test_it").stash.get(TEST_PLAN, None)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("@pytest.mark.benchmark\ndef test_it(): pass", "benchmark"),
        ("@pytest.mark.benchmark(group='x')\ndef test_it(): pass", "benchmark"),
        ("@pytest.mark.sla(p95_latency=1)\ndef test_it(): pass", "benchmark"),
        ("@pytest.mark.load_test(concurrent_users=1)\ndef test_it(): pass", "load_test"),
        ("@performance.benchmark\ndef test_it(): pass", "benchmark"),
        ("@performance.load_test(concurrent_users=1)\ndef test_it(): pass", "load_test"),
        ("@pytest.mark.sla(p95_latency=1)\ndef test_it(benchmark): pass", "benchmark"),
        ("def test_it(): pass", None),
        ("def test_it(benchmark): pass", None),
        ("@pytest.mark.benchmark\ndef test_it(benchmark): pass", None),
        ("@pytest.mark.benchmark(warmup=True)\ndef test_it(benchmark): pass", None),
        ("@pytest.mark.skip\ndef test_it(): pass", None),
    ],
)
def test_which_tests_are_measured(pytester: pytest.Pytester, source: str, kind: str | None) -> None:
    plan = plan_of(pytester, f"import pytest\nfrom senytl import performance\n\n{source}")
    assert (plan and plan.kind) == kind


def test_only_what_is_theirs_is_left_of_the_mark(pytester: pytest.Pytester) -> None:
    item = pytester.getitem(
        """
        import pytest

        @pytest.mark.benchmark(group="theirs", iterations=3, min_rounds=2)
        def test_it():
            pass
        """,
        "test_it",
    )
    mark = item.get_closest_marker("benchmark")
    assert mark is not None
    assert mark.kwargs == {"group": "theirs", "min_rounds": 2}
    assert is_measured(item)


def test_a_mark_of_the_other_plugins_fixture_is_left_alone(pytester: pytest.Pytester) -> None:
    item = pytester.getitem(
        """
        import pytest

        @pytest.mark.sla(p95_latency=1)
        @pytest.mark.benchmark(warmup=True, group="theirs")
        def test_it(benchmark):
            pass
        """,
        "test_it",
    )
    assert [mark.kwargs for mark in item.iter_markers("benchmark")] == [
        {"warmup": True, "group": "theirs"}
    ]


def test_the_other_plugins_keywords_are_known() -> None:
    codspeed = pytest.importorskip("pytest_codspeed.config")
    options = set(codspeed.BenchmarkMarkerOptions.__dataclass_fields__)
    assert options <= FOREIGN_KEYWORDS
