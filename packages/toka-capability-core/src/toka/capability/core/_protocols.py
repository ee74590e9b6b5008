"""What a token format is to the rest of Toka: something that issues and something that validates.

A token is text to whoever holds it. Which format it has, and which cryptography, only the two
ends know; the kernel sees `Claims`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from toka.capability.core._claims import Claims


class TokenIssuer(Protocol):
    """Turns claims into a token."""

    def issue(self, claims: Claims) -> str:
        """Return a token that says `claims`.

        Raises:
            InvalidClaimsError: The claims break a limit; no token is made.
        """
        ...


class TokenValidator(Protocol):
    """Turns a token into the claims that its issuer signed."""

    def validate(self, token: str) -> Claims:
        """Return what `token` says, if it is genuine and valid now.

        Raises:
            TokenRefusedError: It is not. The reason is for the audit, not for the caller.
        """
        ...


class RootValidator(TokenValidator, Protocol):
    """Validates tokens `header.payload.signature`, and lets a chain of hops begin with one.

    The further methods are for whoever keeps a root's signature secret and proves it by what
    follows from it. Together they are `validate`; one alone proves nothing.
    """

    def judge(self, claims: Claims) -> None:
        """Check that claims which are within all limits hold now, and for this validator.

        Raises:
            TokenRefusedError: They do not.
        """
        ...

    def unsafe_signature(self, signed: str) -> bytes:
        """Return the signature that belongs to `header.payload`; whoever has it has the token.

        Raises:
            TokenRefusedError: The header is not one of ours, or names no key that is known.
        """
        ...

    def unsafe_claims(self, signed: str) -> Claims:
        """Return what `header.payload` says, judged as `validate` judges it, but not verified.

        Raises:
            TokenRefusedError: It is not valid now, or not well-formed.
        """
        ...
