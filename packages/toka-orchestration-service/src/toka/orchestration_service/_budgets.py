"""From an account in the kernel's state to the budget that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toka.orchestration_service._shapes_agents import Budget, Figure

if TYPE_CHECKING:
    from toka.kernel import Account


def render_budget(account: Account) -> Budget:
    """Return what an account holds, resource by resource."""
    limits = (account.limit.money, account.limit.tokens, account.limit.calls)
    reserved, spent, granted = account.reserved, account.spent, account.granted
    money, tokens, calls = (
        Figure(*figures)
        for figures in zip(
            limits,
            account.available,
            (reserved.money, reserved.tokens, reserved.calls),
            (spent.money, spent.tokens, spent.calls),
            (granted.money, granted.tokens, granted.calls),
            strict=True,
        )
    )
    return Budget(money, tokens, calls)
