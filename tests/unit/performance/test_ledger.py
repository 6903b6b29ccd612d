from __future__ import annotations

import pytest

from senytl.models import LLMCallRecord, MockResponse, TokenUsage
from senytl.performance.ledger import CallLedger
from senytl.performance.pricing import Pricing

PRICES = Pricing(
    {"cheap": {"prompt": 1.0, "completion": 2.0}, "dear": {"prompt": 10.0, "completion": 20.0}}
)


def call(model: str, usage: TokenUsage | None, **fields: str) -> LLMCallRecord:
    return LLMCallRecord(
        "acme", model, {"messages": "one two three"}, MockResponse("four"), usage,
        response_model=fields.get("response_model"), error=fields.get("error"),
    )  # fmt: skip


def test_calls_are_added_up_for_each_request() -> None:
    ledger = CallLedger()
    ledger.add(0, call("cheap", TokenUsage(100, 10, cached_tokens=40)))
    ledger.add(2, call("cheap", TokenUsage(1000, 0)))
    ledger.add(2, call("dear", TokenUsage(1000, 100, reasoning_tokens=60)))
    totals = ledger.total(4, PRICES)
    assert totals.token_usage == [
        TokenUsage(100, 10, cached_tokens=40),
        TokenUsage(0, 0),
        TokenUsage(2000, 100, reasoning_tokens=60),
        TokenUsage(0, 0),
    ]
    assert [cost.total_cost for cost in totals.costs] == pytest.approx(
        [120e-6, 0.0, (1000 + 10_000 + 2_000) * 1e-6, 0.0]
    )
    assert totals.unpriced_models == ()
    assert totals.sources == {"provider": 3}


def test_no_call_at_all_is_no_usage() -> None:
    totals = CallLedger().total(5, PRICES)
    assert len(totals.token_usage) == 0
    assert len(totals.costs) == 0


def test_a_request_with_an_unpriced_call_has_no_cost_and_keeps_its_tokens() -> None:
    ledger = CallLedger()
    ledger.add(0, call("cheap", TokenUsage(100, 0)))
    ledger.add(1, call("cheap", TokenUsage(100, 0)))
    ledger.add(1, call("nobody-knows", TokenUsage(5, 5)))
    totals = ledger.total(2, PRICES)
    assert [usage.total_tokens for usage in totals.token_usage] == [100, 110]
    assert len(totals.costs) == 1
    assert totals.unpriced_models == ("nobody-knows",)


def test_the_model_that_answered_decides_unless_the_user_priced_a_name() -> None:
    ledger = CallLedger()
    ledger.add(0, call("my-deployment", TokenUsage(1_000_000, 0), response_model="gpt-4-0613"))
    ledger.add(1, call("cheap", TokenUsage(1_000_000, 0), response_model="gpt-4-0613"))
    totals = ledger.total(2, PRICES)
    assert [cost.total_cost for cost in totals.costs] == pytest.approx([30.0, 1.0])


def test_calls_without_the_providers_usage_are_counted_at_the_end() -> None:
    ledger = CallLedger()
    ledger.add(0, call("cheap", None))
    ledger.add(0, call("cheap", TokenUsage(100, 0)))
    ledger.add(1, call("cheap", None, error="APIError: overloaded"))
    assert len(ledger) == 3
    totals = ledger.total(2, PRICES)
    assert totals.sources["provider"] == 1
    assert totals.token_usage[0].total_tokens > 100
    assert totals.token_usage[0].source == "estimate"


def test_users_ledgers_are_merged_with_their_requests_renumbered() -> None:
    first, second = CallLedger(), CallLedger()
    first.add(0, call("cheap", TokenUsage(1, 0)))
    second.add(1, call("dear", TokenUsage(2, 0)))
    second.add(0, call("cheap", TokenUsage(4, 0)))
    merged = CallLedger()
    merged.extend(first, 0)
    merged.extend(second, 1)
    totals = merged.total(3, PRICES)
    assert [usage.total_tokens for usage in totals.token_usage] == [1, 4, 2]
    assert [cost.total_cost for cost in totals.costs] == pytest.approx([1e-6, 4e-6, 20e-6])


def test_no_request_that_ended_is_no_usage() -> None:
    ledger = CallLedger()
    ledger.add(0, call("cheap", TokenUsage(1, 0)))
    assert len(ledger.total(0, PRICES).token_usage) == 0


def test_prompts_are_not_kept_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("senytl.performance.ledger._UNCOUNTED_LIMIT", 10)
    ledger = CallLedger()
    for number in range(25):
        ledger.add(number, call("cheap", None))
        assert len(ledger._uncounted) < 10
    assert len(ledger.total(25, PRICES).token_usage) == 25
