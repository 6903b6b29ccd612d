from __future__ import annotations

from typing import Any

from senytl.models import LLMCallRecord, MockResponse, TokenUsage
from senytl.server.log import CallLog


def call(model: str = "gpt-4o", **more: Any) -> LLMCallRecord:
    request = {"messages": [{"role": "user", "content": "a secret question"}]}
    response = MockResponse("a secret answer")
    return LLMCallRecord("openai", model, request, response, api="openai-chat", **more)


def test_a_line_says_model_status_tokens_and_times() -> None:
    lines: list[str] = []
    log = CallLog(lines.append)
    log.add(call(usage=TokenUsage(12, 34), status=200, duration_seconds=0.4567, ttft=0.1234))
    log.add(call(status=429, outcome="failed", error_kind="rate_limit", duration_seconds=0.001))
    log.add(call(outcome="abandoned", duration_seconds=2.0))
    assert lines == [
        "gpt-4o  openai-chat  200  12+34 tokens  ttft 123 ms  457 ms",
        "gpt-4o  openai-chat  429  rate_limit  1 ms",
        "gpt-4o  openai-chat  -  abandoned  2000 ms",
    ]


def test_no_line_says_what_was_asked_or_answered_or_moves_the_terminal() -> None:
    lines: list[str] = []
    CallLog(lines.append).add(call("gpt\x1b[2J\n" + "x" * 200, error="a secret error"))
    [line] = lines
    assert "secret" not in line
    assert line.isprintable()
    assert line.startswith("gpt?[2J?xxx")
    assert len(line) < 150


def test_the_summary_adds_up_what_there_was() -> None:
    log = CallLog()
    assert log.summary() == "served no call"
    log.add(call(usage=TokenUsage(12, 34)))
    assert log.summary() == "served 1 call (1 completed), 12 prompt and 34 completion tokens"
    log.add(call(usage=TokenUsage(1, 1)))
    log.add(call(outcome="failed"))
    assert log.summary() == (
        "served 3 calls (2 completed, 1 failed), 13 prompt and 35 completion tokens"
    )
