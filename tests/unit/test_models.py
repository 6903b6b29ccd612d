from __future__ import annotations

import pytest

from senytl.models import LLMCallRecord, MockResponse, SenytlResponse, TokenUsage, ToolCall


def test_token_usage_takes_its_fields_by_position() -> None:
    usage = TokenUsage(100, 50, 160)
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (100, 50, 160)


def test_total_tokens_is_the_sum_unless_given() -> None:
    assert TokenUsage(100, 50).total_tokens == 150


def test_a_negative_count_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="cached_tokens is -1"):
        TokenUsage(1, 1, cached_tokens=-1)


def test_a_sum_has_the_least_trusted_source_of_its_parts() -> None:
    parts = [
        TokenUsage(10, 1, cached_tokens=4, reasoning_tokens=1),
        TokenUsage(20, 2, cache_write_tokens=3, source="tokenizer"),
        TokenUsage(30, 3),
    ]
    total = TokenUsage.sum(parts)
    assert total == TokenUsage(
        60, 6, 66, cached_tokens=4, cache_write_tokens=3, reasoning_tokens=1, source="tokenizer"
    )
    assert (total + TokenUsage(0, 0, source="estimate")).source == "estimate"


def test_no_usage_adds_up_to_nothing() -> None:
    assert TokenUsage.sum([]) == TokenUsage(0, 0, 0)


def test_adding_something_else_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        TokenUsage(1, 1) + 3  # type: ignore[operator]


def test_a_response_lists_the_tool_calls_of_all_its_calls_in_order() -> None:
    calls = [
        LLMCallRecord("openai", "gpt-4", {}, MockResponse(tool_calls=[ToolCall("a")])),
        LLMCallRecord("openai", "gpt-4", {}, MockResponse(tool_calls=[ToolCall("b", {"x": 1})])),
    ]
    response = SenytlResponse("done", raw=None, duration_seconds=0.1, llm_calls=calls)
    assert response.tool_calls == [ToolCall("a"), ToolCall("b", {"x": 1})]
