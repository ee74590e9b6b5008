"""Accounts: what an agent or a token may use, and where it went.

Every agent has one. A limit of None for a resource means that the agent has no slice of its own and
draws on its parent's: whatever it sets aside or spends counts as granted there, and so on upwards
until an account with a limit. For every account and resource with a limit:

    limit = available + reserved + spent + granted

where `granted` is the sum of what the living children draw. Adding over a family, the grants cancel
and the root's limit is what is available, set aside and spent in all its living agents together.
An account may be overdrawn, because spending is recorded after it happened; then `available` is
negative, and nothing more is set aside or granted.

A token that states a budget has an account as well, and so has each link of its chain that does.
These stand beside the family: what is set aside and spent under the token counts in each of them,
and so does all that is drawn by the agents that were spawned under it, whatever token these use.
"""

from typing import Final, TypeAlias

import attrs

from toka.types import NOTHING, RESOURCES, UNLIMITED, Amounts, Budget

Triple: TypeAlias = tuple[int, int, int]
"""Amounts that may be negative, in the order of `RESOURCES`."""

ZERO: Final[Triple] = (0, 0, 0)


@attrs.frozen
class Account:
    """What an agent may use up, and has."""

    limit: Budget = UNLIMITED
    reserved: Amounts = NOTHING
    """Set aside for effects that have begun."""
    spent: Amounts = NOTHING
    """Used by the agent, and by its children that have ended."""
    granted: Amounts = NOTHING
    """Drawn by the children that live."""

    @property
    def available(self) -> tuple[int | None, int | None, int | None]:
        """What is left per resource, None where there is no limit; negative when overdrawn."""
        money, tokens, calls = (
            None if limit is None else limit - used
            for limit, used in zip(limits(self.limit), self.used, strict=True)
        )
        return money, tokens, calls

    @property
    def used(self) -> Triple:
        """What is set aside, spent or granted."""
        return add(triple(self.reserved), add(triple(self.spent), triple(self.granted)))

    @property
    def drawn(self) -> Triple:
        """What the parent has granted to this account."""
        money, tokens, calls = (
            used if limit is None else limit
            for limit, used in zip(limits(self.limit), self.used, strict=True)
        )
        return money, tokens, calls

    def book(self, reserved: Triple, spent: Triple, granted: Triple) -> "Account":
        """Return the account with each part changed by that much."""
        return Account(
            self.limit,
            _amounts(add(triple(self.reserved), reserved)),
            _amounts(add(triple(self.spent), spent)),
            _amounts(add(triple(self.granted), granted)),
        )

    def passed_on(self, change: Triple) -> Triple:
        """Return how a change of what is used changes what is drawn from the parent."""
        money, tokens, calls = (
            delta if limit is None else 0
            for limit, delta in zip(limits(self.limit), change, strict=True)
        )
        return money, tokens, calls


@attrs.frozen
class TokenAccount:
    """What a token that states a budget may use up, together with all that was narrowed from it.

    The law is that of an agent's account: `reserved` and `spent` are what was done under the token,
    `granted` is what the living agents draw that were spawned under it.
    """

    subject: str
    account: Account
    until: int
    """The second, since the Unix epoch, from which on no token can name this account."""
    agents: int = 0
    """Agents that draw on it, or would again if they were restarted."""

    @property
    def idle(self) -> bool:
        """Whether nothing that lives draws on it."""
        return not self.agents and self.account.reserved == NOTHING


def triple(amounts: Amounts) -> Triple:
    """Return the amounts in the order of `RESOURCES`."""
    return amounts.money, amounts.tokens, amounts.calls


def limits(budget: Budget) -> tuple[int | None, int | None, int | None]:
    """Return the limits in the order of `RESOURCES`."""
    return budget.money, budget.tokens, budget.calls


def slice_of(budget: Budget) -> Triple:
    """Return what a parent grants at once for a child with this budget."""
    return budget.money or 0, budget.tokens or 0, budget.calls or 0


def what_is_left(account: Account) -> Budget:
    """Return a budget of what an ended account did not use, for another life."""
    money, tokens, calls = (None if left is None else max(left, 0) for left in account.available)
    return Budget(money, tokens, calls)


def add(left: Triple, right: Triple) -> Triple:
    """Return the sum."""
    return left[0] + right[0], left[1] + right[1], left[2] + right[2]


def negative(amounts: Triple) -> Triple:
    """Return the amounts with the other sign."""
    return -amounts[0], -amounts[1], -amounts[2]


def resource_name(index: int) -> str:
    """Return the resource at a position of a triple."""
    return RESOURCES[index]


def _amounts(values: Triple) -> Amounts:
    return Amounts(*values)
