from __future__ import annotations

import sys
from typing import Any

import pytest

from senytl.models import LLMCallRecord, MockResponse, TokenUsage
from senytl.performance.call_columns import CallColumns
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


class Unread(LLMCallRecord):
    """A call like those that were captured: it must not be read while others still run."""

    __slots__ = ("read", "unread_bytes")

    is_llm_call = True

    def __init__(self, unread_bytes: int) -> None:
        self.read = 0
        self.unread_bytes = unread_bytes
        self.provider, self.model, self.request, self.status = "acme", "cheap", {}, 200
        self.timestamp = self.start = self.duration_seconds = None
        self.streamed, self.mocked, self.timing_valid, self.attempt = False, False, True, 1

    def __getattr__(self, name: str) -> Any:
        self.read += 1
        self.unread_bytes = 0
        whole = call("cheap", TokenUsage(7, 0))
        for lazy in ("response", "usage", "response_model", "service_tier", "error", "outcome",
                     "error_kind", "ttft", "time_to_first_output", "ttft_is_upper_bound",
                     "chunks", "chunk_gaps"):  # fmt: skip
            setattr(self, lazy, getattr(whole, lazy))
        return getattr(self, name)


def test_a_call_is_not_read_before_the_run_is_over() -> None:
    ledger = CallLedger()
    waiting = [Unread(1_000) for _ in range(3)]
    for one in waiting:
        ledger.add(0, one)
    assert [one.read for one in waiting] == [0, 0, 0]
    assert len(ledger) == 3
    assert ledger.total(1, PRICES).token_usage[0].total_tokens == 21
    assert [one.read for one in waiting] == [1, 1, 1]


def test_calls_are_read_early_where_too_many_bytes_wait_in_all_ledgers() -> None:
    first, second = CallLedger(), CallLedger()
    idle, small, large = Unread(40_000_000), Unread(10), Unread(40_000_000)
    first.add(0, idle)
    second.add(0, small)
    assert (idle.read, small.read) == (0, 0)
    second.add(0, large)
    assert (idle.read, small.read, large.read) == (0, 1, 1)  # each user reads its own
    assert second.total(1, PRICES).token_usage[0].total_tokens == 14


def test_what_waits_in_a_ledger_that_is_thrown_away_waits_no_longer() -> None:
    for _ in range(5):
        CallLedger().add(0, Unread(40_000_000))
    ledger, one = CallLedger(), Unread(40_000_000)
    ledger.add(0, one)
    assert one.read == 0


def test_records_are_dropped_as_soon_as_they_are_read() -> None:
    ledger, one = CallLedger(), call("cheap", TokenUsage(1, 0))
    references = sys.getrefcount(one)
    ledger.add(0, one)
    assert sys.getrefcount(one) == references + 1
    ledger.total(1, PRICES)
    assert sys.getrefcount(one) == references


def test_what_is_left_over_counts_in_the_sums_and_is_no_requests_own() -> None:
    ledger = CallLedger()
    ledger.add(0, call("cheap", TokenUsage(100, 0)))
    ledger.add(0, call("cheap", TokenUsage(1_000, 0)), left_over=True)
    totals = ledger.total(1, PRICES)
    assert totals.token_usage[0].total_tokens == 1_100
    assert list(totals.own_tokens) == [100]
    assert list(totals.own_costs) == pytest.approx([100e-6])
    assert sum(cost.total_cost for cost in totals.costs) == pytest.approx(1_100e-6)


def test_a_million_calls_take_a_bounded_number_of_bytes_each() -> None:
    columns = CallColumns()
    one = call("cheap", TokenUsage(100, 10))
    for _ in range(1_000):
        columns.append(0, one, left_over=False)
    arrays = [columns.request, columns.model, *columns._plain()]
    assert sum(len(column) * column.itemsize for column in arrays) / 1_000 < 128
