"""The `senytl_server` fixture: agents in other processes, measured as if they were in this one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

# An agent that speaks plain HTTP: it starts fast, and no hook of senytl's sees it.
AGENT = """
import json, os, subprocess, sys, urllib.request

PROGRAM = '''
import json, os, sys, urllib.request
for prompt in sys.argv[1:]:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}]}
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode())
    reply = json.load(urllib.request.urlopen(request))
    print(reply["choices"][0]["message"]["content"])
'''

def agent(server, *prompts):
    command = [sys.executable, "-c", PROGRAM, *prompts]
    return subprocess.check_output(command, env={**os.environ, **server.env}, text=True)
"""


def test_an_agent_in_a_subprocess_is_answered(run: Run) -> None:
    session = run(
        AGENT
        + """
def test_it(senytl_server):
    senytl_server.mock("gpt-4o").when(contains="hello").respond("Hello!", usage=(900, 100))
    assert agent(senytl_server, "hello", "hello again") == "Hello!\\nHello!\\n"
    assert [call.usage.total_tokens for call in senytl_server.calls] == [1000, 1000]

def test_each_test_has_its_own(senytl_server):
    assert senytl_server.calls == []
    assert senytl_server.url.startswith("http://127.0.0.1:")
"""
    )
    session.result.assert_outcomes(passed=2)
    assert session.tests == {}


def test_its_tokens_and_dollars_count_in_a_measured_test(run: Run) -> None:
    session = run(
        AGENT
        + """
import pytest

@pytest.fixture
def greeted(senytl_server):
    senytl_server.mock("gpt-4o").respond("Hello!", usage=(900, 100))
    agent(senytl_server, "before the body")
    return senytl_server

@pytest.mark.benchmark(iterations=2)
def test_benchmark(greeted, perf):
    agent(greeted, "one", "two")

@pytest.mark.sla(max_tokens_per_request=999)
def test_limit(greeted, perf):
    agent(greeted, "one")
"""
    )
    session.result.assert_outcomes(passed=1, failed=1)
    measured = session.tests["test_benchmark"]
    assert measured["requests"]["total"] == 2
    assert measured["tokens"]["total"] == 4000
    # 4 calls of 900 tokens at $2.50 and 100 at $10.00 a million
    assert measured["cost"]["total"] == pytest.approx(4 * (900 * 2.5 + 100 * 10) / 1e6)
    assert measured["llm_calls"]["unattributed"] == 0
    assert "max_tokens_per_request" in session.output


def test_calls_in_a_load_test_cannot_be_told_apart_and_are_said_to_be_so(run: Run) -> None:
    session = run(
        AGENT
        + """
import pytest

@pytest.mark.load_test(concurrent_users=2, iterations=1)
def test_load(senytl_server):
    senytl_server.mock("gpt-4o").respond("Hello!", usage=(900, 100))
    agent(senytl_server, "one")
"""
    )
    session.result.assert_outcomes(passed=1)
    measured = session.tests["test_load"]
    assert measured["llm_calls"]["unattributed"] == 2
    assert measured["tokens"]["total"] == 2000


def test_calls_of_this_process_count_once(run: Run) -> None:
    session = run(
        """
        import httpx2

        def test_it(senytl_server, perf):
            senytl_server.mock("gpt-4o").respond("Hello!", usage=(900, 100))
            body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
            with httpx2.Client() as client:
                for stream in (False, False):
                    client.post(senytl_server.url + "/v1/chat/completions", json=body)
            assert len(senytl_server.calls) == 2
            assert perf.metrics.total_tokens == 2000
        """
    )
    session.result.assert_outcomes(passed=1)
    assert session.tests["test_it"]["llm_calls"]["total"] == 2


def test_a_server_that_a_body_starts_counts_for_the_bodies_after_it_too(run: Run) -> None:
    session = run(
        AGENT
        + """
from senytl.server import ModelServer

server = ModelServer()
server.mock("gpt-4o").respond("Hello!", usage=(900, 100))

def test_first(perf):
    server.start()
    agent(server, "one")

def test_second(perf):
    agent(server, "one", "two")
    server.stop()

def test_not_counted(perf):
    with ModelServer(count=False) as other:
        other.mock("gpt-4o").respond("Hello!", usage=(900, 100))
        agent(other, "one")
"""
    )
    session.result.assert_outcomes(passed=3)
    assert session.tests["test_first"]["tokens"]["total"] == 1000
    assert session.tests["test_second"]["tokens"]["total"] == 2000
    assert session.tests["test_not_counted"]["llm_calls"]["total"] == 0


def test_without_aiohttp_the_test_fails_with_the_remedy_alone(run: Run) -> None:
    session = run(
        """
        import sys
        import pytest

        @pytest.fixture
        def missing(monkeypatch):
            monkeypatch.setitem(sys.modules, "aiohttp", None)

        def test_it(missing, senytl_server):
            pass
        """
    )
    session.result.assert_outcomes(errors=1)
    assert (
        "senytl_server: the model server needs aiohttp, which is not installed: pip install "
        "aiohttp, or install senytl with its extra 'serve'"
    ) in session.output
    assert "model_server.py" not in session.output
    assert "Traceback" not in session.output
    assert "above exception" not in session.output


def test_only_a_server_that_starts_loads_aiohttp() -> None:
    program = (
        "import sys, senytl.pytest_plugin; loaded = lambda: 'aiohttp' in sys.modules;"
        "assert not [name for name in sys.modules if name.startswith('senytl.server')];"
        "import senytl.cli, senytl.server; server = senytl.server.ModelServer();"
        "assert not loaded(); server.start(); assert loaded(); server.stop()"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)
