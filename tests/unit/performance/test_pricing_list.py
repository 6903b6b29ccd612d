from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

import pytest

from senytl.models import TokenUsage
from senytl.performance.pricing import parse_pricing
from senytl.performance.pricing.price_list import PriceList

MILLION = TokenUsage(1_000_000, 0)


def _dollars(prices: dict[str, float], model: str) -> float | None:
    """The price of a million prompt tokens in a list that has one such price by model."""
    rates = PriceList(
        {name: {"prompt": price, "completion": 0.0} for name, price in prices.items()}
    ).find(model)
    cost = rates.cost(MILLION) if rates else None
    return cost.prompt_cost if cost else None


class TestNames:
    @pytest.mark.parametrize(
        "model",
        [
            "my-model",
            "My-Model",
            "openai/my-model",
            "azure/openai/my-model",
            "my-model-2026-01-31",
            "my-model-20260131",
            "my-model-0131",
            "my-model-latest",
            "my-model@20260131",
            "vertex_ai/my-model@20260131",
        ],
    )
    def test_a_price_holds_for_routes_and_dates(self, model: str) -> None:
        assert _dollars({"my-model": 5.0}, model) == 5.0

    @pytest.mark.parametrize(
        "model",
        [
            "my-model-2",
            "my-model-mini",
            "my-modelx",
            "my-model-31k",
            "my-model-1234-preview",
            "mycompany/my-model",
            "a-my-model",
            "-2026-01-31",
            "",
        ],
    )
    def test_a_price_holds_for_no_other_model(self, model: str) -> None:
        assert _dollars({"my-model": 5.0}, model) is None

    def test_the_exact_name_comes_first(self) -> None:
        prices = {"azure/m": 1.0, "m": 2.0, "m-2026-01-31": 3.0}

        assert _dollars(prices, "azure/m") == 1.0
        assert _dollars(prices, "m") == 2.0
        assert _dollars(prices, "m-2026-01-31") == 3.0
        assert _dollars(prices, "openai/m-2026-01-31") == 3.0
        assert _dollars(prices, "m-2026-02-01") in (1.0, 2.0)

    def test_a_price_with_a_route_holds_for_the_name_behind_it(self) -> None:
        assert _dollars({"openai/my-model": 5.0}, "my-model") == 5.0


class TestValidation:
    @pytest.mark.parametrize("value", [-1, -0.01, math.nan, math.inf, "5", None, True, [5]])
    def test_a_price_is_a_number_of_dollars(self, value: Any) -> None:
        with pytest.raises(
            ValueError,
            match=re.escape(
                f"custom_pricing['m']['prompt'] is {value!r}; it must be dollars per 1M tokens, "
                "0 or more"
            ),
        ):
            PriceList({"m": {"prompt": value, "completion": 1.0}})

    def test_any_kind_of_number_will_do(self) -> None:
        prices: Any = {"m": {"prompt": Decimal("2.5"), "completion": 10}}

        rates = PriceList(prices).find("m")

        assert rates is not None
        cost = rates.cost(TokenUsage(1_000_000, 1_000_000))
        assert cost is not None
        assert (cost.prompt_cost, cost.completion_cost) == (2.5, 10.0)

    def test_unknown_keys_are_named(self) -> None:
        with pytest.raises(
            ValueError,
            match=re.escape(
                "custom_pricing['m'] has the unknown key 'input'; keys are prompt, completion, "
                "cached"
            ),
        ):
            PriceList({"m": {"input": 1.0, "completion": 1.0}})

    def test_missing_keys_are_named(self) -> None:
        with pytest.raises(
            ValueError, match=re.escape("custom_pricing['m'] has no 'completion'; give both")
        ):
            PriceList({"m": {"prompt": 1.0}})

    def test_an_entry_is_a_mapping(self) -> None:
        with pytest.raises(ValueError, match=r"custom_pricing\['m'\] is 5\.0; it must be a map"):
            PriceList({"m": 5.0})  # type: ignore[dict-item]


class TestParsing:
    def test_one_model_a_line(self) -> None:
        text = """
            # what we negotiated
            my-model: prompt=5.0 completion=10
            openai/gpt-4o:  prompt=2  completion=8.0 cached=0.5   # until June

            ft:gpt-4o:acme::x: completion=6 prompt=3
            anthropic.claude-3-opus-20240229-v1:0: prompt=15 completion=75
        """

        assert parse_pricing(text) == {
            "my-model": {"prompt": 5.0, "completion": 10.0},
            "openai/gpt-4o": {"prompt": 2.0, "completion": 8.0, "cached": 0.5},
            "ft:gpt-4o:acme::x": {"prompt": 3.0, "completion": 6.0},
            "anthropic.claude-3-opus-20240229-v1:0": {"prompt": 15.0, "completion": 75.0},
        }

    def test_nothing_gives_nothing(self) -> None:
        assert parse_pricing(" \n # only a comment\n") == {}

    @pytest.mark.parametrize(
        ("line", "why"),
        [
            ("my-model", "it is not of the form 'model: prompt=5.0 completion=10.0'"),
            ("my-model prompt=5 completion=1", "it is not of the form"),
            ("my model: prompt=5 completion=1", "it is not of the form"),
            ("my-model:", "it is not of the form"),
            ("my-model: 5.0 10.0", "'5.0' is not of the form 'prompt=5.0'"),
            ("my-model: prompt=5 prompt=6 completion=1", "it gives prompt twice"),
            ("my-model: prompt=$5 completion=1", "'$5' is no number of dollars"),
            ("my-model: prompt=5", "my-model has no 'completion'"),
            ("my-model: prompt=5 completion=1 output=2", "unknown key 'output'"),
            ("my-model: prompt=-5 completion=1", "my-model['prompt'] is -5.0"),
            ("my-model: prompt=nan completion=1", "my-model['prompt'] is nan"),
        ],
    )
    def test_errors_quote_the_line(self, line: str, why: str) -> None:
        with pytest.raises(ValueError, match=re.escape(why)) as caught:
            parse_pricing(f"other: prompt=1 completion=1\n{line}\n")

        assert str(caught.value).startswith(f"senytl_pricing: cannot read {line!r}: ")

    def test_a_model_has_one_price(self) -> None:
        with pytest.raises(ValueError, match="m has a price already"):
            parse_pricing("m: prompt=1 completion=1\nm: prompt=1 completion=2")
