"""What the plugin costs a session that has no senytl test."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("tiktoken", "genai_prices", "psutil", "rich", "httpx", "httpx2", "aiohttp", "wrapt")


# Other plugins load some of these themselves.
_OTHERS = ("benchmark", "codspeed", "cov", "hypothesispytest", "pook", "respx")
ALONE = tuple(word for name in _OTHERS for word in ("-p", f"no:{name}"))


def test_a_session_that_measures_nothing_loads_nothing_heavy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it="""
        import sys

        def test_it():
            loaded = {name.split(".")[0] for name in sys.modules}
            assert not loaded & set(HEAVY)
            ours = {name for name in sys.modules if name.startswith("senytl")}
            assert ours <= {
                "senytl",
                "senytl.pytest_plugin",
                "senytl.pytest_plugin.markers",
                "senytl.pytest_plugin.options",
                "senytl.pytest_plugin.session",
            }
            assert "senytl.pytest_plugin" in ours
        """.replace("HEAVY", repr(HEAVY))
    )
    result = pytester.runpytest_subprocess(*ALONE)
    result.assert_outcomes(passed=1)
    assert not any("senytl" in line for line in result.outlines if "plugins:" not in line)


def test_a_measured_test_without_llm_calls_loads_nothing_to_count_or_price(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        test_it="""
        def test_it(perf):
            perf.record_request(1)

        def test_loaded():
            import sys
            loaded = {name.split(".")[0] for name in sys.modules}
            assert not loaded & {"tiktoken", "genai_prices", "rich", "httpx", "httpx2", "aiohttp"}
        """
    )
    pytester.runpytest_subprocess(*ALONE).assert_outcomes(passed=2)


def test_importing_the_plugin_takes_little_of_what_pytest_takes() -> None:
    program = (
        "import time; start = time.perf_counter(); import pytest, _pytest.main, json;"
        "middle = time.perf_counter(); import senytl.pytest_plugin, senytl.pytest_plugin.session;"
        "print((time.perf_counter() - middle) / (middle - start))"
    )
    ratios = [
        float(subprocess.check_output([sys.executable, "-c", program], text=True)) for _ in range(5)
    ]
    assert min(ratios) < 0.1
