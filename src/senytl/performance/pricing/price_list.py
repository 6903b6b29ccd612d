"""Prices that are written down: by the user, by the project, by senytl's documentation."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from senytl.performance.model_name import split_model
from senytl.performance.pricing.rates import Rates

__all__ = ["DOCUMENTED", "PriceList", "parse_pricing"]

_REQUIRED = ("prompt", "completion")
_KEYS = (*_REQUIRED, "cached")

# The dates that vendors put at the end of a name: -20240229, -2024-04-09, -0613; and -latest.
_DATE = re.compile(r"-(?:20\d{6}|20\d\d-\d\d-\d\d|\d{4}|latest)")

_LINE = re.compile(r"(?P<model>\S+):\s+(?P<prices>\S.*)")


class PriceList:
    """Prices by a model's name, in dollars per million tokens.

    A name is looked up as it is, then without its route and whatever its case
    (``openai/My-Model`` finds ``my-model``), then without the date at its end: a price for
    ``my-model`` holds for ``my-model-2026-01-31`` unless that has one of its own.

    Args:
        prices: ``{model: {"prompt": dollars, "completion": dollars, "cached": dollars}}``;
            without ``cached``, tokens read from the provider's cache cost as much as others.
        origin: What to call the mapping in errors.

    Raises:
        ValueError: If a key is missing or unknown, or a price is no number of 0 or more.
    """

    def __init__(
        self,
        prices: Mapping[str, Mapping[str, float]] | None = None,
        *,
        origin: str = "custom_pricing",
    ) -> None:
        self._exact = {
            model: _read_entry(f"{origin}[{model!r}]", entry)
            for model, entry in (prices or {}).items()
        }
        self._loose = {split_model(model).bare: rates for model, rates in self._exact.items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._exact)

    def find(self, model: str) -> Rates | None:
        """The rates of a model, or None where the list has none."""
        if rates := self._exact.get(model):
            return rates
        bare = split_model(model).bare
        if rates := self._loose.get(bare):
            return rates
        undated = _undated(bare)
        return self._loose.get(undated) if undated else None


def _undated(name: str) -> str | None:
    for date in _DATE.finditer(name):
        if date.end() == len(name) and date.start():
            return name[: date.start()]
    return None


def _read_entry(where: str, entry: Mapping[str, float]) -> Rates:
    if not isinstance(entry, Mapping):
        raise ValueError(
            f"{where} is {entry!r}; it must be a mapping such as "
            '{"prompt": 5.0, "completion": 10.0}, in dollars per 1M tokens'
        )
    for key in entry:
        if key not in _KEYS:
            raise ValueError(f"{where} has the unknown key {key!r}; keys are {', '.join(_KEYS)}")
    for key in _REQUIRED:
        if key not in entry:
            raise ValueError(f"{where} has no {key!r}; give both prompt and completion")
    return Rates.flat(**{key: _read_price(f"{where}[{key!r}]", entry[key]) for key in entry})


def _read_price(where: str, value: object) -> float:
    try:
        if isinstance(value, bool | str):
            raise TypeError
        price = float(value)  # type: ignore[arg-type]  # whatever a number is: Decimal, NumPy
    except (TypeError, ValueError):
        price = math.nan
    if not 0 <= price < math.inf:
        raise ValueError(f"{where} is {value!r}; it must be dollars per 1M tokens, 0 or more")
    return price


def parse_pricing(text: str) -> dict[str, dict[str, float]]:
    """Read prices from the text of an ini option: one model a line, dollars per 1M tokens.

    ::

        my-model: prompt=5.0 completion=10.0
        openai/gpt-4o: prompt=2.0 completion=8.0 cached=0.5   # what we negotiated

    Empty lines, and what follows a ``#``, are left out.

    Raises:
        ValueError: If a line does not have that form; the message quotes it.
    """
    prices: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        content = re.sub(r"(?:^|\s)#.*", "", line).strip()
        if not content:
            continue
        if not (parts := _LINE.fullmatch(content)):
            raise _bad_line(content, "it is not of the form 'model: prompt=5.0 completion=10.0'")
        model = parts["model"]
        if model in prices:
            raise _bad_line(content, f"{model} has a price already")
        entry: dict[str, float] = {}
        for word in parts["prices"].split():
            key, equals, value = word.partition("=")
            if not equals:
                raise _bad_line(content, f"{word!r} is not of the form 'prompt=5.0'")
            if key in entry:
                raise _bad_line(content, f"it gives {key} twice")
            try:
                entry[key] = float(value)
            except ValueError:
                raise _bad_line(content, f"{value!r} is no number of dollars") from None
        try:
            _read_entry(model, entry)
        except ValueError as error:
            raise _bad_line(content, str(error)) from None
        prices[model] = entry
    return prices


def _bad_line(line: str, why: str) -> ValueError:
    return ValueError(f"senytl_pricing: cannot read {line!r}: {why}")


class _Documented(PriceList):
    """The table of the documentation: each price holds for the names listed, and no other.

    Not for every dated name: ``gpt-3.5-turbo-0613`` cost three times as much as
    ``gpt-3.5-turbo`` does, and genai-prices knows that.
    """

    def __init__(self, table: Mapping[str, tuple[Rates, tuple[str, ...]]]) -> None:
        super().__init__()
        self._exact = {model: rates for model, (rates, _) in table.items()}
        self._loose = dict(self._exact)
        for rates, others in table.values():
            self._loose |= dict.fromkeys(others, rates)

    def find(self, model: str) -> Rates | None:
        return self._loose.get(split_model(model).bare)


DOCUMENTED = _Documented(
    {
        "gpt-4": (Rates.flat(30.0, 60.0), ("gpt-4-0613", "gpt-4-0314")),
        "gpt-4-turbo": (
            Rates.flat(10.0, 30.0),
            ("gpt-4-turbo-2024-04-09", "gpt-4-turbo-preview", "gpt-4-0125-preview",
             "gpt-4-1106-preview"),
        ),
        "gpt-3.5-turbo": (Rates.flat(0.5, 1.5), ("gpt-3.5-turbo-0125", "gpt-35-turbo")),
        "claude-3-opus": (
            Rates.flat(15.0, 75.0), ("claude-3-opus-20240229", "claude-3-opus-latest"),
        ),
        "claude-3-sonnet": (
            Rates.flat(3.0, 15.0), ("claude-3-sonnet-20240229", "claude-3-sonnet-latest"),
        ),
        "claude-3-haiku": (
            Rates.flat(0.25, 1.25), ("claude-3-haiku-20240307", "claude-3-haiku-latest"),
        ),
        "gemini-pro": (
            Rates.flat(0.5, 1.5),
            ("gemini-1.0-pro", "gemini-1.0-pro-001", "gemini-1.0-pro-002",
             "gemini-1.0-pro-latest"),
        ),
    }
)  # fmt: skip
"""The prices that senytl's documentation promises; cached tokens cost as much as others."""
