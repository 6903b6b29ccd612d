"""The session's budget under the real SDKs: each call is priced once, or refused at last."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import boto3  # type: ignore[import-untyped]
import pytest
import requests
from botocore.config import Config  # type: ignore[import-untyped]

from senytl import Senytl
from senytl.models import MockResponse, TokenUsage
from senytl.performance.spending import BudgetSpentError, SessionBudget
from senytl.server import ModelServer

pytestmark = pytest.mark.filterwarnings(
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)

PROGRAM = Path(__file__).with_name("remote_agent.py")
NOWHERE = "http://127.0.0.1:9"  # nothing listens there: a call that gets out fails
# 100,000 tokens in and 10,000 out, at what OpenAI, Anthropic and Google print.
USAGE = TokenUsage(100_000, 10_000)
DOLLARS = {
    "gpt-4o": 0.25 + 0.10,
    "claude-sonnet-4-6": 0.30 + 0.15,
    "gemini-2.5-flash": 0.03 + 0.025,
}


def _load_agent() -> ModuleType:
    spec = importlib.util.spec_from_file_location("remote_agent", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


agent = _load_agent()
NAMES: list[str] = [name for name in agent.NAMES if not name.endswith("tool")]


def model_of(name: str) -> str:
    name = name.removeprefix("async_")
    if name.startswith("messages"):
        return "claude-sonnet-4-6"
    return "gemini-2.5-flash" if name.startswith("gemini") else "gpt-4o"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """A server that this process's SDKs find as those of others do."""
    with ModelServer() as server:
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        for model in DOLLARS:
            server.mock(model).respond("Hello!", usage=USAGE)
        yield server


@pytest.fixture
def budget() -> Iterator[SessionBudget]:
    """One that the first call spends."""
    budget = SessionBudget(0.01)
    budget.open()
    yield budget
    budget.close()
    budget.sums.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_call_over_the_network_is_priced_once_and_the_next_one_refused(
    name: str, server: ModelServer, budget: SessionBudget
) -> None:
    assert agent.run(name).error == ""
    budget.settle()
    assert budget.meter.calls == 1
    assert budget.meter.dollars == pytest.approx(DOLLARS[model_of(name)])
    assert agent.run(name).error == "BudgetSpentError"
    assert budget.sums.read().refused == 1  # no SDK tried again
    assert len(server.calls) == 1


@pytest.mark.parametrize("name", NAMES)
def test_mocks_are_not_even_asked_once_it_is_spent(
    name: str, budget: SessionBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(key, "none")
    with Senytl(fallback="error") as senytl:
        asked: list[object] = []

        def is_asked(call: object) -> bool:
            asked.append(call)
            return True

        for model in DOLLARS:
            senytl.mock(model).when(predicate=is_asked).respond(MockResponse("Hello!", usage=USAGE))
        assert agent.run(name).error == ""
        budget.settle()
        before = len(asked)
        assert agent.run(name).error == "BudgetSpentError"
        assert len(asked) == before > 0


def test_requests_gets_it_too(budget: SessionBudget) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
    with Senytl(fallback="error") as senytl:
        senytl.mock("gpt-4o").respond(MockResponse("Hello!", usage=USAGE))
        requests.post(f"{NOWHERE}/v1/chat/completions", json=body, timeout=5)
        budget.settle()
        with pytest.raises(BudgetSpentError, match=r"1 LLM call cost \$0\.35"):
            requests.post(f"{NOWHERE}/v1/chat/completions", json=body, timeout=5)


def test_boto3_gets_it_too(budget: SessionBudget) -> None:
    model = "anthropic.claude-sonnet-4-6-v1:0"
    client = boto3.client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=NOWHERE,
        aws_access_key_id="none", aws_secret_access_key="none",
        config=Config(retries={"total_max_attempts": 3}),
    )  # fmt: skip
    messages = [{"role": "user", "content": [{"text": "Hello"}]}]
    with Senytl(fallback="error") as senytl:
        senytl.mock(model).respond(MockResponse("Hello!", usage=USAGE))
        client.converse(modelId=model, messages=messages)
        budget.settle()
        with pytest.raises(BudgetSpentError):
            client.converse(modelId=model, messages=messages)
    assert budget.sums.read().refused == 1
    client.close()


def test_calls_of_other_processes_count_where_a_server_answers_them(
    server: ModelServer, budget: SessionBudget
) -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "messages_plain"],
        capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert '"error": ""' in done.stdout, done.stderr
    budget.settle()
    assert budget.meter.dollars == pytest.approx(DOLLARS["claude-sonnet-4-6"])
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "messages_plain"],
        capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert '"error": "BadRequestError"' in done.stdout, done.stderr
    assert "the session's budget of $0.01 is spent" in (server.calls[-1].error or "")
    assert budget.sums.read().refused == 1
