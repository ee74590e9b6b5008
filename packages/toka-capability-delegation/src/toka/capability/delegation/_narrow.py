"""Handing a token on: pure functions that need neither the issuer nor its key, nor the time."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import attrs

from toka.capability.core import (
    MAX_HOPS,
    NO_IMPLICATIONS,
    ActionHierarchy,
    Caveat,
    Denial,
    InvalidClaimsError,
    check_limits,
    decode_base64url,
    decode_claims,
)
from toka.capability.delegation._chain import ChainText, hop_ids, malformed
from toka.capability.delegation._derivation import DelegationRules, derive, extended
from toka.capability.delegation._link import Link
from toka.types import MAX_TOKEN_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toka.capability.core import Claims

_NONCE_BYTES: Final = 9


def narrow(
    token: str,
    delegatee: str,
    caveats: Iterable[Caveat] = (),
    *,
    nonce: str | None = None,
    hierarchy: ActionHierarchy = NO_IMPLICATIONS,
) -> str:
    """Return a token for `delegatee` that allows what `token` does, less the caveats.

    Every rule that a validator holds against the new hop is checked here first, so a mistake is
    seen by who made it. Whether `token` itself is genuine only its issuer's key can tell.

    Args:
        token: What is handed on; a root token or one that was handed on before.
        delegatee: Who it is for: nobody who had it already.
        caveats: What is held back; at most one of each kind, extensions by name.
        nonce: Tells two equal hops apart, for revoking one of them; random if left out.
        hierarchy: Which actions imply which, as the validator has it.

    Raises:
        TokenRefusedError: The token is not well-formed, may not be handed on to this delegatee, or
            a caveat would widen.
        InvalidClaimsError: A limit is broken, the 8,192 bytes of a token for example.
    """
    text = ChainText.parse(token)
    rules = DelegationRules(MAX_HOPS, hierarchy)
    parent = _last(text, rules)
    nonce = secrets.token_urlsafe(_NONCE_BYTES) if nonce is None else nonce
    link = Link(parent.subject, delegatee, nonce, tuple(caveats))
    hop = link.encode()
    extended(parent, Link.decode(hop), hop_ids(text.signed, (*text.hops, hop))[-1], rules)
    child = text.followed_by(hop)
    if len(child) > MAX_TOKEN_BYTES:
        rule = f"the token would have {len(child)} bytes, over {MAX_TOKEN_BYTES}"
        raise InvalidClaimsError.of(Denial(code="capability.token_too_large", rule=rule))
    return child


def unsafe_read(token: str, *, hierarchy: ActionHierarchy = NO_IMPLICATIONS) -> Claims:
    """Return what a token says of itself. **Nothing is verified**: for showing, never for deciding.

    Raises:
        TokenRefusedError: It is not well-formed, or a hop would widen.
    """
    return _last(ChainText.parse(token), DelegationRules(MAX_HOPS, hierarchy))


def _last(text: ChainText, rules: DelegationRules) -> Claims:
    try:
        payload = decode_base64url(text.signed.partition(".")[2])
    except ValueError as error:
        raise malformed("the payload is not canonical base64url") from error
    claims = attrs.evolve(decode_claims(payload), hierarchy=rules.hierarchy)
    check_limits(claims)
    for _, derived in derive(claims, text, rules):
        claims = derived
    return claims
