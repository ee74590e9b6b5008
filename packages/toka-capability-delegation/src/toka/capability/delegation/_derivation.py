"""From what the root says to what the last holder may do, one hop after the other.

Every hop is held against the claims that came out of the hops before it, never against the root
alone, so that what a token allows each of its ancestors allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.capability.core import (
    NO_IMPLICATIONS,
    ActionHierarchy,
    Denial,
    Hop,
    MaxBudget,
    MaxRate,
    TokenRefusedError,
    check_limits,
    narrowed,
)
from toka.capability.delegation._chain import hop_ids, too_deep
from toka.capability.delegation._link import Link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toka.capability.core import Claims
    from toka.capability.delegation._chain import ChainText

DEFAULT_MAX_DEPTH = 5
"""How often a token may be handed on where nobody says otherwise."""


@attrs.frozen
class DelegationRules:
    """What a validator holds against every chain, whatever the tokens themselves say."""

    max_depth: int = DEFAULT_MAX_DEPTH
    """Most hops behind a root."""
    hierarchy: ActionHierarchy = NO_IMPLICATIONS
    """Which actions imply which when a child's permissions are held against its parent's."""


def derive(root: Claims, text: ChainText, rules: DelegationRules) -> Iterator[tuple[Link, Claims]]:
    """Yield each hop and the claims behind it.

    Raises:
        TokenRefusedError: A hop is not well-formed, not in line with the one before, handed on too
            often or in a circle, or would widen; `denial.hop` is its number, from 1.
    """
    claims = root
    ids = hop_ids(text.signed, text.hops)
    for number, (hop, hop_id) in enumerate(zip(text.hops, ids, strict=True), 1):
        try:
            link = Link.decode(hop)
            claims = extended(claims, link, hop_id, rules)
        except TokenRefusedError as error:
            raise TokenRefusedError.of(attrs.evolve(error.denial, hop=number)) from error
        yield link, claims


def extended(parent: Claims, link: Link, hop_id: str, rules: DelegationRules) -> Claims:
    """Return what the delegatee of `link` may do.

    Raises:
        TokenRefusedError: The link does not follow from the parent.
    """
    chain = parent.accounts
    _check_principals(parent, chain, link)
    if parent.depth == 0 or len(chain) > rules.max_depth:
        raise too_deep("the token was handed on more often than it may be")
    own = _account(link, hop_id)
    heir = attrs.evolve(
        parent,
        subject=link.delegatee,
        token_id=hop_id,
        depth=None if parent.depth is None else parent.depth - 1,
        rate=own.rate,
        chain=(*chain, own),
    )
    claims = narrowed(heir, link.caveats, rules.hierarchy)
    check_limits(claims)
    return claims


def _account(link: Link, hop_id: str) -> Hop:
    budget: tuple[tuple[str, int], ...] = ()
    rate: MaxRate | None = None
    for caveat in link.caveats:
        if isinstance(caveat, MaxBudget):
            budget = caveat.amounts
        elif isinstance(caveat, MaxRate):
            rate = caveat
    return Hop(hop_id, link.delegatee, budget, rate)


def _check_principals(parent: Claims, chain: tuple[Hop, ...], link: Link) -> None:
    if link.delegator != parent.subject:
        raise _refused("misaligned", "its delegator is not whom the token was handed to before")
    if link.delegatee in [hop.subject for hop in chain]:
        raise _refused("circular", "it hands the token back to somebody who had it before")


def _refused(code: str, rule: str) -> TokenRefusedError:
    return TokenRefusedError.of(Denial(code=f"capability.{code}", rule=rule))
