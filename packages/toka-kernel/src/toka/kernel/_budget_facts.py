"""Facts about budgets outside steps, in the stream of the agent."""

from typing import ClassVar

import attrs

from toka.types import Amounts, EntityId


@attrs.frozen
class BudgetReserved:
    """An amount is set aside."""

    kind: ClassVar[str] = "budget.reserved.v1"
    reservation: EntityId
    amounts: Amounts


@attrs.frozen
class BudgetSettled:
    """A part of a reservation is spent, and the rest is available again."""

    kind: ClassVar[str] = "budget.settled.v1"
    reservation: EntityId
    spent: Amounts
    overdrawn: bool
    """More was spent than had been set aside."""
