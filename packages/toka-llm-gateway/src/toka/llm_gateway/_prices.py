"""What models cost, as data.

Money is counted in millionths of a dollar and prices in millionths of a dollar per million tokens,
so that every published price is an integer and no sum is ever rounded twice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

import attrs

from toka.llm_gateway._errors import ConfigurationInvalid
from toka.llm_gateway._response import Cost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.llm_gateway._response import Usage

_MILLION: Final = 1_000_000
_SNAPSHOT: Final = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2}|latest)$")
_AMOUNT: Final = re.compile(r"(\d{1,9})(?:\.(\d{1,6}))?")
_RATES: Final = ("input", "output", "cache_read", "cache_write")


@attrs.frozen
class Price:
    """The rates of one model, in micro-USD per million tokens."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    long_above: int | None = None
    """Prompts of more tokens than this are billed at `long` rates, the whole call over."""
    long: Price | None = None

    def cost(self, usage: Usage) -> Cost:
        """Return what a call of this size costs, rounded up."""
        prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
        if self.long is not None and self.long_above is not None and prompt > self.long_above:
            return self.long.cost(usage)
        total = (
            usage.input_tokens * self.input
            + usage.cache_read_tokens * self.cache_read
            + usage.cache_write_tokens * self.cache_write
            + usage.output_tokens * self.output
        )
        return Cost(-(-total // _MILLION))

    def ceiling(self, input_tokens: int, output_tokens: int) -> Cost:
        """Return the most that a call of at most this size can cost, rounded up."""
        dearest = max(self.input, self.cache_read, self.cache_write)
        own = -(-(input_tokens * dearest + output_tokens * self.output) // _MILLION)
        if self.long is None or self.long_above is None or input_tokens <= self.long_above:
            return Cost(own)
        return max(Cost(own), self.long.ceiling(input_tokens, output_tokens))


@attrs.frozen
class PriceTable:
    """Prices by provider and model, as of a date."""

    dated: str
    models: Mapping[tuple[str, str], Price]

    @classmethod
    def built_in(cls) -> PriceTable:
        """Return the table that came with this release; see `dated` for its age."""
        from importlib.resources import files  # noqa: PLC0415 - only who asks for prices pays

        return cls.parse(files("toka.llm_gateway").joinpath("prices.toml").read_text("utf-8"))

    @classmethod
    def parse(cls, text: str) -> PriceTable:
        """Read a table: `dated`, then one table per provider and model with its rates.

        Raises:
            ConfigurationInvalid: The text is not such a table.

        """
        import tomllib  # noqa: PLC0415 - only who asks for prices pays

        try:
            # Written as dollars, read as text: a float has no exact cents.
            document: dict[str, object] = tomllib.loads(text, parse_float=str)
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationInvalid(f"The price table is not TOML: {error}.") from error
        dated = str(document.pop("dated", ""))
        models = {
            (provider, model): _price(rates, f"{provider}.{model}")
            for provider, entries in document.items()
            for model, rates in _table(entries, provider).items()
        }
        return cls(dated, models)

    def merged(self, other: PriceTable) -> PriceTable:
        """Return this table with the entries of `other` put over it."""
        return PriceTable(other.dated or self.dated, {**self.models, **other.models})

    def find(self, provider: str, model: str) -> Price | None:
        """Return the price of a model, or of the model that this is a dated snapshot of."""
        price = self.models.get((provider, model))
        if price is None:
            price = self.models.get((provider, _SNAPSHOT.sub("", model)))
        return price

    def cost(self, provider: str, model: str, usage: Usage) -> Cost | None:
        """Return the cost of a call, or None where price or usage is unknown."""
        price = self.find(provider, model)
        return None if price is None or not usage.reported else price.cost(usage)


def _table(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ConfigurationInvalid(f"{where} in the price table is not a table.")
    return dict(cast("dict[str, object]", value))


def _price(value: object, where: str) -> Price:
    rates = _table(value, where)
    above, long = rates.pop("long_above", None), rates.pop("long", None)
    unknown = rates.keys() - set(_RATES)
    if unknown or not {"input", "output"} <= rates.keys() or (above is None) != (long is None):
        raise ConfigurationInvalid(
            f"{where} in the price table needs input and output, may have cache_read, cache_write,"
            " and long_above together with long, and nothing else."
        )
    if above is not None and (type(above) is not int or above < 1):
        raise ConfigurationInvalid(f"{where}.long_above in the price table is not a count.")
    full = _amount(rates["input"], where)
    return Price(
        full,
        _amount(rates["output"], where),
        _amount(rates["cache_read"], where) if "cache_read" in rates else full,
        _amount(rates["cache_write"], where) if "cache_write" in rates else full,
        above,
        None if long is None else _price(long, f"{where}.long"),
    )


def _amount(value: object, where: str) -> int:
    match = _AMOUNT.fullmatch(str(value))
    if match is None:
        raise ConfigurationInvalid(
            f"{where} in the price table holds {str(value)[:20]!r},"
            " not dollars per million tokens with at most six decimals."
        )
    return int(match[1]) * _MILLION + int((match[2] or "").ljust(6, "0"))
