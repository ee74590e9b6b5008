"""Consumable limits: what an agent may use up, and what it has used."""

from __future__ import annotations

import attrs

from toka.types._errors import InvalidValueError

RESOURCES = ("money", "tokens", "calls")
"""Everything that a budget counts, in the order of the fields below."""


def _not_negative(_: object, attribute: attrs.Attribute[int], value: int | None) -> None:
    if value is not None and value < 0:
        raise InvalidValueError(f"An amount of {attribute.name} cannot be negative, as {value} is.")


@attrs.frozen
class Amounts:
    """What was used, or is set aside."""

    money: int = attrs.field(default=0, validator=_not_negative)
    """Micro-dollars of the United States."""
    tokens: int = attrs.field(default=0, validator=_not_negative)
    """Tokens of language models, in and out together."""
    calls: int = attrs.field(default=0, validator=_not_negative)
    """Calls of language models."""

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(
            self.money + other.money, self.tokens + other.tokens, self.calls + other.calls
        )


NOTHING = Amounts()


@attrs.frozen
class Budget:
    """What may be used; None means without limit."""

    money: int | None = attrs.field(default=None, validator=_not_negative)
    tokens: int | None = attrs.field(default=None, validator=_not_negative)
    calls: int | None = attrs.field(default=None, validator=_not_negative)


UNLIMITED = Budget()
