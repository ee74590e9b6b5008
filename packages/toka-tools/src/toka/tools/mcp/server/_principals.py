"""Who calls: told by a capability token, or whoever can reach us at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import attrs

from toka.tools._bearer import bearer_claims
from toka.tools.mcp._errors import McpError
from toka.types import TokaError

if TYPE_CHECKING:
    from collections.abc import Callable

    from toka.capability.core import Claims
    from toka.tools._context import Grants


class NotAdmittedError(McpError):
    """The credential is missing or not accepted; which of the two is all that is said."""

    default_code = "tools.mcp_not_admitted"


@attrs.frozen
class Principal:
    """Somebody who calls, as far as sessions, tasks and sealed states are theirs alone."""

    name: str
    """The same for every token of one subject; empty for whoever needs no token."""
    granted: Grants | None = attrs.field(default=None, eq=False, repr=False)
    """What this one request's token grants; None for what the server's own context grants."""


ANYBODY: Final = Principal("")


class Gate(Protocol):
    """Lets callers in."""

    @property
    def wants_credential(self) -> bool:
        """Whether nobody gets in without a token."""
        ...

    def admit(self, credential: str | None) -> Principal:
        """Return who presents this credential.

        Raises:
            NotAdmittedError: Nobody does.
        """
        ...


class OpenGate:
    """Lets everybody in, with what the server's own context grants."""

    wants_credential = False

    def admit(self, credential: str | None) -> Principal:  # noqa: ARG002 - the protocol's
        """Return the one principal there is."""
        return ANYBODY


@attrs.frozen
class TokenGate:
    """Lets in who presents a capability token, with what it grants.

    What a token grants only as long as nothing from outside has influenced its subject is not
    granted: everything that a client sends is from outside. A token with a budget is refused,
    because nobody counts here, and so is one that is bound to a key, because nobody asks for a
    proof of it.
    """

    authenticate: Callable[[str], Claims]
    """`TokenValidator.validate`, or `Authenticator.authenticate` of toka-auth, which also knows
    what was taken back and counts rates. It should insist on an audience."""
    vault: str = "toka"
    """The tenant whose things the permissions have to speak of."""

    @property
    def wants_credential(self) -> bool:
        """Whether nobody gets in without a token."""
        return True

    def admit(self, credential: str | None) -> Principal:
        """Return the subject of a token that is accepted now.

        Raises:
            NotAdmittedError: There is no token, or it is not accepted.
        """
        if credential is None:
            raise NotAdmittedError("A capability token is needed.")
        try:
            claims = bearer_claims(self.authenticate, self.vault, credential)
        except TokaError as error:
            raise NotAdmittedError("The token is not accepted.") from error
        if claims is None:
            raise NotAdmittedError("The token is not accepted.")
        return Principal(f"{claims.vault}/{claims.subject}", claims.granted)
