from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot

from senytl.models import PerformanceError, TokenUsage
from senytl.performance.pricing import (
    CostEstimate,
    Pricing,
    UnknownModelError,
    estimate_cost,
    project_prices,
)
from senytl.performance.pricing.market import market_rates

MILLION = TokenUsage(1_000_000, 1_000_000)
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC).timestamp()


def _dollars(model: str, **options: str | float) -> tuple[float, float] | None:
    """Dollars per million prompt and completion tokens, asked for in short prompts."""
    cost = Pricing().price(TokenUsage(1_000, 1_000), model, **options)  # type: ignore[arg-type]
    if cost is None:
        return None
    return round(1000 * cost.prompt_cost, 9), round(1000 * cost.completion_cost, 9)


class TestDocumentedTable:
    @pytest.mark.parametrize(
        ("models", "prompt", "completion"),
        [
            (("gpt-4", "gpt-4-0613", "gpt-4-0314", "GPT-4"), 30.0, 60.0),
            (
                ("gpt-4-turbo", "gpt-4-turbo-2024-04-09", "gpt-4-turbo-preview",
                 "gpt-4-1106-preview", "gpt-4-0125-preview", "GPT-4 Turbo"), 10.0, 30.0,
            ),
            (("gpt-3.5-turbo", "gpt-3.5-turbo-0125", "gpt-35-turbo", "GPT-3.5 Turbo"), 0.5, 1.5),
            (
                ("claude-3-opus", "claude-3-opus-20240229", "claude-3-opus-latest",
                 "claude-3-opus@20240229", "Claude 3 Opus"), 15.0, 75.0,
            ),
            (("claude-3-sonnet", "claude-3-sonnet-20240229", "Claude 3 Sonnet"), 3.0, 15.0),
            (("claude-3-haiku", "claude-3-haiku-20240307", "Claude 3 Haiku"), 0.25, 1.25),
            (("gemini-pro", "gemini-1.0-pro", "models/gemini-pro", "Gemini Pro"), 0.5, 1.5),
        ],
    )  # fmt: skip
    def test_has_the_specification_s_prices(
        self, models: tuple[str, ...], prompt: float, completion: float
    ) -> None:
        for model in models:
            assert estimate_cost(MILLION, model) == CostEstimate(prompt, completion), model

    @pytest.mark.parametrize(
        "model",
        [
            "openai/gpt-4",
            "azure/gpt-4",
            "azure/gpt-4-0613",
            "openrouter/openai/gpt-4",
        ],
    )
    def test_routes_lead_to_it(self, model: str) -> None:
        assert estimate_cost(MILLION, model) == CostEstimate(30.0, 60.0)

    @pytest.mark.parametrize(
        "model",
        [
            "anthropic/claude-3-opus",
            "anthropic.claude-3-opus-20240229-v1:0",
            "us.anthropic.claude-3-opus-20240229-v1:0",
            "bedrock/anthropic.claude-3-opus-20240229-v1:0",
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-opus-20240229-v1:0",
            "vertex_ai/claude-3-opus@20240229",
            "projects/p/locations/l/publishers/anthropic/models/claude-3-opus@20240229",
        ],
    )
    def test_clouds_names_lead_to_it(self, model: str) -> None:
        assert estimate_cost(MILLION, model) == CostEstimate(15.0, 75.0)

    def test_holds_for_cached_tokens_as_for_others(self) -> None:
        usage = TokenUsage(1_000_000, 0, cached_tokens=900_000, cache_write_tokens=50_000)

        assert estimate_cost(usage, "claude-3-haiku").prompt_cost == 0.25


class TestMarket:
    @pytest.mark.parametrize(
        ("model", "dollars"),
        [
            ("gpt-4-32k", (60.0, 120.0)),  # not gpt-4
            ("gpt-4o", (2.5, 10.0)),
            ("gpt-4o-2024-05-13", (5.0, 15.0)),
            ("gpt-3.5-turbo-0613", (1.5, 2.0)),  # its own price, not today's gpt-3.5-turbo
            ("openai/gpt-4o", (2.5, 10.0)),
            ("ft:gpt-4o-2024-08-06:acme::x", (3.75, 15.0)),  # not its base model's
            ("openai/ft:gpt-4o-2024-08-06:acme::x", (3.75, 15.0)),
            ("publishers/google/models/gemini-2.5-pro", (1.25, 10.0)),
            ("claude-sonnet-4-5-20250929", (3.0, 15.0)),
            # Bedrock takes a tenth more in a region.
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", (3.3, 16.5)),
            ("bedrock/global.anthropic.claude-sonnet-4-5-20250929-v1:0", (3.0, 15.0)),
            ("gpt-5.2-20251211", (1.75, 14.0)),
            ("perplexity/sonar", (1.0, 1.0)),
            ("openrouter/openai/gpt-4o", (2.5, 10.0)),
        ],
    )
    def test_has_list_prices(self, model: str, dollars: tuple[float, float]) -> None:
        assert _dollars(model, timestamp=NOON) == dollars

    @pytest.mark.parametrize(
        "model",
        [
            "gpt-4-foo",
            "gpt-4o-2099-01-01",
            "gpt-5-nonesuch",
            "my-gpt-4",
            "mycompany/gpt-4",
            "claude-opus-4-10",  # genai-prices itself takes it for claude-opus-4-1
            "openai/claude-3-opus-nonesuch",
            "ft:nonesuch:acme::x",
            "",
            "/",
            "models/",
        ],
    )
    def test_never_guesses(self, model: str) -> None:
        assert Pricing().price(MILLION, model) is None

    def test_a_model_without_a_price_for_text_is_not_free(self) -> None:
        assert Pricing().price(MILLION, "openai/whisper-1") is None  # priced by the minute
        assert Pricing().price(MILLION, "openai/gpt-live-1") is None

    def test_a_model_called_free_is(self) -> None:
        assert Pricing().price(MILLION, "openrouter/openai/gpt-oss-20b:free") == CostEstimate()

    def test_embeddings_have_a_price_for_their_input_only(self) -> None:
        embeddings = "openai/text-embedding-3-small"

        assert estimate_cost(TokenUsage(1_000_000), embeddings) == CostEstimate(0.02)
        assert Pricing().price(TokenUsage(1_000, 1), embeddings) is None

    def test_the_provider_decides_where_it_is_known(self) -> None:
        llama = "llama-3.3-70b-versatile"

        assert _dollars(llama) is None
        assert _dollars(llama, provider="groq") == (0.59, 0.79)
        assert _dollars(llama, provider="api.groq.com") == (0.59, 0.79)
        # Groq does not list this one, and what its maker takes is not what Groq takes.
        assert _dollars("claude-sonnet-4-5", provider="groq") is None

    @pytest.mark.parametrize("provider", ["127.0.0.1:4010", "localhost", "llm.acme.example", ""])
    def test_an_unknown_host_leaves_it_to_the_name(self, provider: str) -> None:
        assert _dollars("gpt-4o", provider=provider) == (2.5, 10.0)

    def test_a_gateway_that_speaks_openai_s_format_leaves_it_to_the_name(self) -> None:
        assert _dollars("claude-sonnet-4-5", provider="openai") == (3.0, 15.0)
        assert _dollars("anthropic/claude-sonnet-4-5", provider="openai") == (3.0, 15.0)

    def test_cached_tokens_have_their_own_price(self) -> None:
        usage = TokenUsage(1_000, 0, cached_tokens=400)

        assert estimate_cost(usage, "gpt-4o").prompt_cost == pytest.approx(
            (600 * 2.5 + 400 * 1.25) / 1e6
        )

    def test_tokens_written_to_the_cache_have_their_own_price(self) -> None:
        usage = TokenUsage(1_000, 0, cached_tokens=400, cache_write_tokens=100)

        assert estimate_cost(usage, "claude-sonnet-4-5").prompt_cost == pytest.approx(
            (500 * 3 + 400 * 0.3 + 100 * 3.75) / 1e6
        )

    def test_more_cached_tokens_than_prompt_tokens_are_cut(self) -> None:
        usage = TokenUsage(1_000, 0, cached_tokens=5_000, cache_write_tokens=1_000)

        assert estimate_cost(usage, "gpt-4o").prompt_cost == pytest.approx(1_000 * 1.25 / 1e6)

    def test_a_step_is_a_cliff(self) -> None:
        below = estimate_cost(TokenUsage(200_000, 1_000_000), "gemini-2.5-pro")
        above = estimate_cost(TokenUsage(200_001, 1_000_000), "gemini-2.5-pro")

        assert below == CostEstimate(0.25, 10.0)
        assert above.prompt_cost == pytest.approx(200_001 * 2.5 / 1e6)
        assert above.completion_cost == 15.0

    def test_a_price_per_call_is_in_the_total(self) -> None:
        cost = estimate_cost(TokenUsage(1_000_000, 0), "perplexity/sonar")

        assert cost.prompt_cost == 1.0
        assert cost.total_cost == pytest.approx(1.0 + 0.012)

    def test_the_call_s_own_time_decides(self) -> None:
        then = datetime(2025, 6, 9, tzinfo=UTC).timestamp()
        later = datetime(2025, 6, 11, tzinfo=UTC).timestamp()  # o3 became cheaper on June 10

        assert estimate_cost(MILLION, "o3", timestamp=then) == CostEstimate(10.0, 40.0)
        assert estimate_cost(MILLION, "o3", timestamp=later) == CostEstimate(2.0, 8.0)

    def test_a_price_of_the_hour_is_not_kept_for_the_day(self) -> None:
        day = datetime(2025, 5, 1, tzinfo=UTC).timestamp()
        pricing = Pricing()

        def price(hour: float) -> float:
            cost = pricing.price(
                TokenUsage(1_000_000), "deepseek-chat", timestamp=day + hour * 3_600
            )
            assert cost is not None
            return cost.prompt_cost

        # Half the price from 16:30 to 0:30 UTC, in those days.
        assert [price(12), price(17), price(12)] == [0.27, 0.135, 0.27]


class TestServiceTier:
    @pytest.mark.parametrize("tier", [None, "", "default", "auto", "standard", "on_demand"])
    def test_the_standard_one_has_many_names(self, tier: str | None) -> None:
        cost = Pricing().price(MILLION, "gpt-5", "openai", tier, NOON)

        assert cost == CostEstimate(1.25, 10.0)

    def test_others_have_their_own_prices(self) -> None:
        pricing = Pricing()

        assert pricing.price(MILLION, "gpt-5", "openai", "flex", NOON) == CostEstimate(0.625, 5.0)
        assert pricing.price(MILLION, "gpt-5", None, "priority", NOON) == CostEstimate(2.5, 20.0)
        assert pricing.price(MILLION, "gpt-5", "openai", "batch", NOON) == CostEstimate(0.625, 5.0)
        assert pricing.price(MILLION, "gpt-4", "openai", "batch", NOON) == CostEstimate(15.0, 30.0)

    def test_the_standard_price_is_no_guess_for_another_tier(self) -> None:
        pricing = Pricing()

        assert pricing.price(MILLION, "gpt-5", "openai", "scale", NOON) is None
        assert pricing.price(MILLION, "gpt-4", "openai", "flex", NOON) is None  # a documented price
        long_ago = datetime(2025, 12, 1, tzinfo=UTC).timestamp()  # before that list began
        assert pricing.price(MILLION, "gpt-5", "openai", "flex", long_ago) is None

    def test_the_user_s_price_holds_on_all(self) -> None:
        pricing = Pricing({"gpt-5": {"prompt": 1.0, "completion": 2.0}})

        assert pricing.price(MILLION, "gpt-5", "openai", "scale") == CostEstimate(1.0, 2.0)


class TestAnsweringModel:
    def test_its_list_price_is_charged(self) -> None:
        pricing = Pricing()

        assert pricing.price(MILLION, "my-deployment", response_model="gpt-4o") == (
            CostEstimate(2.5, 10.0)
        )
        assert pricing.price(MILLION, "gpt-4o", response_model="gpt-4o-2024-05-13") == (
            CostEstimate(5.0, 15.0)
        )

    def test_the_one_asked_for_stands_in(self) -> None:
        assert Pricing().price(MILLION, "gpt-4o", response_model="whatever") == (
            CostEstimate(2.5, 10.0)
        )

    def test_the_user_s_price_of_either_stands_above(self) -> None:
        asked = Pricing({"my-deployment": {"prompt": 1.0, "completion": 2.0}})
        answered = Pricing({"gpt-4o": {"prompt": 3.0, "completion": 4.0}})

        for pricing, cost in ((asked, CostEstimate(1.0, 2.0)), (answered, CostEstimate(3.0, 4.0))):
            assert pricing.price(MILLION, "my-deployment", response_model="gpt-4o") == cost


class TestCustomPricing:
    def test_the_specification_s_example(self) -> None:
        custom = {"my-model": {"prompt": 5.0, "completion": 10.0}}

        cost = estimate_cost(TokenUsage(1000, 500), model="my-model", custom_pricing=custom)

        assert cost == CostEstimate(0.005, 0.005, 0.01)

    def test_stands_above_known_prices(self) -> None:
        custom = {"gpt-4": {"prompt": 1, "completion": 2}}

        assert estimate_cost(MILLION, "gpt-4", custom) == CostEstimate(1.0, 2.0)
        assert estimate_cost(MILLION, "gpt-4o", custom) == CostEstimate(2.5, 10.0)

    def test_cached_tokens(self) -> None:
        usage = TokenUsage(1_000_000, 0, cached_tokens=500_000)
        prices = {"prompt": 4.0, "completion": 8.0}

        assert estimate_cost(usage, "m", {"m": prices}).prompt_cost == 4.0
        assert estimate_cost(usage, "m", {"m": prices | {"cached": 1.0}}).prompt_cost == 2.5

    def test_the_project_s_prices_stand_between(self) -> None:
        prices = {
            "gpt-4": {"prompt": 1.0, "completion": 2.0},
            "m": {"prompt": 3.0, "completion": 4.0},
        }
        own = {"m": {"prompt": 5.0, "completion": 6.0}}

        with project_prices(prices):
            assert estimate_cost(MILLION, "gpt-4") == CostEstimate(1.0, 2.0)
            assert estimate_cost(MILLION, "gpt-4", own) == CostEstimate(1.0, 2.0)
            assert estimate_cost(MILLION, "m", own) == CostEstimate(5.0, 6.0)
            with project_prices({"m": {"prompt": 7.0, "completion": 8.0}}):
                assert estimate_cost(MILLION, "m") == CostEstimate(7.0, 8.0)
            assert estimate_cost(MILLION, "m") == CostEstimate(3.0, 4.0)
        assert estimate_cost(MILLION, "gpt-4") == CostEstimate(30.0, 60.0)


class TestUnknownModel:
    def test_the_error_names_it_and_how_to_price_it(self) -> None:
        with pytest.raises(UnknownModelError) as caught:
            estimate_cost(MILLION, "gpt-4o-minni")

        assert caught.value.model == "gpt-4o-minni"
        message = str(caught.value)
        assert message.startswith(
            "no price is known for model 'gpt-4o-minni' (names like it that have one: gpt-4o-mini, "
        )
        assert message.endswith(
            "Give one in dollars per 1M tokens: "
            'custom_pricing={"gpt-4o-minni": {"prompt": 5.0, "completion": 10.0}}, or in the ini '
            "option senytl_pricing the line 'gpt-4o-minni: prompt=5.0 completion=10.0'"
        )

    def test_it_is_a_performance_error_and_a_lookup_error(self) -> None:
        with pytest.raises(PerformanceError):
            estimate_cost(MILLION, "nonesuch")
        with pytest.raises(LookupError):
            estimate_cost(MILLION, "nonesuch")


class TestCostEstimate:
    def test_the_total_is_the_sum_unless_given(self) -> None:
        assert CostEstimate(1.0, 2.0).total_cost == 3.0
        assert CostEstimate(1.0, 2.0, 4.0).total_cost == 4.0

    def test_adds_up(self) -> None:
        assert CostEstimate(1.0, 2.0, 4.0) + CostEstimate(0.5, 0.25) == (
            CostEstimate(1.5, 2.25, 4.75)
        )
        assert CostEstimate.sum([]) == CostEstimate(0.0, 0.0, 0.0)
        assert CostEstimate.sum(iter([CostEstimate(1.0, 2.0)] * 3)) == CostEstimate(3.0, 6.0, 9.0)

    def test_is_frozen(self) -> None:
        with pytest.raises(FrozenInstanceError):
            CostEstimate().prompt_cost = 1.0  # type: ignore[misc]


def test_every_model_costs_what_genai_prices_says() -> None:
    usages = [
        TokenUsage(1_000, 500),
        TokenUsage(128_001, 10, cached_tokens=500, reasoning_tokens=4),
        TokenUsage(200_000, 10, cached_tokens=500, cache_write_tokens=700, reasoning_tokens=4),
        TokenUsage(272_001, 10, cached_tokens=1, cache_write_tokens=700),
        TokenUsage(1_000_001, 9_000, cached_tokens=1_000_001),
    ]
    when = datetime.fromtimestamp(NOON, UTC)
    compared = 0
    for vendor in get_snapshot().providers:
        for model in vendor.models:
            if vendor.find_model(model.id) is not model:
                continue  # listed under a name that nobody calls it by
            rates = market_rates(model.id, vendor.id, None, NOON).rates
            for usage in usages if rates else ():
                cost = rates.cost(usage) if rates else None
                if cost is None:
                    continue
                theirs = model.calc_price(
                    Usage(
                        input_tokens=usage.prompt_tokens,
                        output_tokens=usage.completion_tokens,
                        cache_read_tokens=usage.cached_tokens,
                        cache_write_tokens=usage.cache_write_tokens,
                        output_reasoning_tokens=usage.reasoning_tokens,
                    ),
                    vendor,
                    genai_request_timestamp=when,
                )
                assert (cost.prompt_cost, cost.completion_cost, cost.total_cost) == pytest.approx(
                    (float(theirs.input_price), float(theirs.output_price),
                     float(theirs.total_price)), rel=1e-9, abs=1e-12,
                ), (vendor.id, model.id, usage)  # fmt: skip
                compared += 1
    assert compared > 5_000


def test_repeated_prices_are_looked_up_once() -> None:
    pricing = Pricing()
    usage = TokenUsage(1_000, 500, cached_tokens=10)

    def seconds(work: object) -> float:
        start = time.perf_counter()
        for _ in range(300):
            work()  # type: ignore[operator]
        return time.perf_counter() - start

    def ours() -> None:
        pricing.price(usage, "gpt-4o", "openai", "default", NOON)

    def theirs() -> None:
        calc_price(Usage(input_tokens=1_000, output_tokens=500, cache_read_tokens=10), "gpt-4o")

    ours()
    theirs()
    assert min(seconds(ours) for _ in range(3)) < min(seconds(theirs) for _ in range(3)) / 5


def test_threads_may_share_prices() -> None:
    pricing = Pricing()
    models = ["gpt-4", "gpt-4o", "o3", "claude-sonnet-4-5", "gemini-2.5-pro", "nonesuch"]
    results: list[list[CostEstimate | None]] = []

    def price() -> None:
        results.append([pricing.price(MILLION, model, timestamp=NOON) for model in models * 50])

    threads = [threading.Thread(target=price) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(results) == 8
    assert all(result == results[0] for result in results)


def test_genai_prices_loads_on_first_use() -> None:
    code = (
        "import sys; import senytl.performance.pricing, senytl.performance.tokens, "
        "senytl.performance.memory; print([m for m in ('genai_prices', 'tiktoken', 'psutil', "
        "'rich', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout == "[]\n"
