"""Who may talk to an agent: whoever presents a capability token that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from toka.tools._bearer import bearer_claims
from toka.tools.a2a._errors import CallerRefusedError
from toka.types import TokaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.capability.core import Claims


@attrs.frozen
class Caller:
    """Who sent a message."""

    name: str
    """Tenant and subject. Tasks belong to it: another caller finds none of them."""
    claims: Claims = attrs.field(eq=False, repr=False)
    """What the token says, for whatever the agent does in the caller's name."""
    token: str = attrs.field(eq=False, repr=False)
    """The token itself, to begin a run under it."""


@attrs.frozen
class TokenGate:
    """Lets in whoever has a token that grants `permission`.

    A token that is bound to a key is refused, because here nobody can ask for a proof of it, and
    so is one with a budget, because nobody counts here.
    """

    authenticate: Callable[[str], Claims]
    """`TokenValidator.validate`, or `Authenticator.authenticate` of toka-auth, which also knows
    what was taken back. It should insist on an audience."""
    permission: str
    """For example `agent:message:assistant`."""
    vault: str = "default"
    """The tenant whose things the permissions have to speak of."""

    def admit(self, token: str | None) -> Caller:
        """Return who presents this token.

        Raises:
            CallerRefusedError: There is none, or it is not accepted.
        """
        if token is None:
            raise CallerRefusedError("A capability token is needed.")
        try:
            claims = bearer_claims(self.authenticate, self.vault, token)
        except TokaError as error:
            raise CallerRefusedError("The token is not accepted.") from error
        if claims is None:
            raise CallerRefusedError("The token is not accepted.")
        if not claims.granted.covers(self.permission):
            raise CallerRefusedError(
                f"The token does not grant {self.permission}.", code="tools.a2a_not_granted"
            )
        return Caller(f"{claims.vault}/{claims.subject}", claims, token)
