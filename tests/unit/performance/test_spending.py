from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from threading import Thread

import openai
import pytest

from senytl import Senytl
from senytl.capture import PendingCall
from senytl.models import MockResponse, SenytlError, TokenUsage
from senytl.performance.failures import is_failure, is_interruption
from senytl.performance.metering import CallMeter
from senytl.performance.shared_sums import SharedSums
from senytl.performance.spending import (
    BudgetError,
    BudgetSpentError,
    LiveCost,
    SessionBudget,
    UnpricedCallError,
    current_budget,
)

Budgets = Callable[..., SessionBudget]

CALL = PendingCall("openai-chat", "openai", "gpt-4", {}, streamed=False)
# What a call of each model costs: 1,000 tokens in and 1,000 out.
USAGE = TokenUsage(1_000, 1_000)
GPT_4 = 0.09


@pytest.fixture
def client() -> Iterator[openai.OpenAI]:
    with Senytl(fallback="error") as senytl, openai.OpenAI(api_key="none") as client:
        for model in ("gpt-4", "in-house"):
            senytl.mock(model).respond(MockResponse("Hello!", usage=USAGE))
        senytl.mock("gpt-4-turbo").fail(401)
        yield client


def ask(client: openai.OpenAI, model: str = "gpt-4", **options: bool) -> object:
    messages = [{"role": "user", "content": "hello"}]
    return client.chat.completions.create(model=model, messages=messages, **options)  # type: ignore[call-overload]


@pytest.fixture
def meter() -> Iterator[CallMeter]:
    meter = CallMeter()
    meter.start()
    yield meter
    meter.stop()
    meter.stop()


@pytest.fixture
def budget_of() -> Iterator[Callable[..., SessionBudget]]:
    """Opens a budget of so many dollars."""
    opened: list[SessionBudget] = []

    def open_one(limit: float, sums: SharedSums | None = None) -> SessionBudget:
        opened.append(SessionBudget(limit, sums))
        opened[-1].open()
        return opened[-1]

    yield open_one
    for budget in reversed(opened):
        budget.close()
        budget.close()
        if budget.sums.file is not None:
            budget.sums.file.unlink(missing_ok=True)
        budget.sums.close()
    assert current_budget() is None


def spend(budget: SessionBudget, dollars: float, calls: int = 1, *models: str) -> None:
    budget.sums.write(dollars, calls, list(models))


def test_a_meter_prices_every_call_that_ends(meter: CallMeter, client: openai.OpenAI) -> None:
    for _ in range(3):
        ask(client)
    meter.settle()
    assert (meter.calls, meter.unpriced_calls) == (3, 0)
    assert meter.dollars == pytest.approx(3 * GPT_4)


def test_a_call_that_failed_costs_nothing(meter: CallMeter, client: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        ask(client, "gpt-4-turbo")
    meter.settle()
    assert (meter.calls, meter.dollars, meter.unpriced_calls) == (1, 0.0, 0)


def test_a_call_that_was_never_sent_is_none(meter: CallMeter, client: openai.OpenAI) -> None:
    with pytest.raises(SenytlError, match="no mock answers"):
        ask(client, "another")
    meter.settle()
    assert meter.calls == 0


def test_a_call_without_a_price_is_counted_by_its_model(
    meter: CallMeter, client: openai.OpenAI
) -> None:
    ask(client, "in-house")
    ask(client)
    meter.settle()
    assert (meter.calls, meter.unpriced_calls) == (2, 1)
    assert list(meter.unpriced_models) == ["in-house"]
    assert meter.dollars == pytest.approx(GPT_4)


def test_a_stream_that_nobody_reads_to_its_end_is_counted_at_last(
    meter: CallMeter, client: openai.OpenAI
) -> None:
    stream = ask(client, stream=True)
    next(iter(stream))  # type: ignore[call-overload]
    meter.settle()
    assert meter.calls == 0
    meter.end_streams()
    meter.settle()
    assert meter.calls == 1
    assert meter.dollars > 0


def test_a_meter_hears_of_nothing_before_its_start_or_after_its_stop(
    client: openai.OpenAI,
) -> None:
    meter = CallMeter()
    ask(client)
    meter.start()
    ask(client)
    meter.stop()
    ask(client)
    assert meter.calls == 1


def test_a_meter_that_falls_behind_has_those_help_who_make_calls(client: openai.OpenAI) -> None:
    meter = CallMeter()
    meter.start()
    scope, meter._scope = meter._scope, None
    meter.stop()  # its thread alone: nobody but the callers prices now
    assert scope is not None
    for _ in range(100):
        ask(client)
    assert 35 <= meter.calls < 100  # two for each call beyond the 64 that may wait
    waiting = 100 - meter.calls
    assert 60 <= waiting <= 66
    scope.close()


def test_calls_pass_until_the_budget_is_spent(budget_of: Budgets) -> None:
    budget = budget_of(5.0)
    assert current_budget() is budget
    spend(budget, 4.99, 2)
    assert budget.spent_reason() is None
    assert budget.answer(CALL) is None
    assert budget.broken() == []
    assert budget.describe() == "2 LLM calls cost $4.9900 of the session's budget of $5.00"
    spend(budget, 5.25, 3)
    reason = "the session's budget of $5.00 is spent: 3 LLM calls cost $5.2500"
    assert budget.spent_reason() == reason
    assert budget.broken() == [reason]
    with pytest.raises(BudgetSpentError) as caught:
        budget.answer(CALL)
    assert str(caught.value) == f"{reason}. This call of 'gpt-4' was not sent"
    assert budget.broken() == [f"{reason}; 1 more call was refused"]


def test_a_budget_spent_to_the_cent_is_kept_until_a_call_more_is_made(budget_of: Budgets) -> None:
    budget = budget_of(0.3)
    spend(budget, 0.1 + 0.1 + 0.1, 3)  # a little more than 0.3, in binary fractions
    assert budget.is_spent
    assert budget.broken() == []
    assert budget.describe() == budget.spent_reason()
    with pytest.raises(BudgetSpentError):
        budget.answer(CALL)
    assert budget.broken()


def test_a_budget_with_a_fraction_of_a_cent_is_shown_whole(budget_of: Budgets) -> None:
    budget = budget_of(0.0125)
    spend(budget, 0.0126, 1)
    assert budget.spent_reason() == (
        "the session's budget of $0.0125 is spent: 1 LLM call cost $0.0126"
    )


def test_nothing_is_said_of_a_budget_without_a_call(budget_of: Budgets) -> None:
    budget = budget_of(1.0)
    assert budget.describe() == ""
    assert budget.broken() == []


def test_an_unpriced_model_breaks_the_budget_and_its_next_call_is_refused(
    budget_of: Budgets,
    client: openai.OpenAI,
) -> None:
    budget = budget_of(1.0)
    ask(client, "in-house")
    budget.settle()
    with pytest.raises(UnpricedCallError, match=r"in-house: prompt=5\.0 completion=10\.0"):
        ask(client, "in-house")
    ask(client)  # of others calls go on
    budget.settle()
    [clause] = budget.broken()
    assert "no price for in-house, and 1 call was refused for it. Add one to" in clause
    assert budget.sums.read().dollars == pytest.approx(GPT_4)


def test_other_processes_spend_the_same_budget(budget_of: Budgets) -> None:
    budget = budget_of(1.0)
    sums = budget.share()
    assert budget.share() is sums
    assert sums.file is not None
    spend(budget, 0.25)
    other = budget_of(1.0, SharedSums(sums.file, sums.new_part()))
    assert current_budget() is other
    other.sums.write(0.80, 1, [])
    assert budget.is_spent
    assert other.is_spent
    with pytest.raises(BudgetSpentError, match="2 LLM calls"):
        other.answer(CALL)
    assert budget.sums.read().refused == 1
    other.close()
    assert current_budget() is budget


def test_what_a_process_spends_while_its_sums_move_into_a_file_is_kept(
    budget_of: Budgets,
    client: openai.OpenAI,
) -> None:
    budget = budget_of(100.0)
    threads = [Thread(target=lambda: [ask(client) for _ in range(20)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    budget.share()
    for thread in threads:
        thread.join()
    budget.settle()
    sums = budget.sums.read()
    assert sums.calls == 40
    assert sums.dollars == pytest.approx(40 * GPT_4)


@pytest.mark.parametrize("error", [BudgetSpentError("it is spent", "m"), UnpricedCallError("m")])
def test_a_refusal_is_no_failure_of_the_agent_and_travels_between_processes(
    error: BudgetError,
) -> None:
    assert not is_failure(error)
    assert is_interruption(error)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)


@pytest.mark.parametrize("with_budget", [False, True])
def test_a_load_s_cost_so_far(budget_of: Budgets, client: openai.OpenAI, with_budget: bool) -> None:
    budget = budget_of(100.0) if with_budget else None
    ask(client)  # not in the load
    if budget is not None:
        budget.settle()
    cost = LiveCost()
    cost.start()
    assert cost.dollars is None
    ask(client)  # its warm-up
    cost._meter.settle()
    assert cost.dollars == pytest.approx(GPT_4)
    cost.begin()
    assert cost.dollars is None
    for _ in range(2):
        ask(client)
    cost._meter.settle()
    assert cost.dollars == pytest.approx(2 * GPT_4)
    cost.stop()
    ask(client)
    if budget is not None:
        budget.settle()
        assert budget.meter.calls == 5
    assert cost.dollars == pytest.approx(2 * GPT_4)


def test_a_load_s_cost_is_not_known_once_a_call_has_no_price(client: openai.OpenAI) -> None:
    cost = LiveCost()
    cost.start()
    ask(client)
    ask(client, "in-house")
    cost._meter.settle()
    assert cost.dollars is None
    cost.begin()
    ask(client)
    cost.stop()
    assert cost.dollars == pytest.approx(GPT_4)
