"""Tokens that are good by themselves: who presents one has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.capability.core import Claims


def bearer_claims(authenticate: Callable[[str], Claims], vault: str, token: str) -> Claims | None:
    """Return the claims of a token that can be taken at its word; None for any other.

    Not taken is one of another tenant, one with a budget, where nobody counts, and one that is
    bound to a key, where nobody can ask for a proof of it.

    Raises:
        TokaError: It is not accepted.
    """
    claims = authenticate(token)
    counted = any(hop.budget for hop in claims.accounts)
    return None if claims.vault != vault or claims.holder is not None or counted else claims
