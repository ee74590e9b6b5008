"""What models cost and what they can take, as data.

Money is counted in millionths of a dollar and prices in millionths of a dollar per million tokens,
so that every published price is an integer and no sum is ever rounded twice.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar, cast

import attrs

from toka.llm_gateway._errors import ConfigurationInvalid
from toka.llm_gateway._limits import FIELDS, UNKNOWN, ModelLimits, read_limits
from toka.llm_gateway._response import Cost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toka.llm_gateway._response import Usage

T = TypeVar("T")

_MILLION: Final = 1_000_000
_SNAPSHOT: Final = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2}|latest)$")
_AMOUNT: Final = re.compile(r"(\d{1,9})(?:\.(\d{1,6}))?")
_NO_LIMITS: Final[Mapping[tuple[str, str], ModelLimits]] = MappingProxyType({})
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
    """Prices and limits by provider and model, as of a date."""

    dated: str
    models: Mapping[tuple[str, str], Price]
    limits: Mapping[tuple[str, str], ModelLimits] = _NO_LIMITS

    @classmethod
    def built_in(cls) -> PriceTable:
        """Return the table that came with this release; see `dated` for its age."""
        from importlib.resources import files  # noqa: PLC0415 - only who asks for prices pays

        return cls.parse(files("toka.llm_gateway").joinpath("prices.toml").read_text("utf-8"))

    @classmethod
    def parse(cls, text: str) -> PriceTable:
        """Read a table: `dated`, then one table per provider and model with its rates and limits.

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
        models: dict[tuple[str, str], Price] = {}
        limits: dict[tuple[str, str], ModelLimits] = {}
        for provider, entries in document.items():
            for model, value in _table(entries, provider).items():
                where = f"{provider}.{model}"
                entry = _table(value, where)
                if not FIELDS.isdisjoint(entry):
                    limits[provider, model] = read_limits(entry, where)
                rates = {name: entry[name] for name in entry if name not in FIELDS}
                # Limits without a price are for models that one runs oneself.
                if rates or not entry:
                    models[provider, model] = _price(rates, where)
        return cls(dated, models, limits)

    def merged(self, other: PriceTable) -> PriceTable:
        """Return this table with what `other` knows put over it."""
        limits = {
            named: known.over(self.limits.get(named, UNKNOWN))
            for named, known in other.limits.items()
        }
        return PriceTable(
            other.dated or self.dated,
            {**self.models, **other.models},
            {**self.limits, **limits},
        )

    def find(self, provider: str, model: str) -> Price | None:
        """Return the price of a model, or of the model that this is a dated snapshot of."""
        return _named(self.models, provider, model)

    def limits_of(self, provider: str, model: str) -> ModelLimits:
        """Return what is known of a model's limits, or of the model that it is a snapshot of."""
        return _named(self.limits, provider, model) or UNKNOWN

    def cost(self, provider: str, model: str, usage: Usage) -> Cost | None:
        """Return the cost of a call, or None where price or usage is unknown."""
        price = self.find(provider, model)
        return None if price is None or not usage.reported else price.cost(usage)


def _named(entries: Mapping[tuple[str, str], T], provider: str, model: str) -> T | None:
    found = entries.get((provider, model))
    return entries.get((provider, _SNAPSHOT.sub("", model))) if found is None else found


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
            f" long_above together with long, {', '.join(sorted(FIELDS))}, and nothing else."
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
