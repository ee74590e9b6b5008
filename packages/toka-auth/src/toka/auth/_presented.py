"""What may come with a credential, and who else is asked before it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toka.capability.core import Claims, Denial, Hop


@attrs.frozen
class Proof:
    """A proof of possession that came with a request (RFC 9449)."""

    text: str = attrs.field(repr=False)
    """The `DPoP` header as it was received."""
    method: str
    """The request's method, in upper case."""
    url: str
    """The request's URL as the client sees it, without query and fragment."""


class ProofCheck(Protocol):
    """Knows whether a proof shows possession of the key that a token is bound to."""

    def denial(self, credential: str, claims: Claims, proof: Proof) -> Denial | None:
        """Say why the proof does not hold, or None if it does. A proof counts once."""
        ...


class RateCheck(Protocol):
    """Counts the acts of tokens that carry a rate."""

    def denial(self, accounts: Sequence[Hop]) -> Denial | None:
        """Count one act against every account with a rate, or against none and say why."""
        ...


class OnceCheck(Protocol):
    """Remembers which tokens were used, for those that may be used once."""

    def burn(self, token_id: str, until: int) -> bool:
        """Mark a token used until its last acceptable second; say whether it was not before."""
        ...


@runtime_checkable
class PreparingValidator(Protocol):
    """A validator that may have to fetch something, a key for example, before it can validate."""

    async def prepare(self, token: str) -> None:
        """Fetch what validating `token` needs. Never raises because of the token."""
        ...
